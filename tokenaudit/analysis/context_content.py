"""From facts to the contents of transcripts: which files are read once more, for which agents."""

from collections.abc import Iterable

import polars as pl

from tokenaudit import transcripts
from tokenaudit.analysis.context_growth import AGENT
from tokenaudit.store.facts import Facts
from tokenaudit.transcripts import Content

__all__ = ["of_agent", "of_agents"]


def of_agent(facts: Facts, session_id: str | None, agent_id: str) -> list[Content]:
    """Return what the transcripts of one agent hold."""
    is_own = pl.col("session_id").eq_missing(pl.lit(session_id)) & (pl.col("agent_id") == agent_id)
    return _read(facts.transcripts.filter(is_own))


def of_agents(facts: Facts, agents: pl.DataFrame) -> list[Content]:
    """Return what the transcripts hold of the *agents*, one row each with its session and id."""
    return _read(facts.transcripts.join(agents, on=AGENT, how="semi", nulls_equal=True))


def _read(files: pl.DataFrame) -> list[Content]:
    own: Iterable[tuple[str | None, str, list[str]]] = (
        files.sort("first_time", "path", nulls_last=True)
        .group_by(AGENT, maintain_order=True)
        .agg("path")
        .iter_rows()
    )
    return [transcripts.read_content(*agent) for agent in own]
