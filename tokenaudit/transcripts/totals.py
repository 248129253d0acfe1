"""What Claude Code says that a session used: `cost-state` lines of transcripts, `.claude.json` beside roots.

Evidence, never usage: it stands beside our figures, and is in none of their sums.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec.structs import asdict

from tokenaudit.files import inputs
from tokenaudit.rules.time import micros
from tokenaudit.transcripts import tolerant, values
from tokenaudit.transcripts.values import BadCountError
from tokenaudit.transcripts.wire import PROJECT_KEYS, STATED_USAGE_KEYS, TOTAL_KEYS

__all__ = [
    "COST_STATE",
    "GLOBAL_CONFIG",
    "ModelTotal",
    "SessionTotal",
    "TotalSource",
    "config_places",
    "global_totals",
    "model_total",
    "recorded_totals",
    "total_on",
    "total_rows",
]

COST_STATE: Final = "cost-state"
"""The type of the lines that state a session's total."""

GLOBAL_CONFIG: Final = ".claude.json"
"""The file in which Claude Code keeps, by project, what the last session used."""

_LARGEST_CONFIG: Final = 64 * inputs.MEBIBYTE
_LARGEST_COST: Final = 1e15


class TotalSource(StrEnum):
    """Where Claude Code states what a session used."""

    COST_STATE = "cost-state"
    """A line of the session's own transcript."""
    GLOBAL_CONFIG = ".claude.json"
    """What it keeps of the last session of each project."""
    STATUS_LINE = "status line"
    """What it told a status line, which recorded it."""


class ModelTotal(msgspec.Struct, frozen=True):
    """What is stated of one model."""

    model: str | None
    """None where no model is named, and nothing is told but the cost of all."""
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    web_searches: int
    cost_usd: str | None
    """US dollars, as they are written."""


class SessionTotal(msgspec.Struct, frozen=True):
    """What is stated of a session, up to where it is stated."""

    line: int | None
    """Of a transcript; None where it stands in no line."""
    session_id: str | None
    start_time: int | None
    """From when on it counts, in microseconds since 1970: the start of the process, or of the first one
    where others went on from what it left."""
    duration_ms: int | None
    """How long the process had run; of several, how long in all."""
    cost_usd: str
    models: tuple[ModelTotal, ...]
    path: str | None = None
    """Of the file that is no transcript."""
    source: TotalSource = TotalSource.COST_STATE


def total_on(value: Mapping[str, Any], line: int | None = None) -> SessionTotal:
    """Read the total that the object on a `cost-state` line states.

    Raises BadCountError, naming the field, where a figure is none.
    """
    return SessionTotal(
        line,
        values.text(value.get(TOTAL_KEYS["session_id"])),
        micros(value.get(TOTAL_KEYS["start_time"])),
        _duration(value.get(TOTAL_KEYS["total_duration"])),
        _cost(value.get(TOTAL_KEYS["total_cost_usd"]), TOTAL_KEYS["total_cost_usd"]),
        _models(value.get(TOTAL_KEYS["model_usage"]), TOTAL_KEYS["model_usage"]),
    )


def total_rows(totals: Iterable[SessionTotal]) -> Iterator[dict[str, Any]]:
    """Yield a row for each model of each of *totals*; one without a model where it names none."""
    for total in totals:
        whole = {
            "line": total.line,
            "session_id": total.session_id,
            "start_time": total.start_time,
            "duration_ms": total.duration_ms,
            "total_cost_usd": total.cost_usd,
        }
        for model in total.models or (_NO_MODEL,):
            yield {**whole, **asdict(model)}


_NO_MODEL: Final = ModelTotal(None, 0, 0, 0, 0, 0, None)


def model_total(model: str, usage: Any) -> ModelTotal:
    """Read what *usage*, in the shape that all of Claude Code's own totals share, states of *model*.

    Raises BadCountError, naming the field, where a figure is none.
    """
    if not isinstance(usage, Mapping):
        raise BadCountError("is no object")
    cost = usage.get(STATED_USAGE_KEYS["cost_usd"])
    return ModelTotal(
        model,
        _count(usage, STATED_USAGE_KEYS["input_tokens"]),
        _count(usage, STATED_USAGE_KEYS["output_tokens"]),
        _count(usage, STATED_USAGE_KEYS["cache_read_input_tokens"]),
        _count(usage, STATED_USAGE_KEYS["cache_creation_input_tokens"]),
        _count(usage, STATED_USAGE_KEYS["web_search_requests"]),
        None if cost is None or cost == "" else _cost(cost, STATED_USAGE_KEYS["cost_usd"]),
    )


def _models(value: object, where: str) -> tuple[ModelTotal, ...]:
    if value is None:
        return ()
    if not isinstance(value, Mapping):
        raise BadCountError(f"{where}: is no object")
    found = []
    for model, usage in value.items():
        try:
            found.append(model_total(values.text(model) or "", usage))
        except BadCountError as error:
            raise BadCountError(f"{where} of {model}: {error}") from None
    return tuple(found)


def _count(usage: Mapping[str, Any], name: str) -> int:
    value = usage.get(name)
    if value is None:
        return 0
    try:
        return values.count(value)
    except BadCountError as error:
        raise BadCountError(f"{name}: {error}") from None


def _duration(value: object) -> int | None:
    try:
        return values.count(value)
    except BadCountError:
        return None


def _cost(value: object, name: str) -> str:
    try:
        amount = float(value) if isinstance(value, int | float | str) else float("nan")
    except (ValueError, OverflowError):
        amount = float("nan")
    if isinstance(value, bool) or not abs(amount) <= _LARGEST_COST:
        raise BadCountError(f"{name}: is no amount of money")
    return str(value).strip()


# beside a root


def global_totals(roots: Iterable[str]) -> list[SessionTotal]:
    """Return what the `.claude.json` files in *roots*, and beside those called `.claude`, state.

    Of each project it is the session that ended last. A file that cannot be read states nothing.
    """
    paths = dict.fromkeys(path for root in roots for path in config_places(root))
    return [total for path in paths for total in _of_config(path)]


def config_places(root: str) -> Iterator[str]:
    """Yield where the `.claude.json` that belongs to *root* may lie."""
    where = Path(root).absolute()  # as discovery: links are not followed
    yield str(where / GLOBAL_CONFIG)
    if where.name == ".claude":
        yield str(where.parent / GLOBAL_CONFIG)


class _Config(msgspec.Struct, gc=False):
    projects: dict[str, msgspec.Raw] = {}


_decode: Final = msgspec.json.Decoder(_Config).decode


def _of_config(path: str) -> Iterator[SessionTotal]:
    try:
        projects = _decode(inputs.read(path, _LARGEST_CONFIG)).projects
    except (OSError, ValueError, msgspec.MsgspecError, RecursionError):
        return
    for raw in projects.values():
        found, _ = tolerant.objects(bytes(raw))
        for project in found:
            yield from _of_project(project, path)


def _of_project(project: Mapping[str, Any], path: str) -> Iterator[SessionTotal]:
    session_id = values.text(project.get(PROJECT_KEYS["last_session_id"]))
    if not session_id or project.get(PROJECT_KEYS["last_cost"]) is None:
        return
    try:
        yield SessionTotal(
            None,
            session_id,
            micros(project.get(PROJECT_KEYS["last_start_time"])),
            _duration(project.get(PROJECT_KEYS["last_duration"])),
            _cost(project[PROJECT_KEYS["last_cost"]], PROJECT_KEYS["last_cost"]),
            _models(
                project.get(PROJECT_KEYS["last_model_usage"]), PROJECT_KEYS["last_model_usage"]
            ),
            path,
            TotalSource.GLOBAL_CONFIG,
        )
    except BadCountError:
        return


# beside a status line


def recorded_totals(evidence: Iterable[Mapping[str, Any]], folder: str) -> list[SessionTotal]:
    """Return what a status line recorded in *folder*; see `limits.read_all`. Of each session the last."""
    last: dict[str, tuple[int, SessionTotal]] = {}
    for each in evidence:
        session_id, when = values.text(each.get("session_id")), each.get("recorded_at")
        if not session_id or not isinstance(when, int) or each.get("total_cost_usd") is None:
            continue
        with suppress(BadCountError):
            cost = _cost(each["total_cost_usd"], "total_cost_usd")
            total = SessionTotal(
                None, session_id, None, None, cost, (), folder, TotalSource.STATUS_LINE
            )
            if session_id not in last or when >= last[session_id][0]:
                last[session_id] = when, total
    return [total for _, total in last.values()]
