"""The status line as Claude Code runs it: in a process of its own, with whatever stands on stdin."""

import json
import os
import re
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from platformdirs import user_cache_dir, user_data_dir
from statuslines import PROGRAM, environment, gauge, shown, told
from transcripts_builder import OTHER, SESSION, encoded, reply, session_file, usage, write

from tokenaudit.__main__ import main
from tokenaudit.statusline import files as kept


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
        done = subprocess.run(
            PROGRAM,
            stdin=reader,
            capture_output=True,
            check=True,
            timeout=60,  # it would wait for ever
            env=environment(home),
        )
    finally:
        os.close(reader)
        os.close(writer)

    assert b"today" in done.stdout


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
        "import sys; from tokenaudit.statusline import program;"
        "program._line = lambda *_: 1 / 0; sys.exit(program.main([]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, env=environment(home)
    )

    assert done.stdout.decode().rstrip("\n") == good


def test_a_call_that_hangs_ends_with_what_claude_code_says(home: Path) -> None:
    """A folder on a network that does not answer must not freeze the status bar."""
    code = (
        "import sys, time; from tokenaudit.statusline import fields as figures, program; program._ALARM_S = 0.5;"
        "figures._figures = lambda *_: time.sleep(600); sys.exit(program.main([]))"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", code],
            input=data,
            capture_output=True,
            check=True,
            timeout=60,
            env=environment(home),
        ).stdout
        for data in (b"", told())
    ]

    assert said == [b"tokenaudit\n", "Opus 4.6 · Claude's $1.50 session · — today\n".encode()]


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
        "import sys; from tokenaudit.statusline import program;"
        "program._line = lambda *_: 1 / 0; sys.exit(program.main([]))"
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


def test_only_a_transcript_is_read_as_one(home: Path) -> None:
    """No folder that is named in its place, whatever lies there; no pipe is waited for."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    line = reply("msg_9", "req_9", counts=usage(100, read=10**6), timestamp=now, sessionId=OTHER)
    for place in ("elsewhere", "elsewhere.jsonl"):
        write(session_file(home / place, OTHER), line)
    os.mkfifo(home / "pipe.jsonl")
    (home / "device.jsonl").symlink_to("/dev/zero")
    others = ("elsewhere", "elsewhere.jsonl", "pipe.jsonl", "device.jsonl", "")

    said = [shown(home, told(home / other), "--format", "{today}") for other in others]
    assert said == ["$1.01"] * len(others)


def test_what_killed_calls_left_goes_after_a_day(home: Path) -> None:
    """With the first call of a day; what another call may be writing stays."""
    folder = home / ".cache" / "tokenaudit"
    folder.mkdir(parents=True)
    now = datetime.now(UTC).timestamp()
    for name, hours in (("statusline.txt.7.tmp", 25), ("statusline.txt.8.tmp", 23)):
        (folder / name).touch()
        os.utime(folder / name, (now - hours * 3600,) * 2)

    assert shown(home, told(), "--format", "{today}") == "$1.01"
    assert [path.name for path in folder.glob("*.tmp")] == ["statusline.txt.8.tmp"]


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


def test_folders_are_those_of_the_platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Found without platformdirs where that is simple, and the same."""
    for value in ("", str(tmp_path / "x")):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        monkeypatch.setenv("XDG_DATA_HOME", value)
        assert kept.folders() == (
            user_cache_dir("tokenaudit", appauthor=False),
            user_data_dir("tokenaudit", appauthor=False),
        )


def test_no_alarm_is_left_behind(capfd: pytest.CaptureFixture[str]) -> None:
    """A program that asks for the line goes on living afterwards."""
    assert main(["statusline", "--demo"]) == 0
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert capfd.readouterr().out.startswith("Fable 5.2 · ≥ $4.58 session")
