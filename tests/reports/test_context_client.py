"""Of what the real client wrote: parts of contexts sum to measured prompts, and are what was sent.

The data is no part of the project: it is looked for where TOKENAUDIT_CLIENT_DATA says, else in the
folder that lies beside the checkout, and these tests are skipped where it is absent. Its tokens are
invented: a quarter of the bytes of a request, so what each part should get is known.
"""

import json
import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from transcripts_builder import facts_of

from tokenaudit import transcripts
from tokenaudit.analysis.context_growth import AGENT, BASE, growth, pieces_of, prompts
from tokenaudit.ledger import frame as ledgers
from tokenaudit.pricing.card import shipped_card
from tokenaudit.transcripts import read_content

BESIDE = Path(__file__).parents[3] / "shared" / "data" / "client"
CLIENT = Path(os.environ.get("TOKENAUDIT_CLIENT_DATA", BESIDE))
SCENARIOS = sorted(path.parent for path in CLIENT.glob("*/*/truth.json"))

pytestmark = pytest.mark.skipif(not SCENARIOS, reason="what the real client wrote is not here")


def grown(scenario: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the prompts of all agents of *scenario*, and what they are made of."""
    facts = facts_of(transcripts.discover([scenario / "root"]))
    ledger = ledgers.build(facts, shipped_card())
    files = facts.transcripts.sort("first_time", "path").group_by(AGENT).agg("path")
    pieces = pieces_of(read_content(*agent) for agent in files.iter_rows())
    responses = prompts(ledger.frame, ledger.compactions)
    return responses, growth(responses, pieces)


def truth(scenario: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((scenario / "truth.json").read_text("utf-8"))
    return found


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: path.name)
def test_parts_sum_to_the_last_prompt_of_each_agent(scenario: Path) -> None:
    """To the token (R11); and each agent that names its request has a first prompt in parts."""
    responses, parts = grown(scenario)
    last = responses.group_by(AGENT, maintain_order=True).agg(pl.col("prompt_tokens").last())
    summed = parts.group_by(AGENT).agg(pl.col("tokens").sum())
    both = last.join(summed, on=AGENT, how="full", nulls_equal=True)

    assert both["prompt_tokens"].to_list() == both["tokens"].to_list()
    assert BASE not in parts["cause"].to_list()


def test_a_long_text_of_the_user_is_not_said_to_be_anything_else() -> None:
    """20,000 characters in the second prompt are 5,000 tokens and a hundred for the rest of the step."""
    (scenario,) = (path for path in SCENARIOS if path.name == "growth")
    _, parts = grown(scenario)
    second = parts.filter(pl.col("number") == 2)
    step = [each["request_bytes"] for each in truth(scenario)[:2]]

    assert second.filter(pl.col("cause") == "user text")["tokens"].sum() >= 5000
    assert second["tokens"].sum() == pytest.approx((step[1] - step[0]) / 4, abs=10)
    assert second.filter(pl.col("cause") == "added by Claude Code").is_empty()


@pytest.mark.parametrize("name", ["growth", "terminal_home", "terminal_quiet"])
def test_the_share_of_the_system_prompt_is_its_size(name: str) -> None:
    """Within a tenth of a quarter of its bytes: the rest is what JSON puts around the parts."""
    (scenario,) = (path for path in SCENARIOS if path.name == name)
    _, parts = grown(scenario)
    is_system = (pl.col("cause") == "system prompt") & (pl.col("agent_id") == "main")
    tokens = parts.filter(is_system)["tokens"].sum()
    is_main = [each for each in truth(scenario) if each.get("tools")]

    assert tokens == pytest.approx(is_main[0]["system_bytes"] / 4, rel=0.1)
