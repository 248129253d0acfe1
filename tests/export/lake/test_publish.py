"""Exports into a lake: only what is new, never less than before, whole whatever happens."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from lake_evidence import Copy, rows
from polars.testing import assert_frame_equal
from rights import run_under_permissions

from tokenaudit.export.lake.dedupe import deduplicate
from tokenaudit.export.lake.host import Host
from tokenaudit.export.lake.parts import encode, find, place, read
from tokenaudit.export.lake.publish import GRACE, publish
from tokenaudit.export.lake.storage import Folder
from tokenaudit.model.errors import OutputError

HOST = Host("h1", "laptop")
NOW = datetime(2026, 3, 3, tzinfo=UTC)
ONE = Copy(1, 1, 5, is_final=False, later=0)
TWO = Copy(2, 1, 70, is_final=True, later=0)
BETTER = Copy(1, 1, 400, is_final=True, later=1)


def held(lake: Folder) -> pl.DataFrame:
    """Return what the lake says in all, with no damage."""
    parts, foreign = find(lake)
    found = [read(lake, [part]) for part in parts]
    assert not foreign
    assert not any(each.damages for each in found)
    return deduplicate(pl.concat([each.rows for each in found]))


def test_one_part_per_day_and_nothing_where_nothing_is_new(tmp_path: Path) -> None:
    """The first run writes a part; the second finds nothing new, and touches nothing."""
    lake = Folder(tmp_path)

    first = publish(rows([ONE, TWO]), lake, HOST, NOW)
    names = lake.names()
    again = publish(rows([ONE, TWO]), lake, HOST, NOW)

    assert [part.responses for part in first.written] == [2]
    assert names == [first.written[0].part]
    assert names[0].startswith("date=2026-03-02/host=h1/")
    assert (again.written, again.removed, lake.names()) == ((), (), names)


def test_a_published_day_never_shrinks(tmp_path: Path) -> None:
    """Transcripts that are gone take nothing away; a better count replaces the worse."""
    lake = Folder(tmp_path)
    publish(rows([ONE, TWO]), lake, HOST, NOW)

    assert publish(rows([TWO]), lake, HOST, NOW).written == ()
    publish(rows([BETTER]), lake, HOST, NOW)

    assert held(lake).select("message_id", "output_tokens", "quality").rows() == [
        ("msg_1", 400, "final"),
        ("msg_2", 70, "final"),
    ]


def test_replaced_parts_go_after_a_day_of_grace(tmp_path: Path) -> None:
    """A part that another replaced stays for readers of yesterday, and no longer."""
    lake = Folder(tmp_path)
    (old,) = publish(rows([ONE]), lake, HOST, NOW).written
    (new,) = publish(rows([ONE, TWO]), lake, HOST, NOW).written
    written = lake.modified(new.part)

    early = publish(rows([ONE]), lake, HOST, written + GRACE - timedelta(seconds=1))
    assert (early.removed, len(lake.names())) == ((), 2)
    late = publish(rows([ONE]), lake, HOST, written + GRACE)

    assert late.removed == (old.part,)
    assert lake.names() == [new.part]
    assert held(lake)["message_id"].to_list() == ["msg_1", "msg_2"]


def test_two_runs_that_did_not_see_each_other_lose_nothing(tmp_path: Path) -> None:
    """Both parts stand, and the next run unites them."""
    lake = Folder(tmp_path)
    for history in ([ONE], [TWO]):
        name, data = encode(rows(history))
        lake.create(f"{place(NOW.date() - timedelta(days=1), 'h1')}/{name}.parquet", data)

    (deduplicated,) = publish(rows([ONE]), lake, HOST, NOW).written

    assert deduplicated.responses == 2
    assert held(lake)["message_id"].to_list() == ["msg_1", "msg_2"]


def test_hosts_leave_each_other_alone(tmp_path: Path) -> None:
    """A host neither reads nor removes another's parts."""
    lake = Folder(tmp_path)
    publish(rows([ONE]), lake, HOST, NOW)
    publish(rows([BETTER]), lake, Host("h2", "desk"), NOW)
    before = lake.names()

    publish(rows([ONE]), lake, HOST, NOW + timedelta(days=3))

    assert lake.names() == before
    assert held(lake)["quality"].to_list() == ["final"]


def test_what_has_no_time_is_of_no_day(tmp_path: Path) -> None:
    """Responses without a usable time lie where Hive puts null."""
    lake = Folder(tmp_path)
    publish(rows([ONE]).with_columns(time=pl.lit(None, pl.Datetime("us", "UTC"))), lake, HOST, NOW)

    assert lake.names()[0].startswith("date=__HIVE_DEFAULT_PARTITION__/host=h1/")
    assert held(lake)["time"].to_list() == [None]


def test_a_damaged_part_is_named_and_mended_by_what_is_still_known(tmp_path: Path) -> None:
    """A truncated part is said, never counted, and the responses are written again."""
    lake = Folder(tmp_path)
    (part,) = publish(rows([ONE]), lake, HOST, NOW).written
    path = tmp_path / part.part
    path.write_bytes(path.read_bytes()[:-10])

    mended = publish(rows([TWO]), lake, HOST, NOW)

    assert [damage.name for damage in mended.damages] == [part.part]
    assert "does not hold what its name says" in mended.damages[0].reason
    assert [written.responses for written in mended.written] == [1]


def test_a_new_label_is_taken_over(tmp_path: Path) -> None:
    """The day is written again under the label that the host has now."""
    lake = Folder(tmp_path)
    publish(rows([ONE]), lake, HOST, NOW)
    (part,) = publish(rows([ONE]), lake, Host("h1", "desk"), NOW).written
    assert pl.read_parquet(tmp_path / part.part)["host_label"].to_list() == ["desk"]


def test_redaction_holds_for_what_was_published_before(tmp_path: Path) -> None:
    """The part that is written holds no plain name, whether the evidence is old or new."""
    lake = Folder(tmp_path)
    publish(rows([ONE]), lake, HOST, NOW)
    (part,) = publish(rows([TWO]), lake, HOST, NOW, secret=b"of the organisation").written

    found = pl.read_parquet(tmp_path / part.part)
    for name in ("project", "branch", "owner_path", "source_path"):
        assert found[name].str.starts_with("hmac:").all(), name
    again = publish(rows([TWO]), lake, HOST, NOW, secret=b"of the organisation")
    assert again.written == ()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_an_error(tmp_path: Path) -> None:
    """It is said, and nothing is left behind."""
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError):
        publish(rows([ONE]), Folder(tmp_path), HOST, NOW)


def test_a_part_is_the_same_bytes_each_time() -> None:
    """Its name is the hash of what it holds, so that two runs write one file."""
    assert encode(rows([ONE, TWO])) == encode(deduplicate(rows([TWO, ONE])))


def test_other_files_are_no_parts(tmp_path: Path) -> None:
    """What lies about is named; hidden and temporary files are nobody's business."""
    lake = Folder(tmp_path)
    publish(rows([ONE]), lake, HOST, NOW)
    folder = tmp_path / "date=2026-03-02" / "host=h1"
    (folder / ".tokenaudit-0123.tmp").write_bytes(b"half")
    (folder / "_SUCCESS").touch()
    (folder / "notes.txt").touch()
    (tmp_path / "date=2026-02-31" / "host=h1").mkdir(parents=True)
    (tmp_path / "date=2026-02-31" / "host=h1" / f"{'0' * 32}.parquet").touch()

    parts, foreign = find(lake)

    assert len(parts) == 1
    assert {damage.name: damage.reason for damage in foreign} == {
        "date=2026-03-02/host=h1/notes.txt": "foreign: its name is not that of a part",
        f"date=2026-02-31/host=h1/{'0' * 32}.parquet": "foreign: no such day: 2026-02-31",
    }


def test_every_damage_of_a_part_is_named(tmp_path: Path) -> None:
    """Empty, changed, not Parquet, of another format, of other columns, under another day."""
    lake = Folder(tmp_path)
    whole = rows([ONE])
    files = {
        "other columns": encode(whole.drop("model")),
        "more columns": encode(whole.with_columns(cost=pl.lit(1))),
        "other type": encode(whole.with_columns(pl.col("copies").cast(pl.String))),
        "format": encode(whole.with_columns(format=pl.lit(7, pl.Int16))),
        "day": encode(whole.with_columns(pl.col("time") + timedelta(days=1))),
        "good": encode(rows([TWO])),
    }
    expected = {
        "other columns": "foreign: lacks the column model",
        "more columns": "foreign: has another column: cost",
        "other type": "foreign: the column copies has another type",
        "format": "format 7: this version reads formats 1 to 2",
        "day": "foreign: holds responses of other days than 2026-03-02",
    }
    for name, data in files.values():
        lake.create(f"date=2026-03-02/host=h1/{name}.parquet", data)
    empty = f"date=2026-03-02/host=h1/{'0' * 32}.parquet"
    (tmp_path / empty).touch()

    found = read(lake, find(lake)[0])

    assert_frame_equal(found.rows, rows([TWO]))
    reasons = {Path(damage.name).stem: damage.reason for damage in found.damages}
    assert reasons.pop("0" * 32) == "damaged: the file is empty"
    assert reasons == {files[key][0]: reason for key, reason in expected.items()}


def test_odd_folders_and_files_of_a_lake_are_named(tmp_path: Path) -> None:
    """A link that leads back, a pipe, a device, links to nowhere."""
    lake = Folder(tmp_path)
    (part,) = publish(rows([ONE]), lake, HOST, NOW).written
    day = tmp_path / "date=2026-03-02"
    (day / "back").symlink_to(tmp_path)
    (day / "circle").symlink_to("circle")
    folder = day / "host=h2"
    folder.mkdir()
    os.mkfifo(folder / f"{'0' * 32}.parquet")
    (folder / f"{'1' * 32}.parquet").symlink_to("/dev/zero")
    (folder / f"{'2' * 32}.parquet").symlink_to("nowhere")

    parts, foreign = find(lake)
    found = read(lake, parts)

    assert [one.name for one in found.whole] == [part.part]
    assert [damage.name for damage in foreign] == [f"{day.name}/back/", f"{day.name}/circle"]
    assert [damage.reason for damage in found.damages] == [
        "cannot be read: it is a pipe, not a file",
        "cannot be read: it is a device, not a file",
        "cannot be read: No such file or directory",
    ]


def test_folders_of_a_lake_that_cannot_be_listed_are_named(tmp_path: Path) -> None:
    """What the others hold counts; a lake that cannot be listed at all is no lake."""
    lake, locked = tmp_path / "lake", tmp_path / "lake" / "date=2026-03-03"
    publish(rows([ONE]), Folder(lake), HOST, NOW)
    locked.mkdir()
    locked.chmod(0)
    done = run_under_permissions("rollup", str(lake), "--json", home=tmp_path)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    (damage,) = report["meta"]["lake"]["damages"]
    assert (damage["name"], report["totals"]["responses"]) == ("date=2026-03-03/", 1)
    assert damage["reason"].startswith("a folder that cannot be listed")

    lake.chmod(0)
    done = run_under_permissions("rollup", str(lake), home=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"tokenaudit: error: {lake}: cannot be listed: Permission denied\n"
    locked.chmod(0o700)
    lake.chmod(0o700)
