"""Makes exports that can be made again, and makes them again: the same request over the same inputs."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from tokenaudit.audit.verify.export_file import Exported, ExportError, content, read_export
from tokenaudit.cli.options import Options, SourceOptions
from tokenaudit.cli.pipeline import Run
from tokenaudit.config.settings import find_zone
from tokenaudit.render import Format, Style, render

if TYPE_CHECKING:
    from tokenaudit.audit.verify.provenance import ExportRequest, InputChange, StatedProvenance
    from tokenaudit.reports.report import Report
    from tokenaudit.reports.request import Layout, Request
    from tokenaudit.reports.selection import Selection

__all__ = ["exported", "verified"]

_OF_LAYOUT: Final = (
    *("sort", "descending", "limit", "with_cost", "full", "breakdown", "with_estimate"),
)
"""What of the layout of a report an export states, by the names that both have for it."""


def exported(run: Run, name: str) -> "Report":
    """Return the report called *name* with all that it takes to verify it later."""
    ledger = run.ledger
    from tokenaudit.analysis import output_weights
    from tokenaudit.audit.verify.provenance import provenance_of
    from tokenaudit.pricing import windows
    from tokenaudit.reports import registry

    report = registry.answer(ledger, run.request, name)
    models = windows.digest() if name in registry.OF_WINDOWS else None
    estimates = output_weights.digest() if run.request.shape.with_estimate else None
    stated = _stated(run, name)
    provenance = provenance_of(run.facts, stated, models=models, estimates=estimates)
    return replace(report, meta=replace(report.meta, provenance=provenance))


def _stated(run: Run, name: str) -> "ExportRequest":
    from tokenaudit.audit.verify.provenance import ExportRequest

    source, pricing, layout = run.options.source, run.options.pricing, run.request.shape
    return ExportRequest(
        report=name,
        start_of_week=run.request.selection.start_of_week,
        demo=source.demo,
        roots=[str(root.absolute()) for root in source.root or ()],
        rates=None if pricing.rates is None else str(pricing.rates.absolute()),
        as_model=pricing.as_model,
        **{field: getattr(layout, field) for field in _OF_LAYOUT},
    )


def verified(run: Run, path: Path) -> "Report":
    """Make the export at *path* anew, and return what is the same and what is not."""
    found = read_export(path)
    from tokenaudit.audit.verify import provenance

    try:
        then = provenance.stated(found.meta)
        request = _request_of(then, run.request)
    except (msgspec.ValidationError, KeyError, ValueError, OSError) as error:
        raise ExportError(f"{path}: its metadata cannot be used: {error}") from None
    again = Run(_options_of(then.provenance.asked, run.options), request, run.settings)
    ledger = again.ledger
    from tokenaudit.analysis import output_weights
    from tokenaudit.pricing import windows
    from tokenaudit.reports import registry
    from tokenaudit.reports.verify import verified

    report = registry.answer(ledger, request, then.provenance.asked.report)
    changes: list[InputChange] = [
        *_seal_and_rules(found, then),
        *provenance.changes_of_pricing(then.pricing, ledger.pricing),
        *provenance.changes_of_models(then.provenance.models, windows.digest()),
        *provenance.changes_of_estimates(then.provenance, output_weights.digest()),
        *provenance.changes_of_inputs(then.provenance.inputs, again.facts),
        *_rows(found, report),
    ]
    shown = replace(run.request, selection=request.selection)
    return verified(ledger, shown, changes, path.name)


def _seal_and_rules(found: Exported, then: "StatedProvenance") -> "Iterator[InputChange]":
    from tokenaudit.audit.verify.provenance import ChangeVerdict, InputChange
    from tokenaudit.ledger import frame

    if found.is_intact:
        yield InputChange("export", ChangeVerdict.SAME, "Its seal fits: no byte was changed.")
    else:
        said = "Its seal is broken: it was changed after it was written."
        yield InputChange("export", ChangeVerdict.CHANGED, said)
    rules = then.provenance.rules
    if rules == frame.RULES:
        yield InputChange("rules", ChangeVerdict.SAME, f"Version {rules} of the accounting rules.")
    else:
        said = f"Version {rules} of the accounting rules; now {frame.RULES}."
        yield InputChange("rules", ChangeVerdict.CHANGED, said)


def _request_of(then: "StatedProvenance", request: "Request") -> "Request":
    """Return the request that the export answered, once more."""
    return replace(
        request,
        command=then.command,
        now=then.generated_at,
        selection=_selection(then),
        shape=_layout(then),
    )


def _layout(then: "StatedProvenance") -> "Layout":
    from tokenaudit.reports.request import Layout

    return Layout(**{field: getattr(then.provenance.asked, field) for field in _OF_LAYOUT})


def _selection(then: "StatedProvenance") -> "Selection":
    from tokenaudit.reports.selection import Selection

    zone = find_zone(then.timezone)
    if zone is None:
        raise ValueError(f"no such time zone: {then.timezone}")
    return Selection.of(then.filters, zone.key, then.provenance.asked.start_of_week)


def _options_of(stated: "ExportRequest", options: Options) -> Options:
    """Return the options by which the export was made, where those of today say nothing else."""
    source, pricing = options.source, options.pricing
    if not source.root and not source.demo:
        roots = [Path(root) for root in stated.roots]
        source = SourceOptions(root=roots or None, demo=stated.demo, jobs=source.jobs)
    if pricing.rates is None and stated.rates is not None:
        pricing = replace(pricing, rates=Path(stated.rates))
    if pricing.as_model is None:
        pricing = replace(pricing, as_model=stated.as_model)
    return replace(options, source=source, pricing=pricing)


def _rows(found: Exported, report: "Report") -> "Iterator[InputChange]":
    from tokenaudit.audit.verify.provenance import ChangeVerdict, InputChange

    form = Format.PARQUET if found.is_parquet else Format.JSON
    then, now = (
        content(data, is_parquet=found.is_parquet)
        for data in (found.data, render(report, form, Style()))
    )
    gone, new = then - now, now - then
    whole = f"{then.total():,} {'rows' if found.is_parquet else 'rows and totals'}"
    if gone or new:
        said = f"{gone.total():,} of {whole} are no longer given, {new.total():,} others are."
        yield InputChange("rows", ChangeVerdict.CHANGED, said)
    else:
        yield InputChange("rows", ChangeVerdict.SAME, f"{whole}, worked out anew, are identical.")
