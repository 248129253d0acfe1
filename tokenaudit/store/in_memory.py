"""What readings say, for a run without a store."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tokenaudit.store.plan import Plan
from tokenaudit.store.snapshot import StoreSnapshot
from tokenaudit.store.store import Gathered
from tokenaudit.transcripts import Discovery, Reading, global_totals

if TYPE_CHECKING:
    from tokenaudit.store.facts import Facts

__all__ = ["facts_without_store", "gather_without_store"]


def gather_without_store(
    made: Plan, readings: Iterable[Reading], *, now_ns: int, first: int = 0
) -> Gathered:
    """Return what *readings* of the changes of *made* say, their parts numbered from *first* on.

    The states are those of all that *made* knows. For who keeps rows and states in memory.
    """
    from tokenaudit.store.rows import Collector

    bases = {path: change.base for path, change in made.changes.items()}
    collector = Collector(made.discovery.transcripts, bases)
    for reading in readings:
        collector.add(reading)
    advance = StoreSnapshot(made, collector, now_ns)
    return Gathered(advance.rows.renumbered(first), advance.states(first))


def facts_without_store(discovery: Discovery, readings: Iterable[Reading]) -> "Facts":
    """Return what *readings*, of all transcripts of *discovery*, say."""
    from tokenaudit.store.facts import facts_of
    from tokenaudit.store.rows import Collector

    collector = Collector(discovery.transcripts, {})
    for reading in readings:
        collector.add(reading)
    return facts_of(
        collector.rows(), unreadable=discovery.rejects, stated=global_totals(discovery.roots)
    )
