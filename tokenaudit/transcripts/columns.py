"""Rows as columns: the form in which readings travel between processes and into frames.

Column names here are the project's own words; from here on no camelCase name is known.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from msgspec import Struct, field

from tokenaudit.model.fields import FIELDS
from tokenaudit.rules.iterations import tell_more
from tokenaudit.transcripts.agents import agent_facts
from tokenaudit.transcripts.parse import Parsed, Record
from tokenaudit.transcripts.totals import total_rows
from tokenaudit.transcripts.wire import CacheCreation, Iteration, OutputDetails, ServerToolUse

__all__ = ["Columns", "Reading"]

Columns = dict[str, list[Any]]
Place = tuple[int, int]
"""The number of an extent within a reading, and that of a record within the extent, from 0."""

_NO_SPLIT: Final = CacheCreation()
_NO_TOOLS: Final = ServerToolUse()
_NO_DETAILS: Final = OutputDetails()

_INTERNED: Final = tuple(one.name for one in FIELDS if one.repeats)
"""Texts that repeat from row to row: kept once, which is what makes them cheap to send."""


class Reading(Struct):
    """What was read from some extents, as columns.

    Rows name the extent that they are from by its number in `extents`, from 0; `line` and `record`
    count from where it begins. Columns in which nothing is said may be missing. Times of records are
    still the texts that lines hold: they are read as whole columns later.
    """

    extents: Columns = field(default_factory=dict)
    records: Columns = field(default_factory=dict)
    iterations: Columns = field(default_factory=dict)
    titles: Columns = field(default_factory=dict)
    compactions: Columns = field(default_factory=dict)
    rejects: Columns = field(default_factory=dict)
    results: Columns = field(default_factory=dict)
    totals: Columns = field(default_factory=dict)
    requests: Columns = field(default_factory=dict)
    uncounted: Columns = field(default_factory=dict)

    @classmethod
    def of(cls, parsed: Sequence[Parsed]) -> "Reading":
        """Turn all that *parsed* holds into columns."""
        records = [record for one in parsed for record in one.records]
        places = [
            (at, number) for at, one in enumerate(parsed) for number in range(len(one.records))
        ]
        return cls(
            extents=_columns([_extent_row(one) for one in parsed]),
            records=_record_columns(places, records),
            iterations=_iteration_columns(places, records),
            titles=_of_each(parsed, lambda one: one.titles),
            compactions=_of_each(parsed, lambda one: one.compactions),
            rejects=_columns(
                [
                    {
                        "extent": at,
                        "path": one.path,
                        "line": one.line,
                        "reason": one.reason,
                        "kind": one.kind,
                    }
                    for at, each in enumerate(parsed)
                    for one in each.rejects
                ]
            ),
            results=_of_each(parsed, lambda one: one.results),
            totals=_columns(
                [
                    {"extent": at, **row}
                    for at, one in enumerate(parsed)
                    for row in total_rows(one.totals)
                ]
            ),
            requests=_of_each(parsed, lambda one: one.marks),
            uncounted=_of_each(parsed, lambda one: one.uncounted),
        )

    def compact(self) -> None:
        """Make it cheap to send: let equal texts be one object, and drop columns that say nothing."""
        one = dict[str | None, str | None]().setdefault
        for name in _INTERNED:
            column = self.records[name]
            if column.count(None) < len(column):
                self.records[name] = list(map(one, column, column))
            else:
                del self.records[name]


def _of_each(parsed: Sequence[Parsed], facts: Callable[[Parsed], Sequence[NamedTuple]]) -> Columns:
    """Return the *facts* of each of *parsed* as columns, with the extent that each is from."""
    return _columns(
        [{"extent": at, **fact._asdict()} for at, one in enumerate(parsed) for fact in facts(one)]
    )


def _columns(rows: Sequence[dict[str, Any]]) -> Columns:
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}


def _record_columns(places: Sequence[Place], records: Sequence[Record]) -> Columns:
    first = [record.first for record in records]
    best = [record.best for record in records]
    messages = [line.message for line in best]
    usages = [message.usage for message in messages]
    return {
        "extent": [extent for extent, _ in places],
        "record": [number for _, number in places],
        "line": [record.first_line for record in records],
        "value_line": [record.best_line for record in records],
        "lines": [record.lines for record in records],
        "is_progress": [record.is_progress for record in records],
        "is_sidechain": [bool(line.is_sidechain) for line in first],
        "agent_id": [record.agent_id for record in records],
        "message_id": [message.id or None for message in messages],
        "request_id": [line.request_id or None for line in first],
        "uuid": [line.uuid or None for line in first],
        "time": [record.time for record in records],
        "value_time": [line.timestamp for line in best],
        "model": [message.model for message in messages],
        "stop_reason": [message.stop_reason for message in messages],
        **_usage_columns(usages),
        "cwd": [line.cwd for line in first],
        "branch": [line.git_branch for line in first],
        "version": [line.version for line in first],
        "entrypoint": [line.entrypoint for line in first],
        "effort": [line.effort for line in best],
        "skill": [line.attribution_skill for line in best],
        "plugin": [line.attribution_plugin for line in best],
        "agent_label": [line.attribution_agent for line in best],
        "mcp_server": [line.attribution_mcp_server for line in best],
        "mcp_tool": [line.attribution_mcp_tool for line in best],
        "recorded_cost_usd": [
            None if line.cost_usd is None else repr(line.cost_usd) for line in best
        ],
        "odd": [", ".join(line.odd) if line.odd else None for line in best],
    }


def _usage_columns(usages: Sequence[Any]) -> Columns:
    splits = [usage.cache_creation or _NO_SPLIT for usage in usages]
    tools = [usage.server_tool_use or _NO_TOOLS for usage in usages]
    details = [usage.output_tokens_details or _NO_DETAILS for usage in usages]
    return {
        "input_tokens": [usage.input_tokens for usage in usages],
        "output_tokens": [usage.output_tokens for usage in usages],
        "cache_read_tokens": [usage.cache_read_input_tokens or 0 for usage in usages],
        "cache_write_tokens": [usage.cache_creation_input_tokens or 0 for usage in usages],
        "split_5m_tokens": [split.ephemeral_5m_input_tokens or 0 for split in splits],
        "split_1h_tokens": [split.ephemeral_1h_input_tokens or 0 for split in splits],
        "thinking_tokens": [detail.thinking_tokens for detail in details],
        "web_searches": [tool.web_search_requests or 0 for tool in tools],
        "web_fetches": [tool.web_fetch_requests or 0 for tool in tools],
        "service_tier": [usage.service_tier for usage in usages],
        "inference_geo": [usage.inference_geo for usage in usages],
        "speed": [usage.speed for usage in usages],
    }


def _iteration_columns(places: Sequence[Place], records: Sequence[Record]) -> Columns:
    """Return the iterations of the records whose top level does not tell all (R6)."""
    rows = [
        (*place, at, iteration)
        for place, record in zip(places, records, strict=True)
        if (iterations := record.best.message.usage.iterations) and _tell_more(iterations)
        for at, iteration in enumerate(iterations)
    ]
    iterations = [iteration for _, _, _, iteration in rows]
    splits = [iteration.cache_creation or _NO_SPLIT for iteration in iterations]
    number: Callable[[int | None], int] = lambda count: count or 0  # noqa: E731
    return {
        "extent": [extent for extent, _, _, _ in rows],
        "record": [number for _, number, _, _ in rows],
        "iteration": [at for _, _, at, _ in rows],
        "type": [iteration.type for iteration in iterations],
        "iteration_model": [iteration.model for iteration in iterations],
        "input_tokens": [number(iteration.input_tokens) for iteration in iterations],
        "output_tokens": [number(iteration.output_tokens) for iteration in iterations],
        "cache_read_tokens": [number(entry.cache_read_input_tokens) for entry in iterations],
        "cache_write_tokens": [number(entry.cache_creation_input_tokens) for entry in iterations],
        "split_5m_tokens": [number(split.ephemeral_5m_input_tokens) for split in splits],
        "split_1h_tokens": [number(split.ephemeral_1h_input_tokens) for split in splits],
    }


def _tell_more(iterations: Sequence[Iteration]) -> bool:
    return tell_more([each.type for each in iterations])


def _extent_row(parsed: Parsed) -> dict[str, Any]:
    facts = agent_facts(parsed.transcript)
    return {
        "path": parsed.transcript.path,
        "start": parsed.extent.start,
        "end": parsed.end,
        "digests": parsed.digests,
        "is_settled": parsed.is_settled,
        "agent_type": facts.agent_type,
        "description": facts.description,
        "said_session_id": parsed.session_id,
        "usage_session_id": parsed.usage_session_id,
        "first_time": parsed.first_time,
        "last_time": parsed.last_time,
        "last_uuid": parsed.last_uuid,
        "project": parsed.project,
        "forked_from": parsed.forked_from,
        "lines": parsed.lines,
        "line_ends": parsed.line_ends,
        "bytes": parsed.bytes,
        "usage_lines": parsed.usage_lines,
        "requests": parsed.requests,
        "last_reply": parsed.last_reply,
        "records": len(parsed.records),
        "is_incomplete": parsed.incomplete,
    }
