"""What contexts hold beyond the last response."""

from tokenaudit.watch.live import Live
from tokenaudit.watch.sources import Step


class Underway:
    estimates: dict[tuple[str | None, str | None], int]

    def __init__(self) -> None:
        self.estimates = {}

    def follow(self, step: Step, live: Live) -> None:
        pass
