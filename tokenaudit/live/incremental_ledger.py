"""The ledger while it grows: after each step only the responses that it touches are merged and priced anew.

All lines of a response share what is called its group here: its message id, or where there is none
its uuid, or its place. So what a step may change are the responses of the groups of the rows that it
brings or takes away, and of the last replies of agents whose parents now tell of them. Those groups
go through `ledger.build` as a whole history would; the rest stays as it is. It has no clock, reads
no file and knows no watcher.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import polars as pl
from msgspec import Struct
from msgspec.structs import replace

from tokenaudit.ledger import frame as ledgers
from tokenaudit.ledger.frame import TOKENS, Ledger
from tokenaudit.live.sources import SourceStep
from tokenaudit.merge import WHOLE_ID
from tokenaudit.model.fields import FIELDS
from tokenaudit.model.terms import MAIN_AGENT, RequestEvent
from tokenaudit.pricing.card import RateCard
from tokenaudit.store.facts import SESSION, facts_of
from tokenaudit.store.lazy_frame import replaced
from tokenaudit.store.rows import TABLES, Rows, united

__all__ = ["AGENT", "COLUMNS", "IncrementalLedger", "LedgerChange"]

AGENT: Final = ("session_id", "agent_id")

COLUMNS: Final = (
    *("response_id", "request_id", "kind", "time", *AGENT, "agent_type", "project", "model"),
    *("branch", *TOKENS, "prompt_tokens", "total_tokens", "cost_usd", "quality"),
    *("source_path", "source_line"),
)
"""Those of the ledger's columns that are kept: what totals, filters and gauges need."""

_GROUP: Final = "group"
_MANY_CHUNKS: Final = 64
_RECORDS: Final = pl.Schema(TABLES["records"])
_REPEATED: Final = tuple(field.name for field in FIELDS if field.repeats)
"""Texts that repeat from record to record: as categories they take a quarter of the memory."""


class LedgerChange(Struct, frozen=True):
    """What a step changed."""

    responses: pl.DataFrame
    """New responses, and those with other figures than before: COLUMNS, and `is_new`."""
    agents: pl.DataFrame
    """Agents that were not known; see `sessions.AGENTS`."""
    compactions: pl.DataFrame
    """Compactions that were not known; see `Ledger.compactions`."""
    rejects: pl.DataFrame
    """Lines that could not be read, and were not known: `path, line, reason`."""
    has_losses: bool = False
    """Whether responses are gone that were counted before."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing that is shown has changed."""
        frames = (self.responses, self.agents, self.compactions, self.rejects)
        return not self.has_losses and all(frame.is_empty() for frame in frames)


class IncrementalLedger:
    """All responses of what has been read so far, and the rows that they were merged from."""

    def __init__(self, rows: Rows, card: RateCard) -> None:
        """Merge and price all of *rows*."""
        self._card = card
        self._base = _packed(rows)
        self._recent = united([])
        self._base_groups = _groups(rows)
        self._known_projects = _projects_of(rows.parts)
        facts = facts_of(rows)
        built = ledgers.build(facts, card)
        self._settled = _lean(built)
        self._late = self._settled.clear()
        self.sessions = _sessions(built)
        """By id, the title and project of each session."""
        self.facts = _shell(built)
        """The ledger without its responses: agents, compactions, rejects."""

    @property
    def frame(self) -> pl.DataFrame:
        """All responses: COLUMNS, and the group of each."""
        return pl.concat([self._settled, self._late])

    @property
    def ledger(self) -> Ledger:
        """The ledger, with COLUMNS alone: for reports that need no others."""
        return replaced(self.facts, frame=self.frame.drop(_GROUP))

    def since(self, before: "IncrementalLedger") -> LedgerChange:
        """Return in what this differs from what was known *before*."""
        return _change((before.frame, self.frame), (before.facts, self.facts))

    def apply(self, step: SourceStep) -> LedgerChange:
        """Take in *step*, and return what it changed."""
        taken = _of_parts(self._base, step.removed), _of_parts(self._recent, step.removed)
        old_origins = self._origins(step)
        old_last = self._last_of(step.rows.parts["path"])
        gone = united(taken)
        self._remove(step.removed, *taken)
        self._add(step.rows)
        touched = {*step.rows.parts["path"], *gone.parts["path"]}
        is_new = len(old_origins) == 0 or not touched <= {*old_origins["path"]}
        groups = pl.concat(
            [
                _groups(step.rows),
                _groups(gone),
                old_last,
                self._last_of(pl.Series(sorted(touched), dtype=pl.String)),
                self._told(step.rows, gone),
                self._moved(touched, old_origins),
                self._renamed(),
                self._cut(step.rows, gone),
            ]
        ).unique()
        if groups.is_empty() and not is_new and not _tells(step.rows):
            return _change((self.frame.clear(),) * 2, (self.facts,) * 2)
        return self._rebuild(self._with_last(groups), touched)

    def _remove(self, parts: frozenset[int], base: Rows, recent: Rows) -> None:
        if not recent.parts.is_empty():
            self._recent = _without(self._recent, parts)
        if not base.parts.is_empty():
            self._base = _without(self._base, parts)
            self._base_groups = _groups(self._base)

    def _add(self, rows: Rows) -> None:
        self._recent = united([self._recent, rows])
        if self._recent.parts.n_chunks() > _MANY_CHUNKS:
            self._settle()

    def _settle(self) -> None:
        """Put what was read lately to what was read before, in one piece.

        What then is small for each line stays so, however much was seen before.
        """
        recent = Rows(**{name: _rebuilt(frame) for name, frame in self._recent.frames().items()})
        self._base_groups = pl.concat([self._base_groups, _groups(recent)])
        self._base, self._recent = united([self._base, _packed(recent)]), united([])
        if self._base.parts.n_chunks() > _MANY_CHUNKS:
            self._base_groups = self._base_groups.rechunk()
            self._base = Rows(
                **{name: frame.rechunk() for name, frame in self._base.frames().items()}
            )
        known = self.facts
        self.facts = replaced(
            known,
            agents=_rebuilt(known.agents),
            compactions=_rebuilt(known.compactions),
            rejects=_rebuilt(known.rejects),
        )

    def _both(self) -> tuple[tuple[Rows, pl.Series], tuple[Rows, pl.Series]]:
        return (self._base, self._base_groups), (self._recent, _groups(self._recent))

    def _all_parts(self) -> pl.DataFrame:
        return pl.concat([self._base.parts, self._recent.parts])

    # which responses may have changed

    def _origins(self, step: SourceStep) -> pl.DataFrame:
        return _origins(self._all_parts(), step.rows.parts["path"])

    def _moved(self, touched: set[str], before: pl.DataFrame) -> pl.Series:
        """Return the groups of transcripts of which it is told only now whose they are, or since when."""
        paths = pl.Series(sorted(touched), dtype=pl.String)
        after = _origins(self._all_parts(), paths)
        same = before.join(after, on=after.columns, how="semi", nulls_equal=True)
        moved = before.join(same, on="path", how="anti")["path"].unique()
        return self._groups_of_paths(moved)

    def _renamed(self) -> pl.Series:
        """Return the groups of transcripts whose project has another name now.

        It is named by what any transcript beside it says.
        """
        parts = self._all_parts()
        known = _projects_of(parts)
        before, self._known_projects = self._known_projects, known
        folders = [folder for folder, name in known.items() if before.get(folder) != name]
        if not folders:
            return pl.Series(_GROUP, [], pl.String)
        beside = parts.filter(pl.col("project_folder").is_in(folders))
        unnamed = beside.group_by("path").agg(pl.col("project").drop_nulls().first())
        return self._groups_of_paths(unnamed.filter(pl.col("project").is_null())["path"])

    def _groups_of_paths(self, paths: pl.Series) -> pl.Series:
        if paths.is_empty():
            return pl.Series(_GROUP, [], pl.String)
        parts = self._all_parts().filter(pl.col("path").is_in(paths.implode()))["part"]
        return pl.concat(
            [
                groups.filter(rows.records["part"].is_in(parts.implode()))
                for rows, groups in self._both()
            ]
        )

    def _cut(self, *changed: Rows) -> pl.Series:
        """Return the groups of the transcripts of which *changed* rows tell that a response was cut."""
        is_cut = pl.col("event") == RequestEvent.CUT.value
        cuts = pl.concat([rows.requests.filter(is_cut)["part"] for rows in changed])
        if cuts.is_empty():
            return pl.Series(_GROUP, [], pl.String)
        parts = pl.concat([rows.parts for rows in changed])
        return self._groups_of_paths(
            parts.filter(pl.col("part").is_in(cuts.implode()))["path"].unique()
        )

    # the last replies of subagents, which parents tell of

    def _told(self, *changed: Rows) -> pl.Series:
        """Return the groups of the last replies of the agents that *changed* rows tell of."""
        agents = pl.concat([rows.results["agent_id"] for rows in changed]).unique()
        if agents.is_empty():
            return pl.Series(_GROUP, [], pl.String)
        return self._last_of(
            self._all_parts().filter(pl.col("agent_id").is_in(agents.implode()))["path"]
        )

    def _last_of(self, paths: pl.Series) -> pl.Series:
        """Return the groups of the replies that began last in those of *paths* that are of subagents.

        Of a group with several requests it is not known yet which of them are one response: both
        readings of it are returned.
        """
        is_wanted = pl.col("path").is_in(paths.implode()) & (pl.col("agent_id") != MAIN_AGENT)
        parts = self._all_parts().filter(is_wanted).select("part", "path")
        if parts.is_empty():
            return pl.Series(_GROUP, [], pl.String)
        replies = pl.concat(
            [
                rows.records.select("part", "record", "request_id", "is_progress")
                .with_columns(groups)
                .join(parts, on="part")
                for rows, groups in self._both()
            ]
        ).filter(~pl.col("is_progress"))
        found = [
            replies.group_by("path", *reply)
            .agg(pl.col("record").min())
            .sort("record")
            .unique("path", keep="last", maintain_order=True)[_GROUP]
            for reply in ([_GROUP], [_GROUP, "request_id"])
        ]
        return pl.concat(found).unique()

    def _with_last(self, groups: pl.Series) -> pl.Series:
        """Add to *groups* the last replies of all subagents that they are of, whom a parent tells of.

        Without these one of *groups* would be taken for the last.
        """
        told = pl.concat([rows.results["agent_id"] for rows in (self._base, self._recent)]).unique()
        told = told.filter(told != MAIN_AGENT)
        parts = self._all_parts().filter(pl.col("agent_id").is_in(told.implode()))
        while not parts.is_empty():
            inside = [
                rows.records["part"].filter(of_rows.is_in(groups.implode()))
                for rows, of_rows in self._both()
            ]
            paths = parts.filter(pl.col("part").is_in(pl.concat(inside).unique().implode()))["path"]
            more = pl.concat([groups, self._last_of(paths)]).unique()
            if len(more) == len(groups):
                break
            groups = more
        return groups

    # merging them anew

    def _rebuild(self, groups: pl.Series, touched: set[str]) -> LedgerChange:
        facts = facts_of(self._subset(groups, touched))
        named = pl.col("project_folder").replace_strict(
            self._known_projects, default=None, return_dtype=pl.String
        )
        filled = facts.transcripts.with_columns(pl.coalesce("project", named).alias("project"))
        built = ledgers.build(replaced(facts, transcripts=filled), self._card)
        old, new = self._replaced(groups, _rebuilt(_lean(built)))
        known = self.facts
        self.sessions = {**self.sessions, **_sessions(built, self.sessions)}
        self.facts = _joined(known, built)
        return _change((old, new), (known, built))

    def _replaced(self, groups: pl.Series, new: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Put *new* responses in the place of those of *groups*; return these, and *new*."""
        is_of_groups = pl.col(_GROUP).is_in(groups.implode())
        settled, late = self._settled.filter(is_of_groups), self._late.filter(is_of_groups)
        if settled.height:
            self._settled = self._settled.filter(~is_of_groups)
        if late.height:
            self._late = self._late.filter(~is_of_groups)
        self._late = pl.concat([self._late, new])
        if self._late.n_chunks() > _MANY_CHUNKS:
            self._settled = pl.concat([self._settled, _rebuilt(self._late)])
            self._late = self._late.clear()
            if self._settled.n_chunks() > _MANY_CHUNKS:
                self._settled = self._settled.rechunk()
        return _rebuilt(pl.concat([settled, late])), new

    def _subset(self, groups: pl.Series, touched: set[str]) -> Rows:
        """Return the rows of *groups*, with what else is told of the transcripts that they are in."""
        records = pl.concat(
            [
                rows.records.filter(of_rows.is_in(groups.implode())).cast(_RECORDS)
                for rows, of_rows in self._both()
            ]
        )
        all_parts = self._all_parts()
        inside = all_parts.filter(pl.col("part").is_in(records["part"].unique().implode()))
        paths = {*inside["path"], *touched}
        agents = inside.filter(pl.col("agent_id") != MAIN_AGENT)["agent_id"].unique()
        results = self._table("results", pl.col("agent_id").is_in(agents.implode()))
        telling = all_parts.filter(pl.col("part").is_in(results["part"].unique().implode()))
        paths |= {*telling["path"]}
        parts = all_parts.filter(pl.col("path").is_in(sorted(paths)))
        is_inside = pl.col("part").is_in(parts["part"].implode())
        return Rows(
            parts=parts,
            records=records,
            results=results,
            **{
                name: self._table(name, is_inside)
                for name in (
                    "iterations",
                    "titles",
                    "compactions",
                    "rejects",
                    "uncounted",
                    "totals",
                    "requests",
                )
            },
        )

    def _table(self, name: str, condition: pl.Expr) -> pl.DataFrame:
        return pl.concat(
            [rows.frames()[name].filter(condition) for rows in (self._base, self._recent)]
        )


def _rebuilt(frame: pl.DataFrame) -> pl.DataFrame:
    """Return *frame*, a small one, made anew from its values.

    Texts that were filtered out of a large frame, or put together from many small ones, refer to all
    memory that any of them ever stood in: that would grow with each line.
    """
    return pl.DataFrame(frame.to_dict(as_series=False), frame.schema)


def _packed(rows: Rows) -> Rows:
    return replace(rows, records=rows.records.with_columns(pl.col(_REPEATED).cast(pl.Categorical)))


def _tells(rows: Rows) -> bool:
    """Whether *rows* say anything beside usage."""
    tables = (rows.titles, rows.compactions, rows.rejects, rows.results)
    return not all(table.is_empty() for table in tables)


def _groups(rows: Rows) -> pl.Series:
    """Return what the records of one response have in common."""
    ids = rows.records.select(pl.coalesce("message_id", "uuid").alias(_GROUP))[_GROUP]
    if not ids.null_count():
        return ids
    return (
        rows.records.select("part", "line", "message_id", "uuid")
        .join(rows.parts.select("part", "path"), on="part", how="left", maintain_order="left")
        .select(pl.coalesce("message_id", "uuid", pl.format("{}:{}", "path", "line")).alias(_GROUP))
    )[_GROUP]


def _lean(built: Ledger) -> pl.DataFrame:
    return built.frame.select(*COLUMNS, WHOLE_ID.alias(_GROUP))


def _shell(built: Ledger) -> Ledger:
    """Return a ledger without what is not kept: responses, and what stands beside them."""
    return replaced(
        built,
        frame=built.frame.clear(),
        refused=built.refused.clear(),
        inferences=built.inferences.clear(),
        sessions=built.sessions.clear(),
        uncounted=built.uncounted.clear(),
        facts=facts_of(united([])),
        members=pl.DataFrame,
    )


def _sessions(
    built: Ledger, known: Mapping[str | None, tuple[str | None, str | None]] | None = None
) -> dict[str | None, tuple[str | None, str | None]]:
    before = known or {}
    nothing = (None, None)
    return {
        session: (
            title or before.get(session, nothing)[0],
            project or before.get(session, nothing)[1],
        )
        for session, title, project in built.sessions.select(
            "session_id", "title", "project"
        ).iter_rows()
    }


def _joined(known: Ledger, built: Ledger) -> Ledger:
    agents = pl.concat([known.agents, built.agents]).group_by(AGENT, maintain_order=True)
    return replaced(
        known,
        agents=agents.agg(
            pl.col("agent_type", "description").drop_nulls().last(),
            pl.col("start").min(),
            pl.col("end").max(),
            pl.col("transcripts").max(),
        ).select(known.agents.columns),
        compactions=pl.concat([known.compactions, built.compactions]).unique(maintain_order=True),
        rejects=pl.concat([known.rejects, built.rejects]).unique(maintain_order=True),
    )


def _change(
    frames: tuple[pl.DataFrame, pl.DataFrame],
    facts: tuple[Ledger, Ledger],
) -> LedgerChange:
    (old, new), (before, after) = frames, facts
    key = ["response_id", "request_id", "kind"]
    figures = [*key, *AGENT, "time", *TOKENS, "cost_usd", "quality"]
    changed = new.join(old.select(figures), on=figures, how="anti", nulls_equal=True)
    seen = old.select(key).unique().with_columns(is_new=pl.lit(value=False))
    told = changed.join(seen, on=key, how="left", nulls_equal=True, maintain_order="left")
    lost = old.select(key).join(new.select(key), on=key, how="anti", nulls_equal=True)
    return LedgerChange(
        responses=told.with_columns(pl.col("is_new").fill_null(value=True))
        .drop(_GROUP)
        .sort("time"),
        agents=after.agents.join(before.agents, on=AGENT, how="anti", nulls_equal=True),
        compactions=_others(after.compactions, before.compactions),
        rejects=_others(after.rejects, before.rejects),
        has_losses=not lost.is_empty(),
    )


def _others(after: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    return after.join(before, on=after.columns, how="anti", nulls_equal=True)


def _origins(parts: pl.DataFrame, paths: pl.Series) -> pl.DataFrame:
    """Return whose each of *paths* is, by each revision, and since when."""
    return (
        parts.filter(pl.col("path").is_in(paths.implode()))
        .sort("start", maintain_order=True)
        .group_by("path", "revision")
        .agg(pl.col(*SESSION, "first_time").drop_nulls().first())
    )


def _projects_of(parts: pl.DataFrame) -> dict[str, str]:
    """Return the name of each project's folder that a transcript in it knows; see `with_projects`."""
    own = (
        parts.sort("revision", "start", maintain_order=True)
        .group_by("path")
        .agg(pl.col("project_folder").first(), pl.col("project").drop_nulls().first())
    )
    names = own.drop_nulls("project").group_by("project_folder").agg(pl.col("project").min())
    return dict(names.iter_rows())


def _of_parts(rows: Rows, parts: Iterable[int]) -> Rows:
    wanted = pl.Series(sorted(parts), dtype=pl.Int64)
    if wanted.is_empty() or not rows.parts["part"].is_in(wanted.implode()).any():
        return united([])
    found = _filtered(rows, pl.col("part").is_in(wanted.implode()))
    return replace(found, records=found.records.cast(_RECORDS))


def _without(rows: Rows, parts: Iterable[int]) -> Rows:
    return _filtered(rows, ~pl.col("part").is_in(sorted(parts)))


def _filtered(rows: Rows, condition: Any) -> Rows:
    return Rows(**{name: frame.filter(condition) for name, frame in rows.frames().items()})
