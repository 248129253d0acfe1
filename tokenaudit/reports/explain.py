"""Why a figure is what it is: the lines behind it, which of them count and by which rule, and the sum.

A single response is explained line by line; a session, a day or any other cell by its arithmetic and
by its responses, each of which can be explained in turn.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, Final

import polars as pl

from tokenaudit.ledger.frame import TOKENS, Ledger
from tokenaudit.ledger.lineage import Lineage
from tokenaudit.ledger.verdict import Observation, Verdict, judge
from tokenaudit.model.terms import Kind, Quality
from tokenaudit.pricing.cost import COSTS
from tokenaudit.pricing.rates import ALWAYS, GEOGRAPHIES, TIERS
from tokenaudit.reports import rule_trace
from tokenaudit.reports.counting_methods import all_rules
from tokenaudit.reports.prices import (
    TERM_SCHEMA,
    TERMS,
    Term,
    grounds,
    modifiers_of,
    tariff_of,
    terms,
    terms_of,
)
from tokenaudit.reports.report import Bound, Column, Report, Section, Unit, Warned
from tokenaudit.reports.request import Request
from tokenaudit.reports.subject import Subject
from tokenaudit.reports.usage import assemble
from tokenaudit.transcripts.usage_lines import LineOrigin, UsageLine

__all__ = ["explain"]

_MOST_SHOWN: Final = 20

# Counts, for what a line says is shown to the last digit, however narrow the screen.
_LINES: Final = (
    Column("transcript", Unit.COUNT, "Tr."),
    Column("line", Unit.COUNT, "Line"),
    Column("byte_offset", Unit.COUNT, "Byte"),
    Column("said_by", Unit.TEXT, "Said by"),
    Column("stop_reason", Unit.TEXT, "Stop", essential=False, quiet=True),
    Column("input_tokens", Unit.COUNT, "Input"),
    Column("output_tokens", Unit.COUNT, "Output"),
    Column("cache_read_tokens", Unit.COUNT, "Cache read"),
    Column("cache_write_5m_tokens", Unit.COUNT, "Write 5m"),
    Column("cache_write_1h_tokens", Unit.COUNT, "Write 1h"),
    Column("total_tokens", Unit.TOKENS, "Total", essential=False),
    Column("verdict", Unit.TEXT, "Verdict"),
    Column("request_id", Unit.ID, "Request", essential=False),
    Column("uuid", Unit.ID, "Uuid", essential=False),
    Column("path", Unit.TEXT, "Path", essential=False),
)
_LINE_SCHEMA: Final[Mapping[str, Any]] = {
    column.name: pl.String if column.unit in {Unit.TEXT, Unit.ID} else pl.Int64 for column in _LINES
}
_TRANSCRIPTS: Final = (
    Column("transcript", Unit.COUNT, "Tr."),
    Column("role", Unit.TEXT, "Role"),
    Column("lines", Unit.COUNT, "Lines"),
    Column("joined_by", Unit.TEXT, "Joined by"),
    Column("first_time", Unit.TIME, "Begins"),
    Column("path", Unit.TEXT, "Path"),
)


def explain(
    ledger: Ledger,
    request: Request,
    subject: Subject,
    lineage: Lineage,
    *,
    with_all_rules: bool = False,
) -> Report:
    """Return what stands behind *subject*; *lineage*, of its rows in their order, shows the lines.

    A cell needs single lines only for *with_all_rules*, the comparison with other ways of counting.
    """
    rows = subject.rows
    is_refused = subject.is_one and rows["kind"].item() == Kind.REFUSED
    if subject.is_one:
        sections, doubts = _one(ledger, subject, lineage)
    else:
        sections, doubts = _many(ledger, request, subject, lineage), []
    if with_all_rules:
        sections = (*sections, all_rules(rows, lineage, ledger.card))
    kept = rows.clear() if is_refused else rows
    report = assemble(ledger, request, kept, sections, title=_title(subject))
    notes = (*doubts, *_gone(lineage), *report.notes)
    return Report(report.title, report.sections, report.meta, notes)


def _title(subject: Subject) -> str:
    """Return what is explained; of a cell of a single response, that too."""
    if not subject.is_one or subject.rows["response_id"].item() in subject.title:
        return subject.title
    return f"{subject.title}: response {subject.rows['response_id'].item()}"


# one response


def _one(
    ledger: Ledger, subject: Subject, lineage: Lineage
) -> tuple[tuple[Section, ...], list[str]]:
    row = subject.rows.row(0, named=True)
    said = [each for each in lineage.said.get(0, ()) if each.lines]
    arithmetic = (terms(ledger, row, "What it costs"), grounds(row))
    if not said:
        return arithmetic, [
            Warned(f"no line of it can be read any more: {row['source_path']} has gone or changed.")
        ]
    verdict = judge(said)
    paths = list(dict.fromkeys([verdict.owner.path, *sorted(each.path for each in said)]))
    told = [line for line in lineage.results if _repairs(line, row)]
    paths += sorted({line.path for line in told} - {*paths})
    sections = (
        _lines(said, told, verdict, paths),
        rule_trace.section(
            row,
            said,
            told,
            verdict=verdict,
            paths=paths,
            inferences=ledger.inferences,
            modifiers=modifiers_of(ledger, row),
        ),
        _transcripts(said, told, verdict, paths),
        *arithmetic,
    )
    return sections, list(_disagreement(row, verdict))


def _repairs(result: UsageLine, row: Mapping[str, Any]) -> bool:
    """Tell whether *result* is the tool result that gave the row its output count (R4)."""
    if row["quality"] != Quality.REPAIRED:
        return False
    writes = result.counts.cache_write_5m_tokens + result.counts.cache_write_1h_tokens
    said = (result.counts.input_tokens, result.counts.cache_read_tokens, writes)
    kept = (
        row["input_tokens"],
        row["cache_read_tokens"],
        row["cache_write_5m_tokens"] + row["cache_write_1h_tokens"],
    )
    return said == kept and result.counts.output_tokens == row["output_tokens"]


def _disagreement(row: Mapping[str, Any], verdict: Verdict) -> Iterator[str]:
    """Say so where the lines, judged anew, do not say what the ledger counted."""
    counts = {name: getattr(verdict.best.counts, name) for name in TOKENS}
    if row["quality"] == Quality.REPAIRED:
        counts["output_tokens"] = row["output_tokens"]
    place = (verdict.best.path, verdict.best.line) == (row["source_path"], row["source_line"])
    is_apart = row["kind"] != Kind.MESSAGE
    if not place or (not is_apart and any(row[name] != counts[name] for name in TOKENS)):
        yield Warned(
            f"the lines do not say what was counted: a transcript has changed since it was"
            f" read, or a rule is broken. Counted was {row['source_path']}:{row['source_line']}."
        )


def _gone(lineage: Lineage) -> Iterator[str]:
    for paths, said in ((lineage.gone, "cannot be read"), (lineage.changed, "has changed")):
        if paths:
            more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
            yield Warned(
                f"{paths[0]}{more} {said} since it was counted: its lines are not all here."
            )


def _lines(
    said: Sequence[Observation], told: Sequence[UsageLine], verdict: Verdict, paths: Sequence[str]
) -> Section:
    found = [(line, _voice(each, line)) for each in said for line in each.lines]
    found += [(line, "tool result") for line in told]
    found.sort(key=lambda one: (paths.index(one[0].path), one[0].line))
    rows = [
        {
            "transcript": paths.index(line.path) + 1,
            "line": line.line,
            "byte_offset": line.byte_offset,
            "said_by": voice,
            "stop_reason": line.stop_reason,
            **{name: getattr(line.counts, name) for name in TOKENS},
            "total_tokens": sum(getattr(line.counts, name) for name in TOKENS),
            "verdict": _verdict(line, verdict, paths),
            "request_id": line.request_id,
            "uuid": line.uuid,
            "path": line.path,
        }
        for line, voice in found
    ]
    frame = pl.DataFrame(rows, schema=_LINE_SCHEMA)
    return Section("lines", "What the lines say", _LINES, frame)


def _voice(said: Observation, line: UsageLine) -> str:
    if line.voice is LineOrigin.PROGRESS:
        return "progress copy"
    return "sidechain" if said.is_sidechain else "own line"


def _verdict(line: UsageLine, verdict: Verdict, paths: Sequence[str]) -> str:
    if line is verdict.best:
        return "counts"
    if line.voice is LineOrigin.RESULT:
        return "repairs"
    return "merged" if line.path == paths[0] else "copy, merged"


def _transcripts(
    said: Sequence[Observation], told: Sequence[UsageLine], verdict: Verdict, paths: Sequence[str]
) -> Section:
    """Return where the copies lie: every transcript that says the response, its owner first."""
    rows = []
    links = dict(zip(map(id, said), verdict.links, strict=True))
    for number, path in enumerate(paths, 1):
        here = [each for each in said if each.path == path]
        results = [line for line in told if line.path == path]
        own = verdict.owner.path == path
        role = "owner" if own else _role(here)
        why = dict.fromkeys(link.value for each in here if (link := links[id(each)]))
        count = sum(len(each.lines) for each in here) + len(results)
        first = next((each.file_time for each in here), None)
        rows.append((number, role, count, "; ".join(why) or None, first, path))
    schema: dict[str, Any] = {column.name: pl.String for column in _TRANSCRIPTS}
    schema |= {"transcript": pl.Int64, "lines": pl.Int64, "first_time": pl.Datetime("us", "UTC")}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return Section("transcripts", "Where they lie", _TRANSCRIPTS, frame)


def _role(here: Sequence[Observation]) -> str:
    if not here:
        return "parent's tool result"
    return "progress copy" if all(each.is_progress for each in here) else "copy"


# a cell: many responses

_KIND: Final = (
    "model",
    "speed",
    "service_tier",
    "inference_geo",
    "rate_id",
    "price_modifiers",
    "price_source",
)
_SUM_COLUMNS: Final = (
    Column("model", Unit.TEXT, "Model"),
    Column("valid_from", Unit.DATE, "Rate from"),
    Column("price_modifiers", Unit.TEXT, "Modifiers", essential=False, quiet=True),
    *(column for column in TERMS if column.name != "inference"),
    Column("price_source", Unit.TEXT, "Source", essential=False),
    Column("rate_id", Unit.TEXT, "Rate", essential=False),
)


def _many(
    ledger: Ledger, request: Request, subject: Subject, lineage: Lineage
) -> tuple[Section, ...]:
    most = request.shape.limit or _MOST_SHOWN
    return (
        _arithmetic(ledger, subject.rows),
        _standing(subject),
        _places(lineage.places, most),
        _responses(subject, most),
    )


def _arithmetic(ledger: Ledger, rows: pl.DataFrame) -> Section:
    """Return what the cost adds up from: tokens of each class at each rate that was in force."""
    names = ("model", "rate_id", "price_modifiers", "price_source")
    found = [
        (*(kind[name] for name in names), _valid_from(ledger, kind), *term)
        for kind in _kinds(ledger, rows).iter_rows(named=True)
        for term in _terms(ledger, kind)
    ]
    schema: dict[str, Any] = {**dict.fromkeys(names, pl.String), "valid_from": pl.Date}
    schema |= TERM_SCHEMA
    frame = pl.DataFrame(found, schema=schema, orient="row")
    is_priced = rows.is_empty() or rows["cost_usd"].count() > 0
    return Section(
        "arithmetic",
        "What it adds up from",
        _SUM_COLUMNS,
        frame.select(column.name for column in _SUM_COLUMNS),
        totals={"cost_term_usd": rows["cost_usd"].sum() if is_priced else None},
    )


def _valid_from(ledger: Ledger, kind: Mapping[str, Any]) -> date | None:
    tariff = tariff_of(ledger.card, kind)
    return None if tariff is None or tariff.rate.valid_from == ALWAYS else tariff.rate.valid_from


def _kinds(ledger: Ledger, rows: pl.DataFrame) -> pl.DataFrame:
    """Sum *rows* by all that decides their price; responses of several inferences by each of them."""
    keys = ["response_id", "request_id", "source_path", "source_line"]
    parts = ledger.inferences.join(
        rows.filter(~pl.col("is_unbilled")), on=keys, how="semi", nulls_equal=True
    )
    whole = rows.join(parts, on=keys, how="anti", nulls_equal=True).select(parts.columns)
    sums = (*TOKENS, "web_searches")
    # where inference ran and by which tier are many words for the same price
    limits = {rate.id: rate.long_prompt for rate in ledger.card.rates}
    limit = pl.col("rate_id").replace_strict(limits, default=None, return_dtype=pl.Int64)
    priced = pl.concat([whole, parts]).with_columns(
        is_long_prompt=(pl.col("prompt_tokens") > limit).fill_null(value=False),
        inference_geo=pl.when(pl.col("inference_geo").is_in(GEOGRAPHIES)).then("inference_geo"),
        service_tier=pl.when(pl.col("service_tier").is_in(TIERS)).then("service_tier"),
    )
    return (
        priced.group_by(*_KIND, "is_unbilled", "is_long_prompt")
        .agg(
            pl.col("time").min(),
            *(pl.col(name).cast(pl.Int128).sum() for name in sums),
            pl.col("cost_usd").sum(),
            paid_usd=pl.sum_horizontal(pl.col(name).sum() for name in COSTS[:-1]),
        )
        .sort("cost_usd", *_KIND, descending=[True, *(False for _ in _KIND)], nulls_last=True)
    )


def _terms(ledger: Ledger, kind: Mapping[str, Any]) -> Iterator[Term]:
    tokens = sum(kind[name] for name in TOKENS)
    if kind["rate_id"] is None:
        yield "unpriced: all tokens", None, tokens, None, None, None
    elif kind["is_unbilled"]:
        yield "refused before any output: not billed", None, tokens, None, None, Decimal(0)
    else:
        yield from terms_of(
            ledger.card,
            kind,
            None,
            is_long_prompt=kind["is_long_prompt"],
            paid_usd=kind["paid_usd"],
        )


def _standing(subject: Subject) -> Section:
    """Return on what and on how many lines the figure stands, by the quality of output counts."""
    columns = (
        Column("quality", Unit.TEXT, "Output counts"),
        Column("responses", Unit.COUNT, "Responses"),
        Column("lines", Unit.COUNT, "Lines"),
        Column("copies", Unit.COUNT, "Copies merged"),
        Column("transcripts", Unit.COUNT, "Transcripts"),
        Column("first", Unit.TIME, "First", essential=False),
        Column("last", Unit.TIME, "Last", essential=False),
    )
    own = (pl.col("kind") == Kind.MESSAGE).cast(pl.Int64)
    counted = (
        pl.len().cast(pl.Int64).alias("responses"),
        (pl.col("copies") + own).sum().alias("lines"),
        pl.col("copies").sum(),
        pl.col("source_path").n_unique().cast(pl.Int64).alias("transcripts"),
        pl.col("time").min().alias("first"),
        pl.col("time").max().alias("last"),
    )
    rows = subject.rows
    frame = rows.group_by("quality").agg(counted).sort("responses", "quality", descending=True)
    totals = rows.select(counted).row(0, named=True) if frame.height > 1 else None
    return Section("standing", "What it stands on", columns, frame, totals=totals)


def _places(places: pl.DataFrame, most: int) -> Section:
    """Return which transcripts hold its responses, and where only copies of them lie."""
    columns = (
        Column("path", Unit.TEXT, "Transcript"),
        Column("counted", Unit.COUNT, "Count here"),
        Column("copied", Unit.COUNT, "Copied here"),
        Column("lines", Unit.COUNT, "Lines"),
    )
    names = ("counted", "copied", "lines")
    return Section(
        "transcripts",
        "Where they lie",
        columns,
        places.head(most).select(column.name for column in columns),
        totals=places.select(pl.col(name).sum() for name in names).row(0, named=True),
        cut_rows=max(places.height - most, 0),
    )


def _responses(subject: Subject, most: int) -> Section:
    columns = (
        Column("response_id", Unit.TEXT, "Response"),
        Column("time", Unit.TIME, "Time"),
        Column("model", Unit.TEXT, "Model"),
        Column("output_tokens", Unit.TOKENS, "Output"),
        Column("total_tokens", Unit.TOKENS, "Total"),
        Column("cost_usd", Unit.USD, "Cost", bound=Bound.LEAST),
        Column("copies", Unit.COUNT, "Copies", essential=False),
        Column("quality", Unit.TEXT, "Output count", essential=False),
        Column("source_line", Unit.COUNT, "Line", essential=False),
        Column("source_path", Unit.TEXT, "Transcript", essential=False),
    )
    rows = subject.rows.sort(
        "cost_usd", "time", "response_id", descending=[True, False, False], nulls_last=True
    )
    shown = rows.head(most)
    return Section(
        "responses",
        "Its responses, the costliest first",
        columns,
        shown.select(column.name for column in columns),
        cut_rows=rows.height - shown.height,
    )
