"""Reads the transcripts that options and settings name: through the store, or without one."""

import os
import sys
from collections.abc import Callable, Collection
from contextlib import nullcontext
from pathlib import Path
from time import time_ns
from typing import TYPE_CHECKING

from tokenaudit import limits, transcripts
from tokenaudit.cli.options import Options, SourceOptions
from tokenaudit.cli.progress import progress_bar
from tokenaudit.cli.settings import store_folder
from tokenaudit.config.directories import data_folder
from tokenaudit.config.settings import Settings
from tokenaudit.model.errors import NoTranscriptsError, StoreError, UsageError
from tokenaudit.render.clean import visible
from tokenaudit.store import Store, facts_without_store
from tokenaudit.transcripts import DEMO, Discovery
from tokenaudit.transcripts.totals import recorded_totals

if TYPE_CHECKING:
    from tokenaudit.ledger.frame import Ledger
    from tokenaudit.pricing.card import RateCard
    from tokenaudit.reports.request import Request
    from tokenaudit.store import Gathered
    from tokenaudit.store.facts import Facts

__all__ = [
    "built",
    "gather",
    "read_both_ways",
    "read_facts",
    "read_for",
    "roots_of",
]


def read_for(
    options: Options, settings: Settings, card: "RateCard", request: "Request", report: str
) -> "Ledger":
    """Read the transcripts that *options* name, and price them by *card*.

    The ledger has the columns that the report called *report* takes, or all of them.
    """
    facts, store = _read(options, settings)
    from tokenaudit.reports import registry

    wanted = registry.columns_of(request, report)
    if wanted is not None and store is not None:
        from tokenaudit.merge import kept_frames

        facts = store.settled(facts, kept_frames)
    return built(facts, card, with_estimate=options.display.estimate, columns=wanted)


def built(
    facts: "Facts",
    card: "RateCard",
    *,
    with_estimate: bool,
    columns: Collection[str] | None = None,
) -> "Ledger":
    """Build the ledger of *facts*, with estimates of lost output beside it if they are wanted.

    With *columns* it has those and no others; see `ledger.build`.
    """
    from tokenaudit.ledger import frame as ledger

    plain = ledger.build(facts, card, columns)
    if not with_estimate:
        return plain
    from tokenaudit.analysis.estimate import estimated

    return estimated(plain, facts)


def read_facts(options: Options, settings: Settings) -> "Facts":
    """Read the transcripts that *options* name: what they say, not merged and not priced."""
    return _read(options, settings)[0]


def _read(options: Options, settings: Settings) -> "tuple[Facts, Store | None]":
    """Read the transcripts that *options* name; return what they say, and the store if there is one."""
    source = options.source
    discovery = _found(source, settings)
    store = _store(source, settings)
    plan = store.plan(discovery) if store else None
    extents = transcripts.extents_of(discovery.transcripts) if plan is None else plan.extents
    jobs = _jobs(source, settings)
    with progress_bar(sum(extent.size for extent in extents)) as progress:
        readings = transcripts.read(extents, jobs=jobs, progress=progress)
        # Only now is Polars imported: it starts threads, from which no process may be forked.
        if store is None or plan is None:
            return _with_recorded(facts_without_store(discovery, readings), source), None
        facts = store.take(plan, readings, now_ns=time_ns(), only_present=source.only_present)
    for note in store.notes:
        sys.stderr.write(f"tokenaudit: {visible(note)}\n")
    return _with_recorded(facts, source), store


def _with_recorded(facts: "Facts", source: SourceOptions) -> "Facts":
    """Return *facts* with the totals that a status line recorded of these sessions."""
    if source.demo:
        return facts
    folder = str(data_folder() / limits.FOLDER)
    return facts.with_totals(recorded_totals(limits.read_all(folder), folder))


def read_both_ways(
    options: Options, settings: Settings, store: Store
) -> "tuple[Facts, Facts, int]":
    """Read what *options* name through *store*, which keeps what is new, and once more without it.

    Only what is on disk counts. Returns both, and how many transcripts changed meanwhile and are in
    neither. Raises StoreError where the rows of the store make no sense.
    """
    source = options.source
    discovery = _discover(source, settings)
    jobs = _jobs(source, settings)
    plan = store.plan(discovery)
    readings = transcripts.read(plan.extents, jobs=jobs)
    kept = store.take(plan, readings, now_ns=time_ns(), only_present=True)
    extents = transcripts.extents_of(discovery.transcripts)
    with progress_bar(sum(extent.size for extent in extents)) as progress:
        readings = transcripts.read(extents, jobs=jobs, progress=progress)
        fresh = facts_without_store(discovery, readings)
    changed = {
        one.path
        for one in set(discovery.transcripts).difference(_discover(source, settings).transcripts)
    }
    return kept.without(changed), fresh.without(changed), len(changed)


def gather(
    source: SourceOptions, settings: Settings, discovery: Discovery, *, quietly: bool = False
) -> "tuple[Gathered, bool]":
    """Read *discovery* into rows, for who keeps them; tell whether they are those of a store.

    Shows no progress if it is to go on *quietly*.
    """
    from tokenaudit.store import gather_without_store
    from tokenaudit.store.index import Index
    from tokenaudit.store.plan import plan as plan_of

    store = _store(source, settings)
    made = store.plan(discovery) if store else plan_of(Index(), discovery)
    jobs = _jobs(source, settings)
    size = sum(extent.size for extent in made.extents)
    with nullcontext() if quietly else progress_bar(size) as progress:
        readings = transcripts.read(made.extents, jobs=jobs, progress=progress)
        if store is None:
            return gather_without_store(made, readings, now_ns=time_ns()), False
        found = store.gather(made, readings, now_ns=time_ns(), only_present=source.only_present)
    for note in () if quietly else store.notes:
        sys.stderr.write(f"tokenaudit: {visible(note)}\n")
    return found, True


def _jobs(source: SourceOptions, settings: Settings) -> int:
    return source.jobs or settings.jobs or os.cpu_count() or 1


def _store(
    source: SourceOptions, settings: Settings, opened: Callable[[Path], Store] = Store.open
) -> Store | None:
    """Open the store; None where there is to be none, or none that can be used."""
    if source.no_store or (source.demo and source.store is None):
        return None
    try:
        return opened(store_folder(source, settings))
    except StoreError as error:
        sys.stderr.write(f"tokenaudit: {visible(str(error))}; going on without it\n")
        return None


# where transcripts are


def roots_of(source: SourceOptions, settings: Settings) -> list[Path]:
    """Return the roots that *source* names, else those of the settings, else those that exist (R1)."""
    if source.demo:
        return [DEMO]
    named = source.root or [Path(root).expanduser() for root in settings.root]
    return named or [root for root in _existing_default_roots() if root.exists()]


def _discover(source: SourceOptions, settings: Settings) -> Discovery:
    if source.demo:
        if source.root:
            raise UsageError("--demo and --root exclude each other")
        return transcripts.discover([DEMO])
    named = source.root or [Path(root).expanduser() for root in settings.root]
    if named:
        return transcripts.discover(named)
    return transcripts.discover(_existing_default_roots(), must_exist=False)


def _found(source: SourceOptions, settings: Settings) -> Discovery:
    """Return the transcripts to read: none where all are gone, but the store has what they held.

    Raises NoTranscriptsError where there is nothing at all.
    """
    try:
        return _discover(source, settings)
    except NoTranscriptsError:
        nothing = transcripts.discover(roots_of(source, settings), must_find=False)
        if nothing.rejects or source.only_present:
            raise
        store = _store(source, settings, Store.look)
        if store is None or not store.plan(nothing).known:
            raise
        return nothing


def _existing_default_roots() -> list[Path]:
    roots = transcripts.default_roots(os.environ, Path.home())
    if not any(root.exists() for root in roots):
        raise NoTranscriptsError(
            f"no Claude Code history found; looked in {', '.join(str(root) for root in roots)}",
            hint="Name its folder with --root or CLAUDE_CONFIG_DIR, or see what a report looks like with --demo.",
        )
    return roots
