"""What the dashboard shows: as lines that fit, and in a terminal of its own."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace
from transcripts_builder import FORK, encoded, prompt, reply, session_file, write

from tokenaudit.__main__ import main
from tokenaudit.live import events as ev
from tokenaudit.live.watch.dashboard_layout import DashboardStyle, Sketch, drawn, summary

NOW = datetime(2026, 3, 2, 12, 30, tzinfo=UTC)
UTC_ZONE = ZoneInfo("UTC")


def used(tokens: int, cost: str | None, responses: int = 7, unpriced: int = 0) -> ev.Figures:
    return ev.Figures(
        responses, tokens, 0, 0, 0, 0, tokens, None if cost is None else Decimal(cost), unpriced
    )


def agent(number: int, percent: float | None = 15.4, **more: object) -> ev.AgentState:
    state = "near limit" if percent is not None and percent >= 80 else None
    tokens = 30_893 if percent is None else round(percent * 2000)
    window = None if percent is None else 200_000
    gauge = ev.Gauge(tokens, window, "model", percent, state, more.pop("estimated", None))  # type: ignore[arg-type]
    said = {
        "session_id": f"{number:08x}-1111-4111-8111-111111111111",
        "agent_id": "main",
        "agent_type": "main",
        "title": f"Task {number}",
        "project": "/work/webshop",
        "model": "claude-opus-4-6",
        "last_time": NOW - timedelta(seconds=number),
        "usage": used(1_234_567, "12.35"),
        **more,
    }
    return ev.AgentState(**said, context=gauge)  # type: ignore[arg-type]


def snapshot(*agents: ev.AgentState, budgets: tuple[ev.BudgetState, ...] = ()) -> ev.Snapshot:
    block = ev.BlockState(
        NOW - timedelta(hours=2, minutes=30),
        NOW + timedelta(hours=2, minutes=30),
        9000,
        used(900_000, "4.5"),
        6000,
        Decimal("1.8"),
        1_800_000,
        Decimal(9),
    )
    return ev.Snapshot(
        *(1, "0.1.0", NOW, "events", 2000, "UTC", {}, used(5_000_000, "50", 99, 2), NOW.date()),
        *(used(1_500_000, "6.25"), block, [*agents], [*budgets]),
    )


def shown(sketch: Sketch, width: int, height: int | None, *, is_unicode: bool = True) -> list[str]:
    style = DashboardStyle(width, height, UTC_ZONE, is_unicode=is_unicode)
    return [line.plain for line in drawn(sketch, style)]


def busy() -> Sketch:
    budget = ev.BudgetState("25/day", None, NOW, Decimal(25), Decimal("21.25"), 85.0, 0, "near")
    agents = [agent(number) for number in range(20)]
    reject = ev.Rejected("/w/projects/a/b.jsonl", 7, "no count")
    told = [(NOW + timedelta(seconds=number), reject) for number in range(100)]
    return Sketch(snapshot(*agents, budgets=(budget,)), [*range(60)], told)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (200, 50), (40, 10), (20, 3), (1, 1)])
def test_it_fits_whatever_room_there_is(width: int, height: int) -> None:
    """As many lines as the screen has, none wider."""
    lines = shown(busy(), width, height)

    assert height == len(lines)
    assert all(len(line) <= width for line in lines)


def test_at_80_by_24_it_says_how_things_stand() -> None:
    """Head, budget, agents, the latest events; the rest has no room."""
    lines = shown(busy(), 80, 24)

    assert lines[0].startswith(" tokenaudit watch  ")
    assert lines[0].endswith("  live · 2,000 transcripts · 12:30:00 ")
    assert " Today     1.5M tokens      $6.25  7 responses" == lines[1]
    assert " Total     5.0M tokens   ≥ $50.00  99 responses, 2 unpriced" == lines[2]
    assert (
        " Block   900.0K tokens      $4.50  10:00-15:00, 2h 30m left, $9.00 at its end" == lines[3]
    )
    assert lines[4].startswith(" Pace      6.0K tok/min     $1.80/h  ")
    assert " Budget 25/day  █████████████████░░░ 85.0%     $21.25 of $25.00  near" == lines[5]
    assert lines[7].startswith(" Agent            Project  Model")
    assert (
        " Task 0           webshop  opus-4-6      1.2M   $12.35 █░░░░░░░ 15%   12:30:00" == lines[8]
    )
    assert " 12:31:39  reject      /w/projects/a/b.jsonl:7: no count" == lines[22]
    assert " q or Ctrl-C ends the watch" == lines[23]


def test_more_room_is_used_well() -> None:
    """All agents, their responses and output, and prompt and window beside the gauge."""
    lines = shown(busy(), 200, 50)

    assert 20 == sum(" Task " in line for line in lines)
    assert "Resp.  Output  Tokens     Cost Context" in lines[7]
    assert "     7       0    1.2M   $12.35 █░░░░░░░ 15% 30.8K/200.0K" in lines[8]


def test_in_little_room_agents_come_before_events() -> None:
    """60x15: seven lines of head and hint, two above agents; three agents, and one event below."""
    lines = shown(busy(), 60, 15)

    assert 3 == sum(line.startswith(" Task ") for line in lines)
    assert [" Events", True] == [lines[12], "reject" in lines[13]]
    assert 0 == sum("Events" in line for line in shown(busy(), 60, 13))


def test_events_name_whom_they_are_about() -> None:
    """A session by its title and project, a subagent by what it is for; cut where room ends."""
    who: dict[str, Any] = {
        "time": NOW,
        "session_id": agent(0).session_id,
        "project": "/work/webshop",
    }
    main = ev.AgentStarted(
        agent_id="main", agent_type="main", description=None, title="Task 0", **who
    )
    below = ev.AgentStarted(
        agent_id="a1b2c3d", agent_type="Explore", description="Look around", title="Task 0", **who
    )
    agents = [
        agent(0, title="Task 0 " + "x" * 40),
        agent(0, agent_id="a1b2c3d", agent_type="Explore", title="Task 0"),
    ]
    text = "\n".join(
        shown(Sketch(snapshot(*agents), [0] * 60, [(NOW, main), (NOW, below)]), 80, 24)
    )

    assert "session     Task 0 xxxxxxxxxxxxxxxxxx… started in webshop" in text
    assert "agent       Explore a1b2c3d, Task 0 started: Look around" in text


def test_a_context_near_its_limit_warns_and_an_estimate_is_marked() -> None:
    """85 % with a sign; 100,000 of 200,000 tokens, of which 70,000 are measured."""
    full, under, unknown = agent(0, 85.0), agent(1, 35.0, estimated=100_000), agent(2, None)
    lines = shown(Sketch(snapshot(full, under, unknown), [0] * 60, []), 80, 24)

    assert "███████░ 85%!" in lines[7]
    assert "████░░░░ ≈50%" in lines[8]
    assert "30.9K" in lines[9]
    assert "%" not in lines[9]


def test_what_transcripts_say_commands_nothing_and_ascii_is_enough() -> None:
    """Escapes are made visible, markup stays text; without Unicode no sign of it is left."""
    evil = agent(0, title="\x1b[2J[red]boo")
    line = shown(Sketch(snapshot(evil), [0] * 60, []), 120, 24)[7]

    assert r" \x1b[2J[red]boo" == line[:16]
    assert "".join(shown(busy(), 120, 40, is_unicode=False)).isascii()


def test_what_is_unpriced_makes_all_figures_the_least_they_can_be() -> None:
    """Of block, pace, projection and budget; of what is not priced at all there is no figure."""
    shot = snapshot()
    assert shot.block is not None
    budget = ev.BudgetState("9/day", None, NOW, Decimal(9), Decimal("4.5"), 50.0, 2, "within")
    some = replace(shot.block, usage=used(900_000, "4.5", 9, 2))
    none = replace(shot.block, usage=used(900_000, None, 2, 2), cost_usd_per_hour=Decimal(0))
    text = [
        "\n".join(
            shown(Sketch(replace(shot, block=block, budgets=[budget]), [0] * 60, []), 120, 24)
        )
        for block in (some, none)
    ]

    assert "≥ $4.50  10:00-15:00, 2h 30m left, ≥ $9.00 at its end" in text[0]
    assert "≥ $1.80/h" in text[0]
    assert "≥ 50.0%    ≥ $4.50 of $9.00" in text[0]
    assert "n/a  10:00-15:00, 2h 30m left, n/a at its end" in text[1]
    assert "n/a/h" in text[1]


def test_the_summary_says_what_was_used_meanwhile() -> None:
    """Of 99 responses 90 were there before."""
    first = snapshot()
    last = ev.Snapshot(
        *(1, "0.1.0", NOW + timedelta(hours=1, minutes=5), "events", 2000, "UTC", {}),
        *(used(6_000_000, "52.5", 108, 2), NOW.date(), used(2_500_000, "8.75", 16), None, [], []),
    )
    lines = [line.plain for line in summary(first, last, DashboardStyle(80, None, UTC_ZONE))]

    assert "Watched for 1h 05m: 9 responses, 1.0M tokens, $2.50." == lines[0]
    assert lines[1].startswith("Today: 2.5M tokens $8.75 16 responses")


class Terminal:
    """A terminal in which a watch runs, and what it has been sent.

    With *controls* it is the one that controls the watch: signals come from it, as in life.
    """

    def __init__(
        self,
        root: Path,
        columns: int,
        lines: int,
        *,
        store: Path | None = None,
        controls: bool = True,
    ) -> None:
        self.master, slave = pty.openpty()
        self.slave_name = os.ttyname(slave)

        def begin() -> None:
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

        self.resize(columns, lines)
        kept = ["--no-store"] if store is None else ["--store", str(store)]
        command = [sys.executable, "-m", "tokenaudit", "watch", "--root", str(root), *kept]
        environment = {**os.environ, "TERM": "xterm-256color", "PYTHONUTF8": "1"}
        for name in ("COLUMNS", "LINES"):
            environment.pop(name, None)
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            preexec_fn=begin if controls else None,  # noqa: PLW1509 - between calls no thread is left
        )
        os.close(slave)
        self.data = ""

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def read(self) -> bool:
        """Wait for more; tell whether there is any."""
        ready, _, _ = select.select([self.master], [], [], 60)
        assert ready, self.data
        try:
            more = os.read(self.master, 1 << 16)
        except OSError:
            return False
        self.data += more.decode("utf-8", "replace")
        return bool(more)

    def frame(self) -> list[str]:
        """The last picture that was drawn whole, without colours."""
        frames = self.data.split("\x1b[H")
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", frames[-1]).split("\r\n")

    def until(self, wanted: Callable[[list[str]], bool]) -> list[str]:
        while not wanted(self.frame()):
            assert self.read(), self.data
        return self.frame()


def is_whole(height: int) -> Callable[[list[str]], bool]:
    return lambda lines: len(lines) == height and "Ctrl-C ends" in lines[-1]


def test_in_a_terminal_it_lives_and_leaves_it_clean(tmp_path: Path) -> None:
    """Drawn at 80x24, again when a line comes, again at 200x50; then the old screen, and a summary."""
    path = write(session_file(tmp_path), reply())
    terminal = Terminal(tmp_path, 80, 24)
    try:
        first = terminal.until(is_whole(24))
        with path.open("ab") as file:
            file.write(encoded(reply("msg_2", "req_2", 5000, at=2)) + b"\n")
        second = terminal.until(lambda lines: is_whole(24)(lines) and "2 responses" in lines[2])
        terminal.resize(200, 50)
        third = terminal.until(is_whole(50))
        terminal.process.send_signal(signal.SIGINT)
        while terminal.read():
            pass
        code = terminal.process.wait(60)
    finally:
        terminal.process.kill()
        terminal.process.wait()
        os.close(terminal.master)

    assert "1 response" in first[2]
    assert any("usage" in line for line in second)
    assert all(len(line) <= 80 for line in (*first, *second))
    assert max(map(len, third)) > 150
    before, _, after = terminal.data.rpartition("\x1b[?1049l")
    assert "\x1b[?1049h" in before
    assert "\x1b[?25h" in terminal.data
    assert "1 response, 5.0K tokens, $0.13" in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", after)
    assert 130 == code


def test_it_is_typed_at(tmp_path: Path) -> None:
    """What is typed does not show, `q` ends it with success, and the terminal is as it was before."""
    write(session_file(tmp_path), reply())
    terminal = Terminal(tmp_path, 80, 24)
    keeper = os.open(terminal.slave_name, os.O_RDWR | os.O_NOCTTY)
    before = termios.tcgetattr(keeper)
    try:
        terminal.until(is_whole(24))
        during = termios.tcgetattr(keeper)
        os.write(terminal.master, b"hello")
        os.write(terminal.master, b"q")
        terminal.until(lambda _: "Today: " in terminal.data)
        code = terminal.process.wait(60)
        after = termios.tcgetattr(keeper)
    finally:
        terminal.process.kill()
        terminal.process.wait()
        os.close(keeper)
        os.close(terminal.master)

    assert 0 == code
    assert "hello" not in terminal.data
    assert not during[3] & termios.ECHO
    assert before == after


def test_it_may_be_stopped_and_let_go_on(tmp_path: Path) -> None:
    """Ctrl-Z gives the shell its screen back; then the picture is drawn anew, and `q` is still heard."""
    write(session_file(tmp_path), reply())
    terminal = Terminal(tmp_path, 80, 24)
    try:
        terminal.until(is_whole(24))
        terminal.process.send_signal(signal.SIGTSTP)
        terminal.until(lambda _: "\x1b[?1049l" in terminal.data)
        _, status = os.waitpid(terminal.process.pid, os.WUNTRACED)
        is_stopped = os.WIFSTOPPED(status)
        terminal.data = ""
        terminal.process.send_signal(signal.SIGCONT)
        terminal.until(is_whole(24))
        os.write(terminal.master, b"q")
        terminal.until(lambda _: "Today: " in terminal.data)
        code = terminal.process.wait(60)
    finally:
        terminal.process.kill()
        terminal.process.wait()
        os.close(terminal.master)

    assert is_stopped
    assert "\x1b[?1049h" in terminal.data
    assert 0 == code


def test_any_size_at_any_time(tmp_path: Path) -> None:
    """Torn smaller and larger faster than it draws, to one line and one column: then it fits again."""
    write(session_file(tmp_path), *[reply(f"msg_{n}", f"req_{n}", at=n) for n in range(9)])
    terminal = Terminal(tmp_path, 80, 24)
    try:
        terminal.until(is_whole(24))
        for columns, lines in ((1, 1), (300, 90), (20, 3), (80, 2), (3, 60)):
            terminal.resize(columns, lines)
            terminal.process.send_signal(signal.SIGWINCH)
        terminal.resize(100, 30)
        frame = terminal.until(lambda lines: is_whole(30)(lines) and "9 responses" in lines[2])
        terminal.process.send_signal(signal.SIGINT)
        while terminal.read():
            pass
        code = terminal.process.wait(60)
    finally:
        terminal.process.kill()
        terminal.process.wait()
        os.close(terminal.master)

    assert 130 == code
    assert all(len(line) <= 100 for line in frame)
    assert "Traceback" not in terminal.data


@pytest.mark.parametrize("controls", [True, False], ids=["SIGHUP", "no signal"])
def test_a_terminal_that_goes_away_ends_it(tmp_path: Path, *, controls: bool) -> None:
    """Told by the system, or seen at the terminal itself: nobody would see the next picture."""
    write(session_file(tmp_path), reply())
    terminal = Terminal(tmp_path, 80, 24, controls=controls)
    try:
        terminal.until(is_whole(24))
        os.close(terminal.master)

        assert terminal.process.wait(60) in ({130, 141} if controls else {141})
    finally:
        terminal.process.kill()
        terminal.process.wait()


@pytest.mark.parametrize("controls", [True, False], ids=["SIGHUP", "no signal"])
def test_what_was_read_is_kept_when_the_terminal_goes_away(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, controls: bool
) -> None:
    """Also what was written while it watched: a report still has it when the transcript is gone."""
    root, store = tmp_path / "claude", tmp_path / "store"
    write(session_file(root, FORK), prompt())
    path = write(session_file(root), reply())
    terminal = Terminal(root, 80, 24, store=store, controls=controls)
    try:
        terminal.until(is_whole(24))
        with path.open("ab") as file:
            file.write(encoded(reply("msg_2", "req_2", 50, at=2)) + b"\n")
        terminal.until(lambda lines: is_whole(24)(lines) and "2 responses" in lines[2])
        os.close(terminal.master)
        terminal.process.wait(60)
    finally:
        terminal.process.kill()
        terminal.process.wait()
    path.unlink()

    assert 0 == main(["daily", "--json", "--root", str(root), "--store", str(store)])
    totals = json.loads(capsys.readouterr().out)["totals"]
    assert (2, 110 + 60) == (totals["responses"], totals["total_tokens"])
