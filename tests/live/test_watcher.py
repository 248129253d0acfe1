"""Waiting for changes: where it waits, what it says has changed, and what it does where it cannot wait."""

import math
import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from transcripts_builder import encoded, reply, session_file, write

from tokenaudit import transcripts
from tokenaudit.live import watcher
from tokenaudit.live.event_builder import EventBuilder
from tokenaudit.live.events import Event, Snapshot, Used
from tokenaudit.live.incremental_ledger import IncrementalLedger
from tokenaudit.live.sources import Sources
from tokenaudit.live.watch.loop import Allowance, Beginning, Clock, Loop
from tokenaudit.live.watcher import ALL, Ending, Watcher, _mounts, _remote, places
from tokenaudit.pricing.card import shipped_card
from tokenaudit.reports.request import Request
from tokenaudit.reports.selection import Selection
from tokenaudit.store import gather_without_store
from tokenaudit.store.index import Index
from tokenaudit.store.plan import plan

SESSION = "11111111-1111-4111-8111-111111111111"


class Never:
    def is_set(self) -> bool:
        return False


class Now:
    def is_set(self) -> bool:
        return True


def test_places_are_the_folders_below_which_transcripts_stand(tmp_path: Path) -> None:
    """Of a configuration folder its projects; of a file and of a session the folder around it."""
    (tmp_path / "claude" / "projects").mkdir(parents=True)
    folder = tmp_path / "folder"
    (folder / SESSION).mkdir(parents=True)
    (folder / f"{SESSION}.jsonl").touch()
    roots = [tmp_path / "claude", folder, folder / f"{SESSION}.jsonl", folder / SESSION]

    assert [str(tmp_path / "claude" / "projects"), str(folder)] == places([*map(str, roots)])


def test_the_first_wait_says_that_all_may_have_changed(tmp_path: Path) -> None:
    """For nobody watched while what is known was read."""
    with Watcher([str(tmp_path)]) as watcher:
        assert ALL in watcher.wait(60, Never())


def test_a_file_that_is_written_is_named(tmp_path: Path) -> None:
    """By the path at which discovery finds it."""
    path = tmp_path / "a.jsonl"
    path.touch()
    with Watcher([str(tmp_path)]) as watcher:
        watcher.wait(60, Never())
        path.write_text("{}\n")
        found: frozenset[str] = frozenset()
        while str(path) not in found:
            found = watcher.wait(60, Never())

        assert not watcher.is_polling


def test_a_folder_that_appears_lets_all_be_looked_at_soon(tmp_path: Path) -> None:
    """What was written in it before it was watched has made no event."""
    with Watcher([str(tmp_path)]) as watcher:
        watcher.wait(60, Never())
        (tmp_path / "new").mkdir()
        while ALL not in watcher.wait(5, Never()):
            pass


@pytest.mark.parametrize("poll", [True, False])
def test_the_ending_is_not_waited_for(tmp_path: Path, *, poll: bool) -> None:
    """Though there is a minute left."""
    with Watcher([str(tmp_path)], poll=poll) as watcher:
        watcher.wait(60, Now())
        assert not watcher.wait(60, Now()) - {ALL}


def test_where_there_are_no_events_it_looks_and_says_why(tmp_path: Path) -> None:
    """What cannot be watched ends nothing."""
    with Watcher([str(tmp_path / "no" / "such" / "root")]) as watcher:
        assert watcher.is_polling
        assert watcher.why is not None
        assert "cannot be had" in watcher.why
        assert ALL in watcher.wait(60, Never())
        assert ALL in watcher.wait(60, Never())


def test_network_mounts_are_looked_at() -> None:
    """The nearest mount above a folder decides."""
    mounts = {"/": "ext4", "/mnt/share": "nfs4", "/mnt/share/local": "tmpfs"}

    assert _remote(["/mnt/share/local/projects", "/home"], mounts) is None
    assert "/mnt/share/x is on nfs4" in str(_remote(["/mnt/share/x"], mounts))


@pytest.mark.skipif(not Path("/proc/self/mountinfo").exists(), reason="no list of mounts here")
def test_mounts_are_those_of_this_machine() -> None:
    """There is at least the root."""
    assert "/" in _mounts()


class Until:
    """It is time for the end when *done* says so."""

    def __init__(self, done: Callable[[], bool]) -> None:
        self.is_set = done


class Recorder:
    """A screen that keeps what it is shown."""

    patience_s = 0.2

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.last: Snapshot | None = None

    def show(
        self,
        events: Sequence[Event],
        snapshot: Callable[[], Snapshot],  # noqa: ARG002
        live: IncrementalLedger,  # noqa: ARG002
    ) -> None:
        self.events.extend(events)

    def end(self, snapshot: Snapshot, live: IncrementalLedger) -> None:  # noqa: ARG002
        self.last = snapshot

    def close(self) -> None:
        pass


def looped(root: Path, clock: Clock, *, watching: str = "events") -> tuple[Loop, Recorder]:
    """A watch of *root* without a store, and what it shows."""

    def begin() -> Beginning:
        discovery = transcripts.discover([root])
        made = plan(Index(), discovery)
        known = gather_without_store(made, transcripts.read(made.extents), now_ns=clock.now_ns())
        sources = Sources(lambda: transcripts.discover([root]), discovery, known, with_former=False)
        return Beginning(sources, IncrementalLedger(known.rows, shipped_card()), is_kept=False)

    request = Request("watch", "0", clock.now(), Selection(timezone="UTC"))
    screen = Recorder()
    builder = EventBuilder(request, near_limit=80, watching=watching)
    return Loop(begin(), begin, builder, screen, clock=clock, alert=lambda _: None), screen


REAL = Clock(lambda: datetime.now(UTC), time.time_ns)


def used(screen: Recorder) -> list[str]:
    return [event.response_id for event in screen.events if isinstance(event, Used)]


def test_what_the_system_does_not_tell_is_found_by_looking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written through a second name outside the folder: there is no event, but the next look finds it."""
    monkeypatch.setattr(watcher, "_RESTAT_S", 0.5)
    path = write(session_file(tmp_path / "claude"), reply())
    other = tmp_path / "second-name"
    os.link(path, other)
    loop, screen = looped(tmp_path / "claude", REAL)
    paths: list[frozenset[str]] = []
    with Watcher([str(tmp_path / "claude")]) as real:
        wait = real.wait

        def heard(seconds: float, ending: Ending) -> frozenset[str]:
            paths.append(wait(seconds, ending))
            if len(paths) == 1:
                with other.open("ab") as file:
                    file.write(encoded(reply("msg_2", "req_2", at=1)) + b"\n")
            return paths[-1]

        monkeypatch.setattr(real, "wait", heard)
        loop.run(real, Until(lambda: "msg_2" in used(screen)))

    assert {ALL} == set().union(*paths)
    assert screen.last is not None
    assert 2 == screen.last.totals.responses


def test_a_root_that_is_made_anew_is_watched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the folder that is gone the system tells nothing any more; its successor is another one."""
    monkeypatch.setattr(watcher, "_RESTAT_S", 0.3)
    root = tmp_path / "projects"
    root.mkdir()
    with Watcher([str(tmp_path)]) as real:
        real.wait(60, Never())
        root.rename(tmp_path / "away")
        root.mkdir()
        for _ in range(2):
            while ALL not in real.wait(60, Never()):
                pass
        path = root / "a.jsonl"
        path.write_text("{}\n")
        found: frozenset[str] = frozenset()
        while str(path) not in found:
            found = real.wait(60, Never())

        assert not real.is_polling


def test_when_the_clock_is_set_back_figures_are_those_of_that_time(tmp_path: Path) -> None:
    """What was told of the day after is not of today then, and what is written then counts."""
    now = [datetime(2026, 3, 3, 9, 30, tzinfo=UTC)]
    clock = Clock(lambda: now[0], lambda: int(now[0].timestamp()) * 10**9)
    monday, tuesday = (f"2026-03-0{day}T09:00:00.000Z" for day in (2, 3))
    path = write(session_file(tmp_path), reply("msg_1", "req_1", timestamp=tuesday))
    loop, screen = looped(tmp_path, clock)
    ahead = loop.snapshot()
    now[0] = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
    with path.open("ab") as file:
        file.write(encoded(reply("msg_2", "req_2", timestamp=monday)) + b"\n")
    os.utime(path, ns=(0, clock.now_ns()))
    loop.round(frozenset({str(path)}))
    back = loop.snapshot()

    assert (1, 1) == (ahead.today.responses, ahead.totals.responses)
    assert ahead.block is not None
    assert (datetime(2026, 3, 3, 9, tzinfo=UTC), 4.5 * 3600) == (
        ahead.block.start,
        ahead.block.remaining_s,
    )
    assert ["msg_2"] == used(screen)
    assert (1, 2) == (back.today.responses, back.totals.responses)
    assert back.block is not None
    assert datetime(2026, 3, 2, 9, tzinfo=UTC) == back.block.start
    assert 1 == back.block.usage.responses
    loop.round(frozenset({ALL}))
    assert back.totals == loop.snapshot().totals


def test_it_says_when_it_must_look_from_now_on(tmp_path: Path) -> None:
    """A snapshot tells it, and whether events can be had again."""
    write(session_file(tmp_path), reply())
    loop, screen = looped(tmp_path, REAL)
    with Watcher([str(tmp_path)], poll=True) as real:
        loop.run(real, Until(lambda: len(screen.events) > 1))

    said = [event.watching for event in screen.events if isinstance(event, Snapshot)]
    assert ["events", "polling"] == said


def test_no_more_is_computed_than_a_share_for_long() -> None:
    """Two seconds are saved up; then each second of work is paid with five of time, 1 worked already."""
    allowance = Allowance(0.0, 0.0)

    assert 0 == allowance.rest(1.0, 1.0)  # 2 saved, which is the most, and 0.2 - 1
    assert 0 == allowance.rest(2.0, 2.0)  # 1.2 + 0.2 - 1 = 0.4
    assert math.isclose(2.0, allowance.rest(3.0, 3.0))  # 0.4 + 0.2 - 1 = -0.4: 2 seconds
    assert math.isclose(0.0, allowance.rest(5.0, 3.0), abs_tol=1e-9)
    assert math.isclose(0.5, allowance.rest(5.5, 3.2))  # 0.1 - 0.2 = -0.1
    assert 2.0 == allowance.rest(5.5, 9.0)  # never longer than that at a time
    assert 0 == allowance.rest(3600.0, 9.0)
