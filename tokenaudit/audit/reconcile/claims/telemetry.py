"""Claims in OpenTelemetry, as a collector writes it in JSON: events of requests, and metrics."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

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

__all__ = ["events", "metrics"]

Value = Mapping[str, Any]
_TYPES: Final = {
    "input": "input",
    "output": "output",
    "cacheRead": "cache_read",
    "cacheCreation": "cache_write",
}
_CUMULATIVE: Final = (2, "AGGREGATION_TEMPORALITY_CUMULATIVE")


def _list(value: Any, *names: str) -> Iterator[Value]:
    """Yield the objects below *value* by the path *names*, each step of which is a list."""
    if not names:
        if isinstance(value, Mapping):
            yield value
        return
    entries = value.get(names[0]) if isinstance(value, Mapping) else None
    for entry in entries if isinstance(entries, list) else ():
        yield from _list(entry, *names[1:])


def _attributes(value: Value) -> dict[str, Any]:
    return {
        str(each.get("key")): next(iter(inner.values()), None)
        for each in _list(value, "attributes")
        if isinstance(inner := each.get("value"), Mapping)
    }


def events(values: Sequence[Value], source: str) -> Claim | None:
    """Read the `api_request` events in *values*: one for each request, by its id where it has one."""
    if not any("resourceLogs" in value for value in values):
        return None
    requests = [
        (record, each)
        for value in values
        for record in _list(value, "resourceLogs", "scopeLogs", "logRecords")
        if (each := _attributes(record)) and _name(record, each).endswith("api_request")
    ]
    if not requests:
        raise ClaimError(
            f"{source}: OpenTelemetry logs, but without any event claude_code.api_request",
            hint="OTEL_LOGS_EXPORTER must be set where Claude Code runs.",
        )
    unique = {
        str(each.get("request_id") or number): each for number, (_, each) in enumerate(requests)
    }
    lines = [_event_line(each, source) for each in unique.values()]
    ids = [each.get("request_id") for each in unique.values()]
    return Claim(
        ClaimKind.OTEL_EVENTS,
        source,
        summed(lines),
        cost_usd=sum((line.cost_usd or Decimal(0) for line in lines), Decimal(0)),
        sessions=frozenset(
            str(each["session.id"]) for each in unique.values() if "session.id" in each
        ),
        is_of_claude_code=True,
        version=_version(each for each in unique.values()),
        request_ids=frozenset(map(str, ids)) if all(ids) else frozenset(),
    )


def _version(attributes: Iterator[Mapping[str, Any]]) -> str | None:
    found = (each.get("app.version") for each in attributes)
    return next((version for version in found if isinstance(version, str)), None)


def _name(record: Value, attributes: Mapping[str, Any]) -> str:
    body = record.get("body")
    said = body.get("stringValue") if isinstance(body, Mapping) else None
    return str(attributes.get("event.name") or record.get("eventName") or said or "")


def _event_line(each: Mapping[str, Any], source: str) -> ClaimLine:
    micros = each.get("cost_usd_micros")
    exact = None if micros is None else money(micros, f"{source}: cost_usd_micros")
    return ClaimLine(
        None if each.get("model") is None else str(each["model"]),
        ClaimCounts(
            count(each, "input_tokens", source),
            count(each, "output_tokens", source),
            count(each, "cache_read_tokens", source),
            count(each, "cache_creation_tokens", source),
        ),
        money(each.get("cost_usd"), f"{source}: cost_usd") if exact is None else exact / 1_000_000,
    )


def metrics(values: Sequence[Value], source: str) -> Claim | None:
    """Read `claude_code.token.usage` and `claude_code.cost.usage`: sums of deltas, or the last totals."""
    if not any("resourceMetrics" in value for value in values):
        return None
    points: dict[tuple[str, ...], Decimal] = {}
    sessions: set[str] = set()
    for value in values:
        for metric in _list(value, "resourceMetrics", "scopeMetrics", "metrics"):
            _add_points(metric, points, sessions, source)
    if not points:
        raise ClaimError(
            f"{source}: OpenTelemetry metrics, but without claude_code.token.usage or"
            " claude_code.cost.usage",
            hint="OTEL_METRICS_EXPORTER must be set where Claude Code runs.",
        )
    has_tokens = any(key[0] == "token" for key in points)
    lines = summed(_metric_line(key, value, has_tokens=has_tokens) for key, value in points.items())
    costs = [line.cost_usd for line in lines if line.cost_usd is not None]
    return Claim(
        ClaimKind.OTEL_METRICS,
        source,
        lines,
        cost_usd=sum(costs, Decimal(0)) if costs else None,
        sessions=frozenset(sessions),
        is_of_claude_code=True,
    )


def _add_points(
    metric: Value, points: dict[tuple[str, ...], Decimal], sessions: set[str], source: str
) -> None:
    kind = {"claude_code.token.usage": "token", "claude_code.cost.usage": "cost"}.get(
        str(metric.get("name"))
    )
    total = metric.get("sum")
    if kind is None or not isinstance(total, Mapping):
        return
    is_cumulative = total.get("aggregationTemporality") in _CUMULATIVE
    for point in _list(total, "dataPoints"):
        each = _attributes(point)
        others = (f"{name}={value}" for name, value in sorted(each.items()))
        key = (kind, str(each.get("model")), str(each.get("type")), *others)
        amount = money(point.get("asDouble", point.get("asInt")), f"{source}: {metric['name']}")
        if amount is not None:
            points[key] = amount if is_cumulative else points.get(key, Decimal(0)) + amount
        if "session.id" in each:
            sessions.add(str(each["session.id"]))


def _metric_line(key: tuple[str, ...], value: Decimal, *, has_tokens: bool) -> ClaimLine:
    kind, model, type_, *_ = key
    named = None if model == "None" else model
    if kind == "cost":
        return ClaimLine(named, ClaimCounts() if has_tokens else None, value)
    name = _TYPES.get(type_)
    return ClaimLine(named, ClaimCounts(**{name: int(value)}) if name else ClaimCounts(), None)
