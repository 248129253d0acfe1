"""A lake in a bucket: what a folder promises, kept by puts that only create."""

import json
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import bucket_store as store
import pytest
from lake_evidence import Copy, rows
from processes import unmeasured
from stories import FIXTURES

from tokenaudit.__main__ import main
from tokenaudit.export.lake.bucket import Bucket, open_bucket
from tokenaudit.export.lake.day_totals import RollupRequest
from tokenaudit.export.lake.executors import here, on_processes
from tokenaudit.export.lake.host import Host
from tokenaudit.export.lake.publish import GRACE, publish
from tokenaudit.export.lake.rollup import roll_up
from tokenaudit.export.lake.storage import open_storage
from tokenaudit.model.errors import ConfigError, OutputError, UsageError

FORK = str(FIXTURES / "fork-copies" / "claude")
HOST = Host("h1", "laptop")
NOW = datetime(2026, 3, 3, tzinfo=UTC)
ONE = Copy(1, 1, 5, is_final=False, later=0)
TWO = Copy(2, 1, 70, is_final=True, later=0)


@pytest.fixture
def address(bucket_store: str) -> str:
    return bucket_store


@pytest.fixture
def bucket(address: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """The name of an empty bucket that keeps every version, so that a second put would be seen."""
    for name, value in store.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    name = f"b{abs(hash(request.node.nodeid))}"
    client = store.client(address)
    client.create_bucket(Bucket=name)
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


def versions(address: str, bucket: str) -> list[str]:
    """The names of all versions of all files that were ever put."""
    found = store.client(address).list_object_versions(Bucket=bucket)
    return sorted(entry["Key"] for entry in found.get("Versions", ()))


def export(place: str, **more: str) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "tokenaudit", "export", "--root", FORK, "--to", place]
    environ = {**unmeasured(), "TOKENAUDIT_HOST_ID": "h1", **more}
    return subprocess.Popen(argv, env=environ, stderr=subprocess.PIPE)


def exported(place: str) -> bool:
    """Tell whether an export was silent and succeeded."""
    run = export(place)
    return (run.communicate()[1], run.returncode) == (b"", 0)


def asked(lake: str) -> RollupRequest:
    from tokenaudit.export.lake.groups import Groups
    from tokenaudit.pricing.card import shipped_card
    from tokenaudit.reports.selection import Selection

    return RollupRequest(lake, shipped_card(), Selection(), ("host",), Groups(), {})


def test_a_lake_in_a_bucket_is_that_of_a_folder(
    bucket: str, capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same names and bytes, the same digest, here and on processes; a repeat writes nothing."""
    monkeypatch.setenv("TOKENAUDIT_HOST_ID", "h1")
    place, folder = f"s3://{bucket}/usage/claude", str(tmp_path / "lake")
    for to in (place, folder):
        assert main(["export", "--demo", "--to", to]) == 0
    assert capfd.readouterr() == ("", "")

    lakes = [open_storage(to, must_exist=True) for to in (place, folder)]
    names = lakes[0].names()
    assert len(names) == 8  # days of the sample
    assert [lake.names() for lake in lakes] == [names, names]
    assert list(lakes[0].read_all(names)) == list(lakes[1].read_all(names))
    expected = roll_up(asked(folder), here).digest
    assert roll_up(asked(place), here).digest == expected
    assert roll_up(asked(place), on_processes(2)).digest == expected

    assert main(["export", "--demo", "--to", place, "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["written"] == []
    assert main(["rollup", place, "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["meta"]["lake"]["digest"] == expected


def test_replaced_parts_go_after_a_day_of_grace(bucket: str) -> None:
    """The time of the store decides, not that of this machine's files."""
    lake = open_bucket(f"s3://{bucket}", must_exist=False)
    (old,) = publish(rows([ONE]), lake, HOST, NOW).written
    (new,) = publish(rows([ONE, TWO]), lake, HOST, NOW).written
    written = lake.modified(new.part)

    assert publish(rows([ONE]), lake, HOST, written + GRACE - timedelta(seconds=1)).removed == ()
    assert publish(rows([ONE]), lake, HOST, written + GRACE).removed == (old.part,)
    assert lake.names() == [new.part]


def test_writers_of_one_part_at_once_all_succeed(address: str, bucket: str) -> None:
    """And once it is there no put is taken any more; the store keeps every one it takes."""
    place, part, data = f"s3://{bucket}/lake", "date=2026-03-02/host=h1/part", b"the same of all"
    barrier = Barrier(8)

    def write(_: int) -> None:
        lake = open_bucket(place, must_exist=False)
        barrier.wait()
        lake.create(part, data)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(write, range(8))) == [None] * 8
    before = versions(address, bucket)
    assert set(before) == {f"lake/{part}"}

    lake = open_bucket(place, must_exist=True)
    lake.create(part, data)
    lake.create("new", data)
    lake.create("new", data)
    assert lake.read(part) == data
    assert versions(address, bucket) == [*before, "lake/new"]


def test_two_exports_at_once_are_one(bucket: str, tmp_path: Path) -> None:
    """Processes that do not see each other's lock leave what one leaves."""
    assert exported(f"s3://{bucket}/clean")
    runs = [
        export(f"s3://{bucket}/lake", XDG_DATA_HOME=str(tmp_path / str(number)))
        for number in range(2)
    ]
    assert [run.communicate()[1] for run in runs] == [b"", b""]
    assert [run.returncode for run in runs] == [0, 0]

    lakes = [open_bucket(f"s3://{bucket}/{name}", must_exist=True) for name in ("clean", "lake")]
    assert lakes[0].names() == lakes[1].names() != []


def test_something_else_under_the_name_is_not_replaced(bucket: str) -> None:
    """A put only creates; what is in the way is said."""
    lake = open_bucket(f"s3://{bucket}", must_exist=False)
    lake.create("part", b"one")
    with pytest.raises(OutputError, match="part: is there already, and holds something else"):
        lake.create("part", b"two")
    assert lake.read("part") == b"one"


def test_a_put_that_another_is_in_the_way_of_is_tried_again() -> None:
    """S3 answers 409 while another put of the same name is under way."""
    from botocore.exceptions import ClientError

    class Busy:
        """A store that is busy for so many puts."""

        def __init__(self, times: int) -> None:
            self.times, self.puts = times, 0

        def put_object(self, **_: Any) -> None:
            self.puts += 1
            if self.puts <= self.times:
                code = {"Error": {"Code": "ConditionalRequestConflict"}}
                raise ClientError(code, "PutObject")

    once, always = Busy(1), Busy(99)
    Bucket(once, "bucket", "").create("part", b"one")
    assert once.puts == 2
    with pytest.raises(OutputError, match="ConditionalRequestConflict"):
        Bucket(always, "bucket", "").create("part", b"one")


def test_an_interrupted_put_leaves_nothing(address: str, bucket: str) -> None:
    """The way breaks in the middle of a part: an error, no file; a repeat mends it."""
    lake = open_bucket(f"s3://{bucket}/lake", must_exist=False)
    with store.BrokenWay(address, most=4000).running() as way:
        way.may_break.set()
        run = export(f"s3://{bucket}/lake", AWS_ENDPOINT_URL=way.address)
        err = run.communicate()[1].decode()
        assert way.is_stuck.is_set()
    assert run.returncode == 2
    assert "cannot be written: the store does not answer" in err
    assert store.SECRET not in err
    assert "Traceback" not in err
    assert lake.names() == []

    assert exported(f"s3://{bucket}/lake")
    assert lake.names() != []


def test_a_writer_that_is_killed_in_mid_put_leaves_nothing(address: str, bucket: str) -> None:
    """Half a part is in the store's hands when its writer dies."""
    lake = open_bucket(f"s3://{bucket}/lake", must_exist=False)
    with store.BrokenWay(address, most=4000).running() as way:
        run = export(f"s3://{bucket}/lake", AWS_ENDPOINT_URL=way.address)
        assert way.is_stuck.wait(60)
        run.send_signal(signal.SIGKILL)
        run.communicate()
    assert run.returncode == -signal.SIGKILL
    assert lake.names() == []

    assert exported(f"s3://{bucket}/lake")
    assert lake.names() != []


def test_hidden_names_are_no_part_of_a_lake(address: str, bucket: str) -> None:
    """Neither are the empty files by which some stores show folders, nor other folders."""
    for key in ("lake/", "lake/date=x/", "lake/_SUCCESS", "lake/.tmp/x", "lake/a/b", "lakes/c"):
        store.client(address).put_object(Bucket=bucket, Key=key, Body=b"")
    lake = open_bucket(f"s3://{bucket}/lake/", must_exist=True)
    assert lake.names() == ["a/b"]
    assert lake.names("a") == ["a/b"]
    lake.remove("a/b")
    lake.remove("of-nobody")
    assert lake.names() == []


@pytest.mark.parametrize(
    "place", ["s3://", "s3:///folder", "s3://key:secret@bucket/x", "s3://b/../x", "s3://Bad_Name"]
)
def test_what_is_no_address_of_a_bucket_is_refused(place: str) -> None:
    """Without being repeated: somebody may have written a secret there."""
    with pytest.raises(UsageError, match=r"^s3://: not the address of a bucket$"):
        open_bucket(place, must_exist=False)


def test_a_store_that_cannot_be_used_is_one_line(
    bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No bucket, nothing there, no credentials, nobody who answers, an endpoint that is none."""
    with pytest.raises(ConfigError, match=r"^s3://of-nobody/: cannot be listed: no such bucket$"):
        open_bucket("s3://of-nobody", must_exist=False)
    with pytest.raises(UsageError, match="no such lake"):
        open_bucket(f"s3://{bucket}/nothing", must_exist=True)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://me:{store.SECRET}@127.0.0.1:1")
    with pytest.raises(ConfigError, match=r"cannot be listed: the store does not answer$"):
        open_bucket(f"s3://{bucket}", must_exist=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"no address {store.SECRET}")
    with pytest.raises(ConfigError, match=r"^s3://: boto3 cannot: ValueError$"):
        open_bucket(f"s3://{bucket}", must_exist=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match=r"cannot be listed: no credentials were found$"):
        open_bucket(f"s3://{bucket}", must_exist=False)
