"""One total over many hosts: the same whoever does the work, and what a single machine would say."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from stories import STORIES
from transcripts_builder import facts_of

from tokenaudit import ledger, transcripts
from tokenaudit.errors import ConfigError, UsageError
from tokenaudit.lake.cluster import on_cluster
from tokenaudit.lake.groups import Groups, read_groups
from tokenaudit.lake.host import Host
from tokenaudit.lake.publish import publish
from tokenaudit.lake.rollup import roll_up
from tokenaudit.lake.rows import rows_of
from tokenaudit.lake.storage import Folder
from tokenaudit.lake.sums import Asked
from tokenaudit.lake.work import here, on_processes
from tokenaudit.pricing.card import shipped_card
from tokenaudit.reports.selection import Selection
from tokenaudit.store.facts import Facts

NOW = datetime(2026, 11, 22, tzinfo=UTC)
DOCUMENT = Path(__file__).parents[2] / "docs" / "lake.md"


def facts_below(*roots: Path) -> Facts:
    discovery = transcripts.discover(roots)
    return facts_of(discovery)


def asked(lake: Path, *keys: str) -> Asked:
    return Asked(str(lake), shipped_card(), Selection(), keys or ("host",), Groups(), {})


def worse(rows: pl.DataFrame) -> pl.DataFrame:
    """Return *rows* as a host holds them that has copied transcripts too early."""
    return rows.with_columns(
        stop_reason=pl.lit(None, pl.String),
        said_output_tokens=pl.lit(3, pl.Int64),
        output_tokens=pl.lit(3, pl.Int64),
        quality=pl.lit("placeholder"),
        source_path=pl.concat_str("source_path", pl.lit("~")),
        owner_path=pl.concat_str("owner_path", pl.lit("~")),
        iterations=pl.lit(None, rows.schema["iterations"]),
    )


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of the stories and the sample, each of a host; neighbours hold worse copies of some."""
    top = tmp_path_factory.mktemp("lake")
    stories = [story for story in STORIES if any(story.root.rglob("*.jsonl"))]
    for number, root in enumerate([*(story.root for story in stories), transcripts.DEMO]):
        rows = rows_of(facts_below(root), host=f"h{number}", label=None)
        with_ids = rows.filter(pl.col("message_id").is_not_null())
        for host, known in (
            (f"h{number}", rows),
            (f"h{number + 1}", worse(with_ids)),
            (f"x{number % 3}", with_ids.head(2)),
        ):
            publish(known, Folder(top), Host(host, f"label of {host}"), NOW)
    return top


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


def test_one_digest_whoever_does_the_work(lake: Path) -> None:
    """In this process, on spawned processes, and by the documented SQL in DuckDB."""
    expected = roll_up(asked(lake), here)
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
    from tokenaudit.lake.rows import SCHEMA

    section = DOCUMENT.read_text("utf-8").partition("## Schema")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in section.splitlines() if line[:1] == "|"]
    assert sorted(re.findall(r"`(\w+)`", "".join(cells))) == sorted(SCHEMA)


@contextmanager
def cluster() -> Iterator[tuple[str, list[subprocess.Popen[str]]]]:
    """A scheduler and two workers of Dask on loopback."""
    environ = {**os.environ, "PYTHONUNBUFFERED": "1"}
    dask = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show"]
    processes: list[subprocess.Popen[str]] = []

    def start(*argv: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(argv, env=environ, stderr=subprocess.PIPE, text=True)
        processes.append(process)
        return process

    try:
        scheduler = start(*dask, *options)
        assert scheduler.stderr is not None
        address = next(
            found[0]
            for line in scheduler.stderr
            if (found := re.findall(r"Scheduler at:\s+(tcp://\S+)", line))
        )
        worker = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-dashboard"]
        workers = [
            start(
                *worker, "--nthreads", "1", "--nworkers", "1", "--no-nanny", "--host", "127.0.0.1"
            )
            for _ in range(2)
        ]
        yield address, workers
    finally:
        for process in reversed(processes):
            process.kill()
            process.communicate()


@pytest.mark.filterwarnings("ignore")
def test_one_digest_on_a_cluster_of_which_a_worker_is_killed(lake: Path) -> None:
    """A worker that dies in mid-run costs time, no figure."""
    expected = roll_up(asked(lake), here).digest
    with cluster() as (address, workers):
        assert roll_up(asked(lake), on_cluster(address)).digest == expected
        work = on_cluster(address)
        killed: list[int] = []

        def interrupted(function: Callable[[Any], Any], days: Sequence[Any]) -> Iterator[Any]:
            for sums in work(function, days):
                if not killed:
                    workers[0].send_signal(signal.SIGKILL)
                    killed.append(1)
                yield sums

        assert roll_up(asked(lake), interrupted).digest == expected
        assert killed


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
    question = replace(asked(tmp_path / "lake", "person", "team"), groups=read_groups(file))
    sums = roll_up(question, here).sums.group_by("person", "team").agg(pl.col("responses").sum())
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
