"""What a total of one process is about: predecessors, parts of a session, responses that it does not count.

Each total is worked out by hand; the prices are those of Opus 4.6: $5, $25, $0.5 and $6.25 per million.
"""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from evidence import evidence
from msgspec.structs import replace
from test_comparison import OPUS, changes, stated, total
from transcripts_builder import (
    FORK,
    OTHER,
    SESSION,
    Line,
    Regime,
    moment,
    prompt,
    reply,
    response,
    session_file,
    usage,
    write,
)

from tokenaudit.audit.reconcile.bridge import Bridge, Cause, Coverage, StepBasis
from tokenaudit.audit.reconcile.claims import Claim, ClaimCounts, read_claims
from tokenaudit.audit.reconcile.comparison import reconciled
from tokenaudit.reports.reconcile import chooser

CLEAR = "<command-name>/clear</command-name>"
NOTHING = (ClaimCounts(), Decimal(0))


def of(session: str, *lines: Line) -> list[Line]:
    return [{**line, "sessionId": session} for line in lines]


def bridge(root: Path, claim: Claim) -> Bridge:
    held = evidence(root)
    found = reconciled(claim, held, chooser(held.ledger))
    assert total(found) == found.ours
    return found


def two_sessions(root: Path, version: str, first: Line) -> None:
    """A session of 20 input and 300 output tokens, and, after *first*, one of 10 and 100."""
    before = [reply(f"msg_{n}", f"req_{n}", 150, at=n, version=version) for n in (1, 2)]
    write(session_file(root, FORK), *of(FORK, *before))
    own = reply("msg_3", "req_3", at=60, version=version)
    write(session_file(root), *of(SESSION, {**first, "timestamp": moment(50)}, own))


def test_sessions_that_clear_ended_in_the_same_process(tmp_path: Path) -> None:
    """30 input and 400 output tokens cost $0.01015; without the 20 and 300 before, $0.00255."""
    two_sessions(tmp_path / "claude", "2.1.114", prompt(CLEAR))
    found = bridge(tmp_path / "claude", stated(tmp_path, {OPUS: (30, 400, 0, 0, "0.01015")}))

    assert found.coverage is Coverage.EARLIER_TOO
    assert changes(found) == {
        "sessions that /clear ended before": (ClaimCounts(-20, -300), Decimal("-0.0076")),
        "unexplained": NOTHING,
    }
    assert [step.cause for step in found.steps] == [Cause.SCOPE, Cause.UNEXPLAINED]


def forked(root: Path) -> None:
    """A session of 10 input and 150 output tokens, a fork with a copy of it and 10 and 100 of its own."""
    before = reply("msg_1", "req_1", 150, at=1, version="2.1.332")
    write(session_file(root), *of(SESSION, before))
    own = reply("msg_2", "req_2", at=60, version="2.1.332")
    write(session_file(root, FORK), *of(FORK, before, own))


def of_fork(tmp_path: Path, output: int, cost: str) -> Bridge:
    forked(tmp_path / "claude")
    claim = stated(tmp_path, {OPUS: (20, output, 0, 0, cost)})
    return bridge(tmp_path / "claude", replace(claim, sessions=frozenset({FORK})))


def test_the_total_of_a_fork_includes_what_its_parent_had_used(tmp_path: Path) -> None:
    """20 input and 250 output tokens cost $0.00635; without the 10 and 150 of the parent, $0.00255."""
    found = of_fork(tmp_path, 250, "0.00635")

    assert found.coverage is Coverage.PARENT_TOO
    assert changes(found) == {
        "sessions that it was forked from": (ClaimCounts(-10, -150), Decimal("-0.0038")),
        "unexplained": NOTHING,
    }
    assert [step.cause for step in found.steps] == [Cause.SCOPE, Cause.UNEXPLAINED]


def test_a_fork_whose_total_its_parent_does_not_make_up_is_not_told(tmp_path: Path) -> None:
    """20 and 170 cost $0.00435: more than its own 10 and 100, less than the parent's too."""
    found = of_fork(tmp_path, 170, "0.00435")

    assert found.coverage is Coverage.UNKNOWN
    assert SESSION in found.notes[-1]


@pytest.mark.parametrize(("version", "first"), [("2.1.211", CLEAR), ("2.1.114", "Go on.")])
def test_no_sessions_before_without_a_clear_or_since_it_sets_back(
    tmp_path: Path, version: str, first: str
) -> None:
    """Then it is more than the session, and nothing says why."""
    two_sessions(tmp_path / "claude", version, prompt(first))
    found = bridge(tmp_path / "claude", stated(tmp_path, {OPUS: (30, 400, 0, 0, "0.01015")}))

    assert changes(found) == {"unexplained": (ClaimCounts(-20, -300), Decimal("-0.0076"))}


def test_a_clear_whose_sessions_are_not_here_leaves_the_scope_untold(tmp_path: Path) -> None:
    """It holds 20 more input tokens than the two sessions have: which others, is not told."""
    two_sessions(tmp_path / "claude", "2.1.114", prompt(CLEAR))
    found = bridge(tmp_path / "claude", stated(tmp_path, {OPUS: (50, 700, 0, 0, "0.01775")}))

    assert found.coverage is Coverage.UNKNOWN
    assert any("/clear" in note for note in found.notes)
    assert found.unexplained.counts == ClaimCounts(-40, -600)


def test_a_chain_of_sessions(tmp_path: Path) -> None:
    """Three sessions of one process: 10 and 100 each."""
    version, root = "2.1.114", tmp_path / "claude"
    for place, session in enumerate((OTHER, FORK, SESSION)):
        first = prompt(CLEAR, at=100 * place) if place else prompt()
        own = reply(f"msg_{place}", f"req_{place}", at=100 * place + 10, version=version)
        write(session_file(root, session), *of(session, first, own))
    found = bridge(root, stated(tmp_path, {OPUS: (30, 300, 0, 0, "0.00765")}))

    assert found.coverage is Coverage.EARLIER_TOO
    assert changes(found)["sessions that /clear ended before"][0] == ClaimCounts(-20, -200)
    assert found.unexplained.is_nothing


def cached(number: int, read: int, written: int, **more: Any) -> Line:
    """One response of 1 input and 100 output tokens."""
    counts = usage(100, input_tokens=1, read=read, write=written)
    return reply(f"msg_{number}", f"req_{number}", counts=counts, at=100 * number, **more)


def four(root: Path, **more: Any) -> None:
    write(session_file(root), *(cached(n, 1000 * n, 1000 + n, **more) for n in (1, 2, 3, 4)))


def test_a_part_of_a_session_to_the_token(tmp_path: Path) -> None:
    """The process of the second and third response: 5,000 read, 2,005 written.

    2 x $5 + 200 x $25 + 5,000 x $0.5 + 2,005 x $6.25 per million are $0.02004125.
    """
    four(tmp_path / "claude")
    claim = stated(tmp_path, {OPUS: (2, 200, 5000, 2005, "0.02004125")})
    found = bridge(tmp_path / "claude", claim)

    assert found.coverage is Coverage.PART
    # the first and the fourth: 1,000 + 4,000 read, 1,001 + 1,004 written
    assert changes(found) == {
        "responses of other processes": (ClaimCounts(2, 200, 5000, 2005), Decimal("0.02004125")),
        "unexplained": NOTHING,
    }


def test_a_part_that_fits_nowhere_is_not_told(tmp_path: Path) -> None:
    """One token less read than the second and third: it is less than the session, and no part of it."""
    four(tmp_path / "claude")
    claim = stated(tmp_path, {OPUS: (2, 200, 4999, 2005, "0.02004075")})
    found = bridge(tmp_path / "claude", claim)

    assert found.coverage is Coverage.UNKNOWN
    assert "It holds less than the session" in found.notes[0]
    assert list(changes(found)) == ["unexplained"]


def test_two_processes_of_two_versions_in_one_session(tmp_path: Path) -> None:
    """Their lines alternate; the total is that of the newer one: the second and the fourth response."""
    root = tmp_path / "claude"
    versions = {1: "2.1.225", 2: "2.1.226", 3: "2.1.225", 4: "2.1.226"}
    lines = [cached(n, 1000 * n, 1000, version=version) for n, version in versions.items()]
    write(session_file(root), *lines)
    # 2 x $5 + 200 x $25 + 6,000 x $0.5 + 2,000 x $6.25 per million
    found = bridge(root, stated(tmp_path, {OPUS: (2, 200, 6000, 2000, "0.02051")}))

    assert found.coverage is Coverage.PART
    step = found.steps[0]
    assert (step.name, step.change.counts) == (
        "responses of other processes",
        ClaimCounts(2, 200, 4000, 2000),
    )
    assert "2.1.226" in step.note
    assert found.unexplained.is_nothing


def test_an_interrupted_response_that_no_total_counts(tmp_path: Path) -> None:
    """10 and 3 of a response of 2.1.120 that was interrupted: 10 x $5 + 3 x $25 per million."""
    root = tmp_path / "claude"
    cut = response(Regime.B, "msg_2", "req_2", at=10, version="2.1.120")
    write(session_file(root), reply(version="2.1.120"), *cut)
    found = bridge(root, stated(tmp_path, {OPUS: (10, 100, 0, 0, "0.00255")}))

    assert found.coverage is Coverage.WHOLE
    assert changes(found) == {
        "responses that Claude Code does not count": (ClaimCounts(10, 3), Decimal("0.000125")),
        "unexplained": NOTHING,
    }
    assert found.steps[0].cause is Cause.COUNTING


def test_a_response_that_was_asked_for_again_is_not_counted_but_its_first_attempt_is(
    tmp_path: Path,
) -> None:
    """Up to 2.1.77 the answer without streaming is in no total; the attempt read 5,000, and wrote 100.

    The context after the first response is 5,000; the answer reads 5,100, and writes nothing.
    """
    root, version = tmp_path / "claude", "2.1.62"
    lines = [cached(1, 4000, 1000, version=version), cached(2, 5100, 0, version=version)]
    write(session_file(root), *lines)
    # 1 + 1 input, 100 + 7 output, 4,000 + 5,000 read, 1,000 + 100 written
    claim = stated(tmp_path, {OPUS: (2, 107, 9000, 1100, "0.01406")})
    found = changes(bridge(root, claim))

    attempt = f"calls that sent the context once more ({OPUS})"
    # 1 x $5 + 7 x $25 + 5,000 x $0.5 + 100 x $6.25 per million
    assert found[attempt] == (ClaimCounts(-1, -7, -5000, -100), Decimal("-0.003305"))
    # 1 x $5 + 100 x $25 + 5,100 x $0.5 per million
    assert found["responses that Claude Code does not count"][1] == Decimal("0.005055")
    assert found["unexplained"] == NOTHING


# prices: what is explained leaves no dollars

SONNET = "claude-sonnet-4-5-20250929"


def test_lost_output_is_priced_as_claude_code_did(tmp_path: Path) -> None:
    """In 2.1.39 Sonnet 4.5 was $5/$25: 597 lost tokens are $0.014925, and 10 and 3 $0.000125.

    Ours is 10 x $3 + 3 x $15 per million, $0.000075.
    """
    root = tmp_path / "claude"
    write(session_file(root), *response(Regime.B, model=SONNET, version="2.1.39", output=600))
    found = bridge(root, stated(tmp_path, {SONNET: (10, 600, 0, 0, "0.01505")}))

    assert changes(found) == {
        "output that no line tells (claude-sonnet-4-5)": (
            ClaimCounts(output=-597),
            Decimal("-0.014925"),
        ),
        "models that Claude Code mispriced": (ClaimCounts(), Decimal("-0.00005")),
        "unexplained": NOTHING,
    }


def test_hour_writes_of_a_hidden_call_are_told_by_its_cost(tmp_path: Path) -> None:
    """336 x $5 + 16 x $25 + 10,000 x $0.5 are $0.00708 with 1,000 tokens written at $6.25 $0.01333.

    The total says $0.0158: at $10, which is what an hour costs, $0.01708 would be most.
    """
    root, model = tmp_path / "claude", "claude-opus-5"
    said = reply(counts=usage(100, read=10_000), model=model, version="2.1.231")
    write(session_file(root), said)
    # ours: 10 x $5 + 100 x $25 + 10,000 x $0.5 per million are $0.00755
    for cost, step in (("0.02088", "-0.01333"), ("0.02335", "-0.0158"), ("0.02463", "-0.01708")):
        claim = stated(tmp_path, {model: (346, 116, 20_000, 1000, cost)})
        found = changes(bridge(root, claim))
        assert found[f"prompt suggestions ({model})"][1] == Decimal(step)
        assert found["unexplained"] == NOTHING

    # more than all of them at the dearest price is nothing that is explained
    claim = stated(tmp_path, {model: (346, 116, 20_000, 1000, "0.03")})
    assert changes(bridge(root, claim))["unexplained"] == (ClaimCounts(), Decimal("-0.00912"))


@pytest.mark.parametrize(
    ("version", "cost", "rest"),
    [
        ("2.1.23", "0.00153", "0"),
        ("2.1.71", "0.00255", "0"),
        ("2.1.50", "0.00777", "0"),
        ("2.1.71", "0.00277", "-0.00022"),
    ],
)
def test_models_of_other_vendors_at_the_price_that_claude_code_takes(
    tmp_path: Path, version: str, cost: str, rest: str
) -> None:
    """10 and 100 at $3/$15, then at $5/$25; in versions between, never seen, what is stated stands."""
    root = tmp_path / "claude"
    write(session_file(root), reply(model="glm-5.1", version=version))
    found = changes(bridge(root, stated(tmp_path, {"glm-5.1:cloud": (10, 100, 0, 0, cost)})))

    assert found["unexplained"] == (ClaimCounts(), Decimal(rest))
    name = "models that Claude Code has no price for"
    assert found.get(name, NOTHING)[1] == -Decimal(cost) - Decimal(rest)


def test_hidden_calls_of_another_vendors_model_cost_what_is_stated(tmp_path: Path) -> None:
    """500 and 20 more than ours: $5/$25 make $0.003 of them."""
    root = tmp_path / "claude"
    write(session_file(root), reply(model="glm-5.1", counts=usage(100, input_tokens=900)))
    # 1,400 x $5 + 120 x $25 per million
    found = changes(bridge(root, stated(tmp_path, {"glm-5.1": (1400, 120, 0, 0, "0.01")})))

    (name,) = (each for each in found if each.startswith("titles, suggestions"))
    assert found[name] == (ClaimCounts(-500, -20), Decimal("-0.003"))
    assert found["unexplained"] == NOTHING


# totals that name no models


def unnamed(tmp_path: Path, counts: tuple[int, int, int, int], cost: str) -> Claim:
    """A result of 1.0.x: sums of tokens and one cost."""
    names = ("input_tokens", "output_tokens", "cache_read_input_tokens")
    document = {
        "type": "result",
        "session_id": SESSION,
        "total_cost_usd": float(cost),
        "usage": dict(zip((*names, "cache_creation_input_tokens"), counts, strict=True)),
    }
    path = tmp_path / "result.json"
    path.write_text(json.dumps(document))
    (claim,), _ = read_claims(path)
    return claim


OLD = "claude-sonnet-4-20250514"


def test_a_total_without_models_is_two_equations_for_two_unknowns(tmp_path: Path) -> None:
    """5,000 in and 300 out of Haiku 3.5, $0.0052, and 597 lost tokens of Sonnet 4, $0.008955.

    Ours are 10 and 3: $0.000075; all is $0.01423 for 5,010 in and 900 out.
    """
    root = tmp_path / "claude"
    write(session_file(root), *response(Regime.B, model=OLD, version="1.0.89", output=600))
    found = bridge(root, unnamed(tmp_path, (5010, 900, 0, 0), "0.01423"))

    assert changes(found) == {
        "calls of the small model (claude-3-5-haiku)": (
            ClaimCounts(-5000, -300),
            Decimal("-0.0052"),
        ),
        "output that no line tells": (ClaimCounts(output=-597), Decimal("-0.008955")),
        "unexplained": NOTHING,
    }
    assert {StepBasis.INFERRED, StepBasis.UNEXPLAINED} == {step.basis for step in found.steps}


def test_a_total_without_models_that_no_split_makes_is_unexplained(tmp_path: Path) -> None:
    """All of it at Sonnet's price of output is 5,000 x $0.8 + 897 x $15 per million: no more than $0.017455."""
    root = tmp_path / "claude"
    write(session_file(root), *response(Regime.B, model=OLD, version="1.0.89", output=600))
    found = bridge(root, unnamed(tmp_path, (5010, 900, 0, 0), "0.02"))

    assert list(changes(found)) == ["unexplained"]


def test_a_total_without_models_of_several_tells_no_split(tmp_path: Path) -> None:
    """Opus 4.1 and Sonnet 4: what is lost may be of either, and what the small model had is not known."""
    root = tmp_path / "claude"
    opus = reply("msg_2", "req_2", 3, stop=None, model="claude-opus-4-1", version="1.0.89")
    write(session_file(root), *response(Regime.B, model=OLD, version="1.0.89"), opus)
    found = bridge(root, unnamed(tmp_path, (5020, 906, 0, 0), "0.03"))

    assert list(changes(found)) == [
        "calls of the small model, and output that no line tells",
        "unexplained",
    ]
    assert found.unexplained.is_nothing


def test_of_two_parts_that_both_fit_none_is_told(tmp_path: Path) -> None:
    """Two responses of the same counts: the total is of one of them, and nobody can say of which."""
    root = tmp_path / "claude"
    write(session_file(root), reply(), reply("msg_2", "req_2", at=60))
    found = bridge(root, stated(tmp_path, {OPUS: (10, 100, 0, 0, "0.00255")}))

    assert found.coverage is Coverage.UNKNOWN
    assert changes(found) == {"unexplained": (ClaimCounts(10, 100), Decimal("0.00255"))}


def test_long_prompts_of_sonnet_have_no_premium_in_claude_codes_formula(tmp_path: Path) -> None:
    """Of Sonnet 4.5, 300,000 read: 10 x $3 + 100 x $15 + 300,000 x $0.3 per million are $0.09153.

    The price list has twice that for input and cache, and $22.5 for output: $0.18231.
    """
    root = tmp_path / "claude"
    counts = usage(100, read=300_000)
    write(session_file(root), reply(counts=counts, model=SONNET, version="2.1.200"))
    found = changes(bridge(root, stated(tmp_path, {SONNET: (10, 100, 300_000, 0, "0.09153")})))

    assert found == {"long prompts": (ClaimCounts(), Decimal("0.09078")), "unexplained": NOTHING}


def test_a_compaction_of_a_size_that_was_never_measured_is_told_by_its_context(
    tmp_path: Path,
) -> None:
    """One is marked, of 40,000 tokens; its prompt is of 41,663, more than 4,000 beyond is none."""
    root = tmp_path / "claude"
    mark = {
        "type": "system",
        "subtype": "compact_boundary",
        "sessionId": SESSION,
        "timestamp": moment(5),
        "compactMetadata": {"trigger": "manual", "preTokens": 40_000},
    }
    write(session_file(root), reply(counts=usage(100, read=41_000), version="2.1.332"), mark)
    # ours: 10 x $5 + 100 x $25 + 41,000 x $0.5; the call: 1,663 x $5 + 456 x $25 + 40,000 x $0.5
    claim = stated(tmp_path, {OPUS: (1673, 556, 81_000, 0, "0.062765")})
    found = changes(bridge(root, claim))
    assert found[f"compactions ({OPUS})"] == (
        ClaimCounts(-1663, -456, -40_000),
        Decimal("-0.039715"),
    )
    assert found["unexplained"] == NOTHING

    far = stated(tmp_path, {OPUS: (5011, 556, 81_000, 0, "0.079455")})
    assert list(changes(bridge(root, far))) == ["unexplained"]


def test_pages_that_the_model_at_work_summed_up(tmp_path: Path) -> None:
    """Through a gateway there is no small model: 10,204 x $5 + 11 x $25 per million are $0.051295."""
    root = tmp_path / "claude"
    result = {"bytes": 1, "code": 200, "codeText": "OK", "result": "page"}
    write(session_file(root), reply(), prompt("", at=5, toolUseResult=result))
    claim = stated(tmp_path, {OPUS: (10_214, 111, 0, 0, "0.053845")})

    found = changes(bridge(root, claim))
    assert found[f"web pages ({OPUS})"] == (ClaimCounts(-10_204, -11), Decimal("-0.051295"))
    write(session_file(root), reply())
    assert list(changes(bridge(root, claim))) == ["unexplained"]
