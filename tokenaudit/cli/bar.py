"""A progress bar on standard error; imported only when one is shown."""

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

__all__ = ["Bar"]


class Bar:
    """Shows bytes read, of how many, and how fast; leaves nothing behind when closed."""

    def __init__(self, total: int) -> None:
        """Start to show a bar for *total* bytes."""
        self._progress = Progress(
            TextColumn("Reading transcripts"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._progress.start()
        self._task = self._progress.add_task("read", total=total)

    def show(self, done: int) -> None:
        """Show that *done* bytes have been read."""
        self._progress.update(self._task, completed=done)

    def close(self) -> None:
        """Take the bar away."""
        self._progress.stop()
