"""Whether the store says what the transcripts say: two ledgers, one out of it, one out of them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import polars as pl
from msgspec.structs import asdict

from tokenaudit.ledger.frame import Ledger
from tokenaudit.model.terms import Quality
from tokenaudit.model.units import format_count
from tokenaudit.reports.report import Column, Meta, Outcome, Report, Section, Selected, Unit
from tokenaudit.reports.request import Request

__all__ = ["differences", "verified"]

_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "frame": ("response_id", "request_id", "source_path", "source_line"),
    "refused": ("response_id", "request_id", "source_path", "source_line"),
    "inferences": ("response_id", "request_id", "source_path", "source_line"),
    "sessions": ("session_id",),
    "agents": ("session_id", "agent_id"),
    "compactions": ("session_id", "agent_id", "time", "kind"),
    "rejects": ("path", "line", "reason"),
}
"""The frames of a ledger, and what names a row in each."""

_NAMES: Final = {"frame": "responses"}
_WHOLE_ROW: Final = "whole row"
_SCHEMA: Final = {
    "part": pl.String,
    "key": pl.String,
    "column": pl.String,
    "in_store": pl.String,
    "on_disk": pl.String,
}
_DIFFERENCES: Final = (
    Column("part", Unit.TEXT, "Of"),
    Column("key", Unit.TEXT, "Which"),
    Column("column", Unit.TEXT, "Column"),
    Column("in_store", Unit.TEXT, "In the store"),
    Column("on_disk", Unit.TEXT, "On disk"),
)
_RESULT: Final = (
    Column("result", Unit.TEXT, "Result"),
    Column("transcripts", Unit.COUNT, "Transcripts"),
    Column("responses", Unit.COUNT, "Responses"),
    Column("differences", Unit.COUNT, "Differences"),
    Column("gone", Unit.COUNT, "Gone"),
    Column("former_versions", Unit.COUNT, "Former versions"),
    Column("growing", Unit.COUNT, "Growing", quiet=True),
)


def differences(kept: Ledger, fresh: Ledger) -> pl.DataFrame:
    """Return every value in which the two ledgers differ: `part, key, column, in_store, on_disk`.

    A row that one of them lacks is one difference, of the whole row.
    """
    found = [_of_frames(name, getattr(kept, name), getattr(fresh, name)) for name in _KEYS]
    found.append(pl.DataFrame(list(_of_intakes(kept, fresh)), _SCHEMA, orient="row"))
    return pl.concat(found)


def _of_frames(name: str, kept: pl.DataFrame, fresh: pl.DataFrame) -> pl.DataFrame:
    if kept.equals(fresh):
        return pl.DataFrame(schema=_SCHEMA)
    keys = [*_KEYS[name], "number"]  # rows of one key are told apart by their order
    values = [column for column in kept.columns if column not in keys]
    both = _numbered(kept, keys).join(
        _numbered(fresh, keys),
        on=keys,
        how="full",
        coalesce=True,
        nulls_equal=True,
        suffix=" fresh",
    )
    named = pl.concat_str(
        *(pl.col(key) for key in _KEYS[name]), separator=" ", ignore_nulls=True
    ).alias("key")
    in_store, on_disk = pl.col("is there").is_not_null(), pl.col("is there fresh").is_not_null()
    there = pl.lit("present"), pl.lit("missing")
    frames = [
        both.filter(in_store != on_disk).select(
            named,
            column=pl.lit(_WHOLE_ROW),
            in_store=pl.when(in_store).then(there[0]).otherwise(there[1]),
            on_disk=pl.when(on_disk).then(there[0]).otherwise(there[1]),
        )
    ]
    frames += [
        both.filter(in_store & on_disk & pl.col(value).ne_missing(pl.col(f"{value} fresh"))).select(
            named, column=pl.lit(value), in_store=pl.col(value), on_disk=pl.col(f"{value} fresh")
        )
        for value in values
    ]
    part = pl.lit(_NAMES.get(name, name)).alias("part")
    return pl.concat(frames).select(part, *list(_SCHEMA)[1:])


def _numbered(frame: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Return *frame* with every value as a text, and rows of one key numbered."""
    texts = [
        pl.col(name).list.join(", ") if isinstance(kind, pl.List) else pl.col(name).cast(pl.String)
        for name, kind in frame.schema.items()
    ]
    return frame.select(texts).with_columns(
        pl.lit("yes").alias("is there"),
        number=pl.int_range(pl.len()).over(keys[:-1]),
    )


def _of_intakes(kept: Ledger, fresh: Ledger) -> Iterator[tuple[str, ...]]:
    in_store, on_disk = asdict(kept.intake), asdict(fresh.intake)
    for name, value in in_store.items():
        if value != on_disk[name]:
            yield "intake", "all", name, str(value), str(on_disk[name])


def verified(
    kept: Ledger,
    fresh: Ledger,
    request: Request,
    *,
    gone: int,
    former: int,
    growing: int,
    most: int | None,
) -> Report:
    """Return whether *kept*, out of the store, is *fresh*, out of the transcripts alone.

    What is *gone*, and *former* versions, are in neither; nor transcripts that were *growing* when
    they were compared. At *most* so many differences are listed.
    """
    found = differences(kept, fresh)
    intake = fresh.intake
    result = "different" if found.height else "identical"
    row = (result, intake.files, intake.responses, found.height, gone, former, growing)
    title = (
        f"{result.capitalize()}: {_count(intake.files, 'transcript')},"
        f" {_count(intake.responses, 'response')}"
    )
    schema = [(each.name, pl.String if each.unit is Unit.TEXT else pl.Int64) for each in _RESULT]
    sections = [Section("verified", title, _RESULT, pl.DataFrame([row], schema, orient="row"))]
    if found.height:
        shown = found.head(found.height if most is None else most)
        cut = found.height - shown.height
        sections.append(Section("differences", "Differences", _DIFFERENCES, shown, cut_rows=cut))
    meta = Meta(
        command=request.command,
        version=request.version,
        generated_at=request.now,
        timezone=request.selection.timezone,
        filters={},
        pricing=fresh.pricing,
        intake=intake,
        selected=Selected(
            intake.responses,
            intake.unpriced_responses,
            {quality.value: intake.quality[quality] for quality in Quality},
        ),
    )
    return Report(
        title,
        tuple(sections),
        meta,
        notes=tuple(_notes(gone, former, growing)),
        outcome=Outcome.ERROR if found.height else Outcome.SOUND,
    )


def _notes(gone: int, former: int, growing: int) -> Iterator[str]:
    yield "Compared: what the store keeps, with all transcripts read anew."
    if gone or former:
        yield (
            f"{_count(gone, 'transcript')} that {'is' if gone == 1 else 'are'} gone, and"
            f" {_count(former, 'former version')}, cannot be compared: only the store knows them."
        )
    if growing:
        yield f"{_count(growing, 'transcript')} changed meanwhile: not compared."


def _count(number: int, one: str) -> str:
    return f"{format_count(number)} {one if number == 1 else one + 's'}"
