"""What the real client wrote, against what the server gave it: the truth by construction.

The data is no part of the project: it is looked for where TOKENAUDIT_CLIENT_DATA says, else in the
folder that lies beside the checkout, and these tests are skipped where it is absent.
"""

import json
import os
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import cache, reduce
from operator import add
from pathlib import Path
from typing import Any, Final

import pytest
from evidence import evidence

from tokenaudit.audit.check.evidence import Evidence
from tokenaudit.audit.reconcile.bridge import Cause, Coverage, Figure
from tokenaudit.audit.reconcile.claims import ClaimCounts, read_claims
from tokenaudit.audit.reconcile.comparison import reconciled
from tokenaudit.audit.reconcile.session_claims import SessionBridge, session_bridges
from tokenaudit.ledger.frame import TOKENS
from tokenaudit.reports.reconcile import chooser

BESIDE = Path(__file__).parents[2] / "shared" / "data" / "client"
CLIENT = Path(os.environ.get("TOKENAUDIT_CLIENT_DATA", BESIDE))
SCENARIOS: Final = sorted(path.parent for path in CLIENT.glob("*/*/truth.json"))
ON_NO_LINE: Final = {"refused": 2, "terminal_wander": 1}
"""Whole calls without a kind of their own that are on no line: two empty refusals, one `/btw`."""
BROKEN_OFF: Final = "aborted"

pytestmark = pytest.mark.skipif(not SCENARIOS, reason="what the client wrote is not here")


@cache
def held(scenario: Path) -> Evidence:
    return evidence(scenario / "root")


@cache
def bridges(scenario: Path) -> list[SessionBridge]:
    return session_bridges(held(scenario))


@pytest.fixture(params=SCENARIOS, ids=lambda path: path.name)
def scenario(request: pytest.FixtureRequest) -> Path:
    assert isinstance(request.param, Path)
    return request.param


def answered(scenario: Path) -> list[dict[str, Any]]:
    calls: list[dict[str, Any]] = json.loads((scenario / "truth.json").read_text("utf-8"))
    return [call for call in calls if call["outcome"].startswith(("complete", BROKEN_OFF))]


def given(usage: Mapping[str, Any]) -> tuple[int, ...]:
    """The classes of tokens of a call, as the server gave them."""
    split = usage["cache_creation"]
    return (
        usage["input_tokens"],
        usage["output_tokens"],
        usage["cache_read_input_tokens"],
        split["ephemeral_5m_input_tokens"],
        split["ephemeral_1h_input_tokens"],
    )


def test_whole_calls_have_the_tokens_that_the_server_gave(scenario: Path) -> None:
    """Subagents, resumes, retries and fallbacks included; on no line is what was never answered."""
    rows = held(scenario).ledger.frame.select("response_id", *TOKENS).iter_rows()
    counted = {name: counts for name, *counts in rows}
    calls = {call["id"]: call for call in answered(scenario)}
    whole = {
        name: [*given(call["usage"])]
        for name, call in calls.items()
        if call["outcome"] == "complete" and not call.get("kind")
    }
    on_lines = whole.keys() & counted.keys()

    assert ON_NO_LINE.get(scenario.name, 0) == len(whole) - len(on_lines)
    assert {name: whole[name] for name in on_lines} == {name: counted[name] for name in on_lines}
    assert counted.keys() <= calls.keys()


def total(figures: Iterable[Figure]) -> Figure:
    return reduce(add, figures, Figure(ClaimCounts(), Decimal(0)))


def test_claims_are_about_what_was_answered(scenario: Path) -> None:
    """Predecessors subtracted, the sum of all claims is that of all calls, those on no line included.

    Of what was cut off, and of what a killed process had asked, the client tells less.
    """
    theirs = total(one.bridge.theirs for one in bridges(scenario)).counts
    calls = [ClaimCounts(*_classes(call["usage"])) for call in answered(scenario)]
    everything = reduce(add, calls, ClaimCounts())
    assert theirs is not None
    rest = everything - theirs

    assert min(rest.input, rest.output, rest.cache_read, rest.cache_write) >= 0
    if not any(call["outcome"].startswith(BROKEN_OFF) for call in answered(scenario)):
        assert everything == theirs


def _classes(usage: Mapping[str, Any]) -> tuple[int, int, int, int]:
    sent, output, read, short, long = given(usage)
    return sent, output, read, short + long


LONG_PROMPTS: Final = {"prices": Decimal("-0.141")}
"""Sonnet 4.5 at 300,000 cache reads costs more on the rate card than by the client, whose prices have no
tier of long prompts for it any more: input and output 1,000 x $3 + 1,000 x $7.50, 300,000 x $0.30 read,
6,000 x $3.75 and 3,000 x $6 written, per million."""


def test_nothing_is_unexplained_but_calls_on_no_line(scenario: Path) -> None:
    """What is unrecorded or unexplained is, to the token, what calls used that stand on no line.

    Where streams broke off, all of the difference has a name.
    """
    found = {
        cause: total(one.bridge.of(cause) for one in bridges(scenario))
        for cause in (Cause.UNRECORDED_CALLS, Cause.UNEXPLAINED)
    }
    unexplained = found[Cause.UNEXPLAINED]
    if any(call["outcome"].startswith(BROKEN_OFF) for call in answered(scenario)):
        assert unexplained.is_nothing
        return
    counted = set(held(scenario).ledger.frame["response_id"])
    hidden = [call for call in answered(scenario) if call["id"] not in counted]
    used = reduce(add, (ClaimCounts(*_classes(call["usage"])) for call in hidden), ClaimCounts())
    missing = [figure.counts for figure in found.values() if figure.counts is not None]

    assert -reduce(add, missing, ClaimCounts()) == used
    if unexplained.counts == ClaimCounts():
        assert unexplained.cost_usd == 0
        prices = total(one.bridge.of(Cause.PRICES) for one in bridges(scenario))
        assert prices.cost_usd == -LONG_PROMPTS.get(scenario.name, Decimal(0))


def test_the_last_result_of_the_client_is_what_the_transcript_states(scenario: Path) -> None:
    """`claude -p` prints what it writes down: both are the same claim."""
    paths = sorted((scenario / "claims").glob("*.json")) if (scenario / "claims").is_dir() else []
    printed = {}
    for path in paths:
        (claim,), _ = read_claims(path)
        printed[min(claim.sessions)] = claim
    stated = {one.claim.session_id: one.claim.stated_usd for one in bridges(scenario)}

    for session_id, claim in printed.items():
        assert claim.cost_usd is not None
        told = stated[session_id]
        assert told is not None
        assert abs(claim.cost_usd - told) < Decimal("1e-9") or claim.cost_usd < told


INTERMEDIATE: Final = ("compact", "result-03.json")
"""A result after a compaction, before the last one: which part of the session it is about is not told."""
NAMED: Final = {
    INTERMEDIATE: "a part of the session, which is not told",
    ("home", "result-01.json"): "a web search on no line, of 146 input and 11 output tokens",
    ("websearch", "result-00.json"): "a web search on no line, of 143 input and 11 output tokens",
}
"""Printed results of which something stays unexplained, and what that is."""


def test_printed_results_leave_nothing_unexplained_but_what_is_named(scenario: Path) -> None:
    """Forks included, whose total holds that of their parent; where the scope is not told, it is said."""
    found = held(scenario)
    for path in sorted((scenario / "claims").glob("*.json")):
        (claim,), _ = read_claims(path)
        bridge = reconciled(claim, found, chooser(found.ledger))
        is_named = (scenario.name, path.name) in NAMED

        assert bridge.unexplained.is_nothing != is_named, path.name
        is_told = (scenario.name, path.name) != INTERMEDIATE
        assert (bridge.coverage is not Coverage.UNKNOWN) == is_told, path.name


def test_every_bridge_to_the_client_sums_exactly(scenario: Path) -> None:
    """And what it is about can be told, however often a process was killed, resumed or forked."""
    assert bridges(scenario)
    for one in bridges(scenario):
        steps = total(step.change for step in one.bridge.steps)
        assert one.bridge.theirs + steps == one.bridge.ours
        assert one.coverage is not Coverage.UNKNOWN
