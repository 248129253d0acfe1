"""What an export stands on, and whether that is still so: inputs, rate card, rules, what was asked."""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import polars as pl

from tokenaudit.ledger import RULES
from tokenaudit.store import Facts
from tokenaudit.transcripts.digest import combined, digest

__all__ = [
    "Change",
    "Verdict",
    "changes_of_inputs",
    "changes_of_pricing",
    "frame_of",
    "inputs_of",
    "provenance_of",
]


class Verdict(StrEnum):
    """What became of a part of an export's basis."""

    SAME = "same"
    GROWN = "grown"
    """There is more of it, behind what was read: the export still stands on what it stood on."""
    CHANGED = "changed"


class Change(NamedTuple):
    """One line of a verification."""

    part: str
    verdict: Verdict
    said: str


def inputs_of(facts: Facts) -> dict[str, Any]:
    """Return the digests of all that was read: `sha256` of all, and `path, bytes, sha256` of each."""
    files = []
    for path, size in facts.transcripts.select("path", "bytes").sort("path").iter_rows():
        found = digest(path, size)
        files.append({"path": path, "bytes": size, "sha256": found[1] if found else None})
    return {"sha256": combined(str(file["sha256"]) for file in files), "files": files}


def provenance_of(facts: Facts, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an export must carry to be made again: *asked* names the report and its options."""
    return {"rules": RULES, "asked": dict(asked), "inputs": inputs_of(facts)}


def changes_of_inputs(then: Mapping[str, Any], facts: Facts) -> Iterator[Change]:
    """Compare the inputs of *then* with the transcripts that are there now."""
    known = {str(file["path"]): file for file in then.get("files", ())}
    now = dict(facts.transcripts.select("path", "bytes").iter_rows())
    same = 0
    for path, file in known.items():
        change = _change(path, file, now)
        same += change is None
        if change is not None:
            yield change
    for path in sorted(set(now) - set(known)):
        yield Change("input", Verdict.GROWN, f"{path}: is new.")
    if same:
        yield Change(
            "input", Verdict.SAME, f"{same:,} transcripts are as they were, to the last byte."
        )


def _change(path: str, file: Mapping[str, Any], now: Mapping[str, int]) -> Change | None:
    size = int(file["bytes"])
    found = digest(path, size)
    if path not in now or found is None:
        return Change("input", Verdict.CHANGED, f"{path}: is gone.")
    there, sha256 = found
    if there < size:
        return Change("input", Verdict.CHANGED, f"{path}: is {size - there:,} bytes shorter.")
    if sha256 != file["sha256"]:
        return Change("input", Verdict.CHANGED, f"{path}: its first {size:,} bytes were rewritten.")
    if now[path] > size:
        return Change("input", Verdict.GROWN, f"{path}: has {now[path] - size:,} more bytes.")
    return None


def changes_of_pricing(then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Change]:
    """Compare the basis of costs with that of today, key by key."""
    found = [name for name in dict.fromkeys((*then, *now)) if then.get(name) != now.get(name)]
    for name in found:
        yield Change(
            "pricing", Verdict.CHANGED, f"{name}: was {then.get(name)}, is {now.get(name)}."
        )
    if not found:
        yield Change(
            "pricing", Verdict.SAME, f"Rate card {now['card']}, sha256 {now['sha256'][:8]}."
        )


def frame_of(changes: Sequence[Change]) -> pl.DataFrame:
    """Return *changes* as a frame, those that matter first."""
    order = [Verdict.CHANGED, Verdict.GROWN, Verdict.SAME]
    rows = sorted(changes, key=lambda change: order.index(change.verdict))
    schema = dict.fromkeys(Change._fields, pl.String)
    return pl.DataFrame(
        [(part, each.value, said) for part, each, said in rows], schema, orient="row"
    )
