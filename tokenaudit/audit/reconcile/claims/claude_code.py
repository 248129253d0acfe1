"""Claims of Claude Code itself: of sessions, results of `claude -p`, status lines, stats-cache.json."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from itertools import groupby
from typing import Any, Final

from msgspec import Struct

from tokenaudit.audit.reconcile.claims.claim import (
    Claim,
    ClaimCounts,
    ClaimError,
    ClaimKind,
    ClaimLine,
    count,
    money,
    summed,
)
from tokenaudit.transcripts import ModelTotal, model_total
from tokenaudit.transcripts.totals import TotalSource
from tokenaudit.transcripts.values import BadCountError

__all__ = ["StatedTotals", "result", "stated", "stats_cache", "status_line"]

_KNOWN_STATS: Final = 3
Value = Mapping[str, Any]


class StatedTotals(Struct, frozen=True):
    """A total that Claude Code states of one session, and what it says of when that counts."""

    session_id: str
    claim: Claim
    line: int | None = None
    """Of the transcript that it stands in; None where it stands in none."""
    start: datetime | None = None
    """From when on it counts; None where it does not say so."""
    duration_s: float | None = None
    """How long the process had run; None where it does not say so."""


def stated(totals: Iterable[Mapping[str, Any]]) -> list[StatedTotals]:
    """Return what is stated of sessions, from the rows of `store.facts.TOTALS`.

    In their order; rows of one total stand together.
    """
    keys = ("path", "line", "session_id")
    groups = groupby(totals, lambda row: tuple(row[key] for key in keys))
    return [
        _stated(path, line, session_id, list(rows))
        for (path, line, session_id), rows in groups
        if session_id is not None
    ]


def _stated(
    path: str, line: int | None, session_id: str, rows: Sequence[Mapping[str, Any]]
) -> StatedTotals:
    first = rows[0]
    cost = money(first["total_cost_usd"], path)
    lines = tuple(_line(_model_total(row)) for row in rows if row["model"] is not None)
    duration = first["duration_ms"]
    claim = Claim(
        _KINDS[TotalSource(first["source"])],
        path,
        lines or (ClaimLine(None, None, cost),),
        cost_usd=cost,
        sessions=frozenset({session_id}),
        is_of_claude_code=True,
    )
    seconds = None if duration is None else duration / 1000
    return StatedTotals(session_id, claim, line, first["start_time"], seconds)


_KINDS: Final = {
    TotalSource.COST_STATE: ClaimKind.COST_STATE,
    TotalSource.GLOBAL_CONFIG: ClaimKind.LAST_SESSION,
    TotalSource.STATUS_LINE: ClaimKind.STATUS_LINE,
}


def _model_total(row: Mapping[str, Any]) -> ModelTotal:
    return ModelTotal(**{name: row[name] for name in ModelTotal.__struct_fields__})


def result(values: Sequence[Value], source: str) -> Claim | None:
    """Read the results in *values*: of each session the last, for they are cumulative.

    None where nothing here belongs to `claude -p`. Raises ClaimError for a stream that was cut
    before its result.
    """
    results = [value for value in values if value.get("type") == "result"]
    replies = [value for value in values if value.get("type") == "assistant"]
    inits = [value for value in values if value.get("type") == "system"]
    if not results:
        if replies and all("session_id" in value for value in replies):
            raise ClaimError(
                f"{source}: stream-json of claude -p with {len(replies):,} assistant lines, but without"
                " its closing result: the total is not there",
                hint="Was it cut, or interrupted? The result is the last line of a whole stream.",
            )
        return None
    last = {str(value.get("session_id")): value for value in results}
    models = {str(value["message"].get("model")) for value in replies if _is_reply(value)}
    lines = [line for value in last.values() for line in _result_lines(value, models, source)]
    costs = [money(_cost(value), f"{source}: total_cost_usd") for value in last.values()]
    versions = [value.get("claude_code_version") for value in inits]
    notes = [] if len(last) == len(results) else [_CUMULATIVE]
    return Claim(
        ClaimKind.RESULT,
        source,
        summed(lines),
        cost_usd=None if None in costs else sum((each for each in costs if each), Decimal(0)),
        sessions=frozenset(name for name in last if name != "None"),
        is_of_claude_code=True,
        version=next((each for each in versions if isinstance(each, str)), None),
        notes=tuple(notes),
    )


_CUMULATIVE: Final = (
    "Several results of one session: the last one counts, for each holds all before it."
)


def _is_reply(value: Value) -> bool:
    return isinstance(value.get("message"), Mapping)


def _cost(value: Value) -> Any:
    return value.get("total_cost_usd", value.get("total_cost"))


def _result_lines(value: Value, models: set[str], source: str) -> list[ClaimLine]:
    usage_by_model = value.get("modelUsage")
    if isinstance(usage_by_model, Mapping):
        return [_model_line(name, each, source) for name, each in usage_by_model.items()]
    usage = value.get("usage")
    if not isinstance(usage, Mapping):
        raise ClaimError(f"{source}: a result of claude -p without usage and without modelUsage")
    # before modelUsage there was, of one model, the main loop alone
    model = next(iter(models)) if len(models) == 1 else None
    tools = usage.get("server_tool_use")
    counts = ClaimCounts(
        count(usage, "input_tokens", source),
        count(usage, "output_tokens", source),
        count(usage, "cache_read_input_tokens", source),
        count(usage, "cache_creation_input_tokens", source),
    )
    searches = count(tools, "web_search_requests", source) if isinstance(tools, Mapping) else 0
    return [ClaimLine(model, counts, money(_cost(value), source), searches)]


def _model_line(name: str, usage: Any, source: str) -> ClaimLine:
    try:
        return _line(model_total(name, usage))
    except BadCountError as error:
        raise ClaimError(f"{source}: modelUsage of {name}: {error}") from None


def _line(total: ModelTotal) -> ClaimLine:
    counts = ClaimCounts(
        total.input_tokens, total.output_tokens, total.cache_read_tokens, total.cache_write_tokens
    )
    return ClaimLine(total.model, counts, money(total.cost_usd, "costUSD"), total.web_searches)


def status_line(values: Sequence[Value], source: str) -> Claim | None:
    """Read what a status line was given, or what ours kept of it: of each session the last.

    Costs are cumulative. What ours kept may have come back after what was gathered of it.
    """
    found = [value for value in values if _is_status(value)]
    if not found:
        return None
    if all(_is_kept(value) for value in found):
        found.sort(key=lambda value: value["recorded_at"])
    last = {str(value.get("session_id")): value for value in found}
    lines = [
        ClaimLine(None, None, money(_total(value), f"{source}: total_cost_usd"))
        for value in last.values()
    ]
    versions = [value.get("version") for value in found]
    (line,) = summed(lines)
    return Claim(
        ClaimKind.STATUS_LINE,
        source,
        (line,),
        cost_usd=line.cost_usd,
        sessions=frozenset(name for name in last if name != "None"),
        is_of_claude_code=True,
        version=next((each for each in reversed(versions) if isinstance(each, str)), None),
        notes=("Before 2.1.211 the cost went on over /clear: it may hold sessions before these.",),
    )


def _is_status(value: Value) -> bool:
    cost = value.get("cost")
    is_told = isinstance(cost, Mapping) and "total_cost_usd" in cost and "session_id" in value
    return is_told or (_is_kept(value) and _total(value) is not None)


def _is_kept(value: Value) -> bool:
    """Tell whether it is what `tokenaudit statusline` keeps; see `limits.FORMAT`."""
    names = {"format", "session_id", "total_cost_usd", "rate_limits"}
    return value.keys() >= names and type(value.get("recorded_at")) is int


def _total(value: Value) -> Any:
    cost = value.get("cost")
    return (cost if isinstance(cost, Mapping) else value).get("total_cost_usd")


def stats_cache(value: Value, source: str) -> Claim | None:
    """Read `stats-cache.json`: tokens by model of all days up to its last one.

    Raises ClaimError for a version that is not known.
    """
    usage, last = value.get("modelUsage"), value.get("lastComputedDate")
    if not isinstance(usage, Mapping) or "dailyActivity" not in value:
        return None
    version = value.get("version")
    if not isinstance(version, int) or not 1 <= version <= _KNOWN_STATS:
        raise ClaimError(
            f"{source}: stats-cache.json of version {version}; known are 1 to {_KNOWN_STATS}",
            hint="A newer Claude Code wrote it: its figures may mean something else now.",
        )
    try:
        until = date.fromisoformat(str(last)[:10])
    except ValueError:
        raise ClaimError(f"{source}: stats-cache.json: lastComputedDate: is no day") from None
    lines = [_model_line(name, each, source) for name, each in usage.items()]
    return Claim(
        ClaimKind.STATS_CACHE,
        source,
        # its costs are zeros: it does not know them
        tuple(ClaimLine(line.model, line.counts, None, line.web_searches) for line in lines),
        until=until,
    )
