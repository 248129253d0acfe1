"""Puts what is known into a template: parts of which nothing is known go, nothing commands a terminal."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DEFAULT_FORMAT", "FIELDS", "FULL", "NAME", "filled", "painted"]

FIELDS = (
    "model",
    "session",
    "claude",
    "today",
    "block",
    "left",
    "burn",
    "pace",
    "context",
    "limits",
    "budget",
)
"""What a template may name in braces."""
DEFAULT_FORMAT = (
    "{model} · {session} session · {today} today · {block} block {left} · {burn} · {context}"
    " · {limits} · {budget}"
)
"""What is shown without a template; a part of which nothing is known is left out."""


_SEPARATOR = " · "
_NEAR = 60.0
_RED, _YELLOW, _DIM, _PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[2m", "\x1b[0m"


FULL = 80.0
"""Per cent of anything from which on there is a warning."""

NAME = "tokenaudit"
"""What stands where not even the model is known."""


def painted(text: str, percent: float | None = None) -> str:
    """Return *text* in the colour of how much of something is used."""
    if not text or percent is None or percent < _NEAR:
        return text
    return f"{_RED if percent >= FULL else _YELLOW}{text}{_PLAIN}"


def filled(template: str, fields: Mapping[str, str]) -> str:
    """Put *fields* into *template*; of parts between separators those that know nothing go."""
    parts = []
    for part in template.split(_SEPARATOR):
        names = [name for name in FIELDS if f"{{{name}}}" in part]
        if names and not any(fields.get(name) for name in names):
            continue
        for name in names:
            part = part.replace(f"{{{name}}}", fields.get(name, ""))  # noqa: PLW2901 - step by step
        parts.append(" ".join(part.split()))
    return _visible(_SEPARATOR.join(parts)) or NAME


def _visible(text: str) -> str:
    """Return *text* with what commands a terminal taken out, but for the colours set here."""
    kept = "".join(each if each.isprintable() or each == "\x1b" else " " for each in text)
    for code in (_RED, _YELLOW, _DIM, _PLAIN):
        kept = kept.replace(code, f"\0{code[1:]}")
    return kept.replace("\x1b", " ").replace("\0", "\x1b")
