"""What Claude Code says of sessions, and which responses that is about: stories worked out by hand.

A response of `reply()` is 10 input and 100 output tokens of Opus 4.6: 10 x $5 + 100 x $25 per million
are $0.00255.
"""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from evidence import evidence
from hypothesis import given
from hypothesis import strategies as st
from properties import examples
from transcripts_builder import (
    FORK,
    MODEL,
    OTHER,
    SESSION,
    Line,
    Models,
    cost_state,
    last_session,
    prompt,
    reply,
    session_file,
    usage,
    write,
)

from tokenaudit.audit.reconcile.bridge import Cause, Coverage
from tokenaudit.audit.reconcile.claims import ClaimKind
from tokenaudit.audit.reconcile.session_claims import (
    SessionBridge,
    plain_sums,
    session_bridges,
    stated_costs,
)
from tokenaudit.transcripts.totals import SessionTotal, TotalSource

ONE: Models = {MODEL: (10, 100, 0, 0, 0.00255)}
TWO: Models = {MODEL: (20, 200, 0, 0, 0.0051)}
THREE: Models = {MODEL: (30, 300, 0, 0, 0.00765)}
FIRST, SECOND, THIRD = (reply(f"msg_{n}", f"req_{n}", at=60 * n) for n in (1, 2, 3))


def bridges(root: Path, *more: SessionTotal) -> dict[str, SessionBridge]:
    held = evidence(root)
    if more:
        object.__setattr__(held, "facts", held.facts.with_totals(more))
    found = session_bridges(held)
    for one in found:
        assert_sums(one)
    return {one.claim.session_id: one for one in found}


def assert_sums(one: SessionBridge) -> None:
    figure = one.bridge.theirs
    for step in one.bridge.steps:
        figure = figure + step.change
    assert figure == one.bridge.ours


def only(root: Path, *more: SessionTotal) -> SessionBridge:
    (found,) = bridges(root, *more).values()
    return found


def config(root: Path, models: Models, session: str = SESSION, **more: Any) -> None:
    root.mkdir(exist_ok=True)
    projects = {"/work/app": last_session(models, session=session, **more)}
    (root / ".claude.json").write_text(json.dumps({"projects": projects}))


def of(session: str, line: Line) -> Line:
    return {**line, "sessionId": session}


def figures(one: SessionBridge) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
    """What it claims, what is counted, and what is unexplained of it."""
    return (
        one.bridge.theirs.cost_usd,
        one.bridge.ours.cost_usd,
        one.difference_usd({Cause.UNEXPLAINED}),
    )


def usd(*amounts: str) -> tuple[Decimal, ...]:
    return tuple(map(Decimal, amounts))


def test_the_last_line_stands(tmp_path: Path) -> None:
    """It is written again whenever a process ends, and holds all before it."""
    write(session_file(tmp_path), FIRST, cost_state(ONE), SECOND, cost_state(TWO))
    one = only(tmp_path)

    assert usd("0.0051", "0.0051", "0") == figures(one)
    assert (Coverage.WHOLE, ClaimKind.COST_STATE) == (one.coverage, one.claim.claim.shape)
    assert not one.is_unexplained


def test_what_is_on_no_line_stays_unexplained_where_nothing_tells_what_it_was(
    tmp_path: Path,
) -> None:
    """$9.00 stated, $0.00255 counted: $8.99745 in 7 more input tokens that no call is known to have."""
    write(session_file(tmp_path), FIRST, cost_state({MODEL: (17, 100, 0, 0, 9.0)}))
    one = only(tmp_path)

    assert usd("9", "0.00255", "8.99745") == figures(one)
    assert one.is_unexplained


def test_one_per_cent_and_no_less_is_unexplained(tmp_path: Path) -> None:
    """$0.0025757 are 1.008 % more, $0.0025755 one that is 0.991 %."""
    for cost, is_more in ((0.0025758, True), (0.0025755, False)):
        write(session_file(tmp_path), FIRST, cost_state({MODEL: (10, 100, 0, 0, cost)}))

        assert is_more == only(tmp_path).is_unexplained


def test_a_killed_process_leaves_its_responses_out(tmp_path: Path) -> None:
    """One was killed before any total, one after the last: of three responses the claim is about one."""
    write(session_file(tmp_path), FIRST, SECOND, cost_state(ONE, start=90), THIRD)
    one = only(tmp_path)

    assert usd("0.00255", "0.00255", "0") == figures(one)
    assert Coverage.PART is one.coverage
    assert one.claim.rows["response_id"].to_list() == ["msg_2"]
    (note,) = one.claim.claim.notes
    assert note.startswith("Left out: 2 responses of the session")


def test_a_fork_goes_on_from_the_total_of_its_parent(tmp_path: Path) -> None:
    """Three responses are in its total, two of them the parent's: they are subtracted.

    The parent went on after that: what it says last, $0.0051 + $0.00255, is not in the fork.
    """
    later = reply("msg_4", "req_4", at=500)
    write(session_file(tmp_path), FIRST, SECOND, cost_state(TWO), later, cost_state(THREE))
    copies = [of(FORK, FIRST), of(FORK, SECOND)]
    state = cost_state(THREE, session=FORK)
    write(session_file(tmp_path, FORK), prompt(at=150), *copies, of(FORK, THIRD), state)
    found = bridges(tmp_path)

    assert usd("0.00765", "0.00765", "0") == figures(found[SESSION])
    assert usd("0.00255", "0.00255", "0") == figures(found[FORK])
    assert Decimal("0.00765") == found[FORK].claim.stated_usd
    assert f"session {SESSION}" in found[FORK].claim.claim.notes[0]


def test_a_branch_begins_at_nothing(tmp_path: Path) -> None:
    """The copies in it were made before it began to count, and are in its parent's total alone."""
    write(session_file(tmp_path), FIRST, SECOND, cost_state(TWO))
    copies = [of(FORK, FIRST), of(FORK, SECOND)]
    state = cost_state(ONE, session=FORK, start=150)
    write(session_file(tmp_path, FORK), *copies, of(FORK, THIRD), state)
    found = bridges(tmp_path)

    assert usd("0.0051", "0.0051", "0") == figures(found[SESSION])
    assert usd("0.00255", "0.00255", "0") == figures(found[FORK])


def test_copies_are_not_of_a_process_that_does_not_say_since_when_it_counts(
    tmp_path: Path,
) -> None:
    """Older versions copied on resume too, and began at nothing: their `.claude.json` has no start."""
    write(session_file(tmp_path), FIRST, SECOND)
    write(session_file(tmp_path, FORK), of(FORK, FIRST), of(FORK, SECOND), of(FORK, THIRD))
    config(tmp_path, ONE, FORK)

    assert usd("0.00255", "0.00255", "0") == figures(only(tmp_path))


CLEAR = prompt("<command-name>/clear</command-name>", at=100)


def cleared(root: Path, version: str, *, text: Line = CLEAR) -> None:
    """A session, and another that `/clear` began in the same process, whose total is of both."""
    write(session_file(root), prompt(), {**FIRST, "version": version})
    second = {**of(OTHER, SECOND), "version": version}
    write(session_file(root, OTHER), of(OTHER, text), second)
    config(root, TWO, OTHER)


def test_before_2_1_211_a_total_went_on_over_clear(tmp_path: Path) -> None:
    """What it says of the second session is about the first one too: $0.00255 are of that."""
    cleared(tmp_path, "2.1.210")
    one = only(tmp_path)

    assert usd("0.0051", "0.00255", "0") == figures(one)
    assert Decimal("0.00255") == one.difference_usd({Cause.SCOPE})
    assert (OTHER, Coverage.EARLIER_TOO) == (one.claim.session_id, one.coverage)


@pytest.mark.parametrize(
    ("version", "text"),
    [("2.1.211", CLEAR), ("2.1.210", prompt("What does /clear do?", at=100))],
    ids=["newer", "not cleared"],
)
def test_else_a_total_is_about_its_own_session(tmp_path: Path, version: str, text: Line) -> None:
    """So that the other half of it stays unexplained."""
    cleared(tmp_path, version, text=text)
    one = only(tmp_path)

    assert usd("0.0051", "0.00255", "0.00255") == figures(one)
    assert Coverage.WHOLE is one.coverage


def test_a_stream_that_broke_off_and_was_asked_for_again_is_not_counted(tmp_path: Path) -> None:
    """Its line says 10 input and 2 output tokens, $0.0001; the claim is about the second try alone."""
    broken = reply("msg_0", "req_0", 2, stop=None, at=30)
    write(session_file(tmp_path), broken, FIRST, cost_state(ONE))
    one = only(tmp_path)

    assert usd("0.00255", "0.00265", "0") == figures(one)
    assert Decimal("-0.0001") == one.difference_usd({Cause.COUNTING})


def test_less_than_transcripts_hold_is_told(tmp_path: Path) -> None:
    """Each response reads 1,000 tokens from the cache, $0.00305; of 1,500, $0.0033, nobody can say of which."""
    read = usage(100, read=1000)
    lines = [reply(f"msg_{n}", f"req_{n}", at=60 * n, counts=read) for n in (1, 2)]
    write(session_file(tmp_path), *lines, cost_state({MODEL: (10, 100, 1500, 0, 0.0033)}))
    one = only(tmp_path)

    assert usd("0.0033", "0.0061", "-0.0028") == figures(one)
    assert Coverage.UNKNOWN is one.coverage


def test_a_cost_alone_that_is_less_is_told_too(tmp_path: Path) -> None:
    """A status line may have recorded it before the last response was there."""
    write(session_file(tmp_path), FIRST, SECOND)
    for cost, coverage in (("0.00255", Coverage.UNKNOWN), ("0.0052", Coverage.WHOLE)):
        told = SessionTotal(None, SESSION, None, None, cost, (), "x", TotalSource.STATUS_LINE)

        assert coverage is only(tmp_path, told).coverage


def test_a_process_of_known_duration_is_about_no_more(tmp_path: Path) -> None:
    """An old `.claude.json` has no start, but says that the process had run for 70 seconds."""
    write(session_file(tmp_path), FIRST, SECOND, THIRD)
    config(tmp_path, TWO, lastDuration=70_000)
    one = only(tmp_path)

    assert usd("0.0051", "0.0051", "0") == figures(one)
    assert (Coverage.PART, ["msg_2", "msg_3"]) == (
        one.coverage,
        one.claim.rows["response_id"].to_list(),
    )


def test_of_several_sources_the_surest_stands(tmp_path: Path) -> None:
    """A line of the transcript before `.claude.json` before what a status line recorded."""
    told = SessionTotal(None, SESSION, None, None, "0.5", (), "evidence", TotalSource.STATUS_LINE)
    write(session_file(tmp_path), FIRST)
    assert usd("0.5", "0.00255", "0.49745") == figures(only(tmp_path, told))
    assert only(tmp_path, told).bridge.ours.counts is None
    config(tmp_path, THREE)
    assert ClaimKind.LAST_SESSION is only(tmp_path, told).claim.claim.shape
    write(session_file(tmp_path), FIRST, cost_state(ONE))
    assert usd("0.00255", "0.00255", "0") == figures(only(tmp_path, told))


def test_a_session_without_usage_may_have_a_claim(tmp_path: Path) -> None:
    """An empty refusal leaves no usage, but Claude Code counts it; and others are left alone."""
    write(session_file(tmp_path), prompt(), cost_state(ONE))
    write(session_file(tmp_path, OTHER), of(OTHER, SECOND))
    unknown = SessionTotal(None, FORK, None, None, "1", ())
    found = bridges(tmp_path, unknown)

    assert [SESSION] == [*found]
    assert usd("0.00255", "0") == figures(found[SESSION])[:2]


def test_plain_sums_are_of_whole_sessions_that_share_no_total(tmp_path: Path) -> None:
    """For who has no time for single responses: of three claims one is of that kind."""
    write(session_file(tmp_path), FIRST, cost_state({MODEL: (10, 100, 0, 0, 0.25)}))
    write(
        session_file(tmp_path, OTHER), of(OTHER, SECOND), cost_state(ONE, session=OTHER, start=150)
    )
    write(session_file(tmp_path, FORK), of(FORK, THIRD))
    config(tmp_path, ONE, FORK)
    held = evidence(tmp_path)

    sums = plain_sums(held.facts.totals, held.ledger.frame)
    assert (1, *usd("0.25", "0.00255")) == sums
    costs = dict(stated_costs(held.facts.totals).iter_rows())
    assert costs == {SESSION: Decimal("0.25"), OTHER: Decimal("0.00255"), FORK: Decimal("0.00255")}


# the property

counts = st.tuples(*[st.integers(0, 300)] * 4, st.floats(0, 1))
models = st.dictionaries(st.sampled_from([MODEL, "claude-haiku-4-5", "gpt-6"]), counts, max_size=3)
states = st.tuples(models, st.integers(-100, 300), st.integers(0, 3))


@given(
    st.lists(states, max_size=3),
    st.lists(states, max_size=3),
    st.none() | models,
    st.booleans(),
)
@examples(30)
def test_bridges_of_any_mixture_of_claims_sum_exactly(
    tmp_path_factory: pytest.TempPathFactory,
    own: list[tuple[Models, int, int]],
    fork: list[tuple[Models, int, int]],
    last: Models | None,
    is_cleared: bool,  # noqa: FBT001
) -> None:
    """Per session, by cause too; and no response is compared with two claims that go on from one another."""
    root = tmp_path_factory.mktemp("claude")
    replies = [FIRST, SECOND, THIRD]
    lines: list[Line] = [*replies]
    for stated, start, place in own:
        lines.insert(place, cost_state(stated, start=start))
    copied: list[Line] = [of(FORK, FIRST), of(FORK, reply("msg_5", "req_5", at=250))]
    for stated, start, place in fork:
        copied.insert(place, cost_state(stated, session=FORK, start=start))
    write(session_file(root), *lines)
    write(session_file(root, FORK), *([of(FORK, CLEAR)] if is_cleared else []), *copied)
    if last is not None:
        config(root, last, FORK)
    for one in bridges(root).values():
        parts = [one.difference_usd({cause}) for cause in Cause]
        theirs, ours = one.bridge.theirs.cost_usd, one.bridge.ours.cost_usd
        assert theirs is not None
        assert ours is not None
        assert theirs == ours + sum((part for part in parts if part is not None), Decimal(0))
