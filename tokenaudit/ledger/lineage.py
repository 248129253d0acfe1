"""Gathers what stands behind responses of the ledger: the store's records, and single lines on demand.

Nothing here counts: what is found is for an explanation to show, and to hold against the ledger.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import polars as pl
from msgspec import Struct, field
from msgspec.structs import replace

from tokenaudit.ledger.frame import TOKENS, Ledger
from tokenaudit.ledger.verdict import Observation
from tokenaudit.merge import WHOLE_ID
from tokenaudit.store.facts import Facts
from tokenaudit.transcripts.usage_lines import UsageLine, read_lines, read_results

__all__ = ["Lineage", "gather"]

_LINES: Final[Mapping[str, Any]] = {
    "response": pl.Int64,
    "copy": pl.Int64,  # which transcript's record of the response it belongs to
    "is_owner": pl.Boolean,  # whether that one owns the response
    "is_progress": pl.Boolean,
    "path": pl.String,
    "record": pl.Int64,
    "at": pl.Int64,
    "line": pl.Int64,
    "is_final": pl.Boolean,
    "stop_reason": pl.String,
    "model": pl.String,
    "speed": pl.String,
    "service_tier": pl.String,
    "inference_geo": pl.String,
    "web_searches": pl.Int64,
    **dict.fromkeys(TOKENS, pl.Int64),
}
"""One row per line; `at` is its place among those of its record."""

_INFERENCES: Final[Mapping[str, Any]] = dict.fromkeys(
    ("response", "copy", "at", "part", *TOKENS), pl.Int64
)
_FEW: Final = 50
"""Up to so many message ids are searched for by their bytes."""
_MOST_KEPT: Final = 1000
"""Of more responses the lines are kept as frames alone: memory must not grow with what they say."""


class Lineage(Struct, frozen=True):
    """What is behind some rows of the ledger."""

    places: pl.DataFrame
    """Where they lie: `path`, `counted` and `copied` (responses that count by a line there, and others
    of which there are copies there) and `lines`."""
    said: Mapping[int, tuple[Observation, ...]] = field(default_factory=dict)
    """By the place of a row: what each transcript says of that response, and in which lines.

    Of no more than a thousand rows; what is counted of the lines of any number stands in the frames.
    """
    lines: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_LINES))
    """Every line of every row, by `response` (the place of the row), `copy` and `at`."""
    inferences: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=_INFERENCES))
    """The inferences of those lines that took several: `response, copy, at, part` and tokens."""
    results: tuple[UsageLine, ...] = ()
    """What parents were told of the last response of these subagents."""
    gone: tuple[str, ...] = ()
    """Transcripts that can no longer be read."""
    changed: tuple[str, ...] = ()
    """Transcripts whose lines are no longer those that were counted."""


def gather(ledger: Ledger, rows: pl.DataFrame, *, with_lines: bool = True) -> Lineage:
    """Find what stands behind *rows*, which are some of *ledger*.

    *with_lines*, its transcripts are read again, line by line.
    """
    records = _records(ledger, rows)
    places = _places(records, rows)
    if not with_lines:
        return Lineage(places)
    by_path = records.partition_by("path", as_dict=True, maintain_order=True)
    said: dict[int, list[Observation]] = defaultdict(list)
    copies: Counter[int] = Counter()
    lines_of, inferences_of = [pl.DataFrame(schema=_LINES)], [pl.DataFrame(schema=_INFERENCES)]
    gone: list[str] = []
    changed: list[str] = []
    for (path,), of_path in sorted(by_path.items()):
        # an inference outside the top level stands on the same record as its response
        once = of_path.unique("record", keep="first", maintain_order=True)
        found = [_said(row) for row in once.iter_rows(named=True)]
        lines = _lines(str(path), found)
        if lines is None:
            gone.append(str(path))
            continue
        full = {each.record: each for each in _with_lines(found, lines)}
        if [len(each.lines) for each in full.values()] != once["lines"].to_list():
            changed.append(str(path))
        keyed = []
        for response, record, is_owner in of_path.select(
            "response", "record", "is_owner"
        ).iter_rows():
            keyed.append((response, copies[response], is_owner, full[record]))
            copies[response] += 1
            if rows.height <= _MOST_KEPT:
                said[response].append(full[record])
        lines_of.append(pl.DataFrame(list(_line_rows(keyed)), _LINES, orient="row"))
        inferences_of.append(pl.DataFrame(list(_inference_rows(keyed)), _INFERENCES, orient="row"))
    return Lineage(
        places=places,
        said={response: tuple(each) for response, each in said.items()},
        lines=pl.concat(lines_of),
        inferences=pl.concat(inferences_of),
        results=tuple(_results(ledger.facts, records)) if rows.height <= _MOST_KEPT else (),
        gone=tuple(gone),
        changed=tuple(changed),
    )


_Keyed = list[tuple[int, int, bool, Observation]]
"""The place of a row, the number of its copy, whether that owns it, and what that says."""


def _line_rows(keyed: _Keyed) -> Iterator[tuple[Any, ...]]:
    for response, copy, is_owner, each in keyed:
        place = (is_owner, each.is_progress, each.path, each.record)
        for at, line in enumerate(each.lines):
            yield (response, copy, *place, at, *_line_values(line))


def _line_values(line: UsageLine) -> Iterator[Any]:
    yield line.line
    yield line.stop_reason is not None and not line.is_cut
    for name in ("stop_reason", "model", "speed", "service_tier", "inference_geo", "web_searches"):
        yield getattr(line, name)
    for name in TOKENS:
        yield getattr(line.counts, name)


def _inference_rows(keyed: _Keyed) -> Iterator[tuple[Any, ...]]:
    for response, copy, _, each in keyed:
        for at, line in enumerate(each.lines):
            for part, counts in enumerate(line.inferences):
                yield (response, copy, at, part, *(getattr(counts, name) for name in TOKENS))


def _places(records: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Count the responses and the lines of each transcript, where most of them count first."""
    sources = rows.select("source_path", response=pl.int_range(pl.len()))
    count = pl.col("response").n_unique().cast(pl.Int64)
    counted = sources.group_by(path="source_path").agg(counted=count)
    held = records.group_by("path").agg(held=count)
    lines = records.unique(["path", "record"]).group_by("path").agg(pl.col("lines").sum())
    return (
        held.join(counted, on="path", how="left")
        .join(lines, on="path")
        .with_columns(pl.col("counted").fill_null(0))
        .with_columns(copied=pl.col("held") - pl.col("counted"))
        .select("path", "counted", "copied", "lines")
        .sort("counted", "copied", "path", descending=[True, True, False])
    )


def _records(ledger: Ledger, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the store's records of *rows*, each with the place of its `response`."""
    of_rows = rows.select(
        *("source_path", "source_line", "request_id"),
        id=WHOLE_ID,
        response=pl.int_range(pl.len()),
    )
    key = ["source_path", "source_line", "id", "request_id"]
    members = ledger.members.join(of_rows, on=key, nulls_equal=True)
    found = members.select("path", "record", "is_owner", "response")
    return ledger.facts.records.join(found, on=["path", "record"]).sort(
        "path", "record", "response"
    )


def _said(row: Mapping[str, Any]) -> Observation:
    names = set(Observation.__struct_fields__) - {"lines"}
    return Observation(**{name: row[name] for name in names})


def _lines(path: str, found: Iterable[Observation]) -> list[UsageLine] | None:
    """Return the lines about what was *found* at *path*; None where it can no longer be read."""
    ids = {each.message_id for each in found}
    named = {each for each in ids if each is not None}
    try:
        return list(read_lines(path, named if len(named) == len(ids) <= _FEW else None))
    except OSError:
        return None


def _with_lines(found: list[Observation], lines: Iterable[UsageLine]) -> list[Observation]:
    """Give each of *found*, all of one transcript, those of *lines* that were folded into it."""
    places: dict[Any, list[int]] = defaultdict(list)
    for at, each in enumerate(found):
        places[_key(each, each.is_progress)].append(at)
    folded: dict[int, list[UsageLine]] = defaultdict(list)
    for line in lines:
        candidates = places.get(_key(line, line.voice != "own"), [])
        for place in _of_agent(candidates, found, line)[:1]:
            folded[place].append(line)
    return [replace(each, lines=tuple(folded[at])) for at, each in enumerate(found)]


def _key(said: Observation | UsageLine, is_progress: bool) -> tuple[Any, ...]:  # noqa: FBT001
    """Return what lines of one record share: both ids, or else their own place."""
    if said.message_id is not None and said.request_id is not None:
        return is_progress, said.message_id, said.request_id
    return is_progress, said.line, said.message_id, said.uuid


def _of_agent(candidates: list[int], found: list[Observation], line: UsageLine) -> list[int]:
    """Choose among records that differ by their agent alone."""
    if len(candidates) < 2:  # noqa: PLR2004
        return candidates

    def fits(said: Observation) -> bool:
        if line.agent_id is not None:
            return said.agent_id == line.agent_id
        return said.is_sidechain == line.is_sidechain

    return [at for at in candidates if fits(found[at])] or candidates


def _results(facts: Facts, records: pl.DataFrame) -> Iterator[UsageLine]:
    """Yield what parents were told of the agents whose transcripts are among *records*."""
    agents = facts.transcripts.select("path", "session_id", "agent_id")
    of_records = agents.join(records.select("path").unique(), on="path", how="semi")
    told = facts.results.select("path", "agent_id").unique()
    pairs = (
        told.join(agents.select("path", "session_id"), on="path")
        .join(of_records, on=["session_id", "agent_id"], suffix="_of_agent")
        .filter(pl.col("path") != pl.col("path_of_agent"))
        .select("path", "agent_id")
        .unique()
        .sort("path", "agent_id")
    )
    for parent, agent_id in pairs.iter_rows():
        try:
            yield from read_results(parent, agent_id)
        except OSError:
            continue  # the record of it is in the store; its line is not to be had
