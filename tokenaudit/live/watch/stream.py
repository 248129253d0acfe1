"""The screen of a program: events as JSON, one a line, each written as soon as it is known."""

from collections.abc import Callable, Sequence

from tokenaudit.live.events import Event, Snapshot, write
from tokenaudit.live.incremental_ledger import IncrementalLedger
from tokenaudit.live.watch.pipe_check import heed

__all__ = ["Stream"]


class Stream:
    """Writes events to standard output."""

    patience_s = 5.0

    def show(
        self,
        events: Sequence[Event],
        snapshot: Callable[[], Snapshot],  # noqa: ARG002
        live: IncrementalLedger,  # noqa: ARG002
    ) -> None:
        """Write *events*; where there are none, see whether anyone would read them.

        Raises BrokenPipeError when the reader has gone.
        """
        if events:
            write(events)
        else:
            heed()

    def end(self, snapshot: Snapshot, live: IncrementalLedger) -> None:  # noqa: ARG002
        """Write *snapshot*, the last line."""
        write([snapshot])

    def close(self) -> None:
        """Leave standard output as it is."""
