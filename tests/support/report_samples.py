"""Reports made by hand, for the tests of the renderers."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
from msgspec.structs import replace

from tokenaudit.model.terms import Intake
from tokenaudit.reports.report import Bound, Column, Meta, Report, Section, Selected, Unit

DAY = Column("day", Unit.DATE, "Day")
PROJECT = Column("project", Unit.TEXT, "Project")
TITLE = Column("title", Unit.TEXT, "Title")
SESSION = Column("session_id", Unit.ID, "Session")
START = Column("start", Unit.TIME, "Start")
DURATION = Column("duration_s", Unit.DURATION, "Duration", essential=False)
FLAG = Column("is_sidechain", Unit.FLAG, "Sidechain")
RESPONSES = Column("responses", Unit.COUNT, "Resp.")
TOKENS = (
    Column("input_tokens", Unit.TOKENS, "Input"),
    Column("output_tokens", Unit.TOKENS, "Output"),
    Column("cache_read_tokens", Unit.TOKENS, "Cache read"),
    Column("cache_write_5m_tokens", Unit.TOKENS, "Write 5m"),
    Column("cache_write_1h_tokens", Unit.TOKENS, "Write 1h"),
    Column("total_tokens", Unit.TOKENS, "Total"),
)
COST = Column("cost_usd", Unit.USD, "Cost", bound=Bound.LEAST)
UNPRICED = Column("unpriced_responses", Unit.COUNT, "Unpriced", essential=False)
MEASURES = (RESPONSES, *TOKENS, COST, UNPRICED)

TYPES: Mapping[Unit, Any] = {
    Unit.TEXT: pl.String,
    Unit.ID: pl.String,
    Unit.COUNT: pl.Int64,
    Unit.BYTES: pl.Int64,
    Unit.TOKENS: pl.Int64,
    Unit.USD: pl.Decimal(38, 12),
    Unit.DATE: pl.Date,
    Unit.TIME: pl.Datetime("us", "UTC"),
    Unit.DURATION: pl.Int64,
    Unit.PERCENT: pl.Float64,
    Unit.FLAG: pl.Boolean,
}

META = Meta(
    command="daily",
    version="1.2.3",
    generated_at=datetime(2026, 3, 9, 8, 30, 15, 123456, tzinfo=UTC),
    timezone="Europe/Vienna",
    filters={"since": date(2026, 3, 1), "project": ["app"]},
    pricing={"card": "2026-11-21", "sha256": "ab12", "verified_through": date(2026, 11, 20)},
    intake=Intake(files=3, lines=400, usage_lines=60, responses=20, copies=40, bytes=123456),
    selected=Selected(20, 1, {"final": 19, "placeholder": 1}),
)

NOTES = (
    "Read 226 transcripts, 61,043 lines: 20,318 usage lines, 8,412 responses, 11,906 copies merged.",
    "Cost: API list-price equivalent, not an invoice. Rate card 2026-11-21 (sha256 ab12cd34).",
)


def frame(columns: Sequence[Column], rows: Sequence[Sequence[object]]) -> pl.DataFrame:
    """Return *rows* as a frame with the types that reports give to such columns."""
    schema = {column.name: TYPES[column.unit] for column in columns}
    return pl.DataFrame(list(rows), schema=schema, orient="row")


def measures(
    responses: int, *tokens: int, cost: str | None, unpriced: int = 0
) -> tuple[int | Decimal | None, ...]:
    """Return the values of MEASURES: *tokens* are the five classes, the total is their sum."""
    priced = None if cost is None else Decimal(cost)
    return (responses, *tokens, sum(tokens), priced, unpriced)


def total(**values: object) -> dict[str, object]:
    """Return totals by the names of MEASURES, zero where nothing else is said."""
    names = [column.name for column in MEASURES]
    return {**dict.fromkeys(names, 0), "cost_usd": Decimal("0E-12"), **values}


def section(
    columns: Sequence[Column],
    rows: Sequence[Sequence[object]],
    totals: Mapping[str, Any] | None = None,
    **more: Any,
) -> Section:
    """Return a section over *rows*; its dimensions are its first column unless *more* says else."""
    given = {"name": "usage", "title": "Usage by day", "dimensions": (columns[0].name,), **more}
    return Section(columns=tuple(columns), rows=frame(columns, rows), totals=totals, **given)


def report(*sections: Section, notes: Sequence[str] = NOTES, title: str | None = None) -> Report:
    """Return a report of *sections*, titled as the first one unless *title* says else."""
    return Report(title or sections[0].title, sections, META, tuple(notes))


def daily(days: int = 3, **more: Any) -> Section:
    """Return a section like that of a busy month: billions of cached tokens, a four-digit cost."""
    tokens = (84_120, 2_411_950, 1_843_120_455, 0, 61_004_312)
    rows = [
        (date(2026, 3, day), *measures(1205, *tokens, cost="1355.820000000001"))
        for day in range(1, days + 1)
    ]
    sums: tuple[Any, ...] = (1205, *tokens, sum(tokens), Decimal("1355.820000000001"), 0)
    totals = {column.name: one * days for column, one in zip(MEASURES, sums, strict=True)}
    return section((DAY, *MEASURES), rows, totals, **more)


def by_model(section_: Section, parts: Sequence[Sequence[object]]) -> Section:
    """Return *section_* broken down into *parts*: its dimensions, the model, MEASURES."""
    keys = [column for column in section_.columns if column.name in section_.dimensions]
    columns = (*keys, Column("model", Unit.TEXT, "Model"), *MEASURES)
    return replace(section_, breakdown=frame(columns, parts))


HOSTILE = (
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\x9b31mred",
    "bell\x07 del\x7f nul\0",
    "user\u202egnp.exe",
    "zero\u200bwidth\ufeff",
    "next\u2028line\u0085end",
    "tag\U000e0041\U000e007f",
    "two\nlines\tand\r",
    "[bold]x[/bold]",
    "app/[id]/page",
    "[/bold]",
    "=1+1",
    "a|b `c` <script>*d*</script> \\|",
)
"""What a hostile transcript may call a project."""
