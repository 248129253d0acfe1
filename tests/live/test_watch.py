"""The command, with real files, real events of the system and real signals; nothing here sleeps."""

import json
import os
import queue
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from transcripts_builder import (
    FORK,
    SESSION,
    agent_file,
    encoded,
    prompt,
    reply,
    session_file,
    sidechain,
    usage,
    write,
)
from writer import Writer

from tokenaudit.__main__ import main

Event = dict[str, Any]
PATIENCE_S = 60


class Watching:
    """A `watch --json` that runs, and the events that it writes."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process
        self.seen: list[Event] = []
        self._lines: queue.Queue[bytes] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(b"")

    def until(self, wanted: Callable[[Event], bool]) -> Event:
        """The next event that is *wanted*, waited for."""
        while line := self._lines.get(timeout=PATIENCE_S):
            event: Event = json.loads(line)
            self.seen.append(event)
            if wanted(event):
                return event
        raise AssertionError(f"ended without: {self.seen}")

    def named(self, name: str) -> Event:
        return self.until(lambda event: event["event"] == name)

    def end(self, number: int = signal.SIGINT) -> tuple[int, Event]:
        """End it by a signal: its exit code, and its last event."""
        self.process.send_signal(number)
        while line := self._lines.get(timeout=PATIENCE_S):
            self.seen.append(json.loads(line))
        return self.process.wait(PATIENCE_S), self.seen[-1]


@contextmanager
def watching(root: Path, *more: str) -> Iterator[Watching]:
    command = [sys.executable, "-m", "tokenaudit", "watch", "--json", "--root", str(root), *more]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    found = Watching(process)
    try:
        yield found
    finally:
        process.kill()
        process.wait()
        found._reader.join()
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def line(number: int, output: int = 100, **more: Any) -> bytes:
    return encoded(reply(f"msg_{number}", f"req_{number}", output, at=number, **more)) + b"\n"


def daily(root: Path, capsys: pytest.CaptureFixture[str], *more: str) -> Event:
    """The totals that `daily` has from scratch."""
    assert main(["daily", "--json", "--root", str(root), *more]) == 0
    totals: Event = json.loads(capsys.readouterr().out)["totals"]
    return totals


MODES = pytest.mark.parametrize("mode", [[], ["--poll"], ["--no-store"]], ids=" ".join)


@MODES
def test_a_line_that_is_appended_is_told_with_its_agents_running_totals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], mode: list[str]
) -> None:
    """100 + 10 tokens stand there; 50 + 10 come, of which the total is 170."""
    path = write(session_file(tmp_path), reply())
    with watching(tmp_path, *mode) as watch:
        first = watch.named("snapshot")
        append(path, line(2, 50))
        told = watch.named("usage")
        code, last = watch.end()

    assert (1, 110) == (first["totals"]["responses"], first["totals"]["total_tokens"])
    assert (True, "msg_2", 60) == (
        told["is_new"],
        told["response_id"],
        told["usage"]["total_tokens"],
    )
    assert (2, 170) == (told["agent"]["responses"], told["agent"]["total_tokens"])
    assert 10 == told["context"]["prompt_tokens"]
    assert (130, "snapshot") == (code, last["event"])
    assert last["totals"] == daily(tmp_path, capsys)


def test_a_response_is_told_again_when_its_count_grows(tmp_path: Path) -> None:
    """It streams in lines of 3, 40 and 90 output tokens: the last counts, and counts once."""
    path = write(session_file(tmp_path), reply())
    with watching(tmp_path) as watch:
        watch.named("snapshot")
        told = []
        for output, stop in ((3, None), (40, None), (90, "end_turn")):
            append(path, line(2, output, stop=stop))
            told.append(watch.named("usage"))
        _, last = watch.end()

    assert [3, 40, 90] == [event["usage"]["output_tokens"] for event in told]
    assert [True, False, False] == [event["is_new"] for event in told]
    assert ["placeholder", "lower_bound", "final"] == [event["quality"] for event in told]
    assert 100 + 10 + 90 + 10 == last["totals"]["total_tokens"]


def test_a_half_line_counts_when_it_is_whole(tmp_path: Path) -> None:
    """Of a line cut within a character nothing is told, and nothing is rejected."""
    path = write(session_file(tmp_path), reply())
    whole = line(2, 50, slug="é")
    at = whole.index("é".encode()) + 1
    with watching(tmp_path) as watch:
        watch.named("snapshot")
        append(path, whole[:at])
        append(session_file(tmp_path, FORK), line(3, 70))
        assert "msg_3" == watch.named("usage")["response_id"]
        append(path, whole[at:])
        assert "msg_2" == watch.named("usage")["response_id"]
        _, last = watch.end()

    assert "reject" not in {event["event"] for event in watch.seen}
    assert 110 + 60 + 80 == last["totals"]["total_tokens"]


def test_a_tree_that_appears_at_once_is_found(tmp_path: Path) -> None:
    """A new project with a session and a subagent, moved there whole."""
    root = tmp_path / "claude"
    write(session_file(root), reply())
    staged = tmp_path / "staged"
    path = session_file(staged, FORK, "-work-new")
    write(path, reply("msg_2", "req_2", at=2, sessionId=FORK, cwd="/work/new"))
    agent = sidechain(reply("msg_3", "req_3", at=3, sessionId=FORK), "a1b2c3d")
    write(agent_file(staged, session=FORK, project="-work-new"), agent)
    with watching(root) as watch:
        watch.named("snapshot")
        path.parent.rename(root / "projects" / "-work-new")
        started = [watch.named("agent_started") for _ in range(2)]
        used = [watch.named("usage") for _ in range(2)]
        # and what is then written in it is seen too
        append(agent_file(root, session=FORK, project="-work-new"), line(4))
        assert "msg_4" == watch.named("usage")["response_id"]

    assert {"main", "a1b2c3d"} == {event["agent_id"] for event in started}
    assert {"/work/new"} == {event["project"] for event in used}


def test_roots_without_transcripts_are_waited_for(tmp_path: Path) -> None:
    """A folder that exists is watched, though nothing is in it yet."""
    with watching(tmp_path, "--no-store") as watch:
        assert 0 == watch.named("snapshot")["totals"]["responses"]
        write(session_file(tmp_path), reply())
        assert "msg_1" == watch.named("usage")["response_id"]


def rewritten(path: Path) -> None:
    """Write other lines over what stands there, all at once: at no moment is it shorter."""
    with path.open("r+b", buffering=0) as file:
        file.write(line(8) + line(9) + line(10))


def replaced(path: Path) -> None:
    """Put another file in its place, as editors and backups do."""
    other = path.with_suffix(".new")
    other.write_bytes(line(8) + line(9) + line(10))
    other.rename(path)


def deleted(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


HARMS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "truncated": ("shrank", lambda path: os.truncate(path, len(encoded(reply())) + 1)),
    "rewritten": ("rewritten", rewritten),
    "replaced by another file": ("rewritten", replaced),
    "emptied": ("shrank", lambda path: os.truncate(path, 0)),
    "deleted": ("gone", lambda path: path.unlink()),
    "deleted with its folder": ("gone", lambda path: deleted(path.parent)),
    "renamed": ("gone", lambda path: path.rename(path.with_name("other.jsonl"))),
}


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize(
    "mode", [[], ["--no-store"], ["--poll"]], ids=["store", "no store", "polling"]
)
def test_what_is_done_to_a_file_leaves_the_figures_of_a_fresh_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], harm: str, mode: list[str]
) -> None:
    """Said as an event, and a snapshot follows; totals are those of `daily`."""
    write(session_file(tmp_path, FORK, "-work-other"), reply("msg_0", "req_0"))
    path = write(session_file(tmp_path), reply(), reply("msg_2", "req_2", at=2))
    fate, do = HARMS[harm]
    with watching(tmp_path, *mode) as watch:
        watch.named("snapshot")
        do(path)
        told = watch.named("rewritten")
        snapshot = watch.named("snapshot")
        code, last = watch.end()

    assert {"event": "rewritten", "path": str(path), "fate": fate} == told
    assert (130, last["totals"]) == (code, snapshot["totals"])
    assert last["totals"] == daily(tmp_path, capsys, *[each for each in mode if each != "--poll"])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("store", [[], ["--no-store"]], ids=["store", "no store"])
def test_at_a_random_moment_totals_are_those_of_daily(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], seed: int, store: list[str]
) -> None:
    """A writer appends, splits lines, truncates, renames and forks while it is watched, and then stops."""
    writer = Writer(tmp_path / "claude", random.Random(seed))
    for _ in range(3):
        writer.append()
    with watching(writer.root, *store) as watch:
        watch.named("snapshot")
        for _ in range(writer.rng.randint(20, 60)):
            if writer.rng.random() < 0.1:
                writer.harm()
            else:
                writer.append()
        watch.until(lambda event: event["event"] in {"usage", "snapshot"})
        code, last = watch.end()

    assert 130 == code
    assert last["totals"] == daily(writer.root, capsys, *store)
    assert last["totals"]["responses"] > 5


def _may_limit() -> bool:
    """Whether this system lets a program have a limit of its own on what it watches."""
    try:
        done = subprocess.run([*_LIMITED, "true"], capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0


_LIMITED = [
    *("unshare", "--user", "--map-root-user", "sh", "-c"),
    'echo 2 > /proc/sys/user/max_inotify_watches && exec "$@"',
    "sh",
]


@pytest.mark.skipif(not _may_limit(), reason="no user namespaces here")
def test_where_the_system_watches_no_more_it_looks_and_says_so(tmp_path: Path) -> None:
    """Two folders may be watched, and there are more; what is appended is told all the same."""
    path = write(session_file(tmp_path), reply())
    write(session_file(tmp_path, FORK, "-work-other"), reply("msg_2", "req_2"))
    command = [sys.executable, "-m", "tokenaudit", "watch", "--json", "--root", str(tmp_path)]
    process = subprocess.Popen(
        [*_LIMITED, *command, "--no-store"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    found = Watching(process)
    try:
        assert "polling" == found.named("snapshot")["watching"]
        append(path, line(3))
        assert "msg_3" == found.named("usage")["response_id"]
        found.end()
        assert process.stderr is not None
        said = process.stderr.read().decode()
    finally:
        process.kill()
        process.wait()
        found._reader.join()
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            stream.close()

    assert said == (
        "tokenaudit: looking every second: the system's events cannot be had: OS file watch limit"
        " reached (sysctl fs.inotify.max_user_watches raises it)\n"
    )


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="the system does not count here")
def test_only_what_was_appended_is_read(tmp_path: Path) -> None:
    """Of a transcript of 20 MB, and what the system needs beside: far less than a tenth of it."""
    filler = prompt("x" * 1_000_000)
    path = write(session_file(tmp_path), *[{**filler, "uuid": f"u{n}"} for n in range(20)], reply())
    with watching(tmp_path) as watch:
        watch.named("snapshot")
        append(path, line(2))
        watch.named("usage")  # the agent is met: what it wrote lately is read for estimates
        before = _read_so_far(watch.process.pid)
        append(path, line(3))
        assert "msg_3" == watch.named("usage")["response_id"]

        assert _read_so_far(watch.process.pid) - before < 2_000_000


def _read_so_far(pid: int) -> int:
    """How many bytes a process has read, wherever from."""
    (text,) = Path(f"/proc/{pid}/io").read_text().splitlines()[:1]
    return int(text.removeprefix("rchar: "))


def test_compactions_rejects_and_full_contexts_are_told(tmp_path: Path) -> None:
    """Each once, where it happens; 170,000 of 200,000 tokens are 85 %."""
    path = write(session_file(tmp_path), reply())
    full = reply("msg_2", "req_2", at=2, model="claude-haiku-4-5", counts=usage(5, read=169_990))
    boundary = {
        "type": "system",
        "subtype": "compact_boundary",
        "compactMetadata": {"trigger": "auto", "preTokens": 170_000, "postTokens": 9000},
        "timestamp": "2026-03-02T09:00:03.000Z",
        "uuid": "u1",
        "sessionId": SESSION,
    }
    bad = encoded(reply("msg_3", "req_3", at=4, counts={"input_tokens": -1, "output_tokens": 1}))
    with watching(tmp_path) as watch:
        watch.named("snapshot")
        append(path, encoded(full) + b"\n")
        near = watch.named("near_limit")
        append(path, encoded(boundary) + b"\n")
        compaction = watch.named("compaction")
        append(path, bad + b"\n")
        reject = watch.named("reject")

    assert (170_000, 85.0) == (near["context"]["prompt_tokens"], near["context"]["used_percent"])
    assert ("auto", 170_000, 9000) == (
        compaction["trigger"],
        compaction["pre_tokens"],
        compaction["post_tokens"],
    )
    assert (str(path), 4) == (reject["path"], reject["line"])
    assert "input_tokens" in reject["reason"]


def test_what_is_given_to_an_agent_raises_the_estimate_of_its_context_alone(tmp_path: Path) -> None:
    """50 characters were 100 tokens, so 200 are 400 beyond the 1,110 of the last prompt."""
    path = write(
        session_file(tmp_path),
        reply("msg_1", "req_1", counts=usage(5, read=1000)),
        prompt("x" * 50, at=1),
        reply("msg_2", "req_2", at=2, counts=usage(5, read=1100)),
    )
    with watching(tmp_path) as watch:
        before = watch.named("snapshot")
        append(path, encoded(prompt("x" * 200, at=3)) + b"\n")
        told = watch.named("context")
        append(path, encoded(reply("msg_3", "req_3", at=4, counts=usage(5, read=1600))) + b"\n")
        used = watch.named("usage")

    assert (1110, 1510) == (told["context"]["prompt_tokens"], told["context"]["estimated_tokens"])
    assert 2 == before["totals"]["responses"]
    assert (1610, None) == (used["context"]["prompt_tokens"], used["context"]["estimated_tokens"])


def test_filters_choose_what_is_told_and_summed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of two sessions only one; intake is of both."""
    own = write(session_file(tmp_path), reply())
    other = write(session_file(tmp_path, FORK), reply("msg_2", "req_2", sessionId=FORK))
    with watching(tmp_path, "--session", SESSION[:8]) as watch:
        assert 1 == watch.named("snapshot")["totals"]["responses"]
        append(other, line(3))
        append(own, line(4))
        assert "msg_4" == watch.named("usage")["response_id"]
        _, last = watch.end(signal.SIGTERM)

    assert ["msg_4"] == [one["response_id"] for one in watch.seen if one["event"] == "usage"]
    assert last["totals"] == daily(tmp_path, capsys, "--session", SESSION[:8])


def test_since_a_day_is_of_that_day_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A response of the day before is neither in the snapshot nor told: 110, then 60 tokens more."""
    tuesday = "2026-03-03T09:00:00.000Z"
    since = ("--since", "2026-03-03", "--timezone", "UTC")
    path = write(
        session_file(tmp_path), reply(), reply("msg_2", "req_2", timestamp=tuesday, uuid="u2")
    )
    with watching(tmp_path, *since) as watch:
        first = watch.named("snapshot")
        append(path, line(3) + line(4, 50, timestamp=tuesday))
        told = watch.named("usage")
        _, last = watch.end()

    assert {"since": "2026-03-03"} == first["filters"]
    assert (1, 110) == (first["totals"]["responses"], first["totals"]["total_tokens"])
    assert ("msg_4", 170) == (told["response_id"], told["agent"]["total_tokens"])
    assert ["msg_4"] == [one["response_id"] for one in watch.seen if one["event"] == "usage"]
    assert last["totals"] == daily(tmp_path, capsys, *since)
    assert 170 == last["totals"]["total_tokens"]


def test_a_budget_is_told_once_and_runs_the_command(tmp_path: Path) -> None:
    """A session's budget of a cent is passed by 10,000 output tokens of Opus 4.6: a quarter of a dollar."""
    path = write(session_file(tmp_path), prompt())
    alerts = tmp_path / "alerts"
    script = f"cat >> {alerts}"
    with watching(tmp_path, "--budget", "0.01/session", "--on-alert", script) as watch:
        watch.named("snapshot")
        append(path, line(2, 10_000))
        told = watch.named("budget")
        append(path, line(3, 10_000))
        watch.named("usage")
        watch.end()

    assert ("0.01/session", "over") == (told["budget"]["budget"], told["budget"]["state"])
    assert "0.25005" == told["budget"]["cost_usd"]
    assert [told] == [json.loads(each) for each in alerts.read_text().splitlines()]


def test_two_watchers_see_the_same(tmp_path: Path) -> None:
    """Each from its own snapshot on."""
    path = write(session_file(tmp_path), reply())
    with watching(tmp_path) as one, watching(tmp_path) as two:
        for watch in (one, two):
            watch.named("snapshot")
        append(path, line(2) + line(3))
        told = [[watch.named("usage") for _ in range(2)] for watch in (one, two)]
        ends = [watch.end()[1]["totals"] for watch in (one, two)]

    assert told[0] == told[1]
    assert ends[0] == ends[1]


@pytest.mark.parametrize("is_idle", [False, True], ids=["at an event", "while nothing happens"])
def test_a_reader_that_goes_away_ends_it_quietly(tmp_path: Path, *, is_idle: bool) -> None:
    """Without a word and with the code of a closed pipe; what was read is kept all the same."""
    path = write(session_file(tmp_path), reply())
    command = [sys.executable, "-m", "tokenaudit", "watch", "--json", "--root", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        if not is_idle:
            append(path, line(2))
        said = process.stderr.read()

        assert (b"", 141) == (said, process.wait(PATIENCE_S))


def test_consumers_come_and_go(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One goes in the middle, another comes: the one that stays misses nothing, the new one has it all."""
    path = write(session_file(tmp_path), reply())
    with watching(tmp_path) as stays:
        stays.named("snapshot")
        with watching(tmp_path) as goes:
            goes.named("snapshot")
            append(path, line(2))
            for watch in (stays, goes):
                assert "msg_2" == watch.named("usage")["response_id"]
        append(path, line(3))
        assert "msg_3" == stays.named("usage")["response_id"]
        with watching(tmp_path) as comes:
            assert 3 == comes.named("snapshot")["totals"]["responses"]
            append(path, line(4))
            told = [watch.named("usage") for watch in (stays, comes)]
            ends = [watch.end()[1]["totals"] for watch in (stays, comes)]

    assert told[0] == told[1]
    assert ends == [daily(tmp_path, capsys)] * 2


def test_once_is_one_snapshot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And the command ends."""
    write(session_file(tmp_path), reply())

    assert 0 == main(["watch", "--once", "--root", str(tmp_path)])
    shown = json.loads(capsys.readouterr().out)
    assert ("snapshot", 1) == (shown["event"], shown["format"])
    assert shown["totals"] == daily(tmp_path, capsys)


def test_what_a_snapshot_says_is_what_reports_say(capsys: pytest.CaptureFixture[str]) -> None:
    """Of the sample: totals, each agent's usage and context, and a budget."""

    def told(*words: str) -> Any:
        assert 0 == main([*words, "--demo", "--json"])
        return json.loads(capsys.readouterr().out)

    budget = ("--budget", "9/session", "--budget", "webshop=5/month")
    shot = told("watch", "--once", *budget)
    totals, budgets = (told("daily")["totals"], told(*budget)["sections"]["budgets"])
    agents, contexts = (
        {(row["session_id"], row["agent_id"]): row for row in told(name)["rows"]}
        for name in ("agents", "context")
    )

    assert shot["totals"] == {name: totals[name] for name in shot["totals"]}
    assert len(shot["agents"]) == len(agents) == 10
    for each in shot["agents"]:
        key = (each["session_id"], each["agent_id"])
        assert each["usage"] == {name: agents[key][name] for name in each["usage"]}
        known = each["context"]
        known.pop("estimated_tokens")
        assert known == {name: contexts[key][name] for name in known}
    rows = [{name: row[name] for name in shot["budgets"][0]} for row in budgets["rows"]]
    assert shot["budgets"] == rows


def test_a_root_that_does_not_exist_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As for every command."""
    assert 2 == main(["watch", "--once", "--root", str(tmp_path / "nowhere")])
    assert "no such root" in capsys.readouterr().err
