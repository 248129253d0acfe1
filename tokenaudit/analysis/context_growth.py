"""Steps: what a context grew by from one response's prompt to the next, and what it grew by for.

A step is measured: the difference of two prompts. Which part of it a tool's result or the assistant's
output makes is an estimate, by characters; the parts of a step sum exactly to it. The first prompt is
such a step where transcripts hold its system prompt and tools.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import polars as pl

from tokenaudit.model.terms import Kind
from tokenaudit.transcripts import DEFINED, Content, ContentCause

__all__ = [
    "AGENT",
    "BASE",
    "COMPACTED",
    "PIECES",
    "REPORTED",
    "SHRUNK",
    "UNKNOWN",
    "growth",
    "pieces_of",
    "placed",
    "prompts",
    "reported_in",
    "unmeasured",
]

AGENT: Final = ("session_id", "agent_id")
"""The key of an agent."""

BASE: Final = "base context"
"""The first prompt, where the transcript does not hold its system prompt and tools: these, the first
message, and of a fork what it went on from."""
COMPACTED: Final = "compaction"
"""A step with a compaction in it, whatever else it holds."""
SHRUNK: Final = "dropped"
"""A prompt shorter than the one before, without a compaction: old thoughts or results are gone."""
UNKNOWN: Final = "not in the transcript"
"""A step of which the transcript holds no text."""

PIECES: Final[Mapping[str, Any]] = {
    "session_id": pl.String,
    "agent_id": pl.String,
    "position": pl.Int64,
    "cause": pl.String,
    "characters": pl.Int64,
    "response_id": pl.String,
    "request_id": pl.String,
    "tool": pl.String,
    "is_error": pl.Boolean,
    "time": pl.Datetime("us", "UTC"),
}
"""One row per piece of content, in the order of the agent's transcripts."""

REPORTED: Final[Mapping[str, Any]] = {
    "session_id": pl.String,
    "agent_id": pl.String,
    "time": pl.Datetime("us", "UTC"),
    "model": pl.String,
    "reported_tokens": pl.Int64,
    "window_tokens": pl.Int64,
    "category": pl.String,
    "kind": pl.String,
    "tokens": pl.Int64,
}
"""One row per line of what `/context` said."""

_PIECE: Final = (*AGENT, "number", "position", "cause", "tool", "is_error", "characters", "time")
_PART: Final = (*AGENT, "number", "position", "cause", "tool", "characters", "time", "tokens")


def pieces_of(contents: Iterable[Content]) -> pl.DataFrame:
    """Return all pieces of *contents* as one frame; see PIECES."""
    parts = [_pieces(content) for content in contents]
    return pl.concat(parts) if parts else pl.DataFrame(schema=PIECES)


def _pieces(content: Content) -> pl.DataFrame:
    names = ("cause", "characters", "response_id", "request_id", "tool", "is_error", "time")
    types = {name: PIECES[name] for name in names}
    frame = pl.DataFrame(content.pieces, schema=types, orient="row")
    return frame.with_columns(
        session_id=pl.lit(content.session_id, pl.String),
        agent_id=pl.lit(content.agent_id, pl.String),
        position=pl.int_range(pl.len(), dtype=pl.Int64),
    ).select(PIECES.keys())


def reported_in(contents: Iterable[Content]) -> pl.DataFrame:
    """Return what `/context` said in *contents*, line by line, as one frame; see REPORTED."""
    rows = [
        (*agent, said.time, said.model, said.total_tokens, said.window_tokens, *category)
        for content in contents
        for agent in [(content.session_id, content.agent_id)]
        for said in content.reported
        for category in said.categories
    ]
    return pl.DataFrame(rows, schema=REPORTED, orient="row")


def prompts(frame: pl.DataFrame, compactions: pl.DataFrame) -> pl.DataFrame:
    """Return the responses of a ledger's *frame* that show a context, numbered within each agent.

    Added are `number`, from 1; `step_tokens`, by how much the prompt is longer than the one before
    (null for the first); `is_compacted`, whether a compaction lies between; `compactions`, so far.
    Calls to advisors and compactions have contexts of their own, and are left out.
    """
    rows = frame.filter(pl.col("kind") == Kind.MESSAGE).sort(
        *AGENT, "time", "source_path", "source_line", nulls_last=True
    )
    rows = rows.with_columns(
        number=pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over(AGENT),
        step_tokens=pl.col("prompt_tokens").diff().over(AGENT),
    )
    done = _compactions_before(rows, compactions)
    return rows.with_columns(done).with_columns(
        is_compacted=(pl.col("compactions") > pl.col("compactions").shift(1).over(AGENT)).fill_null(
            value=False
        )
    )


def _compactions_before(rows: pl.DataFrame, compactions: pl.DataFrame) -> pl.Series:
    """Return how many compactions of its agent lie before each of *rows*, by time."""
    done = (
        compactions.filter((pl.col("kind") == "compact") & pl.col("time").is_not_null())
        .sort("time")
        .with_columns(compactions=pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over(AGENT))
        .select(*AGENT, "time", "compactions")
    )
    timed = rows.select(*AGENT, "time").with_row_index("row").drop_nulls("time").sort("time")
    found = timed.join_asof(
        done, on="time", by=list(AGENT), strategy="backward", check_sortedness=False
    )
    return (
        rows.with_row_index("row")
        .join(found.select("row", "compactions"), on="row", how="left", maintain_order="left")
        .select(pl.col("compactions").fill_null(0))
        .to_series()
    )


def growth(responses: pl.DataFrame, pieces: pl.DataFrame) -> pl.DataFrame:
    """Return what the prompts of *responses* are made of; of each agent it sums to its last prompt.

    *responses* are those of `prompts`, *pieces* those of `pieces_of`. One row per piece of a step
    that grew, and one for each first prompt of which system prompt and tools are not known, each
    step with a compaction, each that shrank, and each without content: `session_id, agent_id,
    number` (of the response whose prompt first holds it), `position` of the piece, `cause`, `tool`,
    `characters`, `time`, `tokens`.
    """
    based = _based(responses, pieces)
    known = based.select(*AGENT, is_known=True).unique()
    steps = responses.join(known, on=AGENT, how="left", nulls_equal=True).select(
        *AGENT,
        "number",
        "time",
        tokens=pl.coalesce("step_tokens", "prompt_tokens"),
        whole=pl.when((pl.col("number") == 1) & pl.col("is_known").is_null())
        .then(pl.lit(BASE))
        .when("is_compacted")
        .then(pl.lit(COMPACTED))
        .when(pl.col("step_tokens") < 0)
        .then(pl.lit(SHRUNK)),
    )
    texts = pl.concat([based, placed(responses, pieces)]).filter(pl.col("characters") > 0)
    inner = texts.join(
        steps.filter(pl.col("whole").is_null()).drop("whole", "time"),
        on=[*AGENT, "number"],
        nulls_equal=True,
    )
    shared = _shared(inner)
    is_known = shared.select(*AGENT, "number").unique()
    others = steps.join(is_known, on=[*AGENT, "number"], how="anti", nulls_equal=True).with_columns(
        position=pl.lit(None, pl.Int64),
        cause=pl.coalesce("whole", pl.lit(UNKNOWN)),
        tool=pl.lit(None, pl.String),
        characters=pl.lit(None, pl.Int64),
    )
    return pl.concat([shared, others.select(_PART)]).sort(*AGENT, "number", maintain_order=True)


def unmeasured(pieces: pl.DataFrame) -> pl.DataFrame:
    """Return the parts of a prompt of agents that have no response, as `growth` does: `tokens` is null."""
    return (
        _standing(pieces)
        .with_columns(number=pl.lit(1, pl.Int64), tokens=pl.lit(None, pl.Int64))
        .select(_PART)
    )


def _based(responses: pl.DataFrame, pieces: pl.DataFrame) -> pl.DataFrame:
    """Return the pieces of first prompts, of agents of which system prompt and tools are known."""
    first = _begins(responses.filter(pl.col("number") == 1), pieces).select(
        *AGENT, begin="position"
    )
    before = _standing(
        pieces.join(first, on=AGENT, nulls_equal=True).filter(pl.col("position") < pl.col("begin"))
    )
    is_known = (pl.col("cause") == ContentCause.SYSTEM).any().over(AGENT)
    return before.filter(is_known).with_columns(number=pl.lit(1, pl.Int64)).select(_PIECE)


def _standing(pieces: pl.DataFrame) -> pl.DataFrame:
    """Return those of *pieces* that no compaction has taken out again."""
    is_compaction = pl.col("cause") == ContentCause.COMPACTED
    is_later = pl.col("position") >= pl.col("position").filter(is_compaction).max().over(AGENT)
    return pieces.filter(
        (pl.col("cause") != ContentCause.RESPONSE)
        & (
            is_later.fill_null(value=True)
            | pl.col("cause").is_in([cause.value for cause in DEFINED])
        )
    )


def placed(responses: pl.DataFrame, pieces: pl.DataFrame) -> pl.DataFrame:
    """Return the *pieces* from the first of *responses* on, each with the number of its prompt.

    That is the one after the response in whose wake the piece came. What a fork repeats of another
    session stands before its first response, and is left out.
    """
    return (
        pieces.join(
            _begins(responses, pieces),
            on=[*AGENT, "position"],
            how="left",
            nulls_equal=True,
            maintain_order="left",
        )
        .with_columns(number=pl.col("number").forward_fill().over(AGENT) + 1)
        .filter(pl.col("number").is_not_null() & (pl.col("cause") != ContentCause.RESPONSE))
        .select(_PIECE)
    )


def _begins(responses: pl.DataFrame, pieces: pl.DataFrame) -> pl.DataFrame:
    """Return where in the order of *pieces* each of *responses* begins, by its number."""
    return (
        pieces.filter(pl.col("cause") == ContentCause.RESPONSE)
        .join(
            responses.select(*AGENT, "response_id", "request_id", "number"),
            on=[*AGENT, "response_id", "request_id"],
            nulls_equal=True,
        )
        .select(*AGENT, "position", "number")
    )


def _shared(inner: pl.DataFrame) -> pl.DataFrame:
    """Share the tokens of each step out by characters: whole tokens that sum to the step."""
    step = [*AGENT, "number"]
    so_far = pl.col("characters").cast(pl.Int128).cum_sum().over(step)
    all_of_it = pl.col("characters").cast(pl.Int128).sum().over(step)
    whole = pl.col("tokens").cast(pl.Int128)
    upto = (whole * so_far).floordiv(all_of_it)
    before = (whole * (so_far - pl.col("characters"))).floordiv(all_of_it)
    return inner.with_columns(tokens=(upto - before).cast(pl.Int64)).select(_PART)
