"""The rates themselves: the card in force, one model's, how one response was priced, and checks."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final

import polars as pl

from tokenaudit.ledger.frame import TOKENS, Ledger
from tokenaudit.model.errors import UsageError
from tokenaudit.model.terms import Intake, Quality
from tokenaudit.pricing.card import RateCard
from tokenaudit.pricing.compare import Difference, cells, differences
from tokenaudit.pricing.cost import USD, is_long, parts_of
from tokenaudit.pricing.library import Library
from tokenaudit.pricing.rates import (
    ALWAYS,
    CLASSES,
    LONG,
    MILLION,
    ONE,
    UNBILLED,
    Modifier,
    Rate,
    RateOrigin,
    Tariff,
)
from tokenaudit.pricing.windows import facts_of
from tokenaudit.reports.notes import pricing_line
from tokenaudit.reports.report import Column, Meta, Report, Section, Selected, Unit
from tokenaudit.reports.request import Request

__all__ = [
    "TERMS",
    "TERM_SCHEMA",
    "Term",
    "card_prices",
    "checked",
    "explained",
    "grounds",
    "model_prices",
    "modifiers_of",
    "tariff_of",
    "terms",
    "terms_of",
    "updated",
]

_HEADINGS: Final = ("Input", "Output", "Cache read", "Write 5m", "Write 1h")
_PRICES: Final = tuple(f"{name}_usd_per_mtok" for name in CLASSES)
_COLUMNS: Final = (
    Column("model", Unit.TEXT, "Model"),
    Column("speed", Unit.TEXT, "Speed"),
    Column("valid_from", Unit.DATE, "From"),
    Column("valid_to", Unit.DATE, "Until", essential=False, quiet=True),
    Column("prompt_above_tokens", Unit.TOKENS, "Prompt above", quiet=True),
    *(Column(name, Unit.PRICE, label) for name, label in zip(_PRICES, _HEADINGS, strict=True)),
    Column("price_confidence", Unit.TEXT, "Sure", essential=False),
    Column("price_source", Unit.TEXT, "Source", essential=False),
)
_RATE_SCHEMA: Final[Mapping[str, Any]] = {
    "model": pl.String,
    "speed": pl.String,
    "valid_from": pl.Date,
    "valid_to": pl.Date,
    "prompt_above_tokens": pl.Int64,
    **dict.fromkeys(_PRICES, USD),
    "price_confidence": pl.String,
    "price_source": pl.String,
}
_PER_MILLION: Final = "US dollars per million tokens, at list price."


def card_prices(card: RateCard, request: Request) -> Report:
    """Return all rates in force on the day of *request*, user rates first."""
    today = request.now.date()
    rates = [rate for rate in card.rates if rate.holds_on(today)]
    return _rates_report(card, request, rates, f"Prices on {today}", *_deprecated(rates, today))


def _deprecated(rates: Sequence[Rate], today: date) -> Iterator[str]:
    """Yield what is to be said of models whose end of life is yet to come."""
    ends = {rate.model: _end_of_life(rate.model) for rate in rates}
    soon = [f"{model} ({end})" for model, end in ends.items() if end is not None and end > today]
    if soon:
        yield f"Deprecated, with the day on which Anthropic's API ends it: {', '.join(soon)}."


def _end_of_life(key: str) -> date | None:
    facts = facts_of(key)
    return facts.end_of_life if facts is not None else None


def model_prices(card: RateCard, request: Request, model: str, day: date | None) -> Report:
    """Return the rates of *model*, past ones too, or those in force on *day*.

    Raises UsageError for a model that has none.
    """
    key = card.key_of(model)
    rates = [rate for rate in card.rates if rate.model == key]
    if not rates:
        raise UsageError(
            f"no price for {model}", hint="`tokenaudit prices` lists the models that have one."
        )
    if day is not None:
        found = (card.tariff(model, speed, day, None, None) for speed in ("standard", "fast"))
        held = {tariff.rate.id: tariff.rate for tariff in found if tariff is not None}
        rates = list(held.values())
    title = f"Prices of {key}" + (f" on {day}" if day else "")
    return _rates_report(card, request, rates, title, *_about(key, request.now.date()))


def _about(key: str, today: date) -> Iterator[str]:
    facts = facts_of(key)
    if facts is None:
        return
    yield (
        f"Context window of the model: {facts.context_window:,} tokens; {facts.tokenizer}"
        " tokenizer (the new one makes about 30% more tokens of the same text)."
    )
    if facts.end_of_life is None:
        return
    if facts.end_of_life > today:
        yield f"Deprecated: Anthropic's API ends the model on {facts.end_of_life}."
    else:
        yield f"Anthropic's API ended the model on {facts.end_of_life}; its prices hold for what it answered."


def _rates_report(
    card: RateCard, request: Request, rates: Sequence[Rate], title: str, *more: str
) -> Report:
    rows = [row for rate in rates for row in _rate_rows(rate)]
    frame = pl.DataFrame(rows, schema=_RATE_SCHEMA, orient="row")
    section = Section("prices", title, _COLUMNS, frame)
    return _report(card, request, (section, _sources(rates)), _PER_MILLION, *more)


def _rate_rows(rate: Rate) -> Iterator[tuple[Any, ...]]:
    """Yield a row of the rate, and one of its prices of long prompts if it has them."""
    start = None if rate.valid_from == ALWAYS else rate.valid_from
    known = dict(cells(rate))
    for prefix, above in (("", None), ("long_", rate.long_prompt)):
        if f"{prefix}input" in known:
            each = (known.get(f"{prefix}{name}") for name in CLASSES)
            named = (rate.model, rate.speed, start, rate.valid_to, above)
            yield (*named, *each, rate.confidence, rate.source)


def _sources(rates: Sequence[Rate]) -> Section:
    columns = (
        Column("rate_id", Unit.TEXT, "Rate"),
        Column("price_confidence", Unit.TEXT, "Sure"),
        Column("price_source", Unit.TEXT, "Source"),
    )
    rows = [(rate.id, rate.confidence, rate.source) for rate in rates]
    schema = {column.name: pl.String for column in columns}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return Section("sources", "Sources", columns, frame)


def _report(card: RateCard, request: Request, sections: tuple[Section, ...], *notes: str) -> Report:
    """Put a report together that is about prices alone: it has read no transcript."""
    meta = Meta(
        command=request.command,
        version=request.version,
        generated_at=request.now,
        timezone=request.selection.timezone,
        filters={},
        pricing=card.basis,
        intake=Intake(),
        selected=Selected(0, 0, {quality.value: 0 for quality in Quality}),
    )
    return Report(sections[0].title, sections, meta, (*notes, pricing_line(card.basis)))


# how a response was priced

TERMS: Final = (
    Column("item", Unit.TEXT, "Item"),
    Column("inference", Unit.COUNT, "Inference", quiet=True),
    Column("count", Unit.TOKENS, "Count"),
    Column("usd_per_million", Unit.PRICE, "Per million"),
    Column("multiplier", Unit.TEXT, "Times", quiet=True),
    Column("cost_term_usd", Unit.PRICE, "US dollars"),
)
TERM_SCHEMA: Final[Mapping[str, Any]] = {
    "item": pl.String,
    "inference": pl.Int64,
    "count": pl.Int64,
    "usd_per_million": USD,
    "multiplier": pl.String,
    "cost_term_usd": USD,
}
_ITEMS: Final = {
    "input": "input tokens",
    "output": "output tokens",
    "cache_read": "cache reads",
    "cache_write_5m": "cache writes, 5 minutes",
    "cache_write_1h": "cache writes, 1 hour",
}
Term = tuple[str, int | None, int | None, Decimal | None, str | None, Decimal | None]
"""A row of TERMS."""


def explained(ledger: Ledger, request: Request, start: str) -> Report:
    """Return the arithmetic of the response whose id is, or uniquely begins with, *start*.

    Counts times price times multiplier are the terms; they sum exactly to its cost. Raises UsageError
    when there is no such response, or more than one, or when it is unpriced.
    """
    row = _response(ledger, start)
    if row["cost_usd"] is None:
        raise UsageError(
            f"{row['response_id']} is unpriced: no price for {row['model'] or 'a response without a model'}",
            hint="`tokenaudit prices` lists the models that have one; --rates adds your own.",
        )
    sections = (terms(ledger, row, f"Response {row['response_id']}"), grounds(row))
    return _report(ledger.card, request, sections)


def terms(ledger: Ledger, row: Mapping[str, Any], title: str) -> Section:
    """Return the arithmetic of a *row* of the ledger: terms that sum exactly to its cost."""
    found = [] if row["cost_usd"] is None else _all_terms(ledger, row)
    frame = pl.DataFrame(found, schema=TERM_SCHEMA, orient="row")
    return Section("terms", title, TERMS, frame, totals={"cost_term_usd": row["cost_usd"]})


def _all_terms(ledger: Ledger, row: Mapping[str, Any]) -> list[Term]:
    """Return what sums to the cost: of each inference, numbered where there are several."""
    inferences = _inferences(ledger, row)
    terms = [
        term
        for at, inference in enumerate(inferences, 1)
        for term in terms_of(
            ledger.card,
            inference,
            at if len(inferences) > 1 else None,
            **_how(ledger.card, inference),
        )
    ]
    if row["is_unbilled"]:
        listed = sum((term[-1] or Decimal(0) for term in terms), Decimal(0))
        terms.append(("refused before any output: not billed", None, None, None, None, -listed))
    return terms


def _response(ledger: Ledger, start: str) -> dict[str, Any]:
    both = pl.concat([ledger.frame, ledger.refused])
    found = both.filter(pl.col("response_id") == start)
    if found.is_empty():
        found = both.filter(pl.col("response_id").str.starts_with(start))
    if found.height == 1:
        return found.row(0, named=True)
    if found.is_empty():
        hint = "`tokenaudit export` lists all responses."
        raise UsageError(f"no response begins with {start!r}", hint=hint)
    some = ", ".join(found["response_id"].head(5))
    raise UsageError(f"{found.height} responses begin with {start!r}", hint=f"Among them {some}.")


def modifiers_of(ledger: Ledger, row: Mapping[str, Any]) -> list[Modifier]:
    """Return what changed the plain price of a *row* of the ledger, in the order in which it says so."""
    tariff = tariff_of(ledger.card, row)
    found = [Modifier(UNBILLED)] if row["is_unbilled"] else []
    if tariff is None:
        return found
    if any(is_long(_classes(each), tariff) for each in _inferences(ledger, row)):
        found.append(Modifier(LONG, tariff.rate.long_prompt))
    return [*found, *tariff.modifiers]


def _inferences(ledger: Ledger, row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the inferences that the response was priced by: itself, where it took one."""
    same = pl.all_horizontal(
        pl.col(name).eq_missing(row[name])
        for name in ("response_id", "request_id", "source_path", "source_line")
    )
    parts = ledger.inferences.filter(same)
    return list(parts.iter_rows(named=True)) or [dict(row)]


def _how(card: RateCard, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return how the tokens of a single inference are priced: whether as a long prompt, and the sum."""
    tariff = tariff_of(card, row)
    if tariff is None:
        return {"is_long_prompt": False, "paid_usd": Decimal(0)}
    tokens = _classes(row)
    paid = sum(parts_of(tokens, tariff, card=card).values(), Decimal(0))
    return {"is_long_prompt": is_long(tokens, tariff), "paid_usd": paid}


def _classes(row: Mapping[str, Any]) -> dict[str, int]:
    return {name.removesuffix("_tokens"): row[name] for name in TOKENS}


def terms_of(
    card: RateCard,
    row: Mapping[str, Any],
    number: int | None,
    *,
    is_long_prompt: bool,
    paid_usd: Decimal,
) -> Iterator[Term]:
    """Yield the terms of one inference, the *number*th of its response, or of the sum of some alike.

    *row* has the columns of the ledger, *paid_usd* is what its tokens cost with the discount.
    """
    tariff = tariff_of(card, row)
    if tariff is None:  # only what is not billed gets this far without a price
        return
    tokens = _classes(row)
    base, prices = tariff.rate.prices, tariff.prices
    if is_long_prompt and tariff.rate.long_prices and tariff.long_prices:
        base, prices = tariff.rate.long_prices, tariff.long_prices
    listed = Decimal(0)
    for name in CLASSES:
        plain, price = getattr(base, name), getattr(prices, name)
        if tokens[name]:
            cost = tokens[name] * price
            listed += cost
            yield _ITEMS[name], number, tokens[name], plain * MILLION, _factor(price, plain), cost
    searches = row["web_searches"] or 0
    searched = searches * card.web_search_usd
    if searches:
        each = card.web_search_usd * MILLION
        yield "web searches", number, searches, each, None, searched
    if tariff.discount != ONE:
        said = f"discount: {tariff.discount.normalize():f} of list"
        yield said, number, None, None, None, paid_usd - listed


def _factor(price: Decimal, plain: Decimal) -> str | None:
    """Write what a plain price was multiplied by; None for nothing."""
    return None if price == plain else f"{(price / plain).normalize():f}"


def tariff_of(card: RateCard, row: Mapping[str, Any]) -> Tariff | None:
    """Return what a *row* of the ledger was priced by; None if it is unpriced."""
    day = row["time"].date() if row["time"] else None
    return card.tariff(row["model"], row["speed"], day, row["inference_geo"], row["service_tier"])


def grounds(row: Mapping[str, Any]) -> Section:
    """Return what the price was chosen by, and where the response stands."""
    columns = (
        Column("model", Unit.TEXT, "Model"),
        Column("time", Unit.TIME, "Time"),
        Column("rate_id", Unit.TEXT, "Rate"),
        Column("price_modifiers", Unit.TEXT, "Modifiers"),
        Column("price_confidence", Unit.TEXT, "Sure"),
        Column("price_source", Unit.TEXT, "Source"),
        Column("quality", Unit.TEXT, "Output count"),
        Column("source_path", Unit.TEXT, "Transcript"),
        Column("source_line", Unit.COUNT, "Line"),
    )
    schema: dict[str, Any] = {column.name: pl.String for column in columns}
    schema |= {"time": pl.Datetime("us", "UTC"), "source_line": pl.Int64}
    frame = pl.DataFrame([{name: row[name] for name in schema}], schema=schema)
    return Section("grounds", "What it stands on", columns, frame)


# comparisons


def checked(card: RateCard, request: Request, library: Library) -> Report:
    """Return where the shipped card and *library* differ, and how old both are."""
    shipped = [rate for rate in card.rates if rate.origin is RateOrigin.CARD]
    found = differences(shipped, library.rates)
    compared = sum(1 for rate in shipped for _ in cells(rate))
    known = {rate.model for rate in shipped}
    only = sorted({rate.model for rate in library.rates} - known)
    age = (request.now.date() - card.verified_through).days
    notes = [
        f"{compared} prices compared: {compared - len(found)} equal, {len(found)} differ or are missing.",
        f"Only in genai-prices: {', '.join(only)}." if only else "",
        f"Card verified through {card.verified_through}, {age} {'day' if age == 1 else 'days'} ago.",
        f"It was checked against genai-prices {card.checked_against}; here: {library.basis}.",
    ]
    section = _differences(found, "Card and genai-prices", ("card", "library"))
    return _report(card, request, (section,), *filter(None, notes))


def updated(
    card: RateCard, request: Request, new: Library, old: Library, notes: Sequence[str]
) -> Report:
    """Return what changed from the *old* rows of the library to the *new* ones."""
    before = {rate.id for rate in old.rates}
    gone = differences(old.rates, new.rates)
    come = [rate for rate in new.rates if rate.id not in before]
    found = [*gone, *(Difference(rate.id, *cell, None) for rate in come for cell in cells(rate))]
    turned = [
        Difference(one.rate_id, one.cell, one.other, one.one) if at >= len(gone) else one
        for at, one in enumerate(found)
    ]
    section = _differences(turned, "Changes in genai-prices", ("before", "after"))
    return _report(card, request, (section,), *notes)


def _differences(found: Sequence[Difference], title: str, names: tuple[str, str]) -> Section:
    one, other = (f"{name}_usd_per_mtok" for name in names)
    columns = (
        Column("rate_id", Unit.TEXT, "Rate"),
        Column("price", Unit.TEXT, "Price of"),
        Column(one, Unit.PRICE, names[0].capitalize()),
        Column(other, Unit.PRICE, names[1].capitalize()),
    )
    rows = [(each.rate_id, each.cell, each.one, each.other) for each in found]
    schema: dict[str, Any] = {"rate_id": pl.String, "price": pl.String, one: USD, other: USD}
    return Section("differences", title, columns, pl.DataFrame(rows, schema=schema, orient="row"))
