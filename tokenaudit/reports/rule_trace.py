"""What the accounting rules decided about one response, in plain words: a line for each that had a say."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import polars as pl

from tokenaudit.ledger.verdict import Observation, Verdict
from tokenaudit.model.terms import Kind, Quality
from tokenaudit.pricing.rates import LONG, Modifier
from tokenaudit.reports.report import Column, Section, Unit
from tokenaudit.rules.value import LARGEST_PLACEHOLDER
from tokenaudit.transcripts.usage_lines import UsageLine

__all__ = ["section"]

_COLUMNS: Final = (Column("rule", Unit.TEXT, "Rule"), Column("decision", Unit.TEXT, "Decision"))

_MODIFIERS: Final = {
    "us": "inference in the United States only: times {}",
    "regional": "a regional endpoint: times {}",
    "batch": "a batch: times {}",
    "discount": "your discount: times {}",
    "as:": "priced as if {} had answered",
    "free": "free, as your rates say",
    "fast": "fast mode, at its own rate",
    "carried_forward": "a day after the card's last check: its prices are carried forward",
    "before_first_price": "a day before the first known price, which is taken",
    "unbilled_refusal": "refused before any output: not billed",
    "undated": "no day, but the model's price never changed",
    "speed_unpriced": "fast mode without a price of its own: at the standard rate",
    "speed_unknown": "an unknown speed: at the standard rate",
    "region_unknown": "the name does not tell the region: as if global",
    "service_tier_priority": "priority tier, whose price is not public: at list price",
}


def section(
    row: Mapping[str, Any],
    said: Sequence[Observation],
    told: Sequence[UsageLine],
    *,
    verdict: Verdict,
    paths: Sequence[str],
    inferences: pl.DataFrame,
    modifiers: Sequence[Modifier],
) -> Section:
    """Return what each rule decided about *row* of the ledger.

    *said* are its records, *told* the tool results about it, *paths* the transcripts by number - 1;
    *inferences* are the ledger's, *modifiers* what changed its plain price.
    """
    found = [
        *_identity(said, verdict),
        *_value(row, told, verdict, paths),
        *_owner(said, verdict, paths),
        *_iterations(row, inferences),
        *_writes(row, verdict),
        *_time(row, said, verdict, paths),
        *_numbers(row),
        *_price(row, modifiers),
    ]
    frame = pl.DataFrame(found, schema=["rule", "decision"], orient="row")
    return Section("decisions", "What the rules say", _COLUMNS, frame)


def _identity(said: Sequence[Observation], verdict: Verdict) -> Iterator[tuple[str, str]]:
    lines = sum(len(each.lines) for each in said)
    paths = len({each.path for each in said})
    if lines == 1:
        yield "R3 identity", "a single line says it"
        return
    ways = dict.fromkeys(link.value for link in verdict.links if link is not None)
    where = "one transcript" if paths == 1 else f"{paths} transcripts"
    yield "R3 identity", f"{lines} lines of {where} are one response: {'; '.join(ways)}"


def _value(
    row: Mapping[str, Any],
    told: Sequence[UsageLine],
    verdict: Verdict,
    paths: Sequence[str],
) -> Iterator[tuple[str, str]]:
    best = verdict.best
    place = f"line {best.line} of transcript {paths.index(best.path) + 1}"
    reason = f" ({best.stop_reason})" if best.stop_reason and not best.is_cut else ""
    yield "R4 value", f"the whole usage of {place} counts: {verdict.counted_because}{reason}"
    quality = row["quality"]
    if quality == Quality.PLACEHOLDER:
        yield (
            "R4 quality",
            f"placeholder: up to {LARGEST_PLACEHOLDER} output tokens stand there while a response starts",
        )
    elif best.is_cut:
        said = f", though its lines say {best.stop_reason}" if best.stop_reason else ""
        yield (
            "R4 quality",
            f"lower_bound: the stream was cut, and its counts are those of its start{said}",
        )
    elif quality == Quality.LOWER_BOUND:
        yield (
            "R4 quality",
            "lower_bound: the response went on after this line; the true count is lost",
        )
    elif quality == Quality.REPAIRED:
        lines = ", ".join(
            f"{each.line} of transcript {paths.index(each.path) + 1}" for each in told
        )
        where = f"line {lines}" if lines else "the parent"
        yield (
            "R4 quality",
            f"repaired: the tool result in {where} says {row['output_tokens']:,} for the same prompt",
        )


def _owner(
    said: Sequence[Observation], verdict: Verdict, paths: Sequence[str]
) -> Iterator[tuple[str, str]]:
    several = len({each.path for each in said}) > 1
    number = paths.index(verdict.owner.path) + 1
    whose = f"transcript {number} owns it: {verdict.owned_because}"
    yield "R5 owner", whose if several else "no other transcript holds it"


def _iterations(row: Mapping[str, Any], inferences: pl.DataFrame) -> Iterator[tuple[str, str]]:
    match row["kind"]:
        case Kind.ADVISOR | Kind.COMPACTION as kind:
            yield (
                "R6 inferences",
                f"{kind}: an inference outside the top level of these lines, counted on its own",
            )
        case Kind.REFUSED:
            yield (
                "R6 inferences",
                "an attempt that was refused before another model answered: in no total, priced apart",
            )
        case _:
            parts = inferences.filter(
                (pl.col("response_id") == row["response_id"])
                & (pl.col("source_path") == row["source_path"])
                & (pl.col("source_line") == row["source_line"])
            ).height
            if parts:
                yield (
                    "R6 inferences",
                    f"it took {parts} inferences, which add up to its counts; each is priced by itself",
                )


def _writes(row: Mapping[str, Any], verdict: Verdict) -> Iterator[tuple[str, str]]:
    best = verdict.best
    both = best.counts.cache_write_5m_tokens + best.counts.cache_write_1h_tokens
    if row["is_split_assumed"]:
        yield "R7 cache writes", "the line does not split them (all): the rest is taken as 5-minute"
    elif both and both != best.flat_write_tokens:
        yield (
            "R7 cache writes",
            f"the flat field says {best.flat_write_tokens:,}, the split {both:,}: the larger counts",
        )


def _time(
    row: Mapping[str, Any], said: Sequence[Observation], verdict: Verdict, paths: Sequence[str]
) -> Iterator[tuple[str, str]]:
    if row["time"] is None:
        yield "R8 time", "no line has a usable time: it belongs to no day"
        return
    first = next((each for each in said if each.time == row["time"]), verdict.owner)
    if first.time != verdict.owner.time:
        number = paths.index(first.path) + 1
        yield (
            "R8 time",
            f"{row['time']:%Y-%m-%d %H:%M} UTC, the earliest: transcript {number} tells it",
        )


def _numbers(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if row["odd"]:
        yield "R9 numbers", f"read in an odd form: {row['odd']}"


def _price(row: Mapping[str, Any], modifiers: Sequence[Modifier]) -> Iterator[tuple[str, str]]:
    if row["rate_id"] is None and row["cost_usd"] is None:
        yield "R10 price", f"unpriced: no source has a price of {row['model'] or 'no model at all'}"
        return
    day = row["time"].date() if row["time"] else "no day"
    if row["rate_id"]:
        yield "R10 price", f"rate {row['rate_id']} was in force on {day}: {row['price_source']}"
    for modifier in modifiers:
        yield "R10 price", _modifier(modifier, row["prompt_tokens"])


def _modifier(modifier: Modifier, prompt: int) -> str:
    """Say in words what a modifier of the ledger means."""
    if modifier.name == LONG:
        return (
            f"a prompt of {prompt:,} tokens, over {int(modifier.value):,}: all of it at the rate of"
            " long prompts"
        )
    return _MODIFIERS[modifier.name].format(modifier.value)
