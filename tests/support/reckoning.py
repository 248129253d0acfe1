"""Reckons what reading must find in the bytes of a transcript: an independent count, by the standard library's JSON alone.

It parses every line, slowly, and shares no code with tokenaudit. A line that is no JSON from end to end
is a reject if something on it that counts may be lost; see `docs/explanation/rejects.md`.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final

BLANK: Final = b" \t\r\n\x0b\x0c"
LARGEST: Final = 2**53 - 1
COUNTS: Final = ("input_tokens", "output_tokens")
OPTIONAL_COUNTS: Final = ("cache_read_input_tokens", "cache_creation_input_tokens")

OF_INTEREST: Final = re.compile(
    rb'\{(?:(?:(?!"type":")[^{])*'
    rb'"type":"(?:assistant|custom-title|ai-title|summary|cost-state|api-request)"'
    rb'|(?![^{]*"type":"user","message":\{)[^{]*"message":\{)'
)
"""How lines begin, by their first type, that are looked at whatever else they hold, and so are rejects if
they are torn."""
COMPACTION: Final = re.compile(rb'\{[^{]*"type":"system"[^{]*')
PROGRESS: Final = re.compile(
    rb'\{(?![^{]*type":"progress","data":\{(?:"type":"(?:hook|bash)|"message":\{"type":"user"))'
    rb'[^{]*"type":"progress"'
)
"""Progress of agents, not of hooks and commands, nor what a user told an agent."""
UNTYPED: Final = re.compile(rb'\{(?![^{]*"type":")')
"""What they are stands behind a nested object, or is written with blanks."""
SHORT: Final = 2048


@dataclass
class Reckoning:
    """What stands in a transcript."""

    lines: int = 0
    usage_lines: int = 0
    rejects: list[int] = field(default_factory=list)
    """The numbers of the lines that lost something, from 1."""
    uncounted: dict[str | None, int] = field(default_factory=dict)
    """Usage at the top level of lines, by their type."""
    output_tokens: int = 0
    """Of all usage lines, copies and all."""


def reckon(data: bytes) -> Reckoning:
    """Count what *data*, the bytes of one transcript, holds."""
    found = Reckoning()
    lines = data.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    for number, line in enumerate(lines, 1):
        if not line.strip(BLANK):
            continue
        found.lines += 1
        is_last = number == len(lines)
        objects, is_whole = read(line if is_last else line.strip(BLANK))
        is_lost = not is_whole and not is_last and may_lose(line)
        for value in objects:
            is_lost |= not take(found, value)
        if is_lost:
            found.rejects.append(number)
    return found


def read(line: bytes) -> tuple[list[Any], bool]:
    """Return the objects on *line*, and whether there is nothing else.

    Behind a run of NUL bytes objects are taken where nothing but objects stands up to the next.
    """
    pieces = re.split("\x00+", line.decode("utf-8", "replace"))
    objects, is_whole = values(pieces[0])
    for piece in pieces[1:]:
        more, is_clean = values(piece)
        objects += more if is_clean else []
    return objects, is_whole and len(pieces) == 1


def values(text: str) -> tuple[list[Any], bool]:
    found: list[Any] = []
    rest = text.strip(" \t\r\n\ufeff")
    while rest:
        try:
            value, end = json.JSONDecoder().raw_decode(rest)
        except (ValueError, RecursionError):
            return found, False
        if not isinstance(value, dict):
            return found, False
        found.append(value)
        rest = rest[end:].lstrip(" \t\r\n\ufeff")
    return found, True


def may_lose(line: bytes) -> bool:
    """Tell whether something that counts may be lost on *line*, which is no JSON from end to end."""
    if b"\x00" in line or not (line.startswith(b"{") and line.endswith(b"}")):
        return True
    if OF_INTEREST.match(line):
        return True
    if UNTYPED.match(line):
        is_short = len(line) < SHORT and b'"type": "' in line
        is_total = b'"cost-state"' in line
        return is_total or is_short or b'"usage"' in line or b'compact_boundary"' in line[:SHORT]
    if COMPACTION.match(line) and b"compact_boundary" in line:
        return True
    is_repeated = PROGRESS.match(line) and b'"agent_progress"' in line and b'"usage"' in line
    return bool(is_repeated) or b'"output_tokens"' in line


def take(found: Reckoning, value: dict[str, Any]) -> bool:
    """Count *value*, an object of a line; tell whether nothing of it is lost."""
    message = spoken(value)
    if message is None:
        usage = value.get("usage")
        is_progress = value.get("type") == "progress"
        if isinstance(usage, dict) and "output_tokens" in usage and not is_progress:
            kind = value.get("type")
            kind = kind if isinstance(kind, str) else None
            found.uncounted[kind] = found.uncounted.get(kind, 0) + 1
        return True
    usage = message["usage"]
    counts = [usage.get(name) for name in COUNTS]
    counts += [usage[name] for name in OPTIONAL_COUNTS if usage.get(name) is not None]
    split = usage.get("cache_creation")
    if isinstance(split, dict):
        names = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")
        counts += [split[name] for name in names if split.get(name) is not None]
    if not all(is_count(count) for count in counts):
        return False
    found.usage_lines += 1
    found.output_tokens += int(usage["output_tokens"])
    return True


def spoken(value: dict[str, Any]) -> dict[str, Any] | None:
    """Return the message with usage that *value* says or repeats (R2); None where there is none."""
    if value.get("type") == "progress":
        data = value.get("data")
        if not isinstance(data, dict) or data.get("type") != "agent_progress":
            return None
        value = data["message"] if isinstance(data.get("message"), dict) else {}
    message = value.get("message")
    if value.get("type") != "assistant" or not isinstance(message, dict):
        return None
    if not isinstance(message.get("usage"), dict) or message.get("model") == "<synthetic>":
        return None
    return message


def is_count(value: Any) -> bool:
    """Tell whether *value* is a whole number from 0 on, however it is written (R9)."""
    if isinstance(value, bool):
        return False
    if isinstance(value, str):
        return re.fullmatch(r"\d{1,16}", value) is not None and int(value) <= LARGEST
    if isinstance(value, int):
        return 0 <= value <= LARGEST
    return isinstance(value, float) and value.is_integer() and 0 <= value <= LARGEST
