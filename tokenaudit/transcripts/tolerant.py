"""Reads the lines that the strict types refuse, with the standard library's forgiving parser.

Two objects on a line, lone surrogates, bytes that are no UTF-8, counts written as texts: whatever can
be understood is built into the same types that the strict decoder yields, so that one meaning holds;
what cannot is given a reason.
"""

import json
import math
import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

from msgspec.structs import fields

from tokenaudit.transcripts import values
from tokenaudit.transcripts.values import BadCountError
from tokenaudit.transcripts.wire import (
    CUT_NOTE,
    LINE_KEYS,
    AgentProgress,
    Assistant,
    CacheCreation,
    CompactMetadata,
    Connection,
    ForkedFrom,
    Iteration,
    Message,
    MessageUsage,
    OutputDetails,
    ProgressLine,
    RequestError,
    RequestLine,
    RequestParams,
    ServerToolUse,
    SessionLine,
)

__all__ = ["Unread", "UnreadableError", "has_usage", "is_cut_note", "note", "objects", "understand"]

Object = dict[str, Any]
_KEYS: Final = LINE_KEYS
T = TypeVar("T")
_BLANKS: Final = " \t\r\n\ufeff"
_NULS: Final = re.compile("\x00+")
_HOLE: Final = "NUL bytes: a hole in the file"
_LONGEST_NUMBER: Final = 300


def _whole(digits: str) -> int | float:
    """Read a whole number; one that no float can hold is infinite, as `1e400` is."""
    return int(digits) if len(digits) <= _LONGEST_NUMBER else float(digits)


_scan: Final = json.JSONDecoder(parse_int=_whole).raw_decode


class UnreadableError(ValueError):
    """An object whose usage cannot be understood; its text is the reject's reason."""


class Unread(NamedTuple):
    """Why something on a line is no object that can be read."""

    kind: str
    character: int | None = None
    """Where in the line, from 1."""

    @property
    def reason(self) -> str:
        """The whole reason in words."""
        return self.kind if self.character is None else f"{self.kind} at character {self.character}"


def objects(line: bytes) -> tuple[list[Object], Unread | None]:
    """Return the objects on *line* as far as they can be read, and why the rest cannot.

    NUL bytes are a hole, as a crash of a file system leaves it or a copy that is not done: what stood
    there is lost. Behind one, objects count where nothing but objects follows up to the next.
    """
    content = line.decode("utf-8", "replace")
    if "\x00" not in content:
        return _objects(content)
    first, *others = _NULS.split(content)
    found, _ = _objects(first)
    for piece in others:
        more, error = _objects(piece)
        found += [] if error else more
    return found, Unread(_HOLE)


def _objects(content: str) -> tuple[list[Object], Unread | None]:
    found: list[Object] = []
    at = 0
    while at < len(content):
        if content[at] in _BLANKS:
            at += 1
            continue
        try:
            value, at = _scan(content, at)
        except RecursionError:
            return found, Unread("nested too deeply")
        except json.JSONDecodeError as error:
            return found, Unread(f"not JSON: {error.msg}", error.pos + 1)
        if not isinstance(value, dict):
            return found, Unread("not an object")
        found.append(value)
    return found, None


def has_usage(value: Object) -> bool:
    """Tell whether *value* has a usage at its top level."""
    usage = value.get("usage")
    return isinstance(usage, dict) and "output_tokens" in usage


def understand(value: Object) -> Assistant | ProgressLine | RequestLine | SessionLine | None:
    """Build the typed line that *value* is; None if nothing of it is of interest (R2).

    Raises UnreadableError when a count of usage is no count (R9).
    """
    kind = value.get("type")
    if kind == "assistant":
        return _assistant(value)
    if kind == "progress":
        return _progress(value)
    return _request(value) if _is_of_request(value) else note(value)


def _is_of_request(value: Object) -> bool:
    """Tell whether *value* is a line about a request."""
    kind = value.get("type")
    if kind == "system":
        return value.get("subtype") in {"api_error", "model_fallback"}
    if kind == "user":
        return values.text(value.get(_KEYS["refused_message_id"])) is not None or _is_cut_note(
            value
        )
    return kind == "api-request"


def is_cut_note(line: bytes) -> bool:
    """Tell whether *line* is the note by which Claude Code lets a model go on whose stream was cut."""
    return any(
        value.get("type") == "user" and value.get(_KEYS["is_meta"]) is True and _is_cut_note(value)
        for value in objects(line)[0]
    )


def _is_cut_note(value: Object) -> bool:
    message = value.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    first = content[0] if isinstance(content, list) and content else content
    text = first.get("text") if isinstance(first, dict) else first
    return isinstance(text, str) and text.startswith(CUT_NOTE)


def _request(value: Object) -> RequestLine:
    params, error = value.get("params"), value.get("error")
    return RequestLine(
        type=values.text(value.get("type")),
        subtype=values.text(value.get("subtype")),
        error=_request_error(error) if isinstance(error, dict) else None,
        trigger=values.text(value.get("trigger")),
        original_model=values.text(value.get(_KEYS["original_model"])),
        id=values.text(value.get("id")),
        is_meta=value.get(_KEYS["is_meta"]) is True,
        timestamp=_timestamp(value.get("timestamp"), []),
        params=RequestParams(values.text(params.get("model")))
        if isinstance(params, dict)
        else None,
        refused_message_id=values.text(value.get(_KEYS["refused_message_id"])),
        is_cut=_is_cut_note(value),
    )


def _request_error(value: Object) -> RequestError:
    status, connection = value.get("status"), value.get("connection")
    return RequestError(
        status=status if isinstance(status, int) else None,
        connection=(
            Connection(values.text(connection.get("code")))
            if isinstance(connection, dict)
            else None
        ),
    )


def _progress(value: Object) -> ProgressLine | None:
    data = value.get("data")
    if not isinstance(data, dict) or data.get("type") != "agent_progress":
        return None
    repeated = data.get("message")
    if not isinstance(repeated, dict) or repeated.get("type") != "assistant":
        return None
    message = _assistant(repeated)
    if message is None:
        return None
    return ProgressLine(
        type="progress",
        data=AgentProgress("agent_progress", message, values.text(data.get(_KEYS["agent_id"]))),
        session_id=values.text(value.get(_KEYS["session_id"])),
        cwd=values.text(value.get("cwd")),
        git_branch=values.text(value.get(_KEYS["git_branch"])),
        version=values.text(value.get("version")),
        entrypoint=values.text(value.get("entrypoint")),
    )


def _assistant(value: Object) -> Assistant | None:
    message = value.get("message")
    if not isinstance(message, dict) or not isinstance(message.get("usage"), dict):
        return None
    odd: list[str] = []
    is_synthetic = message.get("model") == "<synthetic>"
    usage = (
        MessageUsage(input_tokens=0, output_tokens=0)
        if is_synthetic
        else _usage(message["usage"], odd)
    )
    return Assistant(
        type="assistant",
        message=Message(
            usage=usage,
            id=_text(message, "id", odd),
            model=_text(message, "model", odd),
            stop_reason=_text(message, "stop_reason", odd),
        ),
        is_sidechain=_flag(value, _KEYS["is_sidechain"], odd),
        timestamp=_timestamp(value.get("timestamp"), odd),
        forked_from=_forked_from(value.get(_KEYS["forked_from"]), odd),
        cost_usd=_cost(value.get(_KEYS["cost_usd"]), odd),
        **{attribute: _text(value, key, odd) for attribute, key in _TEXTS.items()},
        odd=tuple(dict.fromkeys(odd)),
    )


_TEXTS: Final = {
    one.name: one.encode_name
    for one in fields(Assistant)
    if one.type == str | None and one.name != "timestamp"
}
"""The texts of a line of usage that no rule reads in a way of its own: by name, what lines call them."""


def _usage(value: Object, odd: list[str]) -> MessageUsage:
    server = value.get("server_tool_use")
    details = value.get("output_tokens_details")
    return MessageUsage(
        input_tokens=_count(value, "input_tokens", odd),
        output_tokens=_count(value, "output_tokens", odd),
        cache_read_input_tokens=_optional_count(value, "cache_read_input_tokens", odd),
        cache_creation_input_tokens=_optional_count(value, "cache_creation_input_tokens", odd),
        cache_creation=_cache_creation(value.get("cache_creation"), odd),
        server_tool_use=_lenient(server, _server_tool_use, "server_tool_use", odd),
        output_tokens_details=_lenient(details, _output_details, "output_tokens_details", odd),
        service_tier=_text(value, "service_tier", odd),
        inference_geo=_text(value, "inference_geo", odd),
        speed=_text(value, "speed", odd),
        iterations=_iterations(value.get("iterations"), odd),
    )


def _count(value: Object, key: str, odd: list[str], within: str = "usage") -> int:
    """Read a count that must be there. Raises UnreadableError with the field's name (R9)."""
    found = value.get(key)
    try:
        number = values.count(found)
    except BadCountError as error:
        raise UnreadableError(f"{within}.{key}: {error}") from None
    if not isinstance(found, int):
        odd.append(f"{within}.{key}")
    return number


def _optional_count(value: Object, key: str, odd: list[str], within: str = "usage") -> int | None:
    return None if value.get(key) is None else _count(value, key, odd, within)


def _cache_creation(value: object, odd: list[str]) -> CacheCreation | None:
    if not isinstance(value, dict):
        if value is not None:
            odd.append("usage.cache_creation")
        return None
    within = "usage.cache_creation"
    return CacheCreation(
        _optional_count(value, "ephemeral_5m_input_tokens", odd, within),
        _optional_count(value, "ephemeral_1h_input_tokens", odd, within),
    )


def _server_tool_use(value: Object, odd: list[str]) -> ServerToolUse:
    within = "usage.server_tool_use"
    return ServerToolUse(
        _optional_count(value, "web_search_requests", odd, within),
        _optional_count(value, "web_fetch_requests", odd, within),
    )


def _output_details(value: Object, odd: list[str]) -> OutputDetails:
    within = "usage.output_tokens_details"
    return OutputDetails(_optional_count(value, "thinking_tokens", odd, within))


def _lenient(
    value: object, build: Callable[[Object, list[str]], T], name: str, odd: list[str]
) -> T | None:
    """Build an optional part that is no token class: an odd one is noted, never costs the line."""
    if value is None:
        return None
    try:
        if isinstance(value, dict):
            return build(value, odd)
    except UnreadableError:
        pass
    odd.append(f"usage.{name}")
    return None


def _iterations(value: object, odd: list[str]) -> list[Iteration] | None:
    if not isinstance(value, list):
        if value is not None:
            odd.append("usage.iterations")
        return None
    entries = [_lenient(entry, _iteration, "iterations", odd) for entry in value]
    if None in value:
        odd.append("usage.iterations")
    return [entry for entry in entries if entry is not None]


def _iteration(value: Object, odd: list[str]) -> Iteration:
    within = "usage.iterations"
    return Iteration(
        type=_text(value, "type", odd),
        model=_text(value, "model", odd),
        input_tokens=_optional_count(value, "input_tokens", odd, within),
        output_tokens=_optional_count(value, "output_tokens", odd, within),
        cache_read_input_tokens=_optional_count(value, "cache_read_input_tokens", odd, within),
        cache_creation_input_tokens=_optional_count(
            value, "cache_creation_input_tokens", odd, within
        ),
        cache_creation=_cache_creation(value.get("cache_creation"), odd),
    )


def _text(value: Object, key: str, odd: list[str]) -> str | None:
    found = value.get(key)
    if found is not None and not isinstance(found, str):
        odd.append(key)
    return values.text(found)


def _flag(value: Object, key: str, odd: list[str]) -> bool | None:
    found = value.get(key)
    if found is None or isinstance(found, bool):
        return found
    odd.append(key)
    return None


def _timestamp(value: object, odd: list[str]) -> str | None:
    if value is None or isinstance(value, str):
        return values.text(value)
    odd.append("timestamp")
    return repr(value) if isinstance(value, int | float) else None


def _cost(value: object, odd: list[str]) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    if value is not None:
        odd.append(_KEYS["cost_usd"])
    return None


def _forked_from(value: object, odd: list[str]) -> ForkedFrom | None:
    if isinstance(value, dict):
        return ForkedFrom(_text(value, _KEYS["session_id"], odd))
    if value is not None:
        odd.append(_KEYS["forked_from"])
    return None


def note(value: Object) -> SessionLine:
    """Build the note that *value* is, whatever else it may be."""
    return SessionLine(
        type=values.text(value.get("type")),
        subtype=values.text(value.get("subtype")),
        uuid=values.text(value.get("uuid")),
        timestamp=_timestamp(value.get("timestamp"), []),
        session_id=values.text(value.get(_KEYS["session_id"])),
        process_session=values.text(value.get(_KEYS["process_session"])),
        cwd=values.text(value.get("cwd")),
        forked_from=_forked_from(value.get(_KEYS["forked_from"]), []),
        custom_title=values.text(value.get(_KEYS["custom_title"])),
        ai_title=values.text(value.get(_KEYS["ai_title"])),
        summary=values.text(value.get("summary")),
        leaf_uuid=values.text(value.get(_KEYS["leaf_uuid"])),
        compact_metadata=_compact_metadata(value.get(_KEYS["compact_metadata"])),
    )


def _compact_metadata(value: object) -> CompactMetadata | None:
    if not isinstance(value, dict):
        return None
    tokens: list[int | None] = []
    for name in ("pre_tokens", "post_tokens"):
        try:
            tokens.append(values.count(value.get(_KEYS[name])))
        except BadCountError:
            tokens.append(None)
    return CompactMetadata(values.text(value.get("trigger")), tokens[0], tokens[1])
