"""Calls that transcripts never hold, told by the shape of what is left over between two totals.

A kind is named where its size fits to the token and what transcripts mark allows it; where several
fit, all are named. What fits nothing is not told: it stays unexplained.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations, product
from math import comb
from typing import Final, NamedTuple

from msgspec import Struct

from tokenaudit.audit.reconcile.bridge import Cause
from tokenaudit.audit.reconcile.claims import ClaimCounts
from tokenaudit.audit.reconcile.signatures import (
    EARLY_COMPACTION,
    SMALL_TITLE,
    HiddenKind,
    Version,
    sizes,
)

__all__ = ["Hidden", "Mixture", "Signs", "Turn", "hidden_calls", "mixtures"]

_MOST_OUTPUT: Final = {
    HiddenKind.SUGGESTION: 16,
    HiddenKind.RECAP: 200,
    HiddenKind.COMPACTION: 10_000,
}
"""Output tokens of one call, where output of recorded responses is lost besides."""
_ONE_IN: Final = 100
"""A match of contexts counts where fewer than one in so many would come by chance."""
_LONGEST_INSTRUCTION: Final = 4_000
"""Tokens by which the prompt of a compaction may differ from the context that it is about."""
_MOST_INPUT: Final = 1_000
"""Input tokens, beside the context, of a call that is told by its context alone."""
_MOST_TITLES: Final = 2
"""What looks like more titles of one session may as well be something else."""
_FIRST_SUGGESTIONS: Final[Version] = (2, 1, 23)
_LARGEST_CONTEXT: Final = 1_000_000


class Turn(NamedTuple):
    """A response of the main agent, as the cache knew it when it ended."""

    context: int
    """Tokens that it left in the cache: what it read from it and what it wrote."""
    prompt: int
    output: int
    cache_read: int


class Signs(Struct, frozen=True):
    """What the transcripts of the same scope say that bears on it."""

    is_small: bool = False
    """Whether the model is the small one that Claude Code asks on the side."""
    is_absent: bool = False
    """Whether transcripts hold no response of the model at all."""
    is_foreign: bool = False
    """Whether it is of another vendor, whose tokenizer has no known sizes."""
    is_scope_open: bool = False
    """Whether the total may hold sessions that are not compared."""
    has_lost_output: bool = False
    """Whether some of its responses lack a final output count."""
    tokenizer: str = "old"
    version: Version | None = None
    compactions: int = 0
    recaps: int = 0
    pages: int = 0
    """Pages of the web that were summed up."""
    compacted: int | None = None
    """How large the contexts were that were compacted, together; None where it is not said."""
    prompts: int | None = None
    """After how many responses of the main agent it was the user's turn; None where it is not said."""
    uncounted: int = 0
    """Responses whose lines hold no counts at all, as some gateways write them."""
    searches: int = 0
    """Web searches that the total has more than transcripts do."""
    turns: tuple[Turn, ...] = ()


class Hidden(NamedTuple):
    """Part of a residual: what it is, as far as its shape tells."""

    name: str
    counts: ClaimCounts
    note: str
    cause: Cause = Cause.UNRECORDED_CALLS
    is_exact: bool = False
    """Whether its size fits to the token."""
    is_placed: bool = False
    """Whether what it read from the cache is the context after a recorded response, to the token."""


class Mixture(NamedTuple):
    """So many calls of each kind, each with so many input tokens."""

    parts: tuple[tuple[HiddenKind, int, int], ...]
    """Kind, number, input tokens of one."""

    def number(self, kind: HiddenKind) -> int:
        """Return how many calls of *kind* it has."""
        return sum(number for each, number, _ in self.parts if each is kind)

    @property
    def calls(self) -> int:
        """How many calls it has."""
        return sum(number for _, number, _ in self.parts)

    def __str__(self) -> str:
        """Return it as a sum: `3 x 336 (prompt suggestions) + 12 x 94 (recaps)`."""
        return " + ".join(f"{number:,} x {size:,} ({kind})" for kind, number, size in self.parts)


def hidden_calls(model: str, residual: ClaimCounts, signs: Signs) -> Iterator[Hidden]:
    """Part the *residual* of *model*, theirs minus ours, into calls and lost output."""
    if min(residual.input, residual.output, residual.cache_read, residual.cache_write) < 0:
        return
    found = None
    if residual != ClaimCounts(output=residual.output):
        found = _found(model, residual, signs)
        if found is None:
            return
        yield found
    rest = residual.output - (found.counts.output if found else 0)
    if rest and signs.has_lost_output:
        yield Hidden(
            f"output that no line tells ({model})",
            ClaimCounts(output=rest),
            "Responses whose lines hold a placeholder or a part of their output count; input and cache agree.",
            Cause.LOST_OUTPUT,
            is_exact=True,
        )


def _found(model: str, residual: ClaimCounts, signs: Signs) -> Hidden | None:
    if signs.is_foreign:
        return _foreign(model, residual, signs)
    tried = (_small,) if signs.is_small else _TRIED
    for attempt in tried:
        if found := attempt(model, residual, signs):
            return found
    return _absent(model, residual) if signs.is_absent else None


def _absent(model: str, residual: ClaimCounts) -> Hidden:
    return Hidden(f"calls of {model}", residual, "The transcripts hold no response of this model.")


def _foreign(model: str, residual: ClaimCounts, signs: Signs) -> Hidden | None:
    """Return the calls of a model of another vendor: no more than there was occasion for."""
    prompts = len(signs.turns) if signs.prompts is None else signs.prompts
    occasions = 1 + prompts + signs.recaps + signs.compactions + signs.uncounted
    largest = max((turn.prompt for turn in signs.turns), default=0) or _LARGEST_CONTEXT
    prompt = residual.input + residual.cache_read + residual.cache_write
    if signs.is_scope_open or prompt > occasions * largest:
        return None
    return Hidden(
        f"titles, suggestions, recaps, or counts that no line holds ({model})",
        residual,
        "Models of other vendors count tokens otherwise: no size tells these calls apart. Their cost is"
        " what is stated.",
    )


def _small(model: str, residual: ClaimCounts, _: Signs) -> Hidden | None:
    if residual.cache_read or residual.cache_write:
        return None
    least, most = SMALL_TITLE.input_tokens
    first, last = -(-residual.input // most), residual.input // least
    few, many = SMALL_TITLE.output_tokens
    fits = [
        number
        for number in range(first, min(last, first + _ONE_IN) + 1)
        if few * number <= residual.output <= many * number
    ]
    pages = "pages of the web, searches, checks of commands"
    if fits and fits[0] <= _MOST_TITLES:
        number = "One call" if fits == [1] else f"{fits[0]:,} calls or more"
        note = f"{number} of {least} to {most} input and {few} to {many} output tokens, without any cache."
        return Hidden(f"session titles ({model})", residual, note)
    note = f"The small model, without any cache: {pages}, or titles; the size does not tell which."
    return Hidden(f"titles, web pages, searches, command checks ({model})", residual, note)


def _early_compaction(model: str, residual: ClaimCounts, signs: Signs) -> Hidden | None:
    last, (least, most), written = EARLY_COMPACTION
    number = signs.compactions
    is_early = signs.version is not None and signs.version <= last
    if not (number and is_early and residual.cache_write >= written * number):
        return None
    if not least * number <= residual.input <= most * number:
        return None
    note = f"{number:,} compactions are marked in the transcripts; the call is on no line."
    return Hidden(f"compactions ({model})", residual, note, is_exact=True)


def _mixture(model: str, residual: ClaimCounts, signs: Signs) -> Hidden | None:
    found = mixtures(residual, signs)
    if not found:
        return None
    kinds = [kind for kind in HiddenKind if any(each.number(kind) for each in found)]
    word = ", " if len(found) == 1 else " or "
    most = max(sum(_MOST_OUTPUT[kind] * number for kind, number, _ in each.parts) for each in found)
    output = min(residual.output, most) if signs.has_lost_output else residual.output
    counts = ClaimCounts(residual.input, output, residual.cache_read, residual.cache_write)
    return Hidden(
        f"{word.join(kinds)} ({model})",
        counts,
        f"Their input tokens fit exactly: {', or '.join(map(str, found))}. The rest is the context.",
        is_exact=True,
        is_placed=residual.cache_read in {turn.context for turn in signs.turns},
    )


def mixtures(residual: ClaimCounts, signs: Signs) -> list[Mixture]:
    """Return the mixtures of suggestions, recaps and compactions that *residual* can be.

    Those that hold as many recaps and compactions as transcripts mark stand for all, where there are
    any; no mixture has more than are marked, nor more suggestions than the user had turns.
    """
    if signs.version is None or not residual.cache_read:
        return []
    largest = max((turn.prompt + turn.output for turn in signs.turns), default=_LARGEST_CONTEXT)
    found = [
        each
        for each in _sums(residual.input, signs, signs.version)
        if residual.cache_read <= each.calls * largest
    ]
    kinds = (HiddenKind.RECAP, HiddenKind.COMPACTION)
    marked = (signs.recaps, signs.compactions)
    agreeing = [each for each in found if tuple(map(each.number, kinds)) == marked]
    return agreeing or found


def _sums(total: int, signs: Signs, version: Version) -> Iterator[Mixture]:
    bounds = {HiddenKind.RECAP: signs.recaps, HiddenKind.COMPACTION: signs.compactions}
    offers = [
        [(kind, number, size) for number in range(1, most + 1) for size in _sizes(kind, signs)]
        for kind, most in bounds.items()
    ]
    most = len(signs.turns) if signs.prompts is None else signs.prompts
    suggested = [0] if version < _FIRST_SUGGESTIONS else _sizes(HiddenKind.SUGGESTION, signs)
    for marked in product(*([None, *offer] for offer in offers)):
        parts = tuple(part for part in marked if part is not None)
        rest = total - sum(number * size for _, number, size in parts)
        if not rest and parts:
            yield Mixture(parts)
        for size in filter(None, suggested):
            number, odd = divmod(rest, size)
            if not odd and 0 < number <= most:
                yield Mixture(((HiddenKind.SUGGESTION, number, size), *parts))


def _sizes(kind: HiddenKind, signs: Signs) -> Sequence[int]:
    return sizes(kind, signs.tokenizer, signs.version) if signs.version else ()


def _again(model: str, residual: ClaimCounts, signs: Signs) -> Hidden | None:
    """Return calls that sent a context once more: by what they read, or by their whole prompt."""
    contexts = sorted({turn.context for turn in signs.turns if turn.context})
    for number in (1, 2):
        if number > len(contexts) or not number <= residual.input <= number * _MOST_INPUT:
            continue
        if comb(len(contexts), number) * _ONE_IN > contexts[-1]:
            continue
        if any(sum(each) == residual.cache_read for each in combinations(contexts, number)):
            return Hidden(
                f"calls that sent the context once more ({model})",
                residual,
                f"{number} that read from the cache just what stood there after recorded responses: suggestions,"
                " recaps, questions on the side, or attempts that failed; their size does not tell which.",
                is_exact=True,
                is_placed=True,
            )
    return _uncached(model, residual, signs)


def _uncached(model: str, residual: ClaimCounts, signs: Signs) -> Hidden | None:
    """Return a suggestion whose context was for the most part in no cache any more.

    Its prompt is that of a turn, the reply (whose end marks are no part of it), and the instruction.
    """
    starts = {0, *(turn.cache_read for turn in signs.turns)}
    prompt = residual.input + residual.cache_read + residual.cache_write
    wanted = {turn.prompt + turn.output for turn in signs.turns}
    fits = [
        size
        for size in _sizes(HiddenKind.SUGGESTION, signs)
        if any(prompt - size + mark in wanted for mark in _END_MARKS)
    ]
    if residual.cache_read not in starts or not fits:
        return None
    if len(wanted) * len(_END_MARKS) * _ONE_IN > max(wanted):
        return None
    return Hidden(
        f"prompt suggestions ({model})",
        residual,
        f"1 of {fits[0]:,} input tokens and a context, to the token, that was no longer in the cache.",
        is_exact=True,
        is_placed=True,
    )


_END_MARKS: Final = (1, 2, 3, 4)
"""Tokens of a reply's output that the next prompt does not repeat."""


def _compacted(model: str, residual: ClaimCounts, signs: Signs) -> Hidden | None:
    """Return the compactions that are marked, by the size of the contexts that they were asked about.

    For what size tells nothing of: versions that were not measured, and instructions of the user's own.
    """
    if not signs.compactions or signs.compacted is None or not residual.cache_read:
        return None
    prompt = residual.input + residual.cache_read + residual.cache_write
    if abs(prompt - signs.compacted) > _LONGEST_INSTRUCTION * signs.compactions:
        return None
    note = (
        f"{signs.compactions:,} marked in the transcripts, of {signs.compacted:,} tokens of context; the prompt"
        f" is of {prompt:,}."
    )
    return Hidden(f"compactions ({model})", residual, note)


def _without_context(model: str, residual: ClaimCounts, signs: Signs) -> Hidden | None:
    """Return searches that the total counts with a model at work, and pages that transcripts mark."""
    kinds = ("web searches",) * bool(signs.searches) + ("web pages",) * bool(signs.pages)
    if not kinds or residual.cache_read or signs.is_absent:
        return None
    searches = f"{signs.searches:,} searches that the total counts with this model"
    pages = f"{signs.pages:,} pages that transcripts mark"
    parts = (searches,) * bool(signs.searches) + (pages,) * bool(signs.pages)
    note = f"{', '.join(parts)}; they read no context."
    return Hidden(f"{', '.join(kinds)} ({model})", residual, note)


_TRIED: Final = (_early_compaction, _mixture, _again, _compacted, _without_context)
