"""A report as a value: typed columns, rows and totals, ready to be rendered; nothing about looks."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Any, Self

from msgspec import Struct, field

from tokenaudit.model.fields import Dtype
from tokenaudit.model.terms import Intake

if TYPE_CHECKING:
    import polars as pl

__all__ = [
    "COST_MEANING",
    "FORMAT",
    "UNITS",
    "Bound",
    "Column",
    "Curve",
    "Meta",
    "Outcome",
    "Report",
    "Section",
    "Selected",
    "Unit",
    "Warned",
]

COST_MEANING = "API list-price equivalent, not an invoice"

FORMAT = 1
"""Number of the shape of JSON reports. 1: meta, rows, totals, sections (first release)."""


class Outcome(IntEnum):
    """How grave what a report found is: from some gravity on its command ends with 1."""

    SOUND = 0
    INFO = 1
    WARNING = 2
    ERROR = 3


class Warned(str):
    """A note that must be seen, in whatever format the report is written."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Make a note of *text*, which says what the warning is."""
        return super().__new__(cls, f"Warning: {text}")


class Unit(StrEnum):
    """What a column's values are, from which a renderer knows how to write them."""

    TEXT = "text"
    """A text, perhaps from a transcript: untrusted."""
    ID = "id"
    """An identifier: shown short where room is scarce, whole in every machine format."""
    COUNT = "count"
    """A whole number of things."""
    BYTES = "bytes"
    """A size on disk."""
    TOKENS = "tokens"
    """A whole number of tokens."""
    USD = "usd"
    """An exact decimal of US dollars; null when nothing of it could be priced."""
    PRICE = "price"
    """An exact decimal of US dollars, shown to its last digit: a price, or a term of a sum."""
    DATE = "date"
    """A day, or a text that names a longer period; null for what has no usable time."""
    TIME = "time"
    """An aware moment; shown in the report's zone."""
    DURATION = "duration"
    """Seconds."""
    PERCENT = "percent"
    """A share of a hundred, in every format; may be more than that."""
    NUMBER = "number"
    """A number that need not be whole: an average, a ratio."""
    FLAG = "flag"
    """True or false."""


UNITS: Mapping[Dtype, Unit] = {
    Dtype.TEXT: Unit.TEXT,
    Dtype.ID: Unit.ID,
    Dtype.COUNT: Unit.COUNT,
    Dtype.TOKENS: Unit.TOKENS,
    Dtype.FLAG: Unit.FLAG,
    Dtype.TIME: Unit.TIME,
    Dtype.USD: Unit.USD,
    Dtype.USD_TEXT: Unit.TEXT,
}
"""What the values of the fields of a response are in reports."""


class Bound(StrEnum):
    """What the value of a row is where some of its responses are unpriced."""

    LEAST = "least"
    MOST = "most"


class Column(Struct, frozen=True):
    """One typed column of a section; `name` is the same in JSON, CSV, Parquet and the API."""

    name: str
    unit: Unit
    label: str
    """The heading on a screen."""
    essential: bool = True
    """Whether a narrow screen shows it."""
    quiet: bool = False
    """Whether a screen leaves it out where no row says more in it than nothing or zero."""
    screen: bool = True
    """Whether a screen shows it at all: a long text may stand in a section of its own there."""
    bound: Bound | None = None
    """What its values are where something is unpriced; None where they are whole all the same."""


class Curve(Struct, frozen=True):
    """How a screen shows rows as a picture: one bar for each, in their order."""

    values: str
    """The column of tokens that the bars are as high as."""
    marks: str
    """A column that tells which rows are marked below their bars."""
    meaning: str
    """What a mark means."""


class Section(Struct, frozen=True):
    """One table of a report."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: "pl.DataFrame"
    """One column per entry of `columns`, in that order; more columns than these are not rendered."""
    totals: Mapping[str, Any] | None = None
    """Values by column name; None where rows are not parts of a whole."""
    breakdown: "pl.DataFrame | None" = None
    """Rows that split each row of `rows` by model: its dimensions, `model`, and the measures."""
    dimensions: tuple[str, ...] = ()
    """The columns that name a row: the keys that `breakdown` shares with `rows`."""
    curve: Curve | None = None
    """The picture that stands for the rows on a screen; every other format has the rows."""
    cut_rows: int = 0
    """Rows that a limit left out; the totals hold them all the same."""


class Selected(Struct, frozen=True):
    """What of the intake a report shows, after its filters."""

    responses: int
    unpriced_responses: int
    quality: Mapping[str, int]


class Meta(Struct, frozen=True):
    """What a report stands on (R12)."""

    command: str
    version: str
    generated_at: datetime
    timezone: str
    filters: Mapping[str, Any]
    pricing: Mapping[str, Any]
    """The basis of every cost: rate card, its hash and the day through which it was verified."""
    intake: Intake
    selected: Selected
    provenance: Mapping[str, Any] | None = None
    """Of an export: what it takes to make it again, and digests of all that it stands on."""
    lake: Mapping[str, Any] | None = None
    """Of a roll-up: what was read of the lake, what could not be, and the digest of it."""


class Report(Struct, frozen=True):
    """An answer, ready to be rendered."""

    title: str
    sections: tuple[Section, ...]
    """The first one is the report; others stand below it on a screen."""
    meta: Meta
    notes: tuple[str, ...] = field(default=())
    """Lines for the foot: what was read, how far it can be trusted, what could not be priced.

    Those that are `Warned` are said beside formats that have no foot, too.
    """
    cost_usd: Decimal | None = None
    """What all the selected responses cost, shown or not; None where none is priced."""
    outcome: Outcome = Outcome.SOUND
