"""What an export stands on, and whether that is still so: inputs, rate card, rules, what was asked."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, NamedTuple

import msgspec
import polars as pl

from tokenaudit.ledger.frame import RULES
from tokenaudit.store.facts import Facts
from tokenaudit.transcripts.file_digest import combined, digest

__all__ = [
    "ChangeVerdict",
    "ExportRequest",
    "InputChange",
    "StatedProvenance",
    "changes_of_estimates",
    "changes_of_inputs",
    "changes_of_models",
    "changes_of_pricing",
    "frame_of",
    "inputs_of",
    "provenance_of",
    "stated",
]


class ChangeVerdict(StrEnum):
    """What became of a part of an export's basis."""

    SAME = "same"
    GROWN = "grown"
    """There is more of it, behind what was read: the export still stands on what it stood on."""
    CHANGED = "changed"


class ExportRequest(msgspec.Struct, frozen=True):
    """What was asked of the ledger: the report, its roots and rates, its shape."""

    report: str
    start_of_week: Annotated[
        str, msgspec.Meta(pattern="^(mon|tues|wednes|thurs|fri|satur|sun)day$")
    ]
    demo: bool
    roots: list[str]
    rates: str | None
    as_model: str | None
    sort: str | None
    descending: bool | None
    limit: int | None
    with_cost: bool
    full: bool
    breakdown: bool
    with_estimate: bool


class InputFile(msgspec.Struct, frozen=True):
    """A transcript as it was read."""

    path: str
    bytes: int
    sha256: str | None


class Inputs(msgspec.Struct, frozen=True):
    """All that was read."""

    sha256: str
    files: list[InputFile]


class Provenance(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an export stands on, beside the pricing, which every report carries."""

    rules: int
    asked: ExportRequest
    inputs: Inputs
    models: str | None = None
    """The digest of what is known of models beside prices, where a column depends on it."""
    estimates: str | None = None
    """The digest of the weights that ship for estimates, where there are estimates."""


class Filters(msgspec.Struct, frozen=True):
    """The filters of an export."""

    since: date | None = None
    until: date | None = None
    project: list[str] = []
    model: list[str] = []
    session: list[str] = []
    agent: list[str] = []
    branch: list[str] = []


class StatedProvenance(msgspec.Struct, frozen=True):
    """What of an export's metadata its verification needs."""

    command: str
    generated_at: datetime
    timezone: str
    filters: Filters
    pricing: dict[str, str]
    provenance: Provenance


class InputChange(NamedTuple):
    """One line of a verification."""

    part: str
    verdict: ChangeVerdict
    said: str


def inputs_of(facts: Facts) -> Inputs:
    """Return the digests of all that was read: `sha256` of all, and `path, bytes, sha256` of each."""
    files = []
    for path, size in facts.transcripts.select("path", "bytes").sort("path").iter_rows():
        found = digest(path, size)
        files.append(InputFile(path, size, found[1] if found else None))
    return Inputs(combined(str(file.sha256) for file in files), files)


def provenance_of(
    facts: Facts,
    asked: ExportRequest,
    *,
    models: str | None = None,
    estimates: str | None = None,
) -> dict[str, Any]:
    """Return what an export must carry to be made again, as plain values.

    *models* is the digest of what is known of models, for a report that depends on it, *estimates* that of
    the weights that ship, for one with estimates.
    """
    found: dict[str, Any] = msgspec.to_builtins(
        Provenance(RULES, asked, inputs_of(facts), models, estimates)
    )
    return found


def stated(meta: Mapping[str, Any]) -> StatedProvenance:
    """Read the metadata of an export. Raises msgspec.ValidationError for what cannot be used."""
    return msgspec.convert(meta, StatedProvenance)


def changes_of_inputs(then: Inputs, facts: Facts) -> Iterator[InputChange]:
    """Compare the inputs of *then* with the transcripts that are there now."""
    known = {file.path: file for file in then.files}
    now = dict(facts.transcripts.select("path", "bytes").iter_rows())
    same = 0
    for path, file in known.items():
        change = _change(path, file, now)
        same += change is None
        if change is not None:
            yield change
    for path in sorted(set(now) - set(known)):
        yield InputChange("input", ChangeVerdict.GROWN, f"{path}: is new.")
    if same:
        yield InputChange(
            "input", ChangeVerdict.SAME, f"{same:,} transcripts are as they were, to the last byte."
        )


def _change(path: str, file: InputFile, now: Mapping[str, int]) -> InputChange | None:
    size = file.bytes
    found = digest(path, size)
    if path not in now or found is None:
        return InputChange("input", ChangeVerdict.CHANGED, f"{path}: is gone.")
    there, sha256 = found
    if there < size:
        return InputChange(
            "input", ChangeVerdict.CHANGED, f"{path}: is {size - there:,} bytes shorter."
        )
    if sha256 != file.sha256:
        return InputChange(
            "input", ChangeVerdict.CHANGED, f"{path}: its first {size:,} bytes were rewritten."
        )
    if now[path] > size:
        return InputChange(
            "input", ChangeVerdict.GROWN, f"{path}: has {now[path] - size:,} more bytes."
        )
    return None


def changes_of_pricing(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[InputChange]:
    """Compare the basis of costs with that of today, key by key."""
    found = [name for name in dict.fromkeys((*then, *now)) if then.get(name) != now.get(name)]
    for name in found:
        was, now_is = then.get(name, "none"), now.get(name, "none")
        yield InputChange("pricing", ChangeVerdict.CHANGED, f"{name}: was {was}, is {now_is}.")
    if not found:
        yield InputChange(
            "pricing", ChangeVerdict.SAME, f"Rate card {now['card']}, sha256 {now['sha256'][:8]}."
        )


def changes_of_models(then: str | None, now: str) -> Iterator[InputChange]:
    """Compare what is known of models beside prices; nothing where the export does not depend on it."""
    if then is None:
        return
    if then == now:
        yield InputChange(
            "models", ChangeVerdict.SAME, f"Context windows of models, sha256 {now[:8]}."
        )
    else:
        said = f"Context windows of models: sha256 was {then[:8]}, is {now[:8]}."
        yield InputChange("models", ChangeVerdict.CHANGED, said)


def changes_of_estimates(then: Provenance, now: str) -> Iterator[InputChange]:
    """Compare the weights that ship for estimates with *now*; nothing where there are no estimates."""
    if not then.asked.with_estimate:
        return
    if then.estimates == now:
        yield InputChange("estimates", ChangeVerdict.SAME, f"Weights that ship, sha256 {now[:8]}.")
    elif then.estimates is None:
        said = "Made by an earlier version, which estimated otherwise: `est_` columns differ."
        yield InputChange("estimates", ChangeVerdict.CHANGED, said)
    else:
        said = f"Weights that ship: sha256 was {then.estimates[:8]}, is {now[:8]}."
        yield InputChange("estimates", ChangeVerdict.CHANGED, said)


def frame_of(changes: Sequence[InputChange]) -> pl.DataFrame:
    """Return *changes* as a frame, those that matter first."""
    order = [ChangeVerdict.CHANGED, ChangeVerdict.GROWN, ChangeVerdict.SAME]
    rows = sorted(changes, key=lambda change: order.index(change.verdict))
    schema = dict.fromkeys(InputChange._fields, pl.String)
    return pl.DataFrame(
        [(part, each.value, said) for part, each, said in rows], schema, orient="row"
    )
