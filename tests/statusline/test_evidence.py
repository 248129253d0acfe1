"""What Claude Code says of limits and of its own totals is kept, gathered, and never lost."""

import json
import os
import re
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from statuslines import environment, shown, told
from transcripts_builder import SESSION

from tokenaudit import limits
from tokenaudit.statusline import evidence


def test_limits_and_totals_are_kept_as_evidence(home: Path) -> None:
    """One small file a session, rewritten only for news; reports read the limits from it."""
    rate_limits = {"five_hour": {"used_percentage": 23.5, "resets_at": 1_900_000_000}}
    data = told(rate_limits=rate_limits, version="2.1.300")
    line = shown(home, data)
    assert re.search(r" · 5h 24 %$", line), "too far away to be told by a weekday"
    (file,) = (home / ".local" / "share" / "tokenaudit" / "evidence").glob("*.json")
    evidence = json.loads(file.read_text())
    before = file.stat().st_mtime_ns
    shown(home, data)

    assert file.stat().st_mtime_ns == before
    assert evidence["total_cost_usd"] == "1.5"
    assert (evidence["session_id"], evidence["version"]) == (SESSION, "2.1.300")
    (limit,) = limits.latest(limits.read_all(str(file.parent)))
    assert (limit.name, limit.used_percent, limit.resets_at) == ("five_hour", 23.5, 1_900_000_000)
    blocks = subprocess.run(
        [sys.executable, "-m", "tokenaudit", "blocks", "--json"],
        capture_output=True,
        check=True,
        env=environment(home),
    )
    (row,) = json.loads(blocks.stdout)["sections"]["limits"]["rows"]
    assert (row["limit"], row["used_percent"], row["state"]) == ("five_hour", 23.5, "in force")


NOON = int(datetime(2030, 3, 18, 12, tzinfo=UTC).timestamp())
"""Of a Monday."""


HOUR = 3600


MONTH = 30 * 24 * HOUR


def test_odd_evidence_is_passed_by(tmp_path: Path) -> None:
    """No file of another shape, or of another program, makes a report fail; the latest counts."""
    good = {"format": 1, "recorded_at": 5, "rate_limits": {"five_hour": {"used_percentage": 1}}}
    for name, text in (
        ("a.json", json.dumps(good)),
        ("b.json", json.dumps({**good, "recorded_at": 9, "session_id": "s"})),
        ("c.json", "{"),
        ("d.json", json.dumps({**good, "format": 2})),
        ("e.json", json.dumps({**good, "rate_limits": {"x": 1, "y": {"used_percentage": True}}})),
        ("f.json", json.dumps({**good, "rate_limits": []})),
    ):
        (tmp_path / name).write_text(text)

    (limit,) = limits.latest(limits.read_all(str(tmp_path)))
    assert (limit.recorded_at, limit.session_id, limit.resets_at) == (9, "s", None)
    assert list(limits.read_all(str(tmp_path / "no"))) == []


def kept(folder: Path, name: str, at: int, used: float = 1, **more: Any) -> Path:
    """Write what a session of that time said."""
    found = {
        "format": limits.FORMAT,
        "session_id": name,
        "recorded_at": at,
        "model": "m",
        "version": "2.1.300",
        "total_cost_usd": "1.5",
        "rate_limits": {"five_hour": {"used_percentage": used, "resets_at": at + HOUR}},
        **more,
    }
    path = folder / f"{name}.json"
    path.write_text(json.dumps(found))
    os.utime(path, (at, at))
    return path


def said(folder: Path) -> dict[str, tuple[int, int]]:
    """By session how often it is there, and when it spoke last."""
    found: dict[str, tuple[int, int]] = {}
    for each in limits.read_all(str(folder)):
        times, last = found.get(each["session_id"], (0, 0))
        found[each["session_id"]] = (times + 1, max(last, each["recorded_at"]))
    return found


def test_what_old_sessions_said_is_gathered_in_one_file(tmp_path: Path) -> None:
    """Nothing of it is lost; what is younger than a month, and what is not ours, stays where it is."""
    old = [kept(tmp_path, f"old-{n}", NOON - MONTH - 1 - n, n) for n in range(3)]
    young = kept(tmp_path, "young", NOON - MONTH + 1)
    newer = kept(tmp_path, "newer", NOON - 2 * MONTH, format=limits.FORMAT + 1)
    half = tmp_path / "0.json.77.tmp"
    half.write_text("{")
    os.utime(half, (0, 0))
    before = sorted(limits.read_all(str(tmp_path)), key=str)
    evidence.settle(str(tmp_path), NOON)
    gathered = tmp_path / limits.SETTLED

    assert before == sorted(limits.read_all(str(tmp_path)), key=str)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [limits.SETTLED, young.name, newer.name]
    )
    (limit,) = limits.latest(limits.read_all(str(tmp_path)))
    assert limit.recorded_at == NOON - MONTH + 1
    assert 3 == len(gathered.read_text().split("\n")) - 2
    assert not [path for path in old if path.exists()]


def test_it_is_gathered_once_a_day_at_most(tmp_path: Path) -> None:
    """Not an hour later, but a day later; a clock that was set back by two does not keep it from it."""

    def is_gathered(now: int) -> bool:
        path = kept(tmp_path, f"s{now}", now - MONTH - 1)
        evidence.settle(str(tmp_path), now)
        if not path.exists():
            os.utime(tmp_path / limits.SETTLED, (now, now))
        return not path.exists()

    hours = (0, 1, 23, 24, 25, -24)
    assert [True, False, False, True, False, True] == [is_gathered(NOON + n * HOUR) for n in hours]
    assert {(1, now) for now in (NOON + n * HOUR - MONTH - 1 for n in hours)} == {
        *said(tmp_path).values()
    }


DYING = """
import os, sys
from tokenaudit.statusline import evidence
name, calls, folder, now = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
do = getattr(os, name)
def dying(*args):
    global calls
    calls -= 1
    if calls < 0:
        os._exit(9)
    return do(*args)
setattr(os, name, dying)
evidence.settle(folder, now)
"""


@pytest.mark.parametrize(
    ("call", "times"),
    [("replace", 0), ("replace", 2), ("write", 0), ("fsync", 0), ("remove", 0), ("remove", 2)],
)
def test_a_program_that_dies_while_it_gathers_loses_nothing(
    tmp_path: Path, call: str, times: int
) -> None:
    """Wherever it dies; what it left half done is done a day later."""
    for n in range(4):
        kept(tmp_path, f"old-{n}", NOON - MONTH - 1 - n)
    before = {name: last for name, (_, last) in said(tmp_path).items()}
    died = subprocess.run(
        [sys.executable, "-c", DYING, call, str(times), str(tmp_path), str(NOON)], check=False
    )
    after = said(tmp_path)
    evidence.settle(str(tmp_path), NOON + 10 * MONTH)

    assert 9 == died.returncode
    assert before == {name: last for name, (_, last) in after.items()}
    assert before == {name: last for name, (_, last) in said(tmp_path).items()}
    assert [limits.SETTLED] == [path.name for path in tmp_path.iterdir()]


CRAMPED = """
import resource, signal, sys
from tokenaudit.statusline import evidence
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
evidence.settle(sys.argv[2], int(sys.argv[3]))
"""


@pytest.mark.parametrize("most", [0, 300])
def test_a_disk_that_is_full_loses_nothing(tmp_path: Path, most: int) -> None:
    """Of 800 bytes 300 can be written, or none: the files stay, and the cut line spoils no other."""
    for n in range(4):
        kept(tmp_path, f"old-{n}", NOON - MONTH - 1 - n)
    before = {name: last for name, (_, last) in said(tmp_path).items()}
    subprocess.run([sys.executable, "-c", CRAMPED, str(most), str(tmp_path), str(NOON)], check=True)
    size = (tmp_path / limits.SETTLED).stat().st_size
    cramped = said(tmp_path)
    evidence.settle(str(tmp_path), NOON + 10 * MONTH)

    assert most == size
    assert before == {name: last for name, (_, last) in cramped.items()}
    assert before == {name: last for name, (_, last) in said(tmp_path).items()}
    assert [limits.SETTLED] == [path.name for path in tmp_path.iterdir()]


def test_many_that_gather_at_once_lose_nothing(tmp_path: Path) -> None:
    """Eight of them, on 150 files: each session is there, at most as often as there were programs."""
    for n in range(150):
        kept(tmp_path, f"old-{n}", NOON - MONTH - 1 - n)
    before = {name: last for name, (_, last) in said(tmp_path).items()}
    code = "import sys; from tokenaudit.statusline import evidence; sys.stdin.read(); evidence.settle(sys.argv[1], int(sys.argv[2]))"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path), str(NOON)], stdin=subprocess.PIPE
        )
        for _ in range(8)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.close()
    assert [0] * 8 == [process.wait() for process in started]

    assert before == {name: last for name, (_, last) in said(tmp_path).items()}
    assert [limits.SETTLED] == [path.name for path in tmp_path.iterdir()]
    assert max(times for times, _ in said(tmp_path).values()) <= 8


def test_no_more_is_gathered_at_once_than_is_soon_done(tmp_path: Path) -> None:
    """Of 250 sessions 200, and the rest a day later."""
    for n in range(250):
        kept(tmp_path, f"old-{n}", NOON - MONTH - 1 - n)
    left = []
    for day in (0, 1):
        evidence.settle(str(tmp_path), NOON + day * 24 * HOUR)
        os.utime(tmp_path / limits.SETTLED, (NOON, NOON))
        left.append(len([*tmp_path.glob("old-*")]))

    assert [50, 0] == left
    assert 250 == len(said(tmp_path))


def test_the_status_line_gathers_when_a_session_is_new(home: Path) -> None:
    """What an old session said of a limit is still told; one that goes on is written anew."""
    folder = home / ".local" / "share" / "tokenaudit" / "evidence"
    folder.mkdir(parents=True)
    now = int(time.time())
    old = kept(folder, "old", now - MONTH - HOUR, 12.5)
    shown(home, told())
    (own,) = folder.glob("*.json")
    shown(home, told(session_id="old", cost={"total_cost_usd": 2.5}))
    blocks = subprocess.run(
        [sys.executable, "-m", "tokenaudit", "blocks", "--json"],
        capture_output=True,
        check=True,
        env=environment(home),
    )
    (row,) = json.loads(blocks.stdout)["sections"]["limits"]["rows"]

    assert not old.exists()
    assert own.exists()
    assert (row["limit"], row["used_percent"], row["state"]) == ("five_hour", 12.5, "reset since")
    assert 2 == said(folder)["old"][0]
    assert 1 == said(folder)[SESSION][0]
