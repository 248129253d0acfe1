"""The events of a watch, and how they are written: one JSON object a line.

This is the documented schema of `watch --json`. A reader starts anew at each `snapshot`, which says
all that is shown; the events between say what changed. Names and units are those of the reports:
money as text with all its digits, times in UTC. `FORMAT` is raised when an older reader could
misread a newer writer; new fields and new events are no such change.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import fields

from tokenaudit.model.terms import Usage
from tokenaudit.render.plain import encode_lines, plain
from tokenaudit.render.target import write_stdout

__all__ = [
    "FORMAT",
    "AgentStarted",
    "AgentState",
    "BlockState",
    "BudgetEvent",
    "BudgetState",
    "CompactionEvent",
    "Estimated",
    "Event",
    "Figures",
    "Gauge",
    "NearLimit",
    "Rejected",
    "Rewritten",
    "Snapshot",
    "Used",
    "figures",
    "told",
    "write",
]

FORMAT: Final = 1


class Figures(Struct, frozen=True):
    """The measures of every report, of some responses."""

    responses: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_5m_tokens: int
    cache_write_1h_tokens: int
    total_tokens: int
    cost_usd: Decimal | None
    """Of the priced ones; null when none is priced."""
    unpriced_responses: int


class Gauge(Struct, frozen=True):
    """How full a context is; null is what cannot be known."""

    prompt_tokens: int | None
    """Of the last response, or what a compaction left."""
    window_tokens: int | None
    window_basis: str | None
    used_percent: float | None
    state: str | None
    """`near limit`, or `compacted`; null otherwise."""
    estimated_tokens: int | None = None
    """What the next prompt holds by what has been written since: an estimate, in no total."""


class AgentState(Struct, frozen=True):
    """An agent: who it is, what it used, how full its context is."""

    session_id: str | None
    agent_id: str | None
    agent_type: str | None
    title: str | None
    project: str | None
    model: str | None
    last_time: datetime | None
    usage: Figures
    context: Gauge


class BlockState(Struct, frozen=True):
    """The five-hour block that is open."""

    start: datetime
    end: datetime
    remaining_s: int
    usage: Figures
    tokens_per_minute: int
    cost_usd_per_hour: Decimal | None
    projected_tokens: int
    projected_cost_usd: Decimal | None


class BudgetState(Struct, frozen=True):
    """How much of a budget is used."""

    budget: str
    project: str | None
    since: datetime | None
    amount_usd: Decimal
    cost_usd: Decimal
    used_percent: float
    unpriced_responses: int
    """How many have no price: where there are any, more is used than is said."""
    state: str
    """`within`, `near` (from 80 % on) or `over`."""


class Snapshot(Struct, frozen=True):
    """All that is shown: first of all, after anything that no other event tells, and last of all."""

    format: int
    version: str
    time: datetime
    watching: str
    """`events` of the system, or `polling`; `nothing` where one snapshot is all that is wanted."""
    transcripts: int
    timezone: str
    filters: dict[str, Any]
    totals: Figures
    """Of all that the filters leave: those of `daily`."""
    day: date
    today: Figures
    block: BlockState | None
    agents: list[AgentState]
    """Those that were active last, the latest first."""
    budgets: list[BudgetState]


class Used(Struct, frozen=True):
    """A response, when it is first seen, and again when any of its figures has changed."""

    time: datetime | None
    """Of the response."""
    is_new: bool
    response_id: str
    request_id: str | None
    kind: str
    session_id: str | None
    agent_id: str | None
    agent_type: str | None
    project: str | None
    model: str | None
    quality: str
    usage: Figures
    """Of this response, as it is known now: not what was added."""
    agent: Figures
    """The running totals of its agent."""
    context: Gauge | None


class AgentStarted(Struct, frozen=True):
    """An agent that was not known before."""

    time: datetime | None
    session_id: str | None
    agent_id: str | None
    agent_type: str | None
    description: str | None
    title: str | None
    project: str | None


class CompactionEvent(Struct, frozen=True):
    """A context was replaced by its summary."""

    time: datetime | None
    session_id: str | None
    agent_id: str | None
    kind: str | None
    trigger: str | None
    pre_tokens: int | None
    post_tokens: int | None


class Estimated(Struct, frozen=True):
    """What an agent's next prompt holds has been estimated anew: prompts and results were written."""

    session_id: str | None
    agent_id: str | None
    context: Gauge


class NearLimit(Struct, frozen=True):
    """A context has become nearly full; said once, until it has been less full again."""

    time: datetime
    session_id: str | None
    agent_id: str | None
    title: str | None
    project: str | None
    context: Gauge


class BudgetEvent(Struct, frozen=True):
    """A budget has come near its end, or beyond; said once for each, until it has been less used again."""

    time: datetime
    budget: BudgetState


class Rejected(Struct, frozen=True):
    """A line, or a whole file, that should have been read and was not."""

    path: str
    line: int | None
    reason: str


class Rewritten(Struct, frozen=True):
    """A transcript is no longer what was read: `rewritten`, `shrank` or `gone`. A snapshot follows."""

    path: str
    fate: str


Event = (
    Snapshot
    | Used
    | AgentStarted
    | CompactionEvent
    | Estimated
    | NearLimit
    | BudgetEvent
    | Rejected
    | Rewritten
)


def figures(usage: Usage) -> Figures:
    """Return *usage* as events tell it."""
    return Figures(**{each.name: getattr(usage, each.name) for each in fields(Figures)})


_NAMES: Final[Mapping[type, str]] = {
    Snapshot: "snapshot",
    Used: "usage",
    AgentStarted: "agent_started",
    CompactionEvent: "compaction",
    Estimated: "context",
    NearLimit: "near_limit",
    BudgetEvent: "budget",
    Rejected: "reject",
    Rewritten: "rewritten",
}
"""What each event is called in the stream."""


def told(event: Event) -> dict[str, Any]:
    """Return *event* as JSON holds it."""
    return {"event": _NAMES[type(event)], **plain(event)}


def write(events: Iterable[Event]) -> None:
    """Write *events* to standard output, one a line, and flush.

    Raises BrokenPipeError when the reader has gone, OutputError for anything else.
    """
    if lines := [told(event) for event in events]:
        write_stdout(encode_lines(lines).encode())
