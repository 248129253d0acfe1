"""What is left over, model by model, between a total of Claude Code and the responses of a scope.

Each part is named by its shape and priced by Claude Code's own formula; the rest is no part.
"""

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from tokenaudit.analysis import vendor_pricing
from tokenaudit.audit.reconcile.bridge import ROUNDING, Figure, Step, StepBasis, figure_of
from tokenaudit.audit.reconcile.claims import Claim, ClaimCounts, ClaimLine
from tokenaudit.audit.reconcile.claims.claim import summed
from tokenaudit.audit.reconcile.coverage import Candidate, Marks
from tokenaudit.audit.reconcile.signatures import Version
from tokenaudit.audit.reconcile.unnamed_models import SMALL_MODEL, Price, Priced, solved
from tokenaudit.audit.reconcile.unrecorded_calls import Hidden, Signs, Turn, hidden_calls
from tokenaudit.ledger.frame import TOKENS
from tokenaudit.model.terms import MAIN_AGENT, Quality
from tokenaudit.pricing.card import RateCard
from tokenaudit.pricing.windows import facts_of

__all__ = ["Group", "Residual", "groups_of", "residuals"]

_UNNAMED: Final = "models that are not named"
_TOKENS: Final = 1_000_000
"""Tokens by whose cost the price of one is found."""

_UNSURE: Final = (Quality.PLACEHOLDER.value, Quality.LOWER_BOUND.value)
_VERSION: Final = re.compile(r"(\d{1,5})\.(\d{1,5})\.(\d{1,5})")


class Group(Struct, frozen=True):
    """One model of a total, and our responses of it; all models of other vendors are one."""

    name: str
    line: ClaimLine
    rows: pl.DataFrame
    is_foreign: bool = False
    is_unnamed: bool = False
    """Whether it is all that a total says, which names no models."""


class Residual(Struct, frozen=True):
    """What a total says of a model beyond our responses, and what it is made of."""

    group: Group
    counts: ClaimCounts
    parts: tuple[Hidden, ...]
    costs: tuple[Decimal, ...]
    """Of each part, in US dollars, as Claude Code priced it."""
    is_main: bool = False
    """Whether the main agent used the model."""
    stated_usd: Decimal = Decimal(0)
    """What a total says that the model cost, where nothing else tells how it was priced."""

    @property
    def is_nothing_too_much(self) -> bool:
        """Whether our responses hold no more than the total."""
        counts = self.counts
        return min(counts.input, counts.output, counts.cache_read, counts.cache_write) >= 0

    @property
    def is_whole(self) -> bool:
        """Whether its parts are all of it."""
        return sum((part.counts for part in self.parts), ClaimCounts()) == self.counts

    @property
    def is_exact(self) -> bool:
        """Whether each part fits to the token."""
        return self.is_whole and all(part.is_exact for part in self.parts)

    def steps(self) -> Iterator[Step]:
        """Yield what takes it away from their total."""
        for part, cost in zip(self.parts, self.costs, strict=True):
            change = -Figure(part.counts, cost)
            yield Step(part.name, StepBasis.INFERRED, change, part.note, part.cause)


def groups_of(claim: Claim, rows: pl.DataFrame, card: RateCard) -> list[Group]:
    """Return the models of *claim* with our *rows* of each; all as one where it names none.

    None where it tells no tokens.
    """
    if claim.is_of_claude_code and claim.counts and all(not each.model for each in claim.lines):
        line = ClaimLine(None, claim.counts, claim.cost_usd, claim.web_searches)
        return [Group(_UNNAMED, line, rows, is_unnamed=True)]
    named = [line for line in claim.lines if line.counts and line.model is not None]
    foreign = [line for line in named if vendor_pricing.is_foreign(line.model)]
    models = rows["model"].unique().drop_nulls().to_list()
    keys = {model: card.key_of(model) for model in models}
    keyed = [replace(each, model=card.key_of(each.model or "")) for each in named]
    found = []
    for line in summed(line for line in keyed if not vendor_pricing.is_foreign(line.model)):
        own = [model for model in models if keys[model] == line.model]
        found.append(Group(str(line.model), line, rows.filter(pl.col("model").is_in(own))))
    if foreign:
        own = [model for model in models if vendor_pricing.is_foreign(model)]
        (line,) = summed(replace(line, model=None) for line in foreign)
        name = ", ".join(sorted({str(each.model) for each in foreign}))
        rows = rows.filter(pl.col("model").is_in(own))
        found.append(Group(name, line, rows, is_foreign=True))
    return found


def residuals(
    groups: Sequence[Group], scope: Candidate, marks: Marks, card: RateCard, *, is_open: bool
) -> list[Residual]:
    """Return what is left over of each of *groups*, parted and priced.

    *is_open* says that the total may hold sessions which are not in the *scope*.
    """
    return [_residual(group, scope, marks, card, is_open=is_open) for group in groups]


def _residual(
    group: Group, scope: Candidate, marks: Marks, card: RateCard, *, is_open: bool
) -> Residual:
    counts, ours = group.line.counts, figure_of(group.rows).counts
    assert counts is not None and ours is not None  # noqa: S101, PT018 - both are told
    rest = counts - ours
    is_main = not group.rows.filter(pl.col("agent_id") == MAIN_AGENT).is_empty()
    if group.is_unnamed:
        priced = tuple(_unnamed(group, rest, scope, card))
        parts, costs = (tuple(each) for each in zip(*priced, strict=True)) if priced else ((), ())
        return Residual(group, rest, parts, costs, is_main)
    signs = _signs(group, scope, marks, is_open=is_open)
    parts = tuple(hidden_calls(group.name, rest, signs))
    costs = _costs(group, parts, scope, card, is_whole=_sum(parts) == rest)
    is_stated = group.is_foreign and _gap(group, card) is None and _sum(parts) == rest
    stated = group.line.cost_usd if is_stated else None
    return Residual(group, rest, parts, costs, is_main, stated or Decimal(0))


def _unnamed(group: Group, rest: ClaimCounts, scope: Candidate, card: RateCard) -> Iterator[Priced]:
    """Part what is left of a total without models; an attempt that was made anew comes first."""
    gap = _gap(group, card)
    models = group.rows["model"].drop_nulls().unique().sort().to_list()
    if gap is None or not models:
        return
    attempt = ClaimCounts(cache_read=rest.cache_read, cache_write=rest.cache_write)
    contexts = {turn.context for turn in _turns(group.rows.sort("time"))}
    if scope.uncounted is not None and rest.cache_read in contexts and rest.cache_write >= 0:
        cost = _priced(group, attempt, scope, card, hour=False) or Decimal(0)
        part = Hidden("attempts that failed", attempt, _ATTEMPT, is_exact=True, is_placed=True)
        yield Priced(part, cost)
        rest, gap = rest - attempt, gap - cost
    small, *main = (_price(each, scope, card) for each in (SMALL_MODEL, *models))
    for found in solved(rest, gap, small, main):
        # beside an attempt that fits to the token, what is solved is as sure as that
        yield Priced(found.part._replace(is_exact=attempt != ClaimCounts()), found.cost)


_ATTEMPT: Final = (
    "They read just what stood in the cache after a recorded response; the answer that stands in the"
    " transcript was asked for anew."
)


def _price(model: str, scope: Candidate, card: RateCard) -> Price:
    group = Group(model, ClaimLine(model, None, None), scope.rows.clear())
    asked, answered = ClaimCounts(_TOKENS), ClaimCounts(output=_TOKENS)
    costs = [_priced(group, each, scope, card, hour=False) for each in (asked, answered)]
    return Price(*((cost or Decimal(0)) / _TOKENS for cost in costs))


def _sum(parts: Sequence[Hidden]) -> ClaimCounts:
    return sum((part.counts for part in parts), ClaimCounts())


def _signs(group: Group, scope: Candidate, marks: Marks, *, is_open: bool) -> Signs:
    rows, is_main = group.rows, pl.col("agent_id") == MAIN_AGENT
    facts = facts_of(group.name)
    main = scope.rows.filter(is_main)
    ended = main["stop_reason"].drop_nulls()
    searches = group.line.web_searches - int(rows["web_searches"].sum())
    return Signs(
        is_small="haiku" in group.name and rows.filter(is_main).is_empty(),
        is_absent=rows.is_empty(),
        is_foreign=group.is_foreign,
        is_scope_open=is_open,
        has_lost_output=bool(rows["quality"].is_in(list(_UNSURE)).any()),
        tokenizer=facts.tokenizer if facts else "new",
        version=_version(scope.rows),
        compactions=marks.compactions,
        recaps=marks.recaps,
        pages=marks.pages,
        compacted=marks.compacted,
        prompts=ended.to_list().count("end_turn") if 2 * ended.len() > main.height else None,
        uncounted=rows.filter(pl.col("prompt_tokens") == 0).height,
        searches=max(0, searches),
        turns=tuple(_turns(rows.filter(is_main))),
    )


def _turns(rows: pl.DataFrame) -> Iterator[Turn]:
    read = pl.col("cache_read_tokens")
    context = read + pl.col("cache_write_5m_tokens") + pl.col("cache_write_1h_tokens")
    prompt = context + pl.col("input_tokens")
    for row in rows.select(
        context, prompt.alias("prompt"), "output_tokens", read.alias("r")
    ).rows():
        yield Turn(*row)


def _version(rows: pl.DataFrame) -> Version | None:
    """Return the last version that *rows* name."""
    found = [_VERSION.match(version) for version in rows["version"].unique().drop_nulls()]
    known = [(int(each[1]), int(each[2]), int(each[3])) for each in found if each]
    return max(known, default=None)


def _costs(
    group: Group, parts: Sequence[Hidden], scope: Candidate, card: RateCard, *, is_whole: bool
) -> tuple[Decimal, ...]:
    """Price tokens that no line holds, as Claude Code did.

    How much of their writes were 1-hour ones no transcript says; where the cost that is stated of the
    model lies between none and all, it says it.
    """
    least = [_priced(group, part.counts, scope, card, hour=False) for part in parts]
    gap = _gap(group, card)
    if gap is None or not (parts and is_whole):
        return tuple(each or Decimal(0) for each in least)
    if None in least or group.rows.is_empty():
        # nothing else is known of it: their own figure
        return (gap, *(Decimal(0) for _ in parts[1:]))
    known = [each or Decimal(0) for each in least]
    most = [_priced(group, part.counts, scope, card, hour=True) or Decimal(0) for part in parts]
    more = gap - sum(known)
    if not ROUNDING <= more <= sum(most) - sum(known) + ROUNDING:
        return tuple(known)
    place = max(range(len(parts)), key=lambda each: most[each] - known[each])
    known[place] += more
    return tuple(known)


def _gap(group: Group, card: RateCard) -> Decimal | None:
    """Return what a total says of the cost of a model beyond our responses, by its own formula."""
    if group.line.cost_usd is None:
        return None
    ours = vendor_pricing.own_formula(group.rows, card)["list_cost_usd"]
    if ours.null_count():
        return None
    more = group.line.web_searches - int(group.rows["web_searches"].sum())
    known: Decimal = ours.sum() or Decimal(0)  # type: ignore[assignment]
    return group.line.cost_usd - known - more * card.web_search_usd


def _priced(
    group: Group, counts: ClaimCounts, scope: Candidate, card: RateCard, *, hour: bool
) -> Decimal | None:
    versions = scope.rows["version"].drop_nulls()
    model = next(iter(group.rows["model"].drop_nulls()), group.name)
    row: dict[str, Any] = {
        "model": model,
        "version": versions[-1] if versions.len() else None,
        "time": scope.rows["time"].max(),
        "speed": None,
        "inference_geo": None,
        "service_tier": None,
        "web_searches": 0,
        "longest_prompt_tokens": 0,
        "input_tokens": counts.input,
        "output_tokens": counts.output,
        "cache_read_tokens": counts.cache_read,
        "cache_write_5m_tokens": 0 if hour else counts.cache_write,
        "cache_write_1h_tokens": counts.cache_write if hour else 0,
    }
    texts = ("model", "version", "speed", "inference_geo", "service_tier")
    numbers = (*TOKENS, "web_searches", "longest_prompt_tokens")
    types = dict.fromkeys(texts, pl.String) | dict.fromkeys(numbers, pl.Int64)
    frame = pl.DataFrame([row], {**types, "time": pl.Datetime("us", "UTC")})
    cost: Decimal | None = vendor_pricing.own_formula(frame, card)["list_cost_usd"].item()
    return cost
