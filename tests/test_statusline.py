"""The status line as Claude Code runs it: in a process of its own, with whatever stands on stdin."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from platformdirs import user_cache_dir, user_data_dir
from transcripts_builder import OTHER, SESSION, encoded, reply, session_file, usage, write

from tokenaudit import limits, statusline, statusline_setup
from tokenaudit.__main__ import main
from tokenaudit.errors import ConfigError
from tokenaudit.units import format_cost

PROGRAM = [sys.executable, "-m", "tokenaudit", "statusline"]


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return {**kept, "HOME": str(home), "TZ": "UTC", "NO_COLOR": "1", **more}


def shown(home: Path, data: bytes, *argv: str, **more: str) -> str:
    """Return the line; that there is one, and the exit code is 0, holds always."""
    done = subprocess.run(
        [*PROGRAM, *argv],
        input=data,
        capture_output=True,
        check=True,
        timeout=60,
        env=environment(home, **more),
    )
    assert done.stderr == b""
    assert done.stdout.count(b"\n") == 1
    return done.stdout.decode().rstrip("\n")


def told(path: Path | None = None, **more: Any) -> bytes:
    """Return what Claude Code says."""
    found = {
        "session_id": SESSION,
        "model": {"id": "claude-opus-4-6", "display_name": "Opus 4.6"},
        "cost": {"total_cost_usd": 1.5},
        **({"transcript_path": str(path)} if path else {}),
        **more,
    }
    return json.dumps(found).encode()


def gauge(used: int, size: int = 200_000) -> dict[str, Any]:
    current = {
        "input_tokens": 3,
        "cache_creation_input_tokens": 890,
        "cache_read_input_tokens": used - 893,
        "output_tokens": 5000,
    }
    return {"context_window": {"context_window_size": size, "current_usage": current}}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Today two responses of Opus 4.6: 10 in, 100 out, 1,000,000 read: $0.50255 each."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    lines = [
        reply(f"msg_{n}", f"req_{n}", counts=usage(100, read=10**6), timestamp=now)
        for n in range(2)
    ]
    write(session_file(tmp_path / ".claude"), *lines)
    return tmp_path


def test_the_line_has_the_figures_of_the_reports(home: Path) -> None:
    """Session, today and block are 2 x $0.50255 = $1.0051; the gauge is that of the documentation."""
    path = session_file(home / ".claude")
    line = shown(home, told(path, **gauge(30_893)))

    assert line.startswith("Opus 4.6 · $1.01 session · $1.01 today · $1.01 block ")
    assert re.search(r"block \dh \d\dm left · \$[\d.]+/h · 30,893 / 200k \(15\.4 %\)$", line)
    daily = subprocess.run(
        [sys.executable, "-m", "tokenaudit", "daily", "--json"],
        capture_output=True,
        check=True,
        env=environment(home),
    )
    assert json.loads(daily.stdout)["totals"]["cost_usd"] == "1.0051"


def test_it_imports_neither_frames_nor_terminals_nor_a_command_line(home: Path) -> None:
    """Not the first time, when rates are looked up, and from then on next to nothing."""
    code = (
        "import sys; sys.argv = ['tokenaudit', 'statusline']; from tokenaudit.__main__ import main;"
        "main(); sys.stderr.write(' '.join(sorted(sys.modules)))"
    )
    loaded = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", code],
            input=told(session_file(home / ".claude")),
            capture_output=True,
            check=True,
            env=environment(home),
        )
        loaded.append(set(done.stderr.decode().split()))

    for modules in loaded:
        assert "tokenaudit.statusline" in modules
        assert not modules & {"polars", "rich", "typer", "pydantic"}
    heavy = {"msgspec", "typing", "dataclasses", "pathlib", "decimal", "platformdirs", "zoneinfo"}
    assert not loaded[1] & heavy
    assert "tokenaudit.transcripts" not in loaded[1]


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"null", b"\xff\xfe\x00", b"[" * 100_000, b'{"model": 7, "cost": []}'],
    ids=["nothing", "half", "list", "null", "no-text", "deep", "odd"],
)
def test_broken_input_still_gives_a_line(home: Path, data: bytes) -> None:
    """What is known without Claude Code is shown: today, and the block."""
    assert "$1.01 today" in shown(home, data)


def test_silent_stdin_is_not_waited_for(home: Path) -> None:
    """A pipe that nobody writes to, and nobody closes."""
    reader, writer = os.pipe()
    try:
        start = time.monotonic()
        done = subprocess.run(
            PROGRAM, stdin=reader, capture_output=True, check=True, env=environment(home)
        )
    finally:
        os.close(reader)
        os.close(writer)

    assert b"today" in done.stdout
    assert time.monotonic() - start < 8


def test_endless_stdin_comes_to_an_end(home: Path) -> None:
    """A writer that never stops is not read to its end."""
    with subprocess.Popen(["yes", "{"], stdout=subprocess.PIPE) as endless:
        done = subprocess.run(
            PROGRAM, stdin=endless.stdout, capture_output=True, check=True, env=environment(home)
        )
        endless.kill()

    assert b"today" in done.stdout


def test_huge_input_is_cut(home: Path) -> None:
    """Two megabytes of it: no figure of it is used, and there is a line."""
    assert "today" in shown(home, told(name="x" * (2 << 20)))


def test_the_last_good_line_is_printed_when_nothing_else_can_be(home: Path) -> None:
    """A program that breaks down prints what it printed before, and says it went well."""
    good = shown(home, told(session_file(home / ".claude")))
    code = (
        "import sys; from tokenaudit import statusline;"
        "statusline._line = lambda *_: 1 / 0; sys.exit(statusline.main([]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, env=environment(home)
    )

    assert done.stdout.decode().rstrip("\n") == good


def test_a_call_that_hangs_ends_with_what_claude_code_says(home: Path) -> None:
    """A folder on a network that does not answer must not freeze the status bar."""
    code = (
        "import sys, time; from tokenaudit import statusline; statusline._ALARM_S = 0.5;"
        "statusline._figures = lambda *_: time.sleep(60); sys.exit(statusline.main([]))"
    )
    start = time.monotonic()
    said = [
        subprocess.run(
            [sys.executable, "-c", code],
            input=data,
            capture_output=True,
            check=True,
            env=environment(home),
        ).stdout
        for data in (b"", told())
    ]

    assert said == [b"tokenaudit\n", "Opus 4.6 · Claude's $1.50 session · — today\n".encode()]
    assert time.monotonic() - start < 40


def test_a_state_that_cannot_be_used_leaves_what_claude_code_says(home: Path) -> None:
    """Its own total stands for ours, and the gauge is there."""
    cache = home / ".cache" / "tokenaudit"
    (cache / "statusline.db").mkdir(parents=True)

    line = shown(home, told(session_file(home / ".claude"), **gauge(30_893)))

    assert line == "Opus 4.6 · Claude's $1.50 session · — today · 30,893 / 200k (15.4 %)"


def test_without_a_folder_to_keep_anything_what_claude_code_says_is_shown(home: Path) -> None:
    """And nothing of the folder in which it happens to run is read or written."""
    (home / "blocked").write_text("")
    here = home / "work"
    here.mkdir()
    (here / "statusline.txt").write_text("\x1b[2J evil")
    folders = {name: str(home / "blocked" / "x") for name in ("XDG_CACHE_HOME", "XDG_DATA_HOME")}
    done = subprocess.run(
        PROGRAM,
        input=told(session_file(home / ".claude"), **gauge(30_893)),
        capture_output=True,
        check=True,
        cwd=here,
        env=environment(home, **folders),
    )

    assert done.stdout.decode() == (
        "Opus 4.6 · Claude's $1.50 session · — today · 30,893 / 200k (15.4 %)\n"
    )
    assert [path.name for path in here.iterdir()] == ["statusline.txt"]


@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- >&- 2>&-"])
def test_closed_channels_are_no_failure(home: Path, closed: str) -> None:
    """A program that starts it may have closed any of them."""
    done = subprocess.run(
        ["sh", "-c", f'"$@" {closed}', "sh", *PROGRAM],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        env=environment(home),
    )

    assert (0, b"") == (done.returncode, done.stderr)
    assert (b"today" in done.stdout) == (">&-" not in closed)


def test_what_cannot_be_known_is_not_zero(tmp_path: Path) -> None:
    """Without any transcript nothing is known; without the session's, Claude Code's own total stands."""
    budget = {"TOKENAUDIT_BUDGET": "2/day,3/session"}
    template = ("--format", "{session}, {today}, {block}, {burn}, {budget}")

    assert shown(tmp_path, b"{}") == "— today"
    assert shown(tmp_path, json.dumps({"session_id": SESSION}).encode()) == "— session · — today"
    assert shown(tmp_path, told()) == "Opus 4.6 · Claude's $1.50 session · — today"
    path = session_file(tmp_path / ".claude")
    assert shown(tmp_path, told(path), *template, **budget) == (
        "Claude's $1.50, —, , , — of $2.00/day, — of $3.00/session"
    )


def test_what_is_known_to_be_nothing_is_zero(tmp_path: Path) -> None:
    """A transcript that holds no usage yet; and another session's, which is not of today."""
    path = session_file(tmp_path / ".claude")
    write(path)
    budget = {"TOKENAUDIT_BUDGET": "2/day"}

    assert shown(tmp_path, told(path)) == "Opus 4.6 · $0.00 session · $0.00 today"
    other = told(session_file(tmp_path / ".claude", OTHER), session_id=OTHER)
    assert shown(tmp_path, other, **budget) == (
        "Opus 4.6 · Claude's $1.50 session · $0.00 today · 0 % of $2.00/day"
    )


def test_a_burn_rate_without_prices_is_not_zero(tmp_path: Path) -> None:
    """Half of the responses are unpriced: the least it can be; all of them: none."""
    path = session_file(tmp_path / ".claude")
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    write(path, reply("msg_1", "req_1", model="nobody-knows", timestamp=now))

    assert shown(tmp_path, told(path), "--format", "{session} {block} {burn}") == "n/a n/a n/a/h"
    with path.open("ab") as file:
        file.write(encoded(reply("msg_2", "req_2", timestamp=now)) + b"\n")
    line = shown(tmp_path, told(path), "--format", "{session} {block} {burn}")
    assert re.fullmatch(r"≥ <\$0\.01 ≥ <\$0\.01 ≥ \$[\d.]+/h", line)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_transcript_that_may_not_be_read_leaves_a_lower_bound(home: Path) -> None:
    """What it holds is not known."""
    path = write(session_file(home / ".claude", OTHER), reply())
    path.chmod(0)

    assert "≥ $1.01 today" in shown(home, told(session_file(home / ".claude")))


def damaged(path: Path) -> None:
    """Overwrite all but the first page."""
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))


DAMAGES = {
    "pages": ("statusline.db", damaged),
    "half": ("statusline.db", lambda path: os.truncate(path, 6000)),
    "no database": ("statusline.db", lambda path: path.write_bytes(b"x" * 9000)),
    "empty": ("statusline.db", lambda path: path.write_bytes(b"")),
    "settings": ("statusline.json", lambda path: path.write_text('{"stamp": [], "day": []}')),
    "half settings": ("statusline.json", lambda path: os.truncate(path, 20)),
    "list": ("statusline.json", lambda path: path.write_text("[1]")),
    "last line": ("statusline.txt", lambda path: path.write_bytes(b"\xff\xfe\x00")),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_state_is_made_again(home: Path, damage: str) -> None:
    """Whichever of its files it is: the same line, at once and afterwards."""
    data = told(session_file(home / ".claude"))
    template = ("--format", "{session} {today} {block}")
    good = shown(home, data, *template)
    name, do = DAMAGES[damage]
    do(home / ".cache" / "tokenaudit" / name)

    assert shown(home, data, *template) == good == "$1.01 $1.01 $1.01"
    assert shown(home, data, *template) == good


def test_basis_that_lacks_what_is_needed_is_made_again(home: Path) -> None:
    """Its stamp is right, and so it is not seen at once."""
    data = told(session_file(home / ".claude"))
    good = shown(home, data, "--format", "{today}")
    path = home / ".cache" / "tokenaudit" / "statusline.json"
    basis = json.loads(path.read_text())
    path.write_text(json.dumps({name: basis[name] for name in ("stamp", "files", "day")}))

    assert shown(home, data, "--format", "{today}") == good == "$1.01"
    assert "budgets" in json.loads(path.read_text())


def test_many_sessions_at_once_each_have_their_own_line(home: Path) -> None:
    """Eight status lines start together, without any state: none fails, none shows another's session."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    asked = []
    for number in range(8):
        session = f"{number:08x}-0000-4000-8000-000000000000"
        lines = [
            reply(f"m{number}{n}", f"r{number}{n}", 1000 * (number + 1), timestamp=now)
            for n in range(200)
        ]
        path = write(session_file(home / ".claude", session), *lines)
        asked.append(told(path, session_id=session, model={"display_name": f"M{number}"}))
    expected = [f"M{n} ${(n + 1) * 5 + 0.01:.2f}" for n in range(8)]  # 200 x (n+1) x $0.025 + $0.01
    allowed = [
        {line, line.replace("$", "≥ $"), f"M{n} Claude's $1.50"} for n, line in enumerate(expected)
    ]
    for _ in range(3):
        started = [
            subprocess.Popen(
                [*PROGRAM, "--format", "{model} {session}"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment(home),
            )
            for _ in asked
        ]
        for process, data in zip(started, asked, strict=True):
            assert process.stdin is not None
            process.stdin.write(data)
            process.stdin.close()
        said = []
        for process in started:
            with process:
                assert process.stdout is not None
                said.append(process.stdout.read().decode().strip())
        assert [0] * 8 == [process.returncode for process in started]
        assert all(line in those for line, those in zip(said, allowed, strict=True)), said
    again = [shown(home, data, "--format", "{model} {session}") for data in asked]

    assert again == expected
    kept = sorted(path.name for path in (home / ".cache" / "tokenaudit").iterdir())
    assert not [name for name in kept if name.endswith(".tmp")]


def test_the_last_line_of_another_session_is_not_shown(home: Path) -> None:
    """Rather nothing than figures of what the reader does not look at."""
    good = shown(home, told(session_file(home / ".claude")))
    code = (
        "import sys; from tokenaudit import statusline;"
        "statusline._line = lambda *_: 1 / 0; sys.exit(statusline.main([]))"
    )
    lines = [
        subprocess.run(
            [sys.executable, "-c", code],
            input=json.dumps({"session_id": session}).encode(),
            capture_output=True,
            check=True,
            env=environment(home),
        ).stdout.decode()
        for session in (SESSION, OTHER)
    ]

    assert lines == [f"{good}\n", "tokenaudit\n"]


def test_names_that_are_no_text_are_counted(home: Path) -> None:
    """A folder whose name is not UTF-8, and an id that is half a character."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    folder = os.fsdecode(os.fsencode(home / ".claude" / "projects") + b"/-work-\xff")
    path = session_file(home / ".claude", OTHER)
    line = reply("msg_9", "req_9", counts=usage(100, read=10**6), timestamp=now, sessionId=OTHER)
    write(Path(folder) / path.name, line)

    assert shown(home, told(), "--format", "{today}") == "$1.51"
    odd = json.dumps({"session_id": "\ud800", "transcript_path": "/\ud800\0"}).encode()
    assert shown(home, odd, "--format", "{session} {today}") == "— $1.51"


def test_templates_and_colours(home: Path) -> None:
    """Fields stand where they are named; near a limit they turn yellow, then red."""
    data = told(session_file(home / ".claude"), **gauge(170_000))

    assert shown(home, data, "--format", "{today}|{claude}|{nonsense}") == "$1.01|$1.50|{nonsense}"
    assert shown(home, data, "--format={context}") == "⚠ 170,000 / 200k (85.0 %)"
    assert shown(home, data, "--format", "{context}", NO_COLOR="") == (
        "\x1b[31m⚠ 170,000 / 200k (85.0 %)\x1b[0m"
    )
    yellow = told(**gauge(700_000, 10**6))
    assert shown(home, yellow, "--format", "{context}", NO_COLOR="") == (
        "\x1b[33m700,000 / 1M (70.0 %)\x1b[0m"
    )
    assert shown(home, yellow, "--format", "{context}", "--no-color", NO_COLOR="")[0] == "7"


def test_a_name_cannot_command_the_terminal(home: Path) -> None:
    """Escapes in what Claude Code repeats come out as blanks."""
    data = told(model={"display_name": "Evil\x1b]0;title\x07\nmodel"})

    assert shown(home, data, "--format", "{model}") == "Evil ]0;title model"


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


def official(five: Any = None, seven: Any = None, *, used: float = 42) -> dict[str, Any]:
    found = {"five_hour": five, "seven_day": seven}
    return {
        name: {"used_percentage": used, "resets_at": at}
        for name, at in found.items()
        if at is not None
    }


@pytest.mark.parametrize(
    ("told", "offsets", "shown"),
    [
        (official(NOON + 2 * HOUR), [[0, 0]], "5h 42 % → 14:00"),
        (official(NOON + 2 * HOUR), [[0, 5 * HOUR + 1800]], "5h 42 % → 19:30"),
        (official(NOON + 2 * HOUR - 1), [[0, 0]], "5h 42 % → 14:00"),
        (official(NOON + 4 * HOUR), [[0, 9 * HOUR]], "5h 42 % → Tue 01:00"),
        (official(NOON + 12 * HOUR - 20), [[0, 0]], "5h 42 % → Tue 00:00"),
        (official(None, NOON + 7 * 24 * HOUR), [[0, 0]], "7d 42 % → Mon 12:00"),
        (
            official(None, NOON + 24 * HOUR),
            [[0, HOUR], [NOON + 10 * HOUR, 2 * HOUR]],
            "7d 42 % → Tue 14:00",
        ),
        (official(NOON - HOUR), [[0, 0]], "5h reset since 11:00"),
        (official(NOON), [[0, 0]], "5h reset since 12:00"),
        (official(None, NOON - 24 * HOUR), [[0, 0]], "7d reset since Sun 12:00"),
        (official(NOON + HOUR), [], "5h 42 %"),
        (official(NOON - HOUR), [], "5h reset since"),
        (official(NOON * 1000), [[0, 0]], "5h 42 %"),
        (official(12), [[HOUR, 0]], "5h reset since"),
        (official("14:00"), [[0, 0]], "5h 42 %"),
        (official(float("nan")), [[0, 0]], "5h 42 %"),
        ({"five_hour": [], "seven_day": {"resets_at": NOON}}, [[0, 0]], ""),
        ([1], [[0, 0]], ""),
    ],
)
def test_official_limits_say_when_they_are_reset(
    told: Any, offsets: list[list[int]], shown: str
) -> None:
    """In the user's zone, across a change of its clock too; what is over has no percentage."""
    text, percent = statusline._limits(told, NOON * 10**6, offsets)

    assert shown == text
    assert percent == (42 if "%" in shown else None)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"])
def test_times_are_those_of_the_zone_in_the_settings(
    monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    """Each hour of the week before and after a day on which clocks change in Europe and Australia."""
    monkeypatch.setenv("TOKENAUDIT_TIMEZONE", zone)
    now = datetime(2026, 4, 1, 12, 7, tzinfo=UTC)
    offsets = statusline_setup.basis(int(now.timestamp()) * 10**6)["offsets"]
    today = f"{now.astimezone(ZoneInfo(zone)):%a} "
    for hours in range(-167, 168):
        moment = now + timedelta(hours=hours)
        clock = statusline._clock(int(moment.timestamp()), int(now.timestamp()), offsets)
        expected = f"{moment.astimezone(ZoneInfo(zone)):%a %H:%M}"
        assert clock == (expected if abs(hours) > 24 else expected.removeprefix(today))

    assert len(offsets) == {"Europe/Berlin": 2, "Australia/Lord_Howe": 2}.get(zone, 1)


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


MONTH = 30 * 24 * HOUR


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
    limits.settle(str(tmp_path), NOON)
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
        limits.settle(str(tmp_path), now)
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
from tokenaudit import limits
name, calls, folder, now = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
do = getattr(os, name)
def dying(*args):
    global calls
    calls -= 1
    if calls < 0:
        os._exit(9)
    return do(*args)
setattr(os, name, dying)
limits.settle(folder, now)
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
    limits.settle(str(tmp_path), NOON + 10 * MONTH)

    assert 9 == died.returncode
    assert before == {name: last for name, (_, last) in after.items()}
    assert before == {name: last for name, (_, last) in said(tmp_path).items()}
    assert [limits.SETTLED] == [path.name for path in tmp_path.iterdir()]


CRAMPED = """
import resource, signal, sys
from tokenaudit import limits
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
limits.settle(sys.argv[2], int(sys.argv[3]))
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
    limits.settle(str(tmp_path), NOON + 10 * MONTH)

    assert most == size
    assert before == {name: last for name, (_, last) in cramped.items()}
    assert before == {name: last for name, (_, last) in said(tmp_path).items()}
    assert [limits.SETTLED] == [path.name for path in tmp_path.iterdir()]


def test_many_that_gather_at_once_lose_nothing(tmp_path: Path) -> None:
    """Eight of them, on 150 files: each session is there, at most as often as there were programs."""
    for n in range(150):
        kept(tmp_path, f"old-{n}", NOON - MONTH - 1 - n)
    before = {name: last for name, (_, last) in said(tmp_path).items()}
    code = "import sys; from tokenaudit import limits; sys.stdin.read(); limits.settle(sys.argv[1], int(sys.argv[2]))"
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
        limits.settle(str(tmp_path), NOON + day * 24 * HOUR)
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


def test_folders_are_those_of_the_platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Found without platformdirs where that is simple, and the same."""
    for value in ("", str(tmp_path / "x")):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        monkeypatch.setenv("XDG_DATA_HOME", value)
        assert statusline._folders() == (
            user_cache_dir("tokenaudit", appauthor=False),
            user_data_dir("tokenaudit", appauthor=False),
        )


@pytest.mark.parametrize("picodollars", [0, 1, 10**10 - 1, 10**10, 5 * 10**9, 15 * 10**9, 10**18])
def test_money_is_written_as_in_reports(picodollars: int) -> None:
    """The twin of `format_cost`, which the status line has no time to import."""
    assert statusline._money(picodollars) == format_cost(Decimal(picodollars).scaleb(-12))


def test_installing_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line is added to the settings, the former ones stand beside; twice changes nothing."""
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "config"))
    path = tmp_path / "config" / "settings.json"
    assert "statusLine" in statusline_setup.install()
    assert statusline_setup.write().startswith(f"Wrote the status line into {path}.")
    path.write_text('{"theme": "dark"}')
    statusline_setup.write()
    found = json.loads(path.read_text())
    backups = sorted(path.parent.glob("settings.json.before-tokenaudit-*"))

    assert found["theme"] == "dark"
    assert found["statusLine"]["command"].endswith("statusline")
    assert [backup.read_text() for backup in backups] == ['{"theme": "dark"}']
    assert "already" in statusline_setup.write()
    path.write_text("[1]")
    with pytest.raises(ConfigError, match="not a JSON object"):
        statusline_setup.write()
    path.write_text("{")
    with pytest.raises(ConfigError, match="not JSON"):
        statusline_setup.write()


def test_the_command_line_installs(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--install shows, --write does."""
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path))
    assert main(["statusline", "--install"]) == 0
    assert str(tmp_path / "settings.json") in capfd.readouterr().out
    assert main(["statusline", "--write"]) == 0
    assert (tmp_path / "settings.json").exists()


def test_no_alarm_is_left_behind(capfd: pytest.CaptureFixture[str]) -> None:
    """A program that asks for the line goes on living afterwards."""
    assert main(["statusline", "--demo"]) == 0
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert capfd.readouterr().out.startswith("Fable 5.2 · ≥ $4.58 session")


def test_budgets_are_shown(home: Path) -> None:
    """$1.0051 of $2 a day is half; a project's own budget is a matter of reports."""
    path = home / ".config" / "tokenaudit" / "tokenaudit.toml"
    path.parent.mkdir(parents=True)
    path.write_text(
        "[budget]\nday = 2\nmonth = 1\nblock = 4.0\nsession = '$10'\n"
        "[budget.project]\napp = '1/day'\n"
    )
    line = shown(home, told(session_file(home / ".claude")), "--format", "{budget}")

    assert line == (
        "50 % of $2.00/day, 101 % of $1.00/month, 25 % of $4.00/block, 10 % of $10.00/session"
    )


def test_a_budget_of_what_is_unpriced_says_the_least_that_is_used(home: Path) -> None:
    """One more response today, of a model without a price, in another session."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    unknown = reply("msg_9", "req_9", model="nobody-knows", timestamp=now, sessionId=OTHER)
    write(session_file(home / ".claude", OTHER), unknown)
    budget = {"TOKENAUDIT_BUDGET": "2/day,10/session"}
    line = shown(home, told(session_file(home / ".claude")), "--format", "{budget}", **budget)

    assert line == "≥ 50 % of $2.00/day, 10 % of $10.00/session"
