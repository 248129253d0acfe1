"""What other rules of counting would have given for the same lines: a comparison, never a figure of ours."""

from typing import Final

import polars as pl
from msgspec.structs import replace

from tokenaudit.ledger.frame import IS_UNBILLED_MESSAGE, TOKENS
from tokenaudit.ledger.lineage import Lineage
from tokenaudit.model.terms import Kind
from tokenaudit.pricing.card import RateCard
from tokenaudit.pricing.cost import USD, price
from tokenaudit.reports.report import Bound, Column, Section, Unit

__all__ = ["all_rules"]

_RULES: Final = {
    "as_counted": "the last finished line, copies merged, lost output repaired",
    "first_line": "the first line of the owner's transcript",
    "last_line": "the last line of the owner's transcript",
    "sum_of_lines": "every line of every transcript, added up",
    "no_merging": "the best line of each transcript, copies elsewhere again",
}
_COLUMNS: Final = (
    Column("rule", Unit.TEXT, "Rule"),
    Column("counted", Unit.COUNT, "Counted"),
    Column("output_tokens", Unit.TOKENS, "Output"),
    Column("total_tokens", Unit.TOKENS, "Total"),
    Column("cost_usd", Unit.USD, "Cost", bound=Bound.LEAST),
    Column("difference_usd", Unit.USD, "Difference"),
    Column("unpriced_responses", Unit.COUNT, "Unpriced", essential=False, quiet=True),
    Column("what_counts", Unit.TEXT, "What counts", essential=False),
)


def all_rules(rows: pl.DataFrame, lineage: Lineage, card: RateCard) -> Section:
    """Return what each of _RULES gives for *rows*: tokens, cost, and how far the cost is from ours.

    Inferences outside the top level (R6) are the same by every rule. A response of which no line can
    be read any more is left out of all but the first.
    """
    lines = _priced(rows, lineage, card)
    apart = rows.filter(pl.col("kind") != Kind.MESSAGE)
    by_rule = {
        "as_counted": rows,
        "first_line": _ends(lines, last=False),
        "last_line": _ends(lines, last=True),
        "sum_of_lines": lines,
        "no_merging": _best_of_each(lines),
    }
    sums = [
        _summed(name, found if name == "as_counted" else _with(found, apart))
        for name, found in by_rule.items()
    ]
    # what one response costs is told to the last digit
    money = Unit.PRICE if rows.height == 1 else Unit.USD
    columns = tuple(
        replace(column, unit=money, bound=column.bound if money is Unit.USD else None)
        if column.unit is Unit.USD
        else column
        for column in _COLUMNS
    )
    ours = pl.col("cost_usd").first()
    frame = pl.concat(sums).with_columns(
        difference_usd=pl.col("cost_usd") - ours,
        what_counts=pl.col("rule").replace_strict(_RULES, return_dtype=pl.String),
    )
    return Section(
        "all_rules",
        "By other rules",
        columns,
        frame.select(column.name for column in columns),
    )


def _with(found: pl.DataFrame, apart: pl.DataFrame) -> pl.DataFrame:
    names = ["output_tokens", "total_tokens", "cost_usd"]
    return pl.concat([found.select(names), apart.select(names)])


def _summed(rule: str, found: pl.DataFrame) -> pl.DataFrame:
    cost = pl.col("cost_usd")
    return found.select(
        rule=pl.lit(rule),
        counted=pl.len().cast(pl.Int64),
        output_tokens=pl.col("output_tokens").cast(pl.Int128).sum(),
        total_tokens=pl.col("total_tokens").cast(pl.Int128).sum(),
        cost_usd=pl.when((cost.count() > 0) | (pl.len() == 0)).then(cost.sum()),
        unpriced_responses=cost.null_count().cast(pl.Int64),
    )


def _priced(rows: pl.DataFrame, lineage: Lineage, card: RateCard) -> pl.DataFrame:
    """Price every line as if it alone counted: at the day of its response, inference by inference."""
    of = rows.select("time", "kind", response=pl.int_range(pl.len()))
    messages = of.filter(pl.col("kind") == Kind.MESSAGE).drop("kind")
    keys = ["response", "copy", "at"]
    lines = lineage.lines.join(messages, on="response").with_columns(
        total_tokens=pl.sum_horizontal(TOKENS)
    )
    inferences = lineage.inferences
    several = lines.join(inferences.select(keys).unique(), on=keys, how="semi")
    parts = (
        several.drop(TOKENS)
        .join(inferences, on=keys)
        .with_columns(web_searches=pl.when(pl.col("part") == 0).then("web_searches").otherwise(0))
        .select(lines.columns)
    )
    single = lines.join(several.select(keys), on=keys, how="anti")
    costs = price(pl.concat([single, parts]), card)
    paid = (
        costs.group_by(keys)
        .agg(pl.col("cost_usd").sum(), is_priced=pl.col("rate_id").is_not_null().all())
        .select(*keys, cost_usd=pl.when("is_priced").then("cost_usd"))
    )
    return lines.join(paid, on=keys).with_columns(
        cost_usd=pl.when(IS_UNBILLED_MESSAGE).then(pl.lit(0, USD)).otherwise("cost_usd")
    )


def _ends(lines: pl.DataFrame, *, last: bool) -> pl.DataFrame:
    """Return the first or the last line that the owner of each response has of it (R5)."""
    of_owner = ["response", "is_progress", "path"]
    return (
        lines.join(lines.filter("is_owner").select(of_owner), on=of_owner, how="semi")
        .sort("line", "at", descending=last)
        .unique("response", keep="first", maintain_order=True)
    )


def _best_of_each(lines: pl.DataFrame) -> pl.DataFrame:
    """Return the best line of each transcript that says a response (R4)."""
    said = pl.when("is_final").then(0).otherwise("output_tokens")
    order = ["is_final", "said", "record", "at"]
    return (
        lines.with_columns(said=said)
        .sort(order, descending=True)
        .unique(["response", "path"], keep="first", maintain_order=True)
    )
