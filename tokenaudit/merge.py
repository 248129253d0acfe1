"""Merges the copies of responses, so that each counts once (rules R3 to R7).

Takes what transcripts say (`store.Facts`) and yields responses; knows no price, no zone, no filter:
filters come after merging, or totals would depend on them.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from tokenaudit.model import MAIN_AGENT, Kind, Quality
from tokenaudit.store.facts import Facts
from tokenaudit.store.kept import Kept
from tokenaudit.store.rows import COUNTS

__all__ = ["KEPT", "Merged", "in_order", "kept_frames", "linked", "merge"]

LARGEST_PLACEHOLDER: Final = 30
"""Output counts up to this, on a line without a stop reason, are what stands there at the start (R4)."""

_OF_OWNER: Final = (
    "agent_id",
    "is_sidechain",
    "is_progress",
    "cwd",
    "branch",
    "version",
    "entrypoint",
)
_OF_ALL: Final = ("time", "request_id", "lines")
_NOT_OF_BEST: Final = ("row", "revision", "file_time", *_OF_OWNER, *_OF_ALL)
_BY_OWNER: Final = ("is_progress", "is_sidechain", "file_time", "path", "revision")
"""Of the copies of a response the one that comes first is its owner (R5)."""
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


_TIME: Final = pl.Datetime("us", "UTC")
_TEXTS: Final = (
    *("session_id", "agent_id", "owner_path", "cwd", "branch", "version", "entrypoint", "model"),
    *("speed", "service_tier", "inference_geo", "effort", "skill", "plugin", "agent_label"),
    *("mcp_server", "mcp_tool", "kind", "quality", "stop_reason", "odd"),
)
_RESOLVED: Final = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
)
_NUMBERS: Final = (*_RESOLVED, "thinking_tokens", "web_searches", "web_fetches", "copies")
KEPT: Final[Mapping[str, Any]] = {
    "time": _TIME,
    **dict.fromkeys(_TEXTS, pl.String),
    **dict.fromkeys(_NUMBERS, pl.Int64),
    **dict.fromkeys(("is_sidechain", "is_progress"), pl.Boolean),
}
"""What sums of responses may ask of them: all but what they are called, and where they stand."""
_PARTS: Final[Mapping[str, Any]] = {"response": pl.UInt32, **dict.fromkeys(_RESOLVED, pl.Int64)}
_SHARED: Final[Mapping[str, Any]] = {
    "session_id": pl.String,
    "owner_id": pl.String,
    "responses": pl.UInt32,
}


class Merged(Struct, frozen=True):
    """Responses, each once."""

    responses: pl.DataFrame
    """One row per response: facts of the owner (R5), values of the best line (R4)."""
    refused: pl.DataFrame
    """Attempts that another model was asked after: outside all totals (R6). Same columns."""
    parts: pl.DataFrame
    """The inferences behind responses that took several: `response` (row of `responses`) and counts."""
    shared: pl.DataFrame
    """Sessions that hold copies of another's responses: `session_id`, `owner_id`, `responses`."""


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
    return _resumed(facts.kept, schema)


def kept_frames(facts: Facts) -> Mapping[str, pl.DataFrame]:
    """Merge *facts*, and return what is to be kept of that: frames by the names of `Merged`."""
    merged = merge(facts, KEPT)
    return {name: getattr(merged, name) for name in Merged.__struct_fields__}


def _resumed(kept: Kept, schema: Mapping[str, Any]) -> Merged:
    """Return what was *kept* of merging, and what has come since in the place of what that replaces."""
    wanted = {**schema, "session_id": pl.String}
    old = Merged(
        responses=kept.frame("responses", wanted if kept.facts else schema),
        refused=kept.frame("refused", wanted if kept.facts else schema),
        parts=kept.frame("parts", _PARTS),
        shared=kept.frame("shared", _SHARED),
    )
    if kept.facts is None:
        return old
    new = _narrowed(_merged(kept.facts, wanted), wanted)
    sessions = pl.Series(list(kept.sessions), dtype=pl.String).implode()
    stays = ~pl.col("session_id").is_in(sessions, nulls_equal=True)
    rows = old.responses.with_row_index("response").filter(stays)
    places = rows.select("response").with_row_index("place")
    parts = old.parts.join(places, on="response", maintain_order="left").select(
        pl.col("place").alias("response"), *_RESOLVED
    )
    behind = new.parts.with_columns(pl.col("response") + rows.height)
    both = Merged(
        responses=pl.concat([rows.drop("response"), new.responses]),
        refused=pl.concat([old.refused.filter(stays), new.refused]),
        parts=pl.concat([parts, behind.cast(pl.Schema(_PARTS))]),
        shared=pl.concat([old.shared.filter(stays), new.shared.cast(pl.Schema(_SHARED))]),
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
    copied = several.with_columns(key=_key(several, is_partial=is_partial))
    owners = _owners(copied)
    chosen = _chosen(records, is_alone, copied, owners)
    if columns is None:
        # The order is settled while rows are narrow, so that the wide ones are copied once.
        source = records.select("path", "value_line", "message_id", "uuid")[chosen["best_row"]]
        keys = ("path", "value_line", "message_id", "uuid", "request_id")
        chosen = in_order(chosen.hstack(source), keys).select(chosen.columns)
    gathered = _gathered(records, chosen, facts, columns).with_row_index("response")
    responses = _judged(_repaired(gathered, copied, owners, facts))
    shared = _shared(copied, owners)
    if facts.iterations.is_empty():
        return Merged(responses, responses.clear(), pl.DataFrame(schema=_PARTS), shared)
    iterations = _Iterations(_split_cache_writes(facts.iterations), responses)
    return Merged(
        responses=pl.concat([responses, *iterations.responses()]),
        refused=iterations.refused(),
        parts=iterations.parts(),
        shared=shared,
    )


def _chosen(
    records: pl.DataFrame, is_alone: pl.Series, copied: pl.DataFrame, owners: pl.DataFrame
) -> pl.DataFrame:
    """Return one row per response: the rows of its owner and of its best line, and what all copies say."""
    alone = records.select("row", *_OF_ALL).filter(is_alone)
    merged = owners.join(_best(copied), on="key", maintain_order="left")
    columns = ("owner_row", "best_row", *_OF_ALL)
    return pl.concat(
        [
            alone.with_columns(owner_row="row", best_row="row").select(columns),
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
    of_owner, of_best = [*_OF_OWNER], records.drop(_NOT_OF_BEST).columns
    if columns is not None:
        # What no record says is put beside in the end, where it takes no room.
        said = {each.name for each in records if each.null_count() < len(each)}
        needed = {*_DECIDING, *said.intersection(columns)}
        if not facts.iterations.is_empty():
            needed.update(_NAMING)
        of_owner = [name for name in of_owner if name in needed]
        of_best = [name for name in of_best if name in needed]
    owner = records.select(*of_owner, owner_path="path", owner_line="line")[chosen["owner_row"]]
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
    return _split_cache_writes(gathered)


def _split_cache_writes(frame: pl.DataFrame) -> pl.DataFrame:
    """Resolve the cache writes into 5-minute and 1-hour ones (R7)."""
    split = pl.col("split_5m_tokens") + pl.col("split_1h_tokens")
    total = pl.max_horizontal("cache_write_tokens", split)
    return frame.with_columns(
        cache_write_5m_tokens=total - pl.col("split_1h_tokens"),
        cache_write_1h_tokens=pl.col("split_1h_tokens"),
        is_split_assumed=total > split,
    ).drop("cache_write_tokens", "split_5m_tokens", "split_1h_tokens")


# R3: which records are one response


def linked(records: pl.DataFrame) -> pl.DataFrame:
    """Tell what records without a request id tie together: `path`, `record` and a `group` for each.

    Of messages some of whose records have a request id and some have not, and of no others.
    """
    ids = records.select("message_id", "request_id").filter(pl.col("message_id").is_not_null())
    bare = ids.filter(pl.col("request_id").is_null())["message_id"].unique()
    known = ids.filter(
        pl.col("request_id").is_not_null(), pl.col("message_id").is_in(bare.implode())
    )
    mixed = records.filter(pl.col("message_id").is_in(known["message_id"].unique().implode()))
    keys = mixed.with_columns(key=_plain_key())
    groups = _rooted(keys, _links_without_request(keys))
    return mixed.select("path", "record", group=groups)


def _key(records: pl.DataFrame, *, is_partial: bool) -> pl.Series:
    """Return a text per record that is equal for records of one response (R3)."""
    keys = records.with_columns(key=_plain_key())
    if is_partial:
        return _rooted(keys, _links_without_request(keys.filter(pl.col("request_id").is_null())))
    return _rooted(keys, pl.concat([_links_without_request(keys), _links_of_sidechains(keys)]))


def _rooted(keys: pl.DataFrame, links: pl.DataFrame) -> pl.Series:
    """Return for each of *keys* the least one that *links* lead to."""
    if links.is_empty():
        return keys["key"]
    renamed = keys.join(_components(links), on="key", how="left", maintain_order="left")
    return renamed.select(pl.coalesce("root", "key").alias("key"))["key"]


def _plain_key() -> pl.Expr:
    """Return the ids where both are there; else what stands for them within one transcript."""
    has_message, has_request = (pl.col(name).is_not_null() for name in ("message_id", "request_id"))

    def joined(kind: str, *names: str) -> pl.Expr:
        # With their lengths in front, no two lists of texts look alike when joined.
        lengths = (pl.col(name).cast(pl.String).str.len_bytes() for name in names)
        return pl.concat_str(pl.lit(kind), *lengths, *names, separator=" ")

    return (
        pl.when(has_message & has_request)
        .then(joined("request", "message_id", "request_id"))
        .when(has_message)
        .then(joined("message", "message_id", "path", "agent_id"))
        .when(pl.col("uuid").is_not_null())
        .then(joined("uuid", "uuid"))
        .otherwise(joined("line", "path", "line"))
    )


def _links_without_request(keys: pl.DataFrame) -> pl.DataFrame:
    """Link records without a request id to others of the same message: by file, uuid or time."""
    alone = keys.filter(pl.col("message_id").is_not_null() & pl.col("request_id").is_null())
    others = keys.filter(pl.col("message_id").is_in(alone["message_id"].unique().implode()))
    links = [
        alone.select("message_id", "key", *shared)
        .unique()
        .join(
            others.select("message_id", *shared, other="key").unique(), on=["message_id", *shared]
        )
        .filter(pl.col("key") != pl.col("other"))
        .select("key", "other")
        for shared in (["uuid"], ["time"], ["path", "agent_id"])
    ]
    return pl.concat(links)


def _links_of_sidechains(keys: pl.DataFrame) -> pl.DataFrame:
    """Link a sidechain's replay of a response, which has another request id, to the response."""
    known = keys.filter(pl.col("message_id").is_not_null() & pl.col("request_id").is_not_null())
    pairs = known.select("message_id", "key").unique()
    several = pairs.filter(pl.col("message_id").is_duplicated())
    order = ["is_sidechain", "file_time", "path", "line", "key"]
    return (
        known.select("key", "line", *_BY_OWNER)
        .join(several, on="key")
        .sort(*_BY_OWNER, "line", nulls_last=True)
        .unique("key", keep="first", maintain_order=True)
        .sort(order, nulls_last=True)
        .with_columns(other=pl.col("key").first().over("message_id"))
        .filter(pl.col("is_sidechain") & (pl.col("key") != pl.col("other")))
        .select("key", "other")
    )


def _components(links: pl.DataFrame) -> pl.DataFrame:
    """Return for each linked key the least key that links lead to, as `root`."""
    both = pl.concat([links, links.select(key="other", other="key")]).unique()
    roots = both.select("key").unique().with_columns(root="key")
    while True:
        nearer = (
            both.join(roots.select(other="key", near="root"), on="other")
            .group_by("key")
            .agg(pl.col("near").min())
        )
        moved = roots.join(nearer, on="key").select(
            "key", root=pl.min_horizontal("root", "near"), is_moved=pl.col("near") < pl.col("root")
        )
        roots = moved.select("key", "root")
        if not moved["is_moved"].any():
            return roots


# R4 and R5: what counts, and to whom it belongs


def _owners(copied: pl.DataFrame) -> pl.DataFrame:
    """Return for each key the row of its owner, and what all copies say together (R5)."""
    return (
        copied.sort(*_BY_OWNER, "line", nulls_last=True)
        .group_by("key", maintain_order=True)
        .agg(
            pl.col("session_id").first(),
            pl.col("time", "request_id").drop_nulls().first(),
            pl.col("lines").sum(),
            owner_row=pl.col("row").first(),
        )
    )


def _best(copied: pl.DataFrame) -> pl.DataFrame:
    """Return for each key the row of the best line (R4).

    Of equally good lines the later one counts: within a transcript by its place, for times there go
    back and forth; among transcripts by its time.
    """
    is_final = pl.col("stop_reason").is_not_null()
    return (
        copied.select(
            *("key", "value_line", "record", *_BY_OWNER),
            is_final=is_final,
            said=pl.when(~is_final).then("output_tokens").otherwise(0),
            later=pl.col("value_time").fill_null(pl.datetime(1, 1, 1, time_zone="UTC")),
            best_row="row",
        )
        .sort("is_final", "said", "value_line", "record", descending=True)
        .unique(["key", "path", "revision"], keep="first", maintain_order=True)
        .sort(*_BY_OWNER, nulls_last=True)
        .sort("is_final", "said", "later", descending=True, maintain_order=True)
        .unique("key", keep="first", maintain_order=True)
        .select("key", "best_row")
    )


def _shared(copied: pl.DataFrame, owners: pl.DataFrame) -> pl.DataFrame:
    """Count the responses that the main transcript of one session copies from another's."""
    return (
        copied.filter(~pl.col("is_progress") & ~pl.col("is_sidechain"))
        .select("key", "session_id")
        .unique()
        .join(owners.select("key", owner_id="session_id"), on="key")
        .filter(pl.col("session_id") != pl.col("owner_id"))
        .group_by("session_id", "owner_id")
        .agg(pl.len().alias("responses"))
    )


def _repaired(
    responses: pl.DataFrame, copied: pl.DataFrame, owners: pl.DataFrame, facts: Facts
) -> pl.DataFrame:
    """Add what parents were told of the last replies of subagents, where the counts agree (R4).

    The last reply is the one that began last: a late line of an earlier one does not make it that.
    What stood in a transcript before it was rewritten had a last reply of its own.
    """
    agents = facts.transcripts.filter(pl.col("agent_id") != MAIN_AGENT).select(
        "path", "session_id", "agent_id"
    )
    told = facts.results.join(
        facts.transcripts.select("path", "session_id", teller_id="agent_id"), on="path"
    ).filter(pl.col("teller_id") != pl.col("agent_id"))
    answered = agents.join(told, on=["session_id", "agent_id"], how="semi")
    if answered.is_empty():
        return responses.with_columns(repaired_tokens=pl.lit(None, dtype=pl.Int64))
    reply = pl.coalesce("key", pl.col("row").cast(pl.String))
    last = (
        facts.records.with_row_index("row")
        .select("row", "path", "revision", "record", "is_progress")
        .filter(pl.col("path").is_in(answered["path"].implode()), ~pl.col("is_progress"))
        .join(copied.select("row", "key"), on="row", how="left")
        .sort("record")
        .unique(["path", "revision", reply], keep="first", maintain_order=True)
        .unique(["path", "revision"], keep="last", maintain_order=True)
        .join(answered, on="path")
    )
    # What has no key is alone, and its own owner.
    owner = owners.select("key", "owner_row")
    counts = ("input_tokens", "cache_read_tokens", "cache_write_tokens")
    writes = pl.col("cache_write_5m_tokens") + pl.col("cache_write_1h_tokens")
    repairs = (
        last.join(owner, on="key", how="left")
        .with_columns(pl.coalesce("owner_row", "row").alias("owner_row"))
        .join(told, on=["session_id", "agent_id"])
        .rename({"output_tokens": "repaired_tokens"})
        .join(
            responses.select(
                "response", "owner_row", "output_tokens", *counts[:-1], cache_write_tokens=writes
            ),
            on=["owner_row", *counts],
        )
        .filter(pl.col("repaired_tokens") >= pl.col("output_tokens"))
        .group_by("response")
        .agg(pl.col("repaired_tokens").max())
    )
    places = responses.select("response").join(
        repairs, on="response", how="left", maintain_order="left"
    )
    return responses.hstack(places.select("repaired_tokens"))


def _judged(united: pl.DataFrame) -> pl.DataFrame:
    """Say how far each output count can be trusted, and put repaired ones in place (R4)."""
    is_final = pl.col("stop_reason").is_not_null()
    is_repaired = ~is_final & pl.col("repaired_tokens").is_not_null()
    return united.select(
        *_response_id(united),
        pl.exclude(
            *("response", "owner_row", "best_row", "repaired_tokens", "lines", "output_tokens"),
            *("path", "record", "line", "value_line", "value_time", "message_id", "uuid"),
        ),
        kind=pl.lit(Kind.MESSAGE.value),
        copies=pl.col("lines") - 1,
        output_tokens=pl.when(is_repaired).then("repaired_tokens").otherwise("output_tokens"),
        quality=pl.when(is_final)
        .then(pl.lit(Quality.FINAL.value))
        .when(is_repaired)
        .then(pl.lit(Quality.REPAIRED.value))
        .when(pl.col("output_tokens") <= LARGEST_PLACEHOLDER)
        .then(pl.lit(Quality.PLACEHOLDER.value))
        .otherwise(pl.lit(Quality.LOWER_BOUND.value)),
    )


def _response_id(responses: pl.DataFrame) -> Iterator[pl.Expr]:
    """Yield what a response is called, where that was asked for.

    By its message, else by its line, else by where that stands.
    """
    if "message_id" not in responses.columns:
        return
    named = pl.coalesce("message_id", "uuid")
    if not responses.select(named.is_not_null().all()).item():
        named = pl.coalesce(named, pl.format("{}:{}", "source_path", "source_line"))
    yield named.alias("response_id")


# R6: what iterations tell


class _Iterations:
    """The inferences behind responses whose top level does not tell all."""

    def __init__(self, iterations: pl.DataFrame, responses: pl.DataFrame) -> None:
        self._responses = responses.with_row_index("response")
        found = iterations.rename({"path": "source_path", "record": "source_record"}).join(
            self._responses.drop(*_RESOLVED, "is_split_assumed"),
            on=["source_path", "source_record"],
        )
        is_served = pl.col("type") == "fallback_message"
        self._found = found.with_columns(is_fallback=is_served.any().over("response"))

    def responses(self) -> list[pl.DataFrame]:
        """Return those that are responses of their own, outside the top level."""
        return [
            self._own(pl.col("type") == "advisor_message", Kind.ADVISOR),
            self._own(pl.col("type") == "compaction", Kind.COMPACTION),
        ]

    def refused(self) -> pl.DataFrame:
        """Return the attempts before a fallback: asked, and answered by another model."""
        return self._own(pl.col("is_fallback") & (pl.col("type") == "message"), Kind.REFUSED)

    def parts(self) -> pl.DataFrame:
        """Return the inferences of responses that took several and whose counts they add up to.

        Where they do not add up the top level stands alone: it is what is counted.
        """
        served = (
            pl.when("is_fallback").then(pl.lit("fallback_message")).otherwise(pl.lit("message"))
        )
        parts = self._found.filter(pl.col("type") == served)
        sums = parts.group_by("response").agg(pl.len().alias("parts"), pl.col(*_RESOLVED).sum())
        agreeing = sums.filter(pl.col("parts") > 1).join(
            self._responses.select("response", *_RESOLVED), on=["response", *_RESOLVED]
        )
        return parts.join(agreeing, on="response", how="semi").select("response", *_RESOLVED)

    def _own(self, which: pl.Expr, kind: Kind) -> pl.DataFrame:
        nothing = pl.lit(0, dtype=pl.Int64)
        return (
            self._found.filter(which)
            .with_columns(
                response_id=pl.format("{}#{}", "response_id", "iteration"),
                kind=pl.lit(kind.value),
                model=pl.coalesce("iteration_model", "model"),
                copies=nothing,
                web_searches=nothing,
                web_fetches=nothing,
                thinking_tokens=pl.lit(None, dtype=pl.Int64),
                recorded_cost_usd=pl.lit(None, dtype=pl.String),
                odd=pl.lit(None, dtype=pl.String),
                quality=pl.lit(Quality.FINAL.value),
            )
            .select(self._responses.drop("response").columns)
        )
