"""From facts to the contents of transcripts: which files are read once more, for which agents."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import polars as pl

from tokenaudit import transcripts
from tokenaudit.analysis.context_growth import AGENT, pieces_of
from tokenaudit.cli.options import Options
from tokenaudit.cli.reading import read_facts
from tokenaudit.cli.settings import rate_card
from tokenaudit.config.settings import Settings

if TYPE_CHECKING:
    from tokenaudit.ledger.frame import Ledger
    from tokenaudit.store.facts import Facts

__all__ = ["facts_and_ledger", "pieces", "pieces_of_all"]


def facts_and_ledger(options: Options, settings: Settings) -> "tuple[Facts, Ledger]":
    """Read the transcripts that *options* name; return what they say, and the ledger of it."""
    from tokenaudit.ledger import frame as ledger

    card = rate_card(options.pricing)
    facts = read_facts(options, settings)
    return facts, ledger.build(facts, card)


def pieces(facts: "Facts", session_id: str | None, agent_id: str) -> pl.DataFrame:
    """Return what the transcripts of one agent hold."""
    is_own = pl.col("session_id").eq_missing(pl.lit(session_id)) & (pl.col("agent_id") == agent_id)
    return _read(facts.transcripts.filter(is_own))


def pieces_of_all(facts: "Facts", agents: pl.DataFrame) -> pl.DataFrame:
    """Return what the transcripts hold of the *agents*, one row each with its session and id."""
    return _read(facts.transcripts.join(agents, on=AGENT, how="semi", nulls_equal=True))


def _read(files: pl.DataFrame) -> pl.DataFrame:
    own: Iterable[tuple[str | None, str, list[str]]] = (
        files.sort("first_time", "path", nulls_last=True)
        .group_by(AGENT, maintain_order=True)
        .agg("path")
        .iter_rows()
    )
    return pieces_of(transcripts.read_content(*agent) for agent in own)
