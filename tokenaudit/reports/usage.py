"""Usage by any dimensions: the question behind daily, weekly, sessions, models and all the others."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import chain
from typing import Final

import polars as pl

from tokenaudit.ledger.frame import TOKENS, Ledger, measures, totals
from tokenaudit.model.errors import UsageError
from tokenaudit.model.terms import Quality
from tokenaudit.pricing.cost import COSTS
from tokenaudit.reports.notes import notes
from tokenaudit.reports.report import Bound, Column, Meta, Report, Section, Selected, Unit
from tokenaudit.reports.request import Layout, Request
from tokenaudit.reports.selection import CUTS, Dimension, dimension, select

__all__ = [
    "LIST_COST",
    "asked",
    "assemble",
    "by",
    "column_named",
    "grouped",
    "measure_columns",
    "more",
    "summed",
    "table",
]

_LABELS: Final = {
    "input_tokens": "Input",
    "output_tokens": "Output",
    "cache_read_tokens": "Cache read",
    "cache_write_5m_tokens": "Write 5m",
    "cache_write_1h_tokens": "Write 1h",
    "total_tokens": "Total",
}
_COST_LABELS: Final = {
    "cost_input_usd": "Input cost",
    "cost_output_usd": "Output cost",
    "cost_cache_read_usd": "Read cost",
    "cost_cache_write_usd": "Write cost",
    "cost_web_search_usd": "Search cost",
}
LIST_COST: Final = "list_cost_usd"
_ESTIMATE_COLUMNS: Final = (
    Column("est_output_best_tokens", Unit.TOKENS, "Est. output best"),
    Column("est_output_high_tokens", Unit.TOKENS, "Est. output high"),
    Column("est_cost_best_usd", Unit.USD, "Est. cost best"),
    Column("est_cost_high_usd", Unit.USD, "Est. cost high"),
    Column("est_unknown_responses", Unit.COUNT, "Est. unknown", essential=False, quiet=True),
)

_SELECTED_BY: Final = {
    "project": ("project",),
    "model": ("model",),
    "session": ("session_id",),
    "agent": ("agent_id", "agent_type"),
    "branch": ("branch",),
}
"""The columns of the ledger that filters look at."""

Measured = Callable[..., list[pl.Expr]]
"""How rows are aggregated: as single responses, or as sums of them."""


def by(
    ledger: Ledger, request: Request, dimensions: Sequence[str], *, title: str | None = None
) -> Report:
    """Return the usage that *request* selects by *dimensions*, one row per combination that occurs.

    Rows add up exactly to the totals (R11), which are those of the whole selection.
    """
    named = tuple(dict.fromkeys(dimension(name) for name in dimensions))
    if not named:
        raise UsageError("nothing to group by", hint="Name one dimension or more: project,model.")
    names = [entry.name for entry in named]
    wanted = {*asked(request, names), *names}
    rows = select(ledger.frame, request.selection).select(sorted(wanted)).collect()
    heading = title or f"Usage by {', '.join(entry.label.lower() for entry in named)}"
    section = table(rows, named, request.shape, name="usage", title=heading)
    return assemble(ledger, request, rows, (section,), title=heading)


def asked(request: Request, dimensions: Iterable[str] = ()) -> frozenset[str]:
    """Return the columns of the ledger that usage by *dimensions* and the foot below it take."""
    filters = (_SELECTED_BY.get(name, ()) for name in request.selection.filters())
    return frozenset(
        {
            *("time", "session_id", "model", "quality", "list_cost_usd", "cost_usd"),
            *(*TOKENS, "total_tokens"),
            *chain.from_iterable(filters),
            *more(request.shape),
            *(entry.name for entry in map(dimension, dimensions) if entry.name not in CUTS),
        }
    )


def assemble(
    ledger: Ledger,
    request: Request,
    rows: pl.DataFrame,
    sections: tuple[Section, ...],
    *,
    title: str,
) -> Report:
    """Put a report together from its *sections*, which are about *rows* of the ledger."""
    selection, chosen = request.selection, selected(rows)
    refused = select(ledger.refused, selection).collect().join(rows, on="session_id", how="semi")
    return Report(
        title=title,
        sections=sections,
        meta=Meta(
            command=request.command,
            version=request.version,
            generated_at=request.now,
            timezone=selection.timezone,
            filters=selection.filters(),
            pricing=ledger.pricing,
            intake=ledger.intake,
            selected=chosen,
        ),
        notes=notes(
            ledger,
            rows,
            refused,
            chosen,
            today=request.now.date(),
            with_cost=request.shape.with_cost,
        ),
        cost_usd=totals(rows).cost_usd,
    )


def table(
    rows: pl.DataFrame,
    dimensions: Sequence[Dimension],
    shape: Layout,
    *,
    name: str,
    title: str,
    facts: pl.DataFrame | None = None,
    fact_columns: Sequence[Column] = (),
    order: tuple[str, bool] | None = None,
    measured: Measured = measures,
) -> Section:
    """Group *rows* by *dimensions* into a section; *facts* adds columns to each group by its keys.

    *order* is the column, and whether it falls, for a shape that names none; without it time rises
    and the costliest comes first. *measured* aggregates rows: `resummed` those that are sums.
    """
    keys = [entry.name for entry in dimensions]
    groups = grouped(rows, keys, measured(*more(shape)))
    if facts is not None:
        groups = groups.join(facts, on=keys, how="left", nulls_equal=True)
    columns = (
        *(entry.column for entry in dimensions),
        *fact_columns,
        *measure_columns(shape),
    )
    ordered = _ordered(_narrowed(groups), columns, dimensions, shape, order)
    shown = ordered if shape.limit is None else ordered.head(shape.limit)
    return Section(
        name=name,
        title=title,
        columns=columns,
        rows=shown.select(column.name for column in columns),
        totals=summed(rows, shape, measured),
        breakdown=_breakdown(rows, shown, keys, shape, measured) if shape.breakdown else None,
        dimensions=tuple(keys),
        cut_rows=ordered.height - shown.height,
    )


def measure_columns(shape: Layout) -> tuple[Column, ...]:
    """Return the columns of the measures that *shape* asks for."""
    columns = [Column("responses", Unit.COUNT, "Resp.")]
    columns += [Column(name, Unit.TOKENS, label) for name, label in _LABELS.items()]
    if shape.with_cost:
        if shape.full:
            columns += [
                Column(name, Unit.USD, label, bound=Bound.LEAST)
                for name, label in _COST_LABELS.items()
            ]
        if shape.with_list_cost:
            columns.append(Column(LIST_COST, Unit.USD, "List cost", quiet=True))
        columns.append(Column("cost_usd", Unit.USD, "Cost", bound=Bound.LEAST))
        columns.append(
            Column("unpriced_responses", Unit.COUNT, "Unpriced", essential=False, quiet=True)
        )
    return (*columns, *_estimates(shape))


def _estimates(shape: Layout) -> Iterator[Column]:
    """Yield the columns of estimates, if *shape* asks for them."""
    for column in _ESTIMATE_COLUMNS if shape.with_estimate else ():
        if shape.with_cost or column.unit is not Unit.USD:
            yield column


def more(shape: Layout) -> tuple[str, ...]:
    """Return the columns that *shape* asks to be summed beside the measures."""
    estimates = tuple(column.name for column in _estimates(shape))
    if not shape.with_cost:
        return estimates
    return (
        *(COSTS if shape.full else ()),
        *((LIST_COST,) if shape.with_list_cost else ()),
        *estimates,
    )


def summed(
    rows: pl.DataFrame, shape: Layout, measured: Measured = measures
) -> Mapping[str, int | Decimal | None]:
    """Return the totals of *rows* for the columns that *shape* asks for."""
    names = [column.name for column in measure_columns(shape)]
    sums = rows.select(measured(*more(shape))).row(0, named=True)
    return {name: sums[name] for name in names}


def selected(rows: pl.DataFrame) -> Selected:
    """Count what a report over *rows* shows."""
    quality = {quality.value: 0 for quality in Quality}
    quality.update(rows["quality"].value_counts().iter_rows())
    return Selected(rows.height, rows["cost_usd"].null_count(), quality)


def _narrowed(groups: pl.DataFrame) -> pl.DataFrame:
    """Bring sums back to 64 bits where they fit, which is everywhere but in a hostile transcript."""
    sums = [*TOKENS, "total_tokens"]
    largest = groups.select(pl.max_horizontal(pl.col(*sums).max())).item() or 0
    return groups.cast(dict.fromkeys(sums, pl.Int64)) if largest < 2**63 else groups


def _ordered(
    groups: pl.DataFrame,
    columns: Sequence[Column],
    dimensions: Sequence[Dimension],
    shape: Layout,
    order: tuple[str, bool] | None,
) -> pl.DataFrame:
    keys = [entry.name for entry in dimensions]
    if shape.sort:
        sort = column_named(shape.sort, columns)
        falling = _is_figure(next(column for column in columns if column.name == sort))
    elif order is not None:
        sort, falling = order
    elif dimensions[0].unit in {Unit.DATE, Unit.TIME}:
        sort, falling = keys[0], False
    else:
        sort, falling = ("cost_usd" if shape.with_cost else "total_tokens"), True
    descending = falling if shape.descending is None else shape.descending
    ties = [name for name in ("total_tokens", *keys) if name != sort]
    return groups.sort(
        [sort, *ties],
        descending=[descending, *(descending and name == "total_tokens" for name in ties)],
        nulls_last=True,
    )


def _is_figure(column: Column) -> bool:
    return column.unit in {Unit.USD, Unit.TOKENS, Unit.COUNT, Unit.DURATION}


def column_named(name: str, columns: Sequence[Column]) -> str:
    """Find the column that a user means by *name*: with or without `_tokens`, `_usd`, `_id`."""
    names = [column.name for column in columns]
    for candidate in (name, f"{name}_tokens", f"{name}_usd", f"{name}_id"):
        if candidate in names:
            return candidate
    raise UsageError(f"cannot sort by {name}", hint=f"There are: {', '.join(names)}.")


def grouped(rows: pl.DataFrame, keys: Sequence[str], sums: Sequence[pl.Expr]) -> pl.DataFrame:
    """Aggregate *rows* by *keys*, streamed: in memory, the nulls of a cost take four times as long."""
    return rows.lazy().group_by(keys).agg(sums).collect(engine="streaming")


def _breakdown(
    rows: pl.DataFrame,
    shown: pl.DataFrame,
    keys: Sequence[str],
    shape: Layout,
    measured: Measured,
) -> pl.DataFrame:
    """Split the *shown* groups by model, in their order."""
    split = list(dict.fromkeys([*keys, "model"]))
    parts = _narrowed(grouped(rows, split, measured(*more(shape))))
    order = shown.select(keys).with_row_index("order")
    names = [*split, *(column.name for column in measure_columns(shape))]
    return (
        parts.join(order, on=list(keys), nulls_equal=True)
        .sort("order", "total_tokens", "model", descending=[False, True, False], nulls_last=True)
        .select(names)
    )
