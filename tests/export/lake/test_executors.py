"""Work on processes: those of a worker that is killed are done again."""

import os
import signal
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

import pytest
from test_rollup import asked

from tokenaudit import transcripts
from tokenaudit.cli.commands.export import export_sample
from tokenaudit.export.lake.executors import Work, here, on_processes
from tokenaudit.export.lake.rollup import roll_up
from tokenaudit.export.lake.scan import Scan, scan


def killed_once(mark: Path, function: object, task: object) -> object:
    """Do *task*, but die as of `kill -9` where nobody did before."""
    try:
        mark.open("x").close()
    except FileExistsError:
        return function(task)  # type: ignore[operator]
    os.kill(os.getpid(), signal.SIGKILL)
    return None


def dying(_task: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def with_a_kill(mark: Path) -> Work:
    """Work on two processes, of which one is killed in the middle of its first task."""
    return lambda function, tasks: on_processes(2)(partial(killed_once, mark, function), tasks)


def test_a_roll_up_survives_a_worker_that_is_killed(tmp_path: Path) -> None:
    """Same digest, same cost, each day once."""
    lake, mark = tmp_path / "lake", tmp_path / "mark"
    lake.mkdir()
    export_sample(str(lake))
    expected = roll_up(asked(lake), here)

    found = roll_up(asked(lake), with_a_kill(mark))

    assert mark.exists()
    assert found.digest == expected.digest
    assert found.rows == expected.rows == 92
    assert found.sums["cost_usd"].sum() == expected.sums["cost_usd"].sum()


def test_a_scan_survives_a_worker_that_is_killed(tmp_path: Path) -> None:
    """The lake is that of a scan in one process."""
    from test_scan import HOST, NOW

    discovery = transcripts.discover([transcripts.DEMO])
    lakes = [tmp_path / "clean", tmp_path / "killed"]
    for lake, work in zip(lakes, (here, with_a_kill(tmp_path / "mark")), strict=True):
        scan(Scan.new(str(lake), HOST, NOW, None), discovery, work, batch=1)

    assert (tmp_path / "mark").exists()
    parts = [sorted(path.name for path in lake.rglob("*.parquet")) for lake in lakes]
    assert parts[0] == parts[1] != []


def test_work_that_kills_every_worker_ends(tmp_path: Path) -> None:
    """After some tries, with an error rather than for ever."""
    with pytest.raises(BrokenProcessPool):
        list(on_processes(2)(dying, [tmp_path]))
