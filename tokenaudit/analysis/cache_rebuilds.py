"""What each response found in the prompt cache, what it had to write again, and why, likely.

A **rebuild** is a response that read less from the cache than the response before it (of the same
agent) had left there, and wrote again what it missed:

    cached  = cache reads + cache writes of the response before
    missed  = cached - cache reads
    rebuilt = the smaller of missed and its own cache writes

from SMALLEST tokens on, the shortest prompt that can be cached. What it cost is the extra over having
read it: rebuilt x (price of the write - price of a read), at the rates of that response; one-hour
writes are counted first, because they stand first in a prompt.

Before the first response of a session there is none of the same agent. If the session continues
another, the last response of that one is taken; else the first of the session before it in the same
project with the same model, and of its cached prompt no more than this one has: that is the common
part, tools and system prompt. Subagents write their own first prompt, which is no rebuild.

The causes are asked in this order, the first that fits is taken: a new session; a break longer than
the cache lives (one hour where the last writes were one-hour writes, else five minutes), for then it
was gone whatever else changed; another model or speed; a compaction since the response before; a
change of tools or system prompt, seen by reading less than the agent's first response found cached, or
nothing, or by another version of Claude Code; unknown, such as messages that changed or an early
eviction.
"""

from enum import StrEnum
from typing import Final

import polars as pl

from tokenaudit.ledger.frame import Ledger
from tokenaudit.model.terms import MAIN_AGENT, Kind
from tokenaudit.pricing.card import RateCard
from tokenaudit.pricing.cost import USD, unit_prices

__all__ = ["FIVE_MINUTES_S", "HOUR_S", "SMALLEST", "RebuildCause", "studied", "write_costs"]

SMALLEST: Final = 1024
"""Tokens: the shortest prompt that the API caches; fewer are no rebuild."""

FIVE_MINUTES_S: Final = 300
HOUR_S: Final = 3600
_AGENT: Final = ("session_id", "agent_id")
_WRITES: Final = pl.col("cache_write_5m_tokens") + pl.col("cache_write_1h_tokens")
_WHOLE: Final = pl.Decimal(38, 0)


class RebuildCause(StrEnum):
    """Why a cache had to be built again, likely."""

    NEW_SESSION = "new_session"
    IDLE = "idle"
    MODEL_SWITCH = "model_switch"
    COMPACTION = "compaction"
    TOOLS_OR_SYSTEM = "tools_or_system"
    UNKNOWN = "unknown"


def studied(ledger: Ledger) -> pl.DataFrame:
    """Return the ledger's frame with what caching did for each response.

    Added are `cached_tokens` (what the response before had left in the cache; null where nothing is
    known of one), `gap_s` (seconds since it), `ttl_s` (how long its cache lived), `rebuilt_tokens` and
    `cause` (of a rebuild, else 0 and null); and in US dollars, null when unpriced: `rebuild_usd`,
    `saved_usd` (what the prompt would have cost more without caching), `write_5m_usd` and
    `write_1h_usd` (what the writes cost), `premium_5m_usd` and `premium_1h_usd` (what these tokens
    cost more written for an hour than for five minutes: would cost, and did cost) and `reread_usd`
    (what writing its reads again, for five minutes, would have cost more than reading them).
    """
    frame = ledger.frame.with_row_index("row")
    chained = _chained(ledger, frame.filter(pl.col("kind") == Kind.MESSAGE))
    added = ("row", "cached_tokens", "gap_s", "ttl_s", "rebuilt_tokens", "cause")
    return (
        frame.join(chained.select(added), on="row", how="left", maintain_order="left")
        .with_columns(pl.col("rebuilt_tokens").fill_null(0))
        .pipe(_priced, ledger)
        .join(_savings(ledger, frame), on="row", how="left", maintain_order="left")
        .drop("row")
    )


# what was missed, and why


def _chained(ledger: Ledger, messages: pl.DataFrame) -> pl.DataFrame:
    """Hold each of *messages* against the one before of the same agent."""
    before = {
        "cached_tokens": pl.col("cache_read_tokens") + _WRITES,
        "model_before": pl.col("model"),
        "speed_before": pl.col("speed"),
        "version_before": pl.col("version"),
        "time_before": pl.col("time"),
    }
    ttl = (
        pl.when(pl.col("cache_write_1h_tokens") > 0)
        .then(HOUR_S)
        .when(pl.col("cache_write_5m_tokens") > 0)
        .then(FIVE_MINUTES_S)
    )
    linked = messages.with_columns(
        **{name: value.shift(1).over(_AGENT) for name, value in before.items()},
        ttl_s=ttl.forward_fill().shift(1).over(_AGENT).cast(pl.Int64),
        is_first=pl.int_range(pl.len()).over(_AGENT) == 0,
        prefix=pl.col("cache_read_tokens").first().over(_AGENT),
    )
    opened = linked.with_columns(
        cached_tokens=pl.coalesce("cached_tokens", _left_by_others(ledger, linked))
    )
    missed = _least(pl.col("cached_tokens") - pl.col("cache_read_tokens"), _WRITES)
    gap = (pl.col("time") - pl.col("time_before")).dt.total_microseconds() / 1_000_000
    return (
        _with_compactions(ledger, opened)
        .with_columns(
            gap_s=gap, rebuilt_tokens=pl.when(missed >= SMALLEST).then(missed).otherwise(0)
        )
        .with_columns(cause=pl.when(pl.col("rebuilt_tokens") > 0).then(_cause()))
    )


def _cause() -> pl.Expr:
    is_switched = pl.col("model").ne_missing(pl.col("model_before")) | pl.col("speed").ne_missing(
        pl.col("speed_before")
    )
    broke_in_front = (pl.col("cache_read_tokens") == 0) | (
        pl.col("cache_read_tokens") < pl.col("prefix")
    )
    is_updated = pl.col("version").ne_missing(pl.col("version_before"))
    return (
        pl.when("is_first")
        .then(pl.lit(RebuildCause.NEW_SESSION.value))
        .when(pl.col("gap_s") > pl.col("ttl_s").fill_null(HOUR_S))
        .then(pl.lit(RebuildCause.IDLE.value))
        .when(is_switched)
        .then(pl.lit(RebuildCause.MODEL_SWITCH.value))
        .when("is_compacted")
        .then(pl.lit(RebuildCause.COMPACTION.value))
        .when(broke_in_front | is_updated)
        .then(pl.lit(RebuildCause.TOOLS_OR_SYSTEM.value))
        .otherwise(pl.lit(RebuildCause.UNKNOWN.value))
    )


def _with_compactions(ledger: Ledger, linked: pl.DataFrame) -> pl.DataFrame:
    """Say of each response whether its agent's context was compacted since the one before."""
    compactions = ledger.compactions.drop_nulls("time").select(*_AGENT, compacted="time")
    return (
        linked.sort("time", maintain_order=True)
        .join_asof(
            compactions.sort("compacted"),
            left_on="time",
            right_on="compacted",
            by=_AGENT,
            check_sortedness=False,
        )
        .with_columns(
            is_compacted=(pl.col("compacted") >= pl.col("time_before")).fill_null(value=False)
        )
        .sort("row")
    )


def _left_by_others(ledger: Ledger, linked: pl.DataFrame) -> pl.Series:
    """Return what another session had left in the cache for the first response of a main agent."""
    forks = ledger.sessions.select("session_id", "forked_from")
    own = (pl.col("cache_read_tokens") + _WRITES).alias("own")
    columns = ("row", "time", "session_id", "project", "model", own)
    of_main = linked.filter((pl.col("agent_id") == MAIN_AGENT) & pl.col("time").is_not_null())
    firsts = (
        of_main.filter("is_first")
        .select(columns)
        .join(forks, on="session_id", how="left")
        .sort("time")
    )
    last = of_main.select("time", "session_id", continued=own).sort("time")
    found = firsts.join_asof(
        last,
        on="time",
        by_left="forked_from",
        by_right="session_id",
        allow_exact_matches=False,
        check_sortedness=False,
    ).with_columns(earlier=pl.col("own").shift(1).over("project", "model"))
    common = _least(pl.col("earlier"), pl.col("own"))
    left = found.select("row", left=pl.coalesce("continued", common))
    return linked.select("row").join(left, on="row", how="left", maintain_order="left")["left"]


def _least(one: pl.Expr, other: pl.Expr) -> pl.Expr:
    """Return the smaller of two; null where either is."""
    return pl.when(one.is_not_null() & other.is_not_null()).then(pl.min_horizontal(one, other))


# what it cost


def _priced(frame: pl.DataFrame, ledger: Ledger) -> pl.DataFrame:
    """Add what rebuilds cost, what writes cost, and what the other time to live would have."""
    units = unit_prices(frame, ledger.card)
    read, write_5m, write_1h = (
        pl.col(f"usd_cache_{name}") for name in ("read", "write_5m", "write_1h")
    )
    first = pl.min_horizontal("rebuilt_tokens", "cache_write_1h_tokens")
    longer = write_1h - write_5m
    return (
        write_costs(frame, ledger.card)
        .hstack(units)
        .with_columns(
            rebuild_usd=_paid(
                _times(first, write_1h)
                + _times(pl.col("rebuilt_tokens") - first, write_5m)
                - _times("rebuilt_tokens", read)
            ),
            premium_5m_usd=_paid(_times("cache_write_5m_tokens", longer)),
            premium_1h_usd=_paid(_times("cache_write_1h_tokens", longer)),
            reread_usd=_paid(_times("cache_read_tokens", write_5m - read)),
        )
        .drop(units.columns)
    )


def write_costs(frame: pl.DataFrame, card: RateCard) -> pl.DataFrame:
    """Return rows of the ledger with `write_5m_usd` and `write_1h_usd`: the two parts of their writes' cost."""
    units = unit_prices(frame, card)
    write_5m = pl.col("usd_cache_write_5m")
    both = (pl.col("cache_write_5m_tokens") > 0) & (pl.col("cache_write_1h_tokens") > 0)
    of_5m = (
        pl.when(both)
        .then(_paid(_times("cache_write_5m_tokens", write_5m)))
        .when(pl.col("cache_write_1h_tokens") == 0)
        .then("cost_cache_write_usd")
        .otherwise(pl.lit(0, USD))
    )
    return (
        frame.hstack(units)
        .with_columns(write_5m_usd=pl.when(pl.col("cost_usd").is_not_null()).then(of_5m))
        .with_columns(write_1h_usd=pl.col("cost_cache_write_usd") - pl.col("write_5m_usd"))
        .drop(units.columns)
    )


def _savings(ledger: Ledger, frame: pl.DataFrame) -> pl.DataFrame:
    """Return what caching saved, by `row`: of responses of several inferences by each of them."""
    keys = ["response_id", "request_id", "source_path", "source_line"]
    parts = ledger.inferences.join(frame.select("row", *keys), on=keys, nulls_equal=True)
    whole = frame.join(parts.select("row").unique(), on="row", how="anti")
    each = pl.concat([whole, parts.select(whole.columns)])
    tokens = pl.col("cache_read_tokens") + _WRITES
    paid = pl.col("cost_cache_read_usd") + pl.col("cost_cache_write_usd")
    return (
        each.hstack(unit_prices(each, ledger.card))
        .with_columns(saved_usd=_paid(_times(tokens, pl.col("usd_input"))) - paid)
        .group_by("row")
        .agg(pl.when(pl.col("saved_usd").is_not_null().all()).then(pl.col("saved_usd").sum()))
    )


def _times(tokens: str | pl.Expr, price: pl.Expr) -> pl.Expr:
    count = pl.col(tokens) if isinstance(tokens, str) else tokens
    return count.cast(_WHOLE) * price


def _paid(listed: pl.Expr) -> pl.Expr:
    """Take the user's discount off; what was refused before any output costs nothing."""
    return pl.when("is_unbilled").then(pl.lit(0, USD)).otherwise(listed * pl.col("discount"))
