"""From records to responses: the rules one after the other, or what was merged before and the rest."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Final

import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from tokenaudit.merge.copies import OF_ALL, OF_OWNER, best_of, owners_of, shared_of
from tokenaudit.merge.counts import split_cache_writes
from tokenaudit.merge.identity import key_of
from tokenaudit.merge.iterations import Iterations
from tokenaudit.merge.output import judged, repaired, told_of_last
from tokenaudit.model.fields import TOKENS, In
from tokenaudit.store.facts import Facts
from tokenaudit.store.merge_cache import MergeCache
from tokenaudit.store.rows import COUNTS, table_of

__all__ = [
    "KEPT",
    "CountedResponses",
    "Merged",
    "in_order",
    "kept_frames",
    "merge",
    "with_iterations",
]

_NOT_OF_BEST: Final = ("row", "revision", "file_time", *OF_OWNER, *OF_ALL)
_IDENTIFYING: Final = (
    *("row", "path", "record", "line", "value_line", "lines", "is_progress", "is_sidechain"),
    *("agent_id", "message_id", "request_id", "uuid", "time", "value_time"),
    *("stop_reason", "output_tokens", "revision", "file_time"),
)
"""What tells which records are one response, and which of them counts: no more is copied for that."""
_DECIDING: Final = ("stop_reason", "model", *COUNTS)
"""What is needed of the best line until all is said of a response."""
_NAMING: Final = ("path", "record", "value_line", "message_id", "uuid")
"""What iterations know their response by, and what it is called."""
KEPT: Final[Mapping[str, Any]] = {**table_of(In.MERGED), "owner_path": pl.String}
"""What sums of responses may ask of them: all but what they are called, and where they stand."""
_PARTS: Final[Mapping[str, Any]] = {"response": pl.UInt32, **dict.fromkeys(TOKENS, pl.Int64)}
_SHARED: Final[Mapping[str, Any]] = {
    "session_id": pl.String,
    "owner_id": pl.String,
    "responses": pl.UInt32,
}


class CountedResponses(Struct, frozen=True):
    """Responses, each once, wherever their records come from."""

    responses: pl.DataFrame
    """One row per response: facts of the owner (R5), values of the best line (R4)."""
    refused: pl.DataFrame
    """Attempts that another model was asked after: outside all totals (R6). Same columns."""
    parts: pl.DataFrame
    """The inferences behind responses that took several: `response` (row of `responses`) and counts."""


class Merged(CountedResponses, frozen=True):
    """The responses of the facts of one store."""

    shared: pl.DataFrame
    """Sessions that hold copies of another's responses: `session_id`, `owner_id`, `responses`."""
    members: Callable[[], pl.DataFrame]
    """Returns which record became which response: `path` and `record` of the one, `source_path,
    source_line, id, request_id` of the other, and whether the record is its owner's (`is_owner`)."""


def merge(
    facts: Facts, columns: Collection[str] | None = None, *, is_partial: bool = False
) -> Merged:
    """Merge the records of *facts*.

    With *columns*, some of those of KEPT, responses and refused attempts have no others, and no order:
    that is where what was merged before is of use. With *is_partial* there may be other facts: only
    what is one response whatever they are is merged.
    """
    if columns is None:
        return _merged(facts, None, is_partial=is_partial)
    schema = {name: kind for name, kind in KEPT.items() if name in columns}
    if facts.kept is None:
        return _narrowed(_merged(facts, schema), schema)
    return _resumed(facts, facts.kept, schema)


def kept_frames(facts: Facts) -> Mapping[str, pl.DataFrame]:
    """Merge *facts*, and return what is to be kept of that: frames by the names of `Merged`."""
    merged = merge(facts, KEPT)
    return {name: getattr(merged, name) for name in ("responses", "refused", "parts", "shared")}


def _resumed(facts: Facts, kept: MergeCache, schema: Mapping[str, Any]) -> Merged:
    """Return what was *kept* of merging *facts*, and what is new in the place of what that replaces."""
    wanted = {**schema, "session_id": pl.String}
    old = Merged(
        responses=kept.frame("responses", wanted if facts.anew else schema),
        refused=kept.frame("refused", wanted if facts.anew else schema),
        parts=kept.frame("parts", _PARTS),
        shared=kept.frame("shared", _SHARED),
        members=partial(_all_members, facts),
    )
    if facts.anew is None:
        return old
    new = _narrowed(_merged(facts.anew, wanted), wanted)
    sessions = pl.Series(list(kept.sessions), dtype=pl.String).implode()
    stays = ~pl.col("session_id").is_in(sessions, nulls_equal=True)
    rows = old.responses.with_row_index("response").filter(stays)
    places = rows.select("response").with_row_index("place")
    parts = old.parts.join(places, on="response", maintain_order="left").select(
        pl.col("place").alias("response"), *TOKENS
    )
    behind = new.parts.with_columns(pl.col("response") + rows.height)
    both = Merged(
        responses=pl.concat([rows.drop("response"), new.responses]),
        refused=pl.concat([old.refused.filter(stays), new.refused]),
        parts=pl.concat([parts, behind.cast(pl.Schema(_PARTS))]),
        shared=pl.concat([old.shared.filter(stays), new.shared.cast(pl.Schema(_SHARED))]),
        members=old.members,
    )
    return _narrowed(both, schema)


def _narrowed(merged: Merged, schema: Mapping[str, Any]) -> Merged:
    """Return *merged* with the columns of *schema* alone, as they are kept."""

    def narrow(frame: pl.DataFrame) -> pl.DataFrame:
        unsaid = {name: pl.lit(None) for name in schema if name not in frame.columns}
        return frame.with_columns(**unsaid).select(schema.keys()).cast(pl.Schema(schema))

    return replace(merged, responses=narrow(merged.responses), refused=narrow(merged.refused))


def _merged(facts: Facts, columns: Collection[str] | None, *, is_partial: bool = False) -> Merged:
    """Merge the records of *facts*; with *columns*, few others are carried along."""
    records = facts.records.with_row_index("row")
    # Only what shares a message id with another record, or has none, can be a copy.
    is_alone = records["message_id"].is_not_null() & records["message_id"].is_unique()
    several = (
        records.select(_IDENTIFYING)
        .filter(~is_alone)
        .join(
            facts.transcripts.select("path", "session_id"),
            on="path",
            how="left",
            maintain_order="left",
        )
    )
    copied = several.with_columns(key=key_of(several, is_partial=is_partial))
    owners = owners_of(copied)
    chosen = _chosen(records, is_alone, copied, owners)
    if columns is None:
        # The order is settled while rows are narrow, so that the wide ones are copied once.
        source = records.select("path", "value_line", "message_id", "uuid")[chosen["best_row"]]
        keys = ("path", "value_line", "message_id", "uuid", "request_id")
        chosen = in_order(chosen.hstack(source), keys).select(chosen.columns)
    gathered = _gathered(records, chosen, facts, columns).with_row_index("response")
    responses = judged(repaired(gathered, told_of_last(copied, owners, facts)))
    members = partial(_all_members, facts)
    if columns is None:
        members = partial(_members, records, copied, chosen, responses)
    found = with_iterations(responses, _placed(facts.iterations, responses))
    return Merged(
        responses=found.responses,
        refused=found.refused,
        parts=found.parts,
        shared=shared_of(copied, owners),
        members=members,
    )


def _placed(iterations: pl.DataFrame, responses: pl.DataFrame) -> pl.DataFrame:
    """Return the *iterations* of the records that count, with the row of their response."""
    if iterations.is_empty():
        return iterations
    names = {"path": "source_path", "record": "source_record"}
    places = responses.select(*names.values()).with_row_index("response")
    return iterations.rename(names).join(places, on=[*names.values()], maintain_order="left")


def with_iterations(responses: pl.DataFrame, iterations: pl.DataFrame) -> CountedResponses:
    """Return *responses* with what their *iterations* tell, which name the row of each as `response` (R6)."""
    responses = responses.with_columns(iteration=pl.lit(None, pl.Int64))
    if iterations.is_empty():
        return CountedResponses(responses, responses.clear(), pl.DataFrame(schema=_PARTS))
    found = Iterations(split_cache_writes(iterations), responses)
    return CountedResponses(
        responses=pl.concat([responses, *found.responses()]),
        refused=found.refused(),
        parts=found.parts(),
    )


def _all_members(facts: Facts) -> pl.DataFrame:
    return _merged(facts, None).members()


def _members(
    records: pl.DataFrame, copied: pl.DataFrame, chosen: pl.DataFrame, responses: pl.DataFrame
) -> pl.DataFrame:
    """Return for each of *records* the response that it became: those *chosen*, in their order."""
    owners = chosen.select("key", row="owner_row", response=pl.int_range(pl.len()))
    alone = owners.filter(pl.col("key").is_null()).with_columns(owner="row")
    several = copied.select("row", "key").join(owners.rename({"row": "owner"}), on="key")
    rows = pl.concat([each.select("row", "owner", "response") for each in (alone, several)])
    said = responses.select("source_path", "source_line", "request_id", id="response_id")
    return (
        records.select("path", "record")[rows["row"]]
        .hstack(said[rows["response"]])
        .with_columns(is_owner=rows["row"] == rows["owner"])
    )


def _chosen(
    records: pl.DataFrame, is_alone: pl.Series, copied: pl.DataFrame, owners: pl.DataFrame
) -> pl.DataFrame:
    """Return one row per response: the rows of its owner and of its best line, and what all copies say.

    And the `key` of its records, null where there is one.
    """
    alone = records.select("row", *OF_ALL).filter(is_alone)
    merged = owners.join(best_of(copied), on="key", maintain_order="left")
    columns = ("key", "owner_row", "best_row", *OF_ALL)
    no_key = pl.lit(None, pl.String)
    return pl.concat(
        [
            alone.with_columns(key=no_key, owner_row="row", best_row="row").select(columns),
            merged.select(columns),
        ]
    )


def in_order(frame: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Return *frame* sorted by `time`, and by *keys* where times are equal; nulls come last.

    Few times are equal, so that little is sorted by texts; what is in order already is not copied.
    """
    order = frame["time"].arg_sort(nulls_last=True)
    is_tied = frame["time"].is_duplicated()
    if is_tied.any():
        tied = frame.select("time", *keys).with_row_index("row").filter(is_tied)
        rows = tied.sort("time", *keys, nulls_last=True)["row"]
        # Sorted by time alone, rows of equal times stand together: these places, in this order.
        order = order.scatter(is_tied.gather(order).arg_true(), rows)
    return frame if order.is_sorted() else frame[order]


def _gathered(
    records: pl.DataFrame, chosen: pl.DataFrame, facts: Facts, columns: Collection[str] | None
) -> pl.DataFrame:
    """Return one row per response: the facts of its owner (R5), the values of its best line (R4).

    With *columns*, only those of them, and what decides something yet.
    """
    of_owner, of_best = [*OF_OWNER], records.drop(_NOT_OF_BEST).columns
    if columns is not None:
        # What no record says is put beside in the end, where it takes no room.
        said = {each.name for each in records if each.null_count() < len(each)}
        needed = {*_DECIDING, *said.intersection(columns)}
        if not facts.iterations.is_empty():
            needed.update(_NAMING)
        of_owner = [name for name in of_owner if name in needed]
        of_best = [name for name in of_best if name in needed]
    place = {"owner_path": "path", "owner_line": "line", "owner_time": "time"}
    owner = records.select(*of_owner, **place)[chosen["owner_row"]]
    best = records.select(of_best)[chosen["best_row"]]
    # Joined while it is narrow: a join copies all that it is given.
    of_session = owner.select("owner_path").join(
        facts.transcripts.select(owner_path="path", session_id="session_id"),
        on="owner_path",
        how="left",
        maintain_order="left",
    )
    gathered = pl.concat([chosen, owner, best, of_session.drop("owner_path")], how="horizontal")
    if "path" in gathered.columns:
        gathered = gathered.with_columns(
            source_path="path", source_line="value_line", source_record="record"
        )
    return split_cache_writes(gathered)
