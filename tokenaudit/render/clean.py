"""The one sanitiser: text from transcripts is untrusted, and passes here before anyone sees it."""

import re
from typing import Final

__all__ = ["ascii_only", "defuse", "escape_json", "storable", "visible"]

# What a reader cannot see, or what makes a terminal do something. By code point, since Unicode's
# category Cf also holds signs that Arabic shows.
_HIDDEN: Final = (
    "\x7f-\x9f"  # DEL and C1: one byte of C1 starts a command as ESC does
    "\u2028\u2029"  # line and paragraph separators
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidirectional controls
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200c\u2060-\u2065\u206a-\u206f"
    "\u3164\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e007f"  # tags: a whole alphabet that nobody sees
)
_SURROGATES: Final = "\ud800-\udfff"
_EMOJI: Final = "\u2600-\u27bf\U0001f000-\U0001faff"
_JOINER: Final = "\u200d"

# A joiner between two emoji makes them one picture; anywhere else it only hides.
_UNSEEN: Final = re.compile(
    rf"[\x00-\x1f{_HIDDEN}{_SURROGATES}]"
    rf"|(?<![{_EMOJI}\ufe0f]){_JOINER}|{_JOINER}(?![{_EMOJI}])"
)
_UNSEEN_IN_JSON: Final = re.compile(rf"[{_HIDDEN}{_JOINER}]")
_LAST_OF_LATIN_1: Final = 0xFF
_LAST_OF_BMP: Final = 0xFFFF
_SHORT_ESCAPES: Final = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}

_FORMULA: Final = re.compile("\\A(?:[\t\r\n\0]|\\s*[=+\\-@\uff1d\uff0b\uff0d\uff20])")

_PLAIN_SIGNS: Final = str.maketrans(
    {
        "≥": ">=",
        "≤": "<=",
        "…": "...",
        "—": "-",
        "\u2013": "-",
        "·": "-",
        "•": "-",
        "→": "->",
        "\u00d7": "x",
        "\u2019": "'",
        "\u2018": "'",
        "“": '"',
        "”": '"',
        "└": "-",
        "\u00a0": " ",
    }
)


def visible(text: str) -> str:
    r"""Return *text* with all that hides or commands made visible: `\x1b`, `\u202e`, `\n`.

    Everything that people write stays: any script, combining marks, emoji and their sequences.
    """
    if text.isascii() and text.isprintable():
        return text
    return _UNSEEN.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    if code <= _LAST_OF_LATIN_1:
        return _SHORT_ESCAPES.get(character, f"\\x{code:02x}")
    return f"\\u{code:04x}" if code <= _LAST_OF_BMP else f"\\U{code:08x}"


def ascii_only(text: str) -> str:
    r"""Return *text* for a terminal that knows ASCII alone: `>=` for ≥, `\u4f60` for 你."""
    plain = text.translate(_PLAIN_SIGNS)
    return plain.encode("ascii", "backslashreplace").decode("ascii")


def defuse(text: str) -> str:
    """Return *text* with a `'` before it where a spreadsheet would take it for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def storable(text: str) -> str:
    """Return *text* as it is, but for lone surrogates, which UTF-8 cannot hold."""
    return text.encode("utf-8", "replace").decode("utf-8")


def escape_json(document: str) -> str:
    r"""Return the JSON *document* with all that hides or commands written as `\u009b`.

    A parser reads the same values; a terminal, or a tool that splits lines at U+2028, is safe.
    """
    return _UNSEEN_IN_JSON.sub(_escaped_for_json, document)


def _escaped_for_json(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
