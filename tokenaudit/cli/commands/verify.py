"""Exports that can be made again, and the command that does so and compares."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from tokenaudit.audit.reconcile.claims.parquet import is_parquet, opened
from tokenaudit.cli.options import Options, Source
from tokenaudit.files import inputs
from tokenaudit.files.seal import is_intact
from tokenaudit.model.errors import TokenauditError
from tokenaudit.render import Format, Style, render

if TYPE_CHECKING:
    from tokenaudit.audit.verify.provenance import Change, ExportRequest, Stated
    from tokenaudit.config.settings import Settings
    from tokenaudit.reports.report import Report
    from tokenaudit.reports.request import Request
    from tokenaudit.reports.selection import Selection

__all__ = ["Exported", "export", "read_export", "verify"]

_KNOWN: Final = "Only JSON and Parquet of `tokenaudit export` can be verified."


class ExportError(TokenauditError):
    """A file that is no export of ours that can be verified."""


# writing


def export(name: str, options: Options) -> None:
    """Write the report called *name* with all that it takes to verify it later."""
    import typer

    from tokenaudit.cli.run import write

    def make(request: "Request", settings: "Settings") -> "Report":
        report, facts = _made(name, options, request, settings)
        from tokenaudit.audit.verify.provenance import provenance_of
        from tokenaudit.pricing import windows
        from tokenaudit.reports.registry import OF_WINDOWS

        parse_request = _asked(name, options, request)
        models = windows.digest() if name in OF_WINDOWS else None
        meta = replace(report.meta, provenance=provenance_of(facts, parse_request, models=models))
        return replace(report, meta=meta)

    report = write(options, make, name=name, command=f"export {name}")
    if options.thresholds.strict and report.meta.selected.unpriced_responses:
        raise typer.Exit(1)


def _made(
    name: str, options: Options, request: "Request", settings: "Settings"
) -> "tuple[Report, Any]":
    from tokenaudit.cli.reading import built, read_facts
    from tokenaudit.cli.settings import rate_card

    card = rate_card(options.pricing)
    facts = read_facts(options, settings)
    from tokenaudit.reports import registry

    found = built(facts, card, with_estimate=request.shape.with_estimate)
    return registry.answer(found, request, name), facts


def _asked(name: str, options: Options, request: "Request") -> "ExportRequest":
    from tokenaudit.audit.verify.provenance import ExportRequest

    shape, rates = request.shape, options.pricing.rates
    return ExportRequest(
        report=name,
        start_of_week=request.selection.start_of_week,
        demo=options.source.demo,
        roots=[str(root.absolute()) for root in options.source.root or ()],
        rates=None if rates is None else str(rates.absolute()),
        as_model=options.pricing.as_model,
        sort=shape.sort,
        descending=shape.descending,
        limit=shape.limit,
        with_cost=shape.with_cost,
        full=shape.full,
        breakdown=shape.breakdown,
        with_estimate=shape.with_estimate,
    )


# reading


class Exported(Struct, frozen=True):
    """An export as it was read."""

    form: Format
    meta: Mapping[str, Any]
    data: bytes
    is_intact: bool


def read_export(path: Path) -> Exported:
    """Read the export at *path*; raises TokenauditError for what cannot be verified."""
    try:
        data = inputs.read(path, 4 * inputs.GIBIBYTE)
    except OSError as error:
        raise ExportError(f"{path}: cannot be read: {error.strerror}") from None
    if not data:
        raise ExportError(f"{path}: is empty")
    if is_parquet(data):
        form, (meta, _) = Format.PARQUET, opened(data, str(path))
    else:
        form, meta = Format.JSON, _json_meta(path, data)
    if "provenance" not in meta or "seal" not in meta:
        raise ExportError(
            f"{path}: was not made by `tokenaudit export`, so it carries no digests",
            hint=_KNOWN,
        )
    seal = str(meta["seal"])
    return Exported(form, meta, data, is_intact(data, seal, is_last=form is Format.PARQUET))


def _json_meta(path: Path, data: bytes) -> Mapping[str, Any]:
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise ExportError(f"{path}: is neither Parquet nor JSON: {error}", hint=_KNOWN) from None
    meta = document.get("meta") if isinstance(document, dict) else None
    if not isinstance(meta, dict) or meta.get("tool") != "tokenaudit":
        raise ExportError(f"{path}: is no export of tokenaudit")
    return meta


# comparing


def verify(path: Path, options: Options) -> "Report":
    """Make the export at *path* anew and write what is the same and what is not."""
    from tokenaudit.cli.run import write

    found = read_export(path)

    def make(request: "Request", settings: "Settings") -> "Report":
        return _compared(path, found, options, request, settings)

    return write(options, make, name="verify")


def _compared(
    path: Path, found: Exported, options: Options, request: "Request", settings: "Settings"
) -> "Report":
    from tokenaudit.audit.verify import provenance
    from tokenaudit.cli.reading import built, read_facts
    from tokenaudit.cli.settings import rate_card
    from tokenaudit.pricing import windows
    from tokenaudit.reports import registry
    from tokenaudit.reports.verify import verified

    try:
        then = provenance.stated(found.meta)
        again = _again(then, request)
    except (msgspec.ValidationError, KeyError, ValueError, OSError) as error:
        raise ExportError(f"{path}: its metadata cannot be used: {error}") from None
    options = _options_of(then.provenance.asked, options)
    card = rate_card(options.pricing)
    facts = read_facts(options, settings)
    now = built(facts, card, with_estimate=again.shape.with_estimate)
    report = registry.answer(now, again, then.provenance.asked.report)
    changes: list[Change] = [
        *_seal_and_rules(found, then),
        *provenance.changes_of_pricing(then.pricing, now.pricing),
        *provenance.changes_of_models(then.provenance.models, windows.digest()),
        *provenance.changes_of_inputs(then.provenance.inputs, facts),
        *_rows(found, report),
    ]
    return verified(now, replace(request, selection=again.selection), changes, path.name)


def _seal_and_rules(found: Exported, then: "Stated") -> "Iterator[Change]":
    from tokenaudit.audit.verify.provenance import Change, Verdict
    from tokenaudit.ledger import frame as ledger

    if found.is_intact:
        yield Change("export", Verdict.SAME, "Its seal fits: no byte was changed.")
    else:
        said = "Its seal is broken: it was changed after it was written."
        yield Change("export", Verdict.CHANGED, said)
    rules = then.provenance.rules
    if rules == ledger.RULES:
        yield Change("rules", Verdict.SAME, f"Version {rules} of the accounting rules.")
    else:
        said = f"Version {rules} of the accounting rules; now {ledger.RULES}."
        yield Change("rules", Verdict.CHANGED, said)


def _again(then: "Stated", request: "Request") -> "Request":
    """Return the question that was asked, once more."""
    from tokenaudit.reports.request import Layout

    parse_request = then.provenance.asked
    return replace(
        request,
        command=then.command,
        now=then.generated_at,
        selection=_selection(then),
        shape=Layout(
            sort=parse_request.sort,
            descending=parse_request.descending,
            limit=parse_request.limit,
            with_cost=parse_request.with_cost,
            full=parse_request.full,
            breakdown=parse_request.breakdown,
            with_estimate=parse_request.with_estimate,
        ),
    )


def _selection(then: "Stated") -> "Selection":
    from zoneinfo import ZoneInfo

    from tokenaudit.reports.selection import Selection

    return Selection.of(
        then.filters, ZoneInfo(then.timezone).key, then.provenance.asked.start_of_week
    )


def _options_of(parse_request: "ExportRequest", options: Options) -> Options:
    """Return the options by which the export was made, where those of today say nothing else."""
    source, pricing = options.source, options.pricing
    if not source.root and not source.demo:
        roots = [Path(root) for root in parse_request.roots]
        source = Source(root=roots or None, demo=parse_request.demo, jobs=source.jobs)
    if pricing.rates is None and parse_request.rates is not None:
        pricing = replace(pricing, rates=Path(parse_request.rates))
    if pricing.as_model is None:
        pricing = replace(pricing, as_model=parse_request.as_model)
    return replace(options, source=source, pricing=pricing)


def _rows(found: Exported, report: "Report") -> "Iterator[Change]":
    from tokenaudit.audit.verify.provenance import Change, Verdict

    then, now = (
        _content(found.form, found.data),
        _content(found.form, render(report, found.form, Style())),
    )
    gone, new = then - now, now - then
    whole = f"{then.total():,} {'rows' if found.form is Format.PARQUET else 'rows and totals'}"
    if gone or new:
        said = f"{gone.total():,} of {whole} are no longer given, {new.total():,} others are."
        yield Change("rows", Verdict.CHANGED, said)
    else:
        yield Change("rows", Verdict.SAME, f"{whole}, worked out anew, are identical.")


def _content(form: Format, data: bytes) -> Counter[bytes]:
    """Return the rows and totals of an export, each as a text that is equal for equal ones."""
    if form is Format.PARQUET:
        import io

        import polars as pl

        frame = pl.read_parquet(io.BytesIO(data))
        return Counter(repr(row).encode() for row in frame.iter_rows())
    document = msgspec.json.decode(data)
    parts = [document, *document.get("sections", {}).values()]
    rows = [row for part in parts for row in (*part["rows"], part.get("totals"))]
    return Counter(msgspec.json.encode(row, order="deterministic") for row in rows)
