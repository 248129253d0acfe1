"""What the responses of one day of a lake add up to: the piece of a roll-up that any process can do.

All that goes in and comes out can be sent to another machine, and is small: sums, and the few rows
near midnight that may have copies under the next day.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import time
from io import BytesIO
from typing import Any, Final

import polars as pl
from msgspec import Struct

from tokenaudit.export.lake.cross_host_merge import merged, needs_merging
from tokenaudit.export.lake.dedupe import deduplicated
from tokenaudit.export.lake.groups import Groups
from tokenaudit.export.lake.parts import Damage, Part, read
from tokenaudit.export.lake.schema import SCHEMA
from tokenaudit.export.lake.storage import open_storage
from tokenaudit.ledger.frame import IS_UNBILLED_MESSAGE, TOKENS, measures, price_merged, unbilled
from tokenaudit.pricing.card import RateCard
from tokenaudit.pricing.cost import COSTS, USD, condense, price
from tokenaudit.reports.selection import Selection, select

__all__ = ["DIGESTED", "DayTotals", "RollupRequest", "add_up", "sum_day", "sum_rest"]

MARGIN: Final = (time(0, 5), time(23, 55))
"""Outside these hours of UTC: copies of one response may begin before and after midnight, where one lacks the first line."""

DIGESTED: Final = ("date", "host", "model", "quality")
"""By what the counts are summed of which the digest is taken."""

_COUNTED: Final = ("responses", *TOKENS)
_ALWAYS: Final = ("date", "host_id", "model", "quality")
"""What every sum is split by, for the foot of the report and the digest."""
_SPARED: Final = frozenset(
    {
        *("cwd", "version", "entrypoint", "effort", "skill", "plugin", "mcp_server", "mcp_tool"),
        *("thinking_tokens", "web_fetches", "recorded_cost_usd", "odd", "host_label", "copies"),
    }
)
"""Columns that are read only where the report is by them."""
_PLAIN: Final = (
    *("time", "host", "session_id", "agent_id", "agent_type", "project", "branch", "model"),
    *("speed", "service_tier", "inference_geo", "quality", "stop_reason", "web_searches", *TOKENS),
)
"""Columns of responses that have no copies: what they are chosen, priced and summed by."""
_AT_ONCE: Final = 1 << 18
"""Rows that are summed at once: what that takes beside them is many times their size."""
_DAY: Final = "day of the report"
"""What `day` is called while rows are priced, which has a day of its own."""
_MONEY: Final = (*COSTS, "cost_usd", "list_cost_usd")


class RollupRequest(Struct, frozen=True):
    """What is asked of every day."""

    lake: str
    card: RateCard
    selection: Selection
    keys: tuple[str, ...]
    """The dimensions of the report."""
    groups: Groups
    labels: Mapping[str, str]
    """What each host is called in the report."""
    undated: tuple[str, ...] = ()
    """Message ids of the responses without a day: their copies are merged in the end."""


class DayTotals(Struct, frozen=True):
    """What some rows add up to."""

    sums: pl.DataFrame
    """The measures by the report's dimensions and by `_ALWAYS`."""
    counts: pl.DataFrame
    """Of all responses, chosen or not: responses and tokens by DIGESTED."""
    rest: pl.DataFrame
    """Rows that can be merged only with those of other days: SCHEMA."""
    rows: int = 0
    damages: tuple[Damage, ...] = ()


def sum_day(asked: RollupRequest, parts: Sequence[Part]) -> DayTotals:
    """Return what *parts*, all of one day, add up to."""
    columns = [name for name in SCHEMA if name not in _SPARED or name in asked.keys]
    found = read(open_storage(asked.lake, must_exist=True), parts, columns)
    is_rest = _is_rest(found.rows, asked.undated)
    rest = found.rows.filter(is_rest).with_columns(
        pl.lit(None, SCHEMA[name]).alias(name) for name in SCHEMA if name not in columns
    )
    sums = _summed(found.rows, ~is_rest, asked)
    return DayTotals(*sums, _alone(rest.select(SCHEMA.keys())), found.rows.height, found.damages)


def _alone(rows: pl.DataFrame) -> pl.DataFrame:
    """Return *rows* in memory of their own: a few rows of a day hold on to all of its texts."""
    file = BytesIO()
    rows.write_ipc(file, compat_level=pl.CompatLevel.oldest())
    return pl.read_ipc(file.getvalue())


def sum_rest(asked: RollupRequest, rests: Sequence[pl.DataFrame]) -> DayTotals:
    """Return what the rows add up to that days left over."""
    rows = pl.concat(rests)
    everything = pl.repeat(value=True, n=rows.height, eager=True)
    return DayTotals(*_summed(rows, everything, asked), rows.clear())


def add_up(parts: Sequence[DayTotals]) -> DayTotals:
    """Return the *parts* as one, their rests left apart."""
    sums = pl.concat([part.sums for part in parts])
    keys = [name for name in sums.columns if name not in {*_COUNTED, *_MONEY, "total_tokens"}]
    keys.remove("unpriced_responses")
    counts = pl.concat([part.counts for part in parts])
    return DayTotals(
        sums=sums.group_by(keys).agg(
            pl.col(*_COUNTED, "total_tokens", "unpriced_responses").sum(),
            *(
                pl.when(pl.col(name).count() > 0).then(pl.col(name).sum()).alias(name)
                for name in _MONEY
            ),
        ),
        counts=counts.group_by(DIGESTED).agg(pl.col(_COUNTED).sum()),
        rest=parts[0].rest.clear(),
        rows=sum(part.rows for part in parts),
        damages=tuple(damage for part in parts for damage in part.damages),
    )


def _is_rest(rows: pl.DataFrame, undated: Sequence[str]) -> pl.Series:
    """Tell which of *rows* may have copies under another day, by their time or their message."""
    clock = rows["time"].dt.time()
    is_near = ((clock < MARGIN[0]) | (clock > MARGIN[1])).fill_null(value=True)
    messages = pl.concat(
        [rows.filter(is_near)["message_id"].drop_nulls(), pl.Series(undated, dtype=pl.String)]
    ).unique()
    return is_near | rows["message_id"].is_in(messages.implode()).fill_null(value=False)


def _summed(
    rows: pl.DataFrame, wanted: pl.Series, asked: RollupRequest
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the sums and the counts of the *wanted* ones of *rows*."""
    is_suspect = needs_merging(rows)
    light = list(dict.fromkeys((*_PLAIN, *(name for name in asked.keys if name in SCHEMA))))
    # A day has as many chunks as parts, and what looks rows up takes its time for each of them.
    suspects = deduplicated(rows.filter(wanted & is_suspect).rechunk())
    is_several = needs_merging(suspects)
    merging = suspects.filter(is_several)
    # What is empty costs as much as a small day, and says nothing.
    several = [] if merging.is_empty() else [_merged(merging, asked)]
    one_each = suspects.filter(~is_several).select(light)
    is_plain = wanted & ~is_suspect

    def plain() -> Iterator[pl.DataFrame]:
        if not one_each.is_empty() or (merging.is_empty() and not is_plain.any()):
            yield one_each
        for at in range(0, rows.height, _AT_ONCE):
            of = slice(at, at + _AT_ONCE)
            if is_plain[of].any():
                yield rows.select(light)[of].filter(is_plain[of]).rechunk()

    sums = pl.concat(
        [
            *(_sums_of_priced(each, asked) for each in several),
            *(_sums_of_plain(each, asked) for each in plain()),
        ]
    )
    if not asked.selection.filters():  # the sums are of everything, and hold the counts
        return sums, _regrouped(sums.rename({"host": "host_label"}, strict=False))
    everything = pl.concat([_counts(each) for each in (*several, *plain())])
    return sums, everything.group_by(DIGESTED).agg(pl.col(_COUNTED).sum())


def _merged(rows: pl.DataFrame, asked: RollupRequest) -> pl.DataFrame:
    """Return the priced responses of *rows* that only merging makes responses of."""
    missing = [
        pl.lit(None, dtype).alias(name)
        for name, dtype in SCHEMA.items()
        if name not in rows.columns
    ]
    priced, _ = price_merged(merged(rows.with_columns(missing)), asked.card)
    return priced


def _regrouped(sums: pl.DataFrame) -> pl.DataFrame:
    return (
        sums.rename({"host_id": "host"})
        .group_by(DIGESTED)
        .agg(pl.col(_COUNTED).sum())
        .select(*DIGESTED, *_COUNTED)
    )


def _counts(responses: pl.DataFrame) -> pl.DataFrame:
    return (
        responses.group_by(pl.col("time").dt.date().alias("date"), *DIGESTED[1:])
        .agg(pl.len().cast(pl.Int128).alias("responses"), pl.col(TOKENS).cast(pl.Int128).sum())
        .select(*DIGESTED, *_COUNTED)
    )


def _sums_of_priced(priced: pl.DataFrame, asked: RollupRequest) -> pl.DataFrame:
    """Sum responses that are priced one by one."""
    chosen = _chosen(_totalled(priced), asked)
    return _shaped(chosen.group_by(_keys(asked)).agg(measures(*COSTS, "list_cost_usd")), asked)


def _sums_of_plain(rows: pl.DataFrame, asked: RollupRequest) -> pl.DataFrame:
    """Sum responses before they are priced: that is the same, and far less work."""
    marked = rows.with_columns(is_unbilled=IS_UNBILLED_MESSAGE)
    if asked.card.discounts:  # they are rounded for each response
        return _sums_of_priced(unbilled(price(marked, asked.card)), asked)
    chosen = _chosen(marked, asked).rename({"day": _DAY})
    keys = [_DAY if name == "day" else name for name in (*_keys(asked), "is_unbilled")]
    sums = price(condense(chosen, keys, asked.card), asked.card)
    priced = unbilled(sums).rename({_DAY: "day"}, strict=False)
    is_unpriced = pl.col("cost_usd").is_null()
    return _shaped(
        priced.group_by(_keys(asked)).agg(
            pl.col(*_COUNTED, "total_tokens").cast(pl.Int128).sum(),
            pl.col("responses").filter(is_unpriced).sum().alias("unpriced_responses"),
            *(
                pl.when(pl.col(name).count() > 0).then(pl.col(name).sum()).alias(name)
                for name in _MONEY
            ),
        ),
        asked,
    )


def _totalled(responses: pl.DataFrame) -> pl.DataFrame:
    return responses.with_columns(total_tokens=pl.sum_horizontal(TOKENS))


def _keys(asked: RollupRequest) -> list[str]:
    return list(dict.fromkeys((*asked.keys, *_ALWAYS)))


def _chosen(rows: pl.DataFrame, asked: RollupRequest) -> pl.DataFrame:
    """Return the responses that are asked for, with every dimension that they are summed by."""
    named = rows.with_columns(
        speed=pl.col("speed").fill_null("standard"),
        date=pl.col("time").dt.date(),
        host=pl.col("host").replace(asked.labels),
        host_id="host",
    )
    if "kind" not in named.columns:
        named = named.with_columns(kind=pl.lit("message"))
    chosen = select(asked.groups.named(named), asked.selection)
    # Periods that nobody asks for are not worked out; `day` is what rows are priced by.
    return chosen.select(list(dict.fromkeys((*named.columns, "day", *_keys(asked))))).collect()


def _shaped(sums: pl.DataFrame, asked: RollupRequest) -> pl.DataFrame:
    columns: dict[str, Any] = {
        **dict.fromkeys((*_COUNTED, "total_tokens", "unpriced_responses"), pl.Int128),
        **dict.fromkeys(_MONEY, USD),
    }
    return sums.select(*_keys(asked), *columns).cast(pl.Schema(columns))
