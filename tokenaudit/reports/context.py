"""How full the contexts of agents are, and of one agent by what they came to be so."""

from collections.abc import Sequence
from typing import Final

import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from tokenaudit.analysis.context_growth import AGENT, pieces_of, prompts, reported_in
from tokenaudit.ledger.frame import Ledger
from tokenaudit.model.errors import UsageError
from tokenaudit.model.terms import MAIN_AGENT
from tokenaudit.pricing.windows import window_of
from tokenaudit.reports import context_parts as parts
from tokenaudit.reports.report import Bound, Column, Report, Section, Unit
from tokenaudit.reports.request import Layout, Request
from tokenaudit.reports.selection import select
from tokenaudit.reports.session import find_session
from tokenaudit.reports.usage import assemble, column_named
from tokenaudit.transcripts import Content

__all__ = [
    "NEAR_LIMIT",
    "NEAR_LIMIT_PERCENT",
    "ContextSubject",
    "context",
    "contexts",
    "find_subject",
    "gauges",
]

NEAR_LIMIT_PERCENT: Final = 80.0
NEAR_LIMIT: Final = "near limit"
"""The state of a context of which so much is used."""

_COLUMNS: Final = (
    Column("session_id", Unit.ID, "Session"),
    Column("agent_id", Unit.ID, "Agent"),
    Column("agent_type", Unit.TEXT, "Type"),
    Column("model", Unit.TEXT, "Model", essential=False),
    Column("prompt_tokens", Unit.TOKENS, "Prompt"),
    Column("output_tokens", Unit.TOKENS, "Output"),
    Column("total_tokens", Unit.TOKENS, "Total"),
    Column("window_tokens", Unit.TOKENS, "Window"),
    Column("window_basis", Unit.TEXT, "Basis", essential=False),
    Column("used_percent", Unit.PERCENT, "Used", bound=Bound.LEAST),
    Column("state", Unit.TEXT, "State", quiet=True),
    Column("responses", Unit.COUNT, "Resp."),
    Column("compactions", Unit.COUNT, "Compactions", essential=False, quiet=True),
    Column("last_compaction", Unit.TIME, "Last compaction", essential=False, quiet=True),
    Column("last_time", Unit.TIME, "Last activity", essential=False),
)

_TITLE: Final = Column("title", Unit.TEXT, "Title", essential=False, quiet=True)


class ContextSubject(Struct, frozen=True):
    """Whose context is asked for: a session with all its agents, or one agent of it."""

    session_id: str | None
    agent_id: str | None = None


def find_subject(ledger: Ledger, start: str) -> ContextSubject:
    """Return the session whose id begins with *start*, or else the agent.

    Raises UsageError, naming candidates, when there is none or more than one.
    """
    ids = ledger.agents.filter(pl.col("agent_id") != MAIN_AGENT).select(*AGENT)
    whole = ids.filter(pl.col("agent_id") == start)
    agents = ids.filter(pl.col("agent_id").str.starts_with(start)) if whole.is_empty() else whole
    sessions = ledger.sessions.filter(pl.col("session_id").str.starts_with(start))
    if not sessions.is_empty() or agents.is_empty():
        return ContextSubject(find_session(ledger, start))
    if agents.height > 1:
        named = ", ".join(agents["agent_id"].head(5))
        raise UsageError(
            f"{agents.height} agents begin with {start!r}", hint=f"Among them {named}."
        )
    return ContextSubject(*agents.row(0))


def gauges(
    ledger: Ledger, *, near_limit: float = NEAR_LIMIT_PERCENT, window: int | None = None
) -> pl.DataFrame:
    """Return how full the context of every agent is, the latest first; see the columns of `contexts`.

    The prompt is that of the agent's last response; where a compaction came after it, what the
    compaction left, if it says so. *window* is what the user says the window is. Null is what
    cannot be known: all figures of an agent without responses, the use of a window that may be one
    of two.
    """
    known = (
        ledger.agents.select(*AGENT, "agent_type", "end")
        .join(_last_prompts(ledger), on=AGENT, how="left", nulls_equal=True)
        .join(_last_compactions(ledger), on=AGENT, how="left", nulls_equal=True)
    )
    is_compacted = pl.col("last_compaction") > pl.col("last_time")
    return (
        known.join(_windows(known, window), on=["model", "longest_prompt"], nulls_equal=True)
        .with_columns(
            pl.col("responses", "compactions").fill_null(0),
            prompt_tokens=pl.when(is_compacted).then("post_tokens").otherwise("prompt_tokens"),
            output_tokens=pl.when(~is_compacted.fill_null(value=False)).then("output_tokens"),
            last_time=pl.coalesce("last_time", "end"),
        )
        .with_columns(
            total_tokens=pl.col("prompt_tokens") + pl.col("output_tokens").fill_null(0),
            used_percent=100 * pl.col("prompt_tokens") / pl.col("window_tokens"),
        )
        .with_columns(
            state=pl.when(pl.col("used_percent") >= near_limit)
            .then(pl.lit(NEAR_LIMIT))
            .when(is_compacted)
            .then(pl.lit("compacted"))
        )
        .select(column.name for column in _COLUMNS)
        .sort("last_time", *AGENT, descending=[True, False, False], nulls_last=True)
    )


def _last_prompts(ledger: Ledger) -> pl.DataFrame:
    """Return what each agent's last response says, and how many it had."""
    rows = prompts(ledger.frame, ledger.compactions).with_columns(
        longest_prompt=pl.col("prompt_tokens").max().over("session_id", "model")
    )
    return rows.group_by(AGENT, maintain_order=True).agg(
        pl.col("model", "prompt_tokens", "output_tokens", "longest_prompt").last(),
        last_time=pl.col("time").max(),
        responses=pl.len().cast(pl.Int64),
    )


def _last_compactions(ledger: Ledger) -> pl.DataFrame:
    """Return when each agent's context was last compacted, what that left, and how often it was."""
    return (
        ledger.compactions.filter(pl.col("kind") == "compact")
        .sort("time", nulls_last=False)
        .group_by(AGENT)
        .agg(
            compactions=pl.len().cast(pl.Int64),
            last_compaction=pl.col("time").last(),
            post_tokens=pl.col("post_tokens").last(),
        )
    )


def _windows(known: pl.DataFrame, override: int | None) -> pl.DataFrame:
    """Return the window of each distinct model and longest prompt."""
    kinds = known.select("model", "longest_prompt").unique()
    found = [
        window_of(model, longest_prompt=longest or 0, override=override)
        for model, longest in kinds.iter_rows()
    ]
    is_known = [model is not None for model in kinds["model"]]
    return kinds.with_columns(
        window_tokens=pl.Series([window.tokens for window in found], dtype=pl.Int64),
        window_basis=pl.Series(
            [
                window.basis.value if named else None
                for window, named in zip(found, is_known, strict=True)
            ],
            dtype=pl.String,
        ),
    )


def contexts(
    ledger: Ledger,
    request: Request,
    *,
    near_limit: float = NEAR_LIMIT_PERCENT,
    window: int | None = None,
) -> Report:
    """Return how full the contexts are of the agents that *request* selects, the latest first."""
    rows = select(ledger.frame, request.selection).collect()
    known = gauges(ledger, near_limit=near_limit, window=window)
    if request.selection.filters():
        known = known.join(rows.select(*AGENT).unique(), on=AGENT, how="semi", nulls_equal=True)
    section = _table(known, ledger, request.shape, _TITLE)
    report = assemble(ledger, _unpriced(request), rows, (section,), title=section.title)
    return replace(report, notes=(_basis(near_limit), *report.notes))


def context(
    ledger: Ledger,
    request: Request,
    subject: ContextSubject,
    contents: Sequence[Content],
    *,
    near_limit: float = NEAR_LIMIT_PERCENT,
    window: int | None = None,
) -> Report:
    """Return how full the contexts of *subject* are; of one agent also how it came to be so.

    That agent is the one asked for, else the session's own, else the one that responded most.
    *contents* are what its transcripts hold.
    """
    is_own = pl.col("session_id") == subject.session_id
    rows = select(ledger.frame, request.selection).filter(is_own).collect()
    known = gauges(ledger, near_limit=near_limit, window=window).filter(is_own)
    if subject.agent_id is not None:
        known = known.filter(pl.col("agent_id") == subject.agent_id)
        rows = rows.filter(pl.col("agent_id") == subject.agent_id)
    agent_id = chosen_agent(ledger, subject)
    is_chosen = is_own & (pl.col("agent_id") == agent_id)
    compactions = ledger.compactions.filter(is_chosen)
    responses = prompts(ledger.frame.filter(is_chosen), compactions)
    reported = parts.measured(reported_in(contents), responses, compactions)
    known = known.join(
        parts.last_reported(reported), on=AGENT, how="left", nulls_equal=True, maintain_order="left"
    )
    sections = [
        _table(known, ledger, request.shape, replace(_TITLE, screen=False), parts.LAST_REPORTED),
        *parts.sections(agent_id, responses, pieces_of(contents), reported),
    ]
    report = assemble(
        ledger, _unpriced(request), rows, tuple(sections), title=f"Context of {_named(subject)}"
    )
    return replace(report, notes=(_basis(near_limit), *parts.notes(sections), *report.notes))


def chosen_agent(ledger: Ledger, subject: ContextSubject) -> str:
    """Return the agent of *subject* whose context is looked into."""
    if subject.agent_id is not None:
        return subject.agent_id
    own = ledger.frame.filter(pl.col("session_id") == subject.session_id)
    counted = own.group_by("agent_id").len().sort("len", "agent_id", descending=[True, False])
    agents = counted["agent_id"].to_list()
    return MAIN_AGENT if MAIN_AGENT in agents or not agents else agents[0]


def _named(subject: ContextSubject) -> str:
    if subject.agent_id is None:
        return f"session {subject.session_id}"
    return f"agent {subject.agent_id} of session {subject.session_id}"


def _unpriced(request: Request) -> Request:
    return replace(request, shape=replace(request.shape, with_cost=False))


def _basis(near_limit: float) -> str:
    return (
        "Context: the prompt of the last response, as Claude Code counts it; near the limit from"
        f" {near_limit:g}% on. Where a window is not known, transcripts do not tell it: --window does."
    )


def _table(
    known: pl.DataFrame,
    ledger: Ledger,
    shape: Layout,
    title: Column,
    more: Sequence[Column] = (),
) -> Section:
    """Return the gauges that are *known*, each with the *title* of its session after the ids, *more* last."""
    session, *others = _COLUMNS
    columns = (session, title, *others, *more)
    titles = ledger.sessions.select("session_id", "title")
    known = known.join(
        titles, on="session_id", how="left", nulls_equal=True, maintain_order="left"
    ).select(column.name for column in columns)
    if shape.sort:
        name = column_named(shape.sort, columns)
        known = known.sort(
            name, descending=shape.descending is not False, nulls_last=True, maintain_order=True
        )
    elif shape.descending is False:
        known = known.reverse()
    shown = known if shape.limit is None else known.head(shape.limit)
    return Section(
        "context", "Context by agent", columns, shown, cut_rows=known.height - shown.height
    )
