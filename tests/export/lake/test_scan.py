"""Transcripts parsed by many workers: the lake is that of one process, whatever lay in which batch."""

import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from lakes import Cluster
from polars.testing import assert_frame_equal
from stories import STORIES
from test_rollup import asked
from transcripts_builder import facts_of

from tokenaudit import transcripts
from tokenaudit.export.lake.cluster import on_cluster
from tokenaudit.export.lake.executors import Work, here, on_processes
from tokenaudit.export.lake.host import Host
from tokenaudit.export.lake.parts import find, read
from tokenaudit.export.lake.publish import GRACE, publish
from tokenaudit.export.lake.rollup import roll_up
from tokenaudit.export.lake.rows import rows_of
from tokenaudit.export.lake.scan import Scan, Scanned, batches, scan
from tokenaudit.export.lake.storage import Folder
from tokenaudit.model.errors import ConfigError, OutputError
from tokenaudit.model.terms import Transcript
from tokenaudit.transcripts import Discovery, discover

HOST = Host("h1", "archive")
NOW = datetime(2026, 11, 22, tzinfo=UTC)
ROOTS = [*(story.root for story in STORIES if any(story.root.rglob("*.jsonl"))), transcripts.DEMO]


@pytest.fixture(scope="module")
def discovery() -> Discovery:
    """All stories and the sample: copies lie in many roots."""
    return discover(ROOTS)


@pytest.fixture(scope="module")
def exported(discovery: Discovery, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lake that one process writes of it."""
    lake = tmp_path_factory.mktemp("exported")
    publish(rows_of(facts_of(discovery), host="h1", label=None), Folder(lake), HOST, NOW)
    return lake


@pytest.fixture(scope="module")
def expected(exported: Path) -> str:
    """The digest of that lake."""
    return roll_up(asked(exported), here).digest


def scanned(
    lake: Path, discovery: Discovery, work: Work = here, *, batch: int = 1, now: datetime = NOW
) -> Scanned:
    return scan(Scan.new(str(lake), HOST, now, None), discovery, work, batch=batch)


def held(lake: Path) -> pl.DataFrame:
    folder = Folder(lake)
    parts, foreign = find(folder)
    assert not foreign
    assert len({part.date for part in parts}) == len(parts)
    return pl.concat([read(folder, [part]).rows for part in parts])


@pytest.mark.parametrize("batch", [1, 60_000, 1 << 30])
def test_the_lake_is_that_of_one_process(
    discovery: Discovery, exported: Path, expected: str, tmp_path: Path, batch: int
) -> None:
    """Row by row, but for how many copies were seen: of those in other batches nothing is known."""
    made = batches(discovery.transcripts, batch)
    assert sum(map(len, made)) == len(discovery.transcripts)
    assert len(made) == 1 if batch == 1 << 30 else len(made) > 5

    found = scanned(tmp_path, discovery, batch=batch)

    assert found.files == len(discovery.transcripts)
    assert len(found.written) == len(Folder(exported).names())
    assert_frame_equal(held(tmp_path).drop("copies"), held(exported).drop("copies"))
    assert roll_up(asked(tmp_path), here).digest == expected
    assert not list((tmp_path / "_scan").iterdir())


def test_copies_in_other_batches_are_one_response(tmp_path: Path) -> None:
    """A history, and a copy of it under other names of sessions: 92 responses, as in one process."""
    for name in ("one", "two"):
        shutil.copytree(transcripts.DEMO / "projects", tmp_path / name / "projects")
    for path in sorted((tmp_path / "two").rglob("*"), reverse=True):
        if re.match("[0-9a-f]{8}-", path.name):
            path.rename(path.with_name(f"ffffffff{path.name[8:]}"))
    discovery = discover([tmp_path / "one", tmp_path / "two"])
    rows = rows_of(facts_of(discovery), host="h1", label=None)
    publish(rows, Folder(tmp_path / "exported"), HOST, NOW)

    found = scanned(tmp_path / "lake", discovery)

    assert found.responses == 2 * 92
    assert held(tmp_path / "lake").height == 92
    assert_frame_equal(
        held(tmp_path / "lake").drop("copies"), held(tmp_path / "exported").drop("copies")
    )


def test_the_same_on_processes(discovery: Discovery, expected: str, tmp_path: Path) -> None:
    """Each worker writes its own; a second scan writes nothing."""
    found = scanned(tmp_path, discovery, on_processes(2), batch=20_000)
    assert Folder(tmp_path).names() == sorted(part.part for part in found.written)
    assert roll_up(asked(tmp_path), here).digest == expected
    assert scanned(tmp_path, discovery, batch=20_000).written == ()


@pytest.mark.filterwarnings("ignore")
def test_the_same_on_a_cluster(
    discovery: Discovery, expected: str, tmp_path: Path, cluster: Cluster
) -> None:
    """A real scheduler, and two workers."""
    scanned(tmp_path, discovery, on_cluster(cluster.address), batch=20_000)
    assert roll_up(asked(tmp_path), here).digest == expected


def test_what_was_published_before_never_shrinks(
    discovery: Discovery, exported: Path, tmp_path: Path
) -> None:
    """A scan of one root into a lake that knows all adds nothing, and takes nothing away."""
    lake = tmp_path / "lake"
    shutil.copytree(exported, lake)
    found = scanned(lake, discover([ROOTS[0]]))
    assert found.files < len(discovery.transcripts)
    assert found.written == ()
    assert Folder(lake).names() == Folder(exported).names()


def test_a_redacted_scan_lays_nothing_plain_down(tmp_path: Path) -> None:
    """Neither in the lake, nor on the way there."""
    seen: list[bytes] = []

    def watched(function: object, tasks: object) -> list[object]:
        done = list(here(function, tasks))  # type: ignore[arg-type]
        seen.extend(path.read_bytes() for path in tmp_path.rglob("*.parquet"))
        return done

    asked_ = Scan.new(str(tmp_path), HOST, NOW, b"of the organisation")
    scan(asked_, discover([transcripts.DEMO]), watched)
    assert len(seen) > 8
    assert not any(b"webshop" in data for data in seen)
    assert held(tmp_path)["project"].str.starts_with("hmac:").all()


def test_an_error_leaves_whole_days(tmp_path: Path) -> None:
    """What was laid down is removed, and a repeat mends it."""
    discovery = discover([transcripts.DEMO])

    def failing(function: object, tasks: object) -> list[object]:
        done = list(here(function, tasks))  # type: ignore[arg-type]
        next((tmp_path / "_scan").iterdir()).unlink()
        return done

    with pytest.raises(OutputError, match=r"_scan/.*cannot be read"):
        scan(Scan.new(str(tmp_path), HOST, NOW, None), discovery, failing)
    assert len(Folder(tmp_path).names()) < 8  # days of the sample
    assert list((tmp_path / "_scan").iterdir()) == []

    scanned(tmp_path, discovery)
    assert held(tmp_path).height == 92


def test_workers_that_do_not_see_the_roots_are_an_error(tmp_path: Path) -> None:
    """Or a scan of nothing would look like one of little."""
    (tmp_path / "p").mkdir()
    shutil.copytree(transcripts.DEMO / "projects", tmp_path / "p" / "projects")
    discovery = discover([tmp_path / "p"])
    shutil.rmtree(tmp_path / "p")
    with pytest.raises(ConfigError, match="not there for a worker"):
        scanned(tmp_path / "lake", discovery)


def test_leftovers_of_a_scan_that_was_killed_go_after_a_day(tmp_path: Path) -> None:
    """Not before: a scan that runs may have written them."""
    left = tmp_path / "_scan" / "0123-2026-03-02-4567.parquet"
    left.parent.mkdir()
    left.touch()
    written = datetime.fromtimestamp(left.stat().st_mtime, UTC)
    discovery = discover([transcripts.DEMO])

    scanned(tmp_path, discovery, now=written + GRACE - timedelta(seconds=1))
    assert left.exists()
    scanned(tmp_path, discovery, now=written + GRACE)
    assert not left.exists()


def test_what_belongs_together_is_one_batch() -> None:
    """A project's folder, and a session whose transcripts lie in two of them, whatever the order."""

    def transcript(path: str, folder: str, session: str | None) -> Transcript:
        return Transcript(path, "/root", folder, session, "main", size=10)

    a = transcript("/root/1/a", "1", "s1")
    b = transcript("/root/1/b", "1", None)
    c = transcript("/root/2/c", "2", "s2")
    d = transcript("/root/3/d", "3", "s3")
    bridge = transcript("/root/2/e", "2", "s1")
    for order in ([a, b, c, d, bridge], [bridge, d, c, b, a], [c, a, d, bridge, b]):
        found = [[entry.path for entry in batch] for batch in batches(order, 1)]
        assert found == [["/root/1/a", "/root/1/b", "/root/2/c", "/root/2/e"], ["/root/3/d"]]
    assert len(batches([a, b, c, d], 40)) == 1
    assert len(batches([a, b, c, d], 30)) == 2
