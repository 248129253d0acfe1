"""One total over many hosts: the same whoever does the work, and what a single machine would say."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from lake_evidence import facts_below, worse
from lakes import Cluster, a_cluster
from msgspec.structs import replace

from tokenaudit import transcripts
from tokenaudit.export.lake.cluster import on_cluster
from tokenaudit.export.lake.day_totals import RollupRequest
from tokenaudit.export.lake.executors import here, on_processes
from tokenaudit.export.lake.groups import Groups, read_groups
from tokenaudit.export.lake.host import Host
from tokenaudit.export.lake.publish import publish
from tokenaudit.export.lake.rollup import Rollup, roll_up
from tokenaudit.export.lake.rows import rows_of
from tokenaudit.export.lake.storage import Folder
from tokenaudit.ledger import frame as ledger
from tokenaudit.model.errors import ConfigError, UsageError
from tokenaudit.pricing.card import shipped_card
from tokenaudit.reports.selection import Selection

NOW = datetime(2026, 11, 22, tzinfo=UTC)
DOCUMENT = Path(__file__).parents[3] / "docs" / "reference" / "lake.md"


def asked(lake: Path, *keys: str) -> RollupRequest:
    return RollupRequest(str(lake), shipped_card(), Selection(), keys or ("host",), Groups(), {})


@pytest.fixture(scope="module")
def expected(lake: Path) -> Rollup:
    """What the lake adds up to in this process."""
    return roll_up(asked(lake), here)


def test_copies_of_neighbours_change_no_figure_of_the_sample(tmp_path: Path) -> None:
    """Better and worse copies on three hosts are one machine's 92 responses, to the last digit."""
    facts = facts_below(transcripts.DEMO)
    rows = rows_of(facts, host="h1", label=None)
    for host, known in (("h1", rows), ("h2", worse(rows)), ("h3", rows.head(40))):
        publish(known, Folder(tmp_path), Host(host, host), NOW)
    expected = ledger.totals(ledger.build(facts, shipped_card()).frame)

    found = roll_up(asked(tmp_path), here)

    assert expected.responses == 92
    assert int(found.counts["responses"].sum()) == 92
    for name in (*ledger.TOKENS, "cost_usd", "unpriced_responses"):
        assert found.sums[name].sum() == getattr(expected, name), name
    assert (found.hosts, found.rows) == (3, 92 + 92 + 40)
    assert found.damages == ()


def test_one_digest_whoever_does_the_work(lake: Path, expected: Rollup) -> None:
    """In this process, on spawned processes, and by the documented SQL in DuckDB."""
    assert expected.hosts > 20
    assert roll_up(asked(lake, "day"), on_processes(2)).digest == expected.digest

    views, query, digest = re.findall(r"```sql\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'Asia/Tokyo'")
        connection.execute(views.replace("usage-lake", str(lake)))
        connection.execute(query)
        found = connection.execute(digest).fetchall()
    assert found == [(expected.digest,)]


def test_the_document_names_every_column() -> None:
    """The schema that is documented is the schema that is written."""
    from tokenaudit.export.lake.schema import SCHEMA

    section = DOCUMENT.read_text("utf-8").partition("## Schema")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line[:1] == "|"]
    assert sorted(re.findall(r"`(\w+)`", "".join(cells))) == sorted(SCHEMA)


@pytest.mark.filterwarnings("ignore")
def test_one_digest_on_a_local_cluster(lake: Path, expected: Rollup) -> None:
    """The cluster that Dask itself makes of processes."""
    from distributed import LocalCluster

    with LocalCluster(  # type: ignore[no-untyped-call]
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
    ) as local:
        found = roll_up(asked(lake), on_cluster(local.scheduler_address))
    assert found.digest == expected.digest


@pytest.mark.filterwarnings("ignore")
def test_one_digest_on_a_cluster_of_which_a_worker_is_killed(
    lake: Path, expected: Rollup, cluster: Cluster
) -> None:
    """A real scheduler and two workers; one that dies in mid-run costs time, no figure."""
    work = on_cluster(cluster.address)
    assert roll_up(asked(lake), work).digest == expected.digest
    killed: list[int] = []

    def interrupted(function: Callable[[Any], Any], days: Sequence[Any]) -> Iterator[Any]:
        for sums in work(function, days):
            if not killed:
                cluster.kill_worker()
                killed.append(1)
            yield sums

    try:
        assert roll_up(asked(lake), interrupted).digest == expected.digest
    finally:
        cluster.add_worker()
    assert killed


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Settings of Dask as they are documented, and what they name: one that vouches for itself."""
    from distributed import Security

    folder = tmp_path_factory.mktemp("certificates")
    made = Security.temporary()  # type: ignore[no-untyped-call]
    for name in ("ca", "scheduler", "worker", "client"):
        (folder / f"{name}.pem").write_text(made.tls_ca_file)
        (folder / f"{name}-key.pem").write_text(made.tls_client_key)
    (settings,) = re.findall(r"```yaml\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    (folder / "tls.yaml").write_text(settings.replace("/etc/usage", str(folder)))
    return folder / "tls.yaml"


def test_one_digest_on_a_cluster_under_tls(
    lake: Path, expected: Rollup, tmp_path: Path, certificates: Path
) -> None:
    """The command finds scheduler and certificates, and the way there is encrypted."""
    command = [sys.executable, "-m", "tokenaudit", "rollup", str(lake), "--json", "--cluster"]
    with a_cluster(tmp_path, "tls", DASK_CONFIG=str(certificates)) as cluster:
        done = subprocess.run(
            [*command, cluster.address],
            env={**os.environ, "DASK_CONFIG": str(certificates)},
            capture_output=True,
            check=True,
        )
    assert done.stderr == b""
    found = json.loads(done.stdout)["meta"]["lake"]["digest"]
    assert found == expected.digest


def test_a_cluster_under_tls_needs_certificates(tmp_path: Path) -> None:
    """None, or files that are none, are an error at once, before anything is sent."""
    import dask

    work = on_cluster("tls://127.0.0.1:9")
    with pytest.raises(ConfigError, match="no certificates are known"):
        list(work(str, [1]))
    missing = dict.fromkeys(("ca-file", "client.cert", "client.key"), str(tmp_path / "missing.pem"))
    with (
        dask.config.set({f"distributed.comm.tls.{name}": path for name, path in missing.items()}),
        pytest.raises(ConfigError, match=r"the certificates cannot be used: .*No such file"),
    ):
        list(work(str, [1]))


@pytest.mark.parametrize("address", ["tcp://10.0.0.1:8786", "tcp://example.org:8786"])
def test_a_plain_address_off_this_machine_is_refused(address: str) -> None:
    """What is sent there is run there."""
    with pytest.raises(UsageError, match="another machine"):
        on_cluster(address)
    assert callable(on_cluster(address, is_insecure=True))
    assert callable(on_cluster(address.replace("tcp:", "tls:")))


@pytest.mark.parametrize("address", ["localhost", "http://x", "tcp://", ""])
def test_what_is_no_address_is_refused(address: str) -> None:
    """It is said before anything is read."""
    with pytest.raises(UsageError, match="not an address"):
        on_cluster(address)


def test_days_chosen_in_a_zone_are_whole(lake: Path) -> None:
    """A day of Tokyo lies in two days of UTC."""
    chosen = Selection(timezone="Asia/Tokyo", since=datetime(2026, 10, 8, tzinfo=UTC).date())
    everything = roll_up(replace(asked(lake, "day"), selection=replace(chosen, since=None)), here)
    found = roll_up(replace(asked(lake, "day"), selection=chosen), here)
    expected = everything.sums.filter(pl.col("day") >= chosen.since)
    assert found.sums["responses"].sum() == expected["responses"].sum()
    assert found.sums["cost_usd"].sum() == expected["cost_usd"].sum()


def test_groups_name_persons_and_teams(tmp_path: Path) -> None:
    """The first group that fits and has the name gives it; the rest has none."""
    publish(
        rows_of(facts_below(transcripts.DEMO), host="h1", label=None),
        Folder(tmp_path / "lake"),
        Host("h1", "ada-laptop"),
        NOW,
    )
    file = tmp_path / "groups.toml"
    file.write_text(
        '[[group]]\nhost = "ada-*"\nproject = "webshop"\nperson = "Ada"\nteam = "Shop"\n'
        '[[group]]\nproject = "compiler"\nteam = "Tools"\n'
    )
    request = replace(asked(tmp_path / "lake", "person", "team"), groups=read_groups(file))
    sums = roll_up(request, here).sums.group_by("person", "team").agg(pl.col("responses").sum())
    assert sorted(sums.rows(), key=str) == [
        ("Ada", "Shop", 61),
        (None, "Tools", 31),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1", "something else than groups"),
        ("[[group]]\nhots = 'a'\nteam = 'b'", "group 1: unknown key hots"),
        ("[[group]]\nhost = 'a'\nteam = 5", "group 1: team must be a text"),
        ("[[group]]\nteam = 'b'", "group 1: fits nothing"),
        ("[[", "not TOML"),
    ],
)
def test_groups_that_cannot_be_used_are_refused(tmp_path: Path, text: str, words: str) -> None:
    """With file, group and key."""
    file = tmp_path / "groups.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=words):
        read_groups(file)


def test_damaged_and_foreign_files_are_named(tmp_path: Path) -> None:
    """They are counted, and everything else is added up."""
    rows = rows_of(facts_below(transcripts.DEMO), host="h1", label=None)
    publish(rows, Folder(tmp_path), Host("h1", "h1"), NOW)
    names = Folder(tmp_path).names()
    (tmp_path / names[0]).write_bytes(b"")
    (tmp_path / "date=2026-11-01.csv").touch()

    found = roll_up(asked(tmp_path), here)

    assert [damage.name for damage in found.damages] == [names[0], "date=2026-11-01.csv"]
    lost = rows.filter(pl.col("time").dt.date().cast(pl.String) == names[0][5:15]).height
    assert lost
    assert int(found.counts["responses"].sum()) == 92 - lost
