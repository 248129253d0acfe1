"""How many input tokens each kind of hidden call has: by tokenizer and version of Claude Code.

Measured on sessions whose whole usage Claude Code itself had stated; nothing here is worked out.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

__all__ = ["EARLY_COMPACTION", "SMALL_TITLE", "HiddenKind", "TitleSize", "Version", "sizes"]

Version = tuple[int, int, int]


class HiddenKind(StrEnum):
    """A call that Claude Code makes on the side, with the whole context."""

    SUGGESTION = "prompt suggestions"
    RECAP = "recaps"
    COMPACTION = "compactions"


class _Signature(NamedTuple):
    kind: HiddenKind
    tokenizer: str
    first: Version
    last: Version
    """The versions that it was seen in; those between two of one kind may have either."""
    input_tokens: int


_NEWEST: Final[Version] = (99, 0, 0)
_SIGNATURES: Final = (
    _Signature(HiddenKind.SUGGESTION, "old", (2, 1, 50), (2, 1, 114), 295),
    _Signature(HiddenKind.SUGGESTION, "old", (2, 1, 140), (2, 1, 159), 343),
    _Signature(HiddenKind.SUGGESTION, "new", (2, 1, 111), (2, 1, 114), 425),
    _Signature(HiddenKind.SUGGESTION, "new", (2, 1, 143), (2, 1, 143), 510),
    _Signature(HiddenKind.SUGGESTION, "new", (2, 1, 177), (2, 1, 231), 336),
    _Signature(HiddenKind.RECAP, "old", (2, 1, 140), (2, 1, 140), 72),
    _Signature(HiddenKind.RECAP, "new", (2, 1, 112), (2, 1, 140), 100),
    _Signature(HiddenKind.RECAP, "new", (2, 1, 222), (2, 1, 231), 94),
    _Signature(HiddenKind.COMPACTION, "old", (2, 1, 89), _NEWEST, 1262),
    _Signature(HiddenKind.COMPACTION, "new", (2, 1, 111), _NEWEST, 1762),
    # its instructions are written to the cache, as those of a turn are
    _Signature(HiddenKind.COMPACTION, "new", (2, 1, 143), _NEWEST, 6),
)

EARLY_COMPACTION: Final = ((2, 1, 41), (2, 3), 10_000)
"""The last version that wrote the whole context anew, its input tokens, the least that it wrote."""


class TitleSize(NamedTuple):
    """The least and the most tokens of a title that the small model makes."""

    input_tokens: tuple[int, int]
    output_tokens: tuple[int, int]


SMALL_TITLE: Final = TitleSize((340, 500), (11, 40))


def sizes(kind: HiddenKind, tokenizer: str, version: Version) -> Sequence[int]:
    """Return the input tokens that a call of *kind* may have in *version*, the smallest first.

    More than one where *version* lies between two that were measured.
    """
    known = [each for each in _SIGNATURES if (each.kind, each.tokenizer) == (kind, tokenizer)]
    seen = [each for each in known if each.first <= version <= each.last]
    return sorted({each.input_tokens for each in seen or _beside(known, version)})


def _beside(known: Sequence[_Signature], version: Version) -> Iterator[_Signature]:
    before = [each for each in known if each.last < version]
    after = [each for each in known if each.first > version]
    if before:
        yield max(before, key=lambda each: each.last)
    if after:
        yield min(after, key=lambda each: each.first)
