"""Gathers what stands behind responses of the ledger: the store's records, and single lines on demand.

Nothing here counts: what is found is for an explanation to show, and to hold against the ledger.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import polars as pl

from tokenaudit.model import Kind
from tokenaudit.store import Facts
from tokenaudit.transcripts.evidence import EvidenceLine, read_lines, read_results
from tokenaudit.verdict import Said, responses_of

__all__ = ["Evidence", "gather"]

_FEW: Final = 50
"""Up to so many message ids are searched for by their bytes."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is behind some rows of the ledger."""

    places: pl.DataFrame
    """Where they lie: `path`, `counted` and `copied` (responses that count by a line there, and others
    of which there are copies there) and `lines`."""
    said: Mapping[int, tuple[Said, ...]] = field(default_factory=dict)
    """By the place of a row: what each transcript says of that response, and in which lines."""
    results: tuple[EvidenceLine, ...] = ()
    """What parents were told of the last response of these subagents."""
    gone: tuple[str, ...] = ()
    """Transcripts that can no longer be read."""
    changed: tuple[str, ...] = ()
    """Transcripts whose lines are no longer those that were counted."""


def gather(
    facts: Facts, ledger: pl.DataFrame, rows: pl.DataFrame, *, with_lines: bool = True
) -> Evidence:
    """Find what stands behind *rows*, which are some of *ledger*.

    *with_lines*, its transcripts are read again, line by line.
    """
    records = _records(facts, ledger, rows)
    places = _places(records, rows)
    if not with_lines:
        return Evidence(places)
    by_path = records.partition_by("path", as_dict=True, maintain_order=True)
    said: dict[int, list[Said]] = defaultdict(list)
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
        for response, record in of_path.select("response", "record").iter_rows():
            said[response].append(full[record])
    results = tuple(_results(facts, records))
    return Evidence(
        places,
        {response: tuple(each) for response, each in said.items()},
        results,
        tuple(gone),
        tuple(changed),
    )


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


def _records(facts: Facts, ledger: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the store's records of *rows*, each with the place of its `response`."""
    is_own = pl.col("kind") == Kind.MESSAGE
    whole = (
        pl.when(is_own)
        .then("response_id")
        .otherwise(pl.col("response_id").str.replace(r"#\d+$", ""))
    )
    wanted = rows.select("source_path", "source_line", id=whole, response=pl.int_range(pl.len()))
    place = pl.format("{}:{}", "path", "value_line")
    ids = wanted["id"].unique().implode()
    records = (
        facts.records.with_columns(id=pl.coalesce("message_id", "uuid", place))
        .filter(pl.col("id").is_in(ids))
        .join(facts.transcripts.select("path", "first_time"), on="path", how="left")
    )
    several = ledger.filter(is_own & pl.col("response_id").is_in(ids)).filter(
        pl.len().over("response_id") > 1
    )
    is_several = pl.col("id").is_in(several["response_id"].unique().implode())
    sure = records.filter(~is_several).join(wanted.select("id", "response"), on="id")
    unsure = _told_apart(records.filter(is_several)).join(
        wanted, left_on=["id", "of_path", "of_line"], right_on=["id", "source_path", "source_line"]
    )
    return pl.concat([sure, unsure.select(sure.columns)]).sort("path", "record", "response")


def _told_apart(records: pl.DataFrame) -> pl.DataFrame:
    """Tell records of one message id but several responses apart (R3).

    Adds, once for every line that may be the source of its response, `of_path` and `of_line`.
    """
    schema: dict[str, Any] = {"row": pl.Int64, "of_path": pl.String, "of_line": pl.Int64}
    places: list[tuple[int, str, int]] = []
    indexed = records.with_row_index("row").cast({"row": pl.Int64})
    for of_id in indexed.partition_by("id"):
        found = [_said(row) for row in of_id.iter_rows(named=True)]
        at, paths, lines = (of_id[name].to_list() for name in ("row", "path", "value_line"))
        for group in responses_of(found):
            places += [(at[one], paths[other], lines[other]) for one in group for other in group]
    return indexed.join(pl.DataFrame(places, schema, orient="row"), on="row").drop("row")


def _said(row: Mapping[str, Any]) -> Said:
    names = set(Said.__slots__) - {"lines"}
    return Said(**{name: row[name] for name in names})


def _lines(path: str, found: Iterable[Said]) -> list[EvidenceLine] | None:
    """Return the lines about what was *found* at *path*; None where it can no longer be read."""
    ids = {each.message_id for each in found}
    named = {each for each in ids if each is not None}
    try:
        return list(read_lines(path, named if len(named) == len(ids) <= _FEW else None))
    except OSError:
        return None


def _with_lines(found: list[Said], lines: Iterable[EvidenceLine]) -> list[Said]:
    """Give each of *found*, all of one transcript, those of *lines* that were folded into it."""
    places: dict[Any, list[int]] = defaultdict(list)
    for at, each in enumerate(found):
        places[_key(each, each.is_progress)].append(at)
    folded: dict[int, list[EvidenceLine]] = defaultdict(list)
    for line in lines:
        candidates = places.get(_key(line, line.voice != "own"), [])
        for place in _of_agent(candidates, found, line)[:1]:
            folded[place].append(line)
    return [replace(each, lines=tuple(folded[at])) for at, each in enumerate(found)]


def _key(said: Said | EvidenceLine, is_progress: bool) -> tuple[Any, ...]:  # noqa: FBT001
    """Return what lines of one record share: both ids, or else their own place."""
    if said.message_id is not None and said.request_id is not None:
        return is_progress, said.message_id, said.request_id
    return is_progress, said.line, said.message_id, said.uuid


def _of_agent(candidates: list[int], found: list[Said], line: EvidenceLine) -> list[int]:
    """Choose among records that differ by their agent alone."""
    if len(candidates) < 2:  # noqa: PLR2004
        return candidates

    def fits(agent_id: str | None) -> bool:
        if line.agent_id is not None:
            return agent_id == line.agent_id
        return (agent_id or "").startswith("sidechain-") == line.is_sidechain

    return [at for at in candidates if fits(found[at].agent_id)] or candidates


def _results(facts: Facts, records: pl.DataFrame) -> Iterator[EvidenceLine]:
    """Yield what parents were told of the agents whose transcripts are among *records*."""
    told = facts.results.select("agent_path", "path").unique().sort("path", "agent_path")
    of_records = records.select("path", "agent_id").unique("path")
    for parent, agent_id in (
        told.join(of_records, left_on="agent_path", right_on="path")
        .select("path", "agent_id")
        .unique(maintain_order=True)
        .iter_rows()
    ):
        try:
            yield from read_results(parent, agent_id)
        except OSError:
            continue  # the record of it is in the store; its line is not to be had
