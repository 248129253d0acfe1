"""The ledger: merged, priced responses in one frame, the single source of truth for every report.

Its schema is that of `model.fields`. A ledger is immutable: frames are never changed in
place, so it may be read from any thread.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Final

import polars as pl

from tokenaudit.ledger.sessions import agents_of, compactions_of, sessions_of, with_projects
from tokenaudit.merge import CountedResponses, Merged, in_order, merge
from tokenaudit.model.fields import TOKENS, In, names
from tokenaudit.model.terms import Intake, Quality, Usage
from tokenaudit.pricing.card import RateCard
from tokenaudit.pricing.cost import ADDED, COSTS, USD, price
from tokenaudit.pricing.rates import UNBILLED
from tokenaudit.store.facts import Facts
from tokenaudit.store.lazy_frame import LazyFrame
from tokenaudit.store.rows import table_of

__all__ = [
    "CALIBRATION",
    "ESTIMATES",
    "IS_UNBILLED_MESSAGE",
    "MEASURES",
    "RULES",
    "SCHEMA",
    "TOKENS",
    "Ledger",
    "build",
    "measures",
    "price_merged",
    "resummed",
    "totals",
    "unbilled",
]

RULES: Final = 2
"""The version of the accounting rules: raised by every change that moves a figure."""

MEASURES: Final = ("responses", *TOKENS, "total_tokens", "cost_usd", "unpriced_responses")
"""What every report can sum up."""

_PRICED_BY: Final = frozenset(
    {
        *("time", "model", "speed", "service_tier", "inference_geo", "stop_reason"),
        *("web_searches", "odd", "copies", *TOKENS),
    }
)
"""What of a response decides its cost, and what is counted of all."""
_ALWAYS: Final = frozenset(
    {"time", "model", "quality", *TOKENS, "total_tokens", "cost_usd", "list_cost_usd"}
)
"""What every report tells of the responses that it is about."""
IS_UNBILLED_MESSAGE: Final = (pl.col("stop_reason") == "refusal").fill_null(value=False) & (
    pl.col("output_tokens") == 0
)
"""Whether usage that a line tells is not billed: that which was refused before any output."""
_AGENT: Final = ("session_id", "agent_id")
_SUMMED: Final = (*COSTS, "cost_usd", "list_cost_usd")
_TIME: Final = pl.Datetime("us", "UTC")

SCHEMA: Final[Mapping[str, Any]] = table_of(In.LEDGER)
"""One column for each field of a response that the ledger carries; see `model.fields`."""

ESTIMATES: Final = tuple(names(In.ESTIMATES))
"""Columns beside those of SCHEMA, where estimates were asked for: never part of any total above."""

CALIBRATION: Final[Mapping[str, Any]] = {
    "model": pl.String,
    "is_shipped": pl.Boolean,  # weights that ship, for the model has too few finals of its own
    "finals": pl.Int64,  # final responses that it was fitted on
    "tokens_per_thinking": pl.Float64,  # per character
    "tokens_per_signature": pl.Float64,  # per character of the thinking's encrypted form
    "tokens_per_text": pl.Float64,
    "tokens_per_tool_input": pl.Float64,
    "tokens_per_tool_call": pl.Float64,
    "tokens_per_response": pl.Float64,
    "reach": pl.Float64,  # how many times its estimate 19 of 20 held-out sessions do not exceed
    "total_error": pl.Float64,  # of the sum of held-out finals: 0.05 is five per cent too much
    "median_error": pl.Float64,  # of single held-out finals, without its sign
}
"""How estimates were fitted, and how wrong they were on finals that the fit had not seen."""


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """All responses, priced, with the facts around them and what they stand on."""

    frame: pl.DataFrame
    """One row per response; see SCHEMA. Where few columns were asked for it has no others."""
    refused: pl.DataFrame
    """Attempts that another model was asked after, priced apart; the same columns (R6)."""
    inferences: pl.DataFrame
    """What responses of several inferences add up from; the same columns, several rows of one id."""
    sessions: LazyFrame = LazyFrame()
    """One row per session, used or not; see `sessions.SESSIONS`. Its usage is that of its agents."""
    agents: LazyFrame = LazyFrame()
    """One row per agent; see `sessions.AGENTS`."""
    compactions: LazyFrame = LazyFrame()
    """`session_id, agent_id, time, kind, trigger, pre_tokens, post_tokens`, each once."""
    rejects: pl.DataFrame
    """`path, line, reason` of what could not be read."""
    uncounted: LazyFrame = LazyFrame()
    """Usage that stands where none is counted; see `facts.UNCOUNTED`."""
    intake: Intake
    pricing: Mapping[str, Any]
    """The basis of all costs (R12)."""
    card: RateCard
    """The rates by which all was priced."""
    facts: Facts
    """What transcripts and Claude Code itself say: what the ledger was made of, and stands beside."""
    members: LazyFrame = LazyFrame()
    """Which record of `facts` became which response; see `Merged.members`."""
    calibration: pl.DataFrame | None = None
    """How estimates were fitted; see CALIBRATION. None where none were asked for."""


def build(facts: Facts, card: RateCard, columns: Collection[str] | None = None) -> Ledger:
    """Merge *facts*, price the responses by *card*, and put the ledger together.

    With *columns*, which are made of `merge.KEPT`, the frame has those and what every sum needs, in no
    order; and sessions have no branches and no versions.
    """
    wanted = None if columns is None else {*columns, *_ALWAYS}
    merged = merge(facts, wanted and _sources(wanted))
    transcripts = with_projects(facts.transcripts)
    agents = cache(partial(agents_of, merged, transcripts))
    finish = partial(_finish, transcripts=transcripts, agents=agents, columns=wanted)
    priced, inferences = _price(merged, card, wanted)
    frame = finish(unbilled(priced))
    return Ledger(
        frame=frame,
        refused=finish(_refused(merged, card, wanted)),
        inferences=finish(inferences),
        sessions=cache(
            partial(sessions_of, facts, merged, transcripts, with_lists=columns is None)
        ),
        agents=agents,
        compactions=cache(partial(compactions_of, facts.compactions, transcripts)),
        rejects=facts.rejects.select("path", "line", "reason").sort(
            "path", "line", nulls_last=False
        ),
        uncounted=cache(lambda: facts.uncounted.sort("path", "line")),
        intake=_intake(facts, merged, frame),
        pricing=card.basis,
        card=card,
        facts=facts,
        members=merged.members,
    )


def _sources(wanted: Collection[str]) -> set[str]:
    """Return the columns of merged responses that the *wanted* ones of SCHEMA are made of."""
    made = {
        "project": {"owner_path"},
        "agent_type": {"session_id", "agent_id", "agent_label", "time"},
        "session_id": {"session_id", "time"},
    }
    return {*_PRICED_BY, *wanted}.union(*(made.get(name, ()) for name in wanted))


def price_merged(merged: CountedResponses, card: RateCard) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the responses of *merged* with their costs, and the inferences of those with several."""
    priced, inferences = _price(merged, card)
    return unbilled(priced), inferences


def unbilled(priced: pl.DataFrame) -> pl.DataFrame:
    """Return *priced*, where what `is_unbilled` costs nothing, and says so."""
    if not priced["is_unbilled"].any():
        return priced
    said = pl.concat_str(pl.lit(UNBILLED), "price_modifiers", separator=" ", ignore_nulls=True)
    values = {**{name: pl.lit(0, USD) for name in _SUMMED}, "price_modifiers": said}
    return priced.with_columns(
        pl.when("is_unbilled").then(value).otherwise(name).alias(name)
        for name, value in values.items()
        if name in priced.columns
    )


def _refused(merged: Merged, card: RateCard, columns: Collection[str] | None) -> pl.DataFrame:
    refused = merged.refused.with_columns(is_unbilled=pl.col("output_tokens") == 0)
    return refused if refused.is_empty() else unbilled(price(refused, card, columns))


def _price(
    merged: CountedResponses, card: RateCard, columns: Collection[str] | None = None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Price responses; those that took several inferences by each of them, tiers and all (R6).

    Returns the responses, and the inferences of those that took several.
    """
    responses = merged.responses.with_columns(is_unbilled=IS_UNBILLED_MESSAGE)
    if merged.parts.is_empty():
        whole = price(responses, card, columns)
        return whole, whole.clear()
    responses = responses.with_row_index("response")
    is_several = pl.col("response").is_in(merged.parts["response"].unique().implode())
    several = responses.filter(is_several)
    parts = (
        several.drop(TOKENS)
        .join(merged.parts, on="response")
        .with_columns(
            # searches are those of the response: counted with its first inference
            web_searches=pl.when(pl.int_range(pl.len()).over("response") == 0)
            .then("web_searches")
            .otherwise(0)
        )
    )
    costs = price(parts, card)
    sums = costs.group_by("response", maintain_order=True).agg(
        pl.col(_SUMMED).sum(),
        # they are alike, but for the long prompt that some of them may have
        pl.col(*set(ADDED) - {*_SUMMED, "price_modifiers"}).last(),
        pl.col("price_modifiers").sort_by(pl.col("price_modifiers").str.len_bytes()).last(),
    )
    sums = sums.with_columns(pl.when(pl.col("rate_id").is_not_null()).then(pl.col(_SUMMED)))
    whole = price(responses.filter(~is_several), card, columns)
    summed = several.join(sums, on="response").select(whole.columns)
    return pl.concat([whole, summed]).drop("response"), costs


def _finish(
    priced: pl.DataFrame,
    transcripts: pl.DataFrame,
    agents: Callable[[], pl.DataFrame],
    columns: Collection[str] | None,
) -> pl.DataFrame:
    """Add what the transcript and the agent say, and put columns and rows in their order."""
    schema = {name: SCHEMA[name] for name in SCHEMA if columns is None or name in columns}
    if priced.is_empty():
        return _nothing().select(schema.keys())
    if "project" in schema:
        projects = transcripts.select(owner_path="path", project="project")
        priced = priced.hstack(_looked_up(priced, projects, ["owner_path"]))
    if "agent_type" in schema:
        types = agents().select(*_AGENT, "agent_type")
        priced = priced.hstack(_looked_up(priced, types, _AGENT))
    prompt = pl.sum_horizontal(name for name in TOKENS if name != "output_tokens")
    finished = (
        priced.lazy()
        .with_columns(
            prompt_tokens=prompt,
            total_tokens=prompt + pl.col("output_tokens"),
            speed=pl.col("speed").fill_null("standard"),
        )
        .select(schema.keys())
        .cast(pl.Schema(schema))
        .collect()
    )
    if columns is not None:
        return finished
    return in_order(finished, ("source_path", "source_line", "response_id", "request_id"))


@cache
def _nothing() -> pl.DataFrame:
    return pl.DataFrame(schema=SCHEMA)


def _looked_up(rows: pl.DataFrame, known: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Return what is *known* by *keys* for each of *rows*: nothing else of them is copied."""
    found = rows.select(keys).join(
        known, on=keys, how="left", nulls_equal=True, maintain_order="left"
    )
    return found.drop(keys)


def _intake(facts: Facts, merged: Merged, frame: pl.DataFrame) -> Intake:
    quality = {quality.value: 0 for quality in Quality}
    quality.update(frame["quality"].value_counts().iter_rows())
    read = facts.transcripts.select(
        pl.col("lines", "usage_lines", "bytes").sum(),
        incomplete=pl.col("is_incomplete").sum(),
        gone=pl.col("is_gone").sum(),
    )
    return Intake(
        files=facts.transcripts.height,
        responses=frame.height,
        copies=merged.responses.select(pl.col("copies").sum()).item(),
        rejects=facts.rejects.height,
        odd_values=merged.responses["odd"].count(),
        undated_responses=frame["time"].null_count(),
        unpriced_responses=frame["cost_usd"].null_count(),
        refused_attempts=merged.refused.height,
        quality=quality,
        **read.row(0, named=True),
    )


def totals(frame: pl.DataFrame) -> Usage:
    """Sum *frame*, exactly; the cost is None when there are responses and none is priced (R11)."""
    row = frame.select(
        *measures(), first_time=pl.col("time").min(), last_time=pl.col("time").max()
    ).row(0, named=True)
    row.pop("total_tokens")
    return Usage(**row)


def measures(*more: str) -> list[pl.Expr]:
    """Return the aggregations of MEASURES, and of the cost columns named in *more*.

    Counts are summed in 128 bits: 64 would wrap around in silence. A cost is null where every
    response is unpriced, and zero where there is none.
    """
    return [
        pl.len().cast(pl.Int64).alias("responses"),
        *(pl.col(name).cast(pl.Int128).sum() for name in (*TOKENS, "total_tokens")),
        *(_cost_sum(name) for name in ("cost_usd", *more)),
        pl.col("cost_usd").null_count().cast(pl.Int64).alias("unpriced_responses"),
    ]


def resummed(*more: str) -> list[pl.Expr]:
    """Return the aggregations of `measures` over rows that are such sums themselves."""
    counts = ("responses", *TOKENS, "total_tokens")
    return [
        *(pl.col(name).sum() for name in counts),
        *(_cost_sum(name) for name in ("cost_usd", *more)),
        pl.col("unpriced_responses").sum(),
    ]


def _cost_sum(name: str) -> pl.Expr:
    column = pl.col(name)
    return pl.when((column.count() > 0) | (pl.len() == 0)).then(column.sum()).alias(name)
