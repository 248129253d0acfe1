"""R3: which records are one response."""

import polars as pl

from tokenaudit.merge.copies import BY_OWNER

__all__ = ["key_of", "linked"]


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


def key_of(records: pl.DataFrame, *, is_partial: bool) -> pl.Series:
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
    order = [*(name for name in BY_OWNER if name != "is_progress"), "line", "request_id"]
    return (
        known.select("key", "request_id", "line", *BY_OWNER)
        .join(several, on="key")
        .sort(*BY_OWNER, "line", nulls_last=True)
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
