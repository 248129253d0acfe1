"""One agent's context from within: its curve, what its prompt came from, and what `/context` said of it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import polars as pl

from tokenaudit.analysis.context_growth import AGENT, growth, unmeasured
from tokenaudit.reports.report import Column, Curve, Section, Unit

__all__ = ["LAST_REPORTED", "last_reported", "measured", "notes", "sections"]

_CURVE: Final = (
    Column("number", Unit.COUNT, "Response"),
    Column("time", Unit.TIME, "Time"),
    Column("prompt_tokens", Unit.TOKENS, "Prompt"),
    Column("output_tokens", Unit.TOKENS, "Output"),
    Column("step_tokens", Unit.TOKENS, "Step"),
    Column("is_compacted", Unit.FLAG, "Compacted before"),
)
_GROWTH: Final = (
    Column("cause", Unit.TEXT, "What"),
    Column("tool", Unit.TEXT, "Tool", quiet=True),
    Column("pieces", Unit.COUNT, "Pieces"),
    Column("characters", Unit.COUNT, "Chars"),
    Column("tokens", Unit.TOKENS, "Tokens"),
    Column("share_percent", Unit.PERCENT, "Of what came in"),
    Column("first_time", Unit.TIME, "Since", essential=False),
)
_REPORTED: Final = (
    Column("time", Unit.TIME, "Said at"),
    Column("model", Unit.TEXT, "Model", essential=False),
    Column("category", Unit.TEXT, "What"),
    Column("kind", Unit.TEXT, "Kind"),
    Column("tokens", Unit.TOKENS, "Tokens"),
    Column("reported_tokens", Unit.TOKENS, "In all"),
    Column("prompt_tokens", Unit.TOKENS, "Measured"),
    Column("window_tokens", Unit.TOKENS, "Window", essential=False),
)
LAST_REPORTED: Final = (
    Column("reported_tokens", Unit.TOKENS, "/context said", screen=False),
    Column("reported_time", Unit.TIME, "Said at", screen=False),
)
"""What `/context` said last in whole; on a screen a section of its own shows it."""

_SHARED: Final = (
    "Growth: steps between prompts are measured; within a step tokens are shared out by characters,"
    " which is an estimate."
)
_UNMEASURED: Final = "Growth: no response counts here, so what a prompt will hold is known in characters, not in tokens."
_SAID: Final = "/context: Claude Code's own estimate at that time; measured is the prompt of the response before."


def sections(
    agent_id: str, responses: pl.DataFrame, pieces: pl.DataFrame, reported: pl.DataFrame
) -> Sequence[Section]:
    """Return what there is to say of the context of *agent_id*.

    *responses* are those of `context_growth.prompts`, *pieces* those of `pieces_of`, *reported* those
    of `measured`.
    """
    found = []
    if not responses.is_empty():
        title = f"What the prompt of the last response of {agent_id} came from"
        found += [_curve(responses, agent_id), _growth(growth(responses, pieces), title)]
    elif not (parts := unmeasured(pieces)).is_empty():
        found.append(_growth(parts, f"What a prompt of {agent_id} will hold"))
    if not reported.is_empty():
        found.append(_said(reported, agent_id))
    return found


def notes(shown: Sequence[Section]) -> Sequence[str]:
    """Return what must be known of the sections that are *shown*."""
    names = {section.name: section for section in shown}
    found = []
    if "growth" in names:
        is_measured = "curve" in names
        found.append(_SHARED if is_measured else _UNMEASURED)
    if "reported" in names:
        found.append(_SAID)
    return found


def _curve(responses: pl.DataFrame, agent_id: str) -> Section:
    return Section(
        "curve",
        f"Prompt of each response of {agent_id}",
        _CURVE,
        responses.select(column.name for column in _CURVE),
        curve=Curve("prompt_tokens", "is_compacted", "after a compaction"),
    )


def _growth(parts: pl.DataFrame, title: str) -> Section:
    """Return the *parts* of a prompt by cause; the rows sum to it exactly."""
    came_in = pl.when(pl.col("tokens") > 0).then("tokens")
    summed = (
        parts.group_by("cause", "tool")
        .agg(
            pl.len().cast(pl.Int64).alias("pieces"),
            *(_known_sum(name) for name in ("characters", "tokens")),
            first_time=pl.col("time").min(),
        )
        .sort(
            "tokens",
            "characters",
            "cause",
            "tool",
            descending=[True, True, False, False],
            nulls_last=True,
        )
        .with_columns(share_percent=100 * came_in / came_in.sum())
    )
    totals: Mapping[str, Any] = summed.select(
        pl.col("pieces").sum(), *(_known_sum(name) for name in ("characters", "tokens"))
    ).row(0, named=True)
    return Section(
        "growth",
        title,
        _GROWTH,
        summed.select(column.name for column in _GROWTH),
        totals=totals,
        dimensions=("cause", "tool"),
    )


def _known_sum(name: str) -> pl.Expr:
    """Return the sum of what is known; null where nothing is."""
    return pl.when(pl.col(name).is_not_null().any()).then(pl.col(name).sum()).alias(name)


def measured(
    reported: pl.DataFrame, responses: pl.DataFrame, compactions: pl.DataFrame
) -> pl.DataFrame:
    """Return what `/context` said, each line with the prompt that was measured before as `prompt_tokens`.

    Null where no response came before, and where a compaction came between.
    """
    done = compactions.filter(pl.col("kind") == "compact").select(
        "time", prompt_tokens=pl.lit(None, pl.Int64)
    )
    known = pl.concat([responses.select("time", "prompt_tokens"), done]).drop_nulls("time")
    return reported.sort("time", maintain_order=True, nulls_last=True).join_asof(
        known.sort("time", maintain_order=True), on="time", strategy="backward"
    )


def last_reported(reported: pl.DataFrame) -> pl.DataFrame:
    """Return per agent what `/context` said last, and when."""
    return reported.group_by(AGENT).agg(
        pl.col("reported_tokens").last(), reported_time=pl.col("time").last()
    )


def _said(reported: pl.DataFrame, agent_id: str) -> Section:
    return Section(
        "reported",
        f"What /context said in {agent_id}",
        _REPORTED,
        reported.select(column.name for column in _REPORTED),
        dimensions=("time", "category"),
    )
