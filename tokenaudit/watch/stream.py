"""The screen of a program: events as JSON, one a line, each written as soon as it is known."""

from collections.abc import Callable, Sequence

from tokenaudit.watch.events import Event, Snapshot, write
from tokenaudit.watch.live import Live

__all__ = ["Stream"]


class Stream:
    """Writes events to standard output."""

    patience_s = 30.0

    def show(self, events: Sequence[Event], snapshot: Callable[[], Snapshot], live: Live) -> None:  # noqa: ARG002
        """Write *events*."""
        write(events)

    def end(self, snapshot: Snapshot, live: Live) -> None:  # noqa: ARG002
        """Write *snapshot*, the last line."""
        write([snapshot])

    def close(self) -> None:
        """Leave standard output as it is."""
