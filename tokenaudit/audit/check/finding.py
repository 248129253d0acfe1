"""A finding: one line of an audit, with a severity, what is at stake, a place, and what to do."""

from decimal import Decimal
from enum import StrEnum

from msgspec import Struct

__all__ = ["Finding", "Place", "Severity", "counted"]


class Severity(StrEnum):
    """How much a finding matters."""

    ERROR = "error"
    """Usage is known to be lost, or a figure is wrong."""
    WARNING = "warning"
    """A figure is less sure, or lower, than it looks."""
    INFO = "info"
    """Something was met and dealt with; worth knowing, nothing to mend."""

    @property
    def rank(self) -> int:
        """0 for the gravest."""
        return list(Severity).index(self)


class Place(Struct, frozen=True):
    """Where an example of a finding stands."""

    path: str
    line: int | None
    """Line number from 1; None where the finding is about the whole file."""


class Finding(Struct, frozen=True):
    """One line of an audit."""

    name: str
    """The kind of finding: the same from run to run, such as `placeholder_output`."""
    severity: Severity
    subject: str | None
    """What it is about within its kind: a version, a model, a reason; None where there is one only."""
    count: int
    """How many responses, lines, calls or days it counts, as the message says."""
    tokens: int | None
    """Tokens at stake; None where they cannot be known."""
    cost_usd: Decimal | None
    """US dollars at stake, at list price; None where they cannot be known."""
    message: str
    """What was found, in a sentence that stands alone."""
    action: str
    """What to do about it."""
    place: Place | None = None
    """Where an example stands."""


def counted(number: int, one: str, several: str | None = None) -> str:
    """Return *number* with its noun: `1 response`, `1,234 responses`."""
    return f"{number:,} {one if number == 1 else several or one + 's'}"
