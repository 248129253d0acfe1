"""The loop of a watch: waits, reads, tells; the only part that knows in which order.

A line now and then is told at once. Where agents write so much that telling all of it at once would
take more than a fifth of a core for long, it rests in between, and what they write meanwhile is told
together. Where there is a store, what has been read is kept in it every few minutes, when nobody
writes, and at the end, by reading it as every command does; and what was rewritten or is gone is taken
from there at once, so that the figures are those of a fresh report.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from time import monotonic, process_time
from typing import Final, Protocol

from msgspec import Struct

from tokenaudit.live.context_estimate import ContextEstimates
from tokenaudit.live.event_builder import EventBuilder, Key
from tokenaudit.live.events import Event, Snapshot
from tokenaudit.live.incremental_ledger import IncrementalLedger, LedgerChange
from tokenaudit.live.sources import Sources, SourceStep
from tokenaudit.live.watcher import ALL, Ending, Watcher, rest

__all__ = ["Allowance", "Beginning", "Clock", "Loop", "Screen"]

_SHARE: Final = 0.2
_SAVED_S: Final = 2.0
"""How many seconds of computing are saved up at most, while nothing happens, for when much does."""
_LONGEST_REST_S: Final = 2.0
_KEEP_S: Final = 300.0
_QUIET_S: Final = 10.0
_KEEP_AT_LAST_S: Final = 1800.0
_BUDGETS_S: Final = 2.0


class Screen(Protocol):
    """Where events are shown."""

    patience_s: float
    """After how long it wants to be asked again, though nothing happened."""

    def show(
        self, events: Sequence[Event], snapshot: Callable[[], Snapshot], live: IncrementalLedger
    ) -> None:
        """Show *events*; *snapshot* makes one of all that is known, if it is needed."""

    def end(self, snapshot: Snapshot, live: IncrementalLedger) -> None:
        """Show the last of it."""

    def close(self) -> None:
        """Leave the terminal as it was."""


class Clock(Struct, frozen=True):
    """The clocks of a run."""

    now: Callable[[], datetime]
    now_ns: Callable[[], int]


class Beginning(Struct, frozen=True):
    """What is known of all transcripts at some time, read as every command does."""

    sources: Sources
    live: IncrementalLedger
    is_kept: bool
    """Whether it is kept in a store."""


class Allowance:
    """How much may be computed: a share of a core, saved up for a while.

    It is reckoned in seconds that the processor worked, not in those that passed: where others keep
    the processor busy, a round takes longer, and is no reason to rest longer.
    """

    def __init__(self, now_s: float, worked_s: float) -> None:
        """Begin with what can be saved up; *now_s* is a time, *worked_s* what was computed until then."""
        self._saved = _SAVED_S
        self._now_s, self._worked_s = now_s, worked_s

    def rest(self, now_s: float, worked_s: float) -> float:
        """Return for how many seconds to rest, given the same at a later time."""
        earned = _SHARE * (now_s - self._now_s)
        spent = worked_s - self._worked_s
        self._saved = min(self._saved + earned - spent, _SAVED_S)
        self._now_s, self._worked_s = now_s, worked_s
        return min(max(-self._saved, 0.0) / _SHARE, _LONGEST_REST_S)


class Loop:
    """A watch under way."""

    def __init__(
        self,
        beginning: Beginning,
        begin: Callable[[], Beginning],
        builder: EventBuilder,
        screen: Screen,
        *,
        clock: Clock,
        alert: Callable[[Sequence[Event]], None],
    ) -> None:
        """Start from *beginning*; *begin* reads such a one anew. *alert* is told of all events too."""
        self._begin = begin
        self._builder = builder
        self._screen = screen
        self._clock = clock
        self._alert = alert
        self._underway = ContextEstimates()
        self._is_kept = True
        self._kept_at = self._budgets_at = self._changed_at = monotonic()
        self._is_due = False
        self._has_store = beginning.is_kept
        self._sources, self._live = beginning.sources, beginning.live

    def snapshot(self) -> Snapshot:
        """Return all that is known."""
        return self._builder.snapshot(
            self._live,
            self._clock.now(),
            transcripts=self._sources.transcripts,
            estimates=self._underway.estimates,
        )

    def run(self, watcher: Watcher, ending: Ending) -> None:
        """Tell what *watcher* finds until *ending*; then show the last of it. What was read is kept."""
        try:
            first = self.snapshot()
            self._show([first, *self._builder.know(first)])
            allowance = Allowance(monotonic(), process_time())
            while not ending.is_set():
                paths = watcher.wait(self._screen.patience_s, ending)
                self._hear(watcher)
                self.round(paths)
                rest(allowance.rest(monotonic(), process_time()), ending)
            self.round(frozenset({ALL}))
            self._screen.end(self.snapshot(), self._live)
        finally:
            self._screen.close()
            if self._has_store and not self._is_kept:
                self._begin()

    def _hear(self, watcher: Watcher) -> None:
        """Say so where *watcher* must look from now on, or need not any more."""
        watching = "polling" if watcher.is_polling else "events"
        if watching != self._builder.watching:
            self._builder.watching = watching
            self._show([self.snapshot()])

    def round(self, paths: frozenset[str]) -> None:
        """Take in what has changed at *paths*, and tell it."""
        now_s = monotonic()
        events = self._events(paths) if paths else []
        if self._is_time_to_keep(now_s):
            events += self._anew(None)
        events += self._budgets(now_s)
        self._show(events)

    def _is_time_to_keep(self, now_s: float) -> bool:
        """Tell whether to keep what was read: it takes as long as a report, so rather when it is quiet."""
        if self._is_kept or not self._has_store:
            return False
        age, quiet = now_s - self._kept_at, now_s - self._changed_at
        return age > _KEEP_AT_LAST_S or (age > _KEEP_S and quiet > _QUIET_S)

    def _show(self, events: Sequence[Event]) -> None:
        self._alert(events)
        self._screen.show(events, self.snapshot, self._live)

    def _events(self, paths: frozenset[str]) -> list[Event]:
        now_ns = self._clock.now_ns()
        if ALL in paths:
            step = self._sources.look_at_all(now_ns=now_ns)
        else:
            step = self._sources.look(paths, now_ns=now_ns)
        if step is None:
            return []
        if step.fates and self._has_store:
            return self._anew(step)
        self._is_kept, self._changed_at = False, monotonic()
        change = self._live.apply(step)
        return self._told(change, step, self._underway.follow(step, self._live))

    def _anew(self, step: SourceStep | None) -> list[Event]:
        """Keep what was read, and go on from what every command would know now."""
        before = self._live
        beginning = self._begin()
        self._sources, self._live = beginning.sources, beginning.live
        self._is_kept, self._kept_at = True, monotonic()
        written = [] if step is None else self._underway.follow(step, self._live)
        return self._told(self._live.since(before), step, written)

    def _told(
        self, change: LedgerChange, step: SourceStep | None, estimated: Sequence[Key]
    ) -> list[Event]:
        self._is_due |= not change.is_empty
        estimates = self._underway.estimates
        told = self._builder.events(
            self._live, change, step, self._clock.now(), estimates=estimates
        )
        told += self._builder.estimated(self._live, estimated, estimates)
        if change.has_losses or (step is not None and step.fates):
            told.append(self.snapshot())
        return told

    def _budgets(self, now_s: float) -> list[Event]:
        """Return the budgets that are crossed; they are not looked at each time, for that takes longest."""
        if not self._is_due or now_s - self._budgets_at < _BUDGETS_S:
            return []
        self._is_due, self._budgets_at = False, now_s
        return self._builder.budget_events(self._live, self._clock.now())
