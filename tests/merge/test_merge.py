"""Copies become responses: each rule R3 to R7, sentence by sentence."""

import itertools
import os
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from transcripts_builder import (
    FORK,
    OTHER,
    PLACEHOLDER,
    SESSION,
    Line,
    Regime,
    agent_file,
    agent_result,
    encoded,
    moment,
    progress,
    prompt,
    reply,
    response,
    session_file,
    sidechain,
    usage,
    write,
)

from tokenaudit import load
from tokenaudit.ledger.frame import build
from tokenaudit.merge import WHOLE_ID
from tokenaudit.model.terms import Transcript
from tokenaudit.pricing.card import shipped_card
from tokenaudit.store import facts_without_store
from tokenaudit.transcripts import discover, extents_of, read


def rows(root: Path, *names: str) -> list[tuple[Any, ...]]:
    """The named columns of the ledger, in the order of its rows."""
    return load(root).frame.select(names).rows()


def outputs(root: Path) -> list[int]:
    return sorted(load(root).frame["output_tokens"])


# R3: which lines are one response


def test_r3_ids_are_one_response_over_all_files(tmp_path: Path) -> None:
    """Message id and request id together name a response, wherever its lines stand."""
    write(session_file(tmp_path), prompt(), reply())
    write(session_file(tmp_path, FORK), prompt(), reply(at=500), reply(at=501))
    write(agent_file(tmp_path), sidechain(reply(at=900), "a1b2c3d"))

    assert [("msg_1", 3)] == rows(tmp_path, "response_id", "copies")


def test_r3_lines_of_a_response_need_not_be_neighbours(tmp_path: Path) -> None:
    """Parallel agents interleave their lines."""
    one, two = response(Regime.D, "msg_1", "req_1"), response(Regime.D, "msg_2", "req_2")
    write(session_file(tmp_path), one[0], two[0], prompt(), one[1], two[1], two[2], one[2])

    assert [("msg_1", 600, 2), ("msg_2", 600, 2)] == sorted(
        rows(tmp_path, "response_id", "output_tokens", "copies")
    )


@pytest.mark.parametrize(
    ("one", "two"),
    [
        pytest.param(("msg_1", "req_1"), ("msg_2", "req_1"), id="other message"),
        pytest.param(("msg_1", "req_1"), ("msg_1", "req_2"), id="other request"),
        pytest.param(("a\nb", "c"), ("a", "b\nc"), id="line ends within ids"),
        pytest.param(("a", "1 b c"), ("a 1", "b c"), id="blanks within ids"),
    ],
)
@pytest.mark.parametrize("is_one_file", [True, False])
def test_r3_other_ids_are_other_responses(
    tmp_path: Path, one: tuple[str, str], two: tuple[str, str], *, is_one_file: bool
) -> None:
    """Both ids must be equal, in one file and over several."""
    lines = [reply(*ids, uuid="the same") for ids in (one, two)]
    if is_one_file:
        write(session_file(tmp_path), *lines)
    else:
        write(session_file(tmp_path), lines[0])
        write(session_file(tmp_path, OTHER), lines[1])

    assert [0, 0] == [copies for (copies,) in rows(tmp_path, "copies")]


def test_r3_without_request_id_lines_of_one_file_are_one_response(tmp_path: Path) -> None:
    """Gateways give no request id: the message id counts within a file."""
    write(session_file(tmp_path), *response(Regime.D, "msg_1", None))

    assert [("msg_1", None, 600, 2)] == rows(
        tmp_path, "response_id", "request_id", "output_tokens", "copies"
    )


def test_r3_without_request_id_files_are_apart(tmp_path: Path) -> None:
    """Some gateways make ids of the second: different responses at the same time share one."""
    for agent, output in (("a1", 11), ("a2", 22), ("a3", 33)):
        line = reply("msg_20260302090000", None, output, at=output)
        write(agent_file(tmp_path, agent), sidechain(line, agent))
    write(session_file(tmp_path), reply("msg_20260302090000", None, 44))

    assert [11, 22, 33, 44] == outputs(tmp_path)


def test_r3_without_request_id_agents_in_one_file_are_apart(tmp_path: Path) -> None:
    """A parent repeats several agents, whose gateway gave them the same id."""
    repeated = [
        progress(sidechain(reply("msg_20260302090000", None, number, at=number)), f"a{number}")
        for number in (1, 2)
    ]
    write(session_file(tmp_path), *repeated)

    assert [("a1", 1), ("a2", 2)] == rows(tmp_path, "agent_id", "output_tokens")


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        pytest.param({"timestamp": moment(900)}, 1, id="equal uuid"),
        pytest.param({"uuid": "another"}, 1, id="equal timestamp"),
        pytest.param({"uuid": "another", "timestamp": moment(900)}, 2, id="neither"),
        pytest.param({"uuid": None, "timestamp": None}, 2, id="nothing known"),
        pytest.param({"uuid": "another", "timestamp": "2026-03-02T10:00+01:00"}, 1, id="same time"),
    ],
)
def test_r3_without_request_id_files_are_joined_by_uuid_or_timestamp(
    tmp_path: Path, changes: Line, count: int
) -> None:
    """A copy keeps one of the two; a collision has neither."""
    line = reply("msg_1", None)
    write(session_file(tmp_path), line)
    write(session_file(tmp_path, FORK), {**line, **changes})

    assert count == len(rows(tmp_path, "response_id"))


def test_r3_lines_without_any_mark_are_not_joined_over_files(tmp_path: Path) -> None:
    """That nothing is known of two lines does not make them equal."""
    line = {**reply("msg_1", None), "uuid": None, "timestamp": None}
    for session in (SESSION, FORK):
        write(session_file(tmp_path, session), line)

    assert 2 == len(rows(tmp_path, "response_id"))


def test_r3_joins_go_on_from_copy_to_copy(tmp_path: Path) -> None:
    """A is B by uuid and B is C by timestamp, so all three are one."""
    line = reply("msg_1", None)
    write(session_file(tmp_path), line)
    write(session_file(tmp_path, FORK), {**line, "timestamp": moment(60)})
    write(session_file(tmp_path, OTHER), {**line, "timestamp": moment(60), "uuid": "another"})

    assert [("msg_1", 2)] == rows(tmp_path, "response_id", "copies")


@pytest.mark.parametrize(
    "changes", [{"timestamp": moment(60)}, {"uuid": "another"}], ids=["uuid", "timestamp"]
)
def test_r3_copy_that_lost_its_request_id_joins_its_response(tmp_path: Path, changes: Line) -> None:
    """One side without a request id is enough for uuid or timestamp to decide."""
    write(session_file(tmp_path), reply("msg_1", "req_1"))
    line = {**reply("msg_1", "req_1"), **changes}
    line.pop("requestId")
    write(session_file(tmp_path, FORK), line)

    assert [("msg_1", "req_1", 1)] == rows(tmp_path, "response_id", "request_id", "copies")


def test_r3_line_without_request_id_joins_its_response_in_the_same_file(tmp_path: Path) -> None:
    """Within a file the message id is enough."""
    write(session_file(tmp_path), reply("msg_1", "req_1"), reply("msg_1", None, at=5))

    assert [("msg_1", 1)] == rows(tmp_path, "response_id", "copies")


def test_r3_without_message_id_the_uuid_counts(tmp_path: Path) -> None:
    """Equal uuids are copies, over files too; others are responses of their own."""
    one, two = reply(None, "req_1", 1, uuid="u1"), reply(None, None, 2, uuid="u2")
    write(session_file(tmp_path), one, two, one)
    write(session_file(tmp_path, FORK), two, reply(None, "req_1", 3, uuid="u3"))

    assert [("u1", 1, 1), ("u2", 2, 1), ("u3", 3, 0)] == sorted(
        rows(tmp_path, "response_id", "output_tokens", "copies")
    )


def test_r3_without_any_id_each_line_is_a_response(tmp_path: Path) -> None:
    """Nothing says that two such lines are one; the place of each names it."""
    path = write(session_file(tmp_path), *[reply(None, None, uuid=None)] * 2)

    assert [(f"{path}:1", 0), (f"{path}:2", 0)] == rows(tmp_path, "response_id", "copies")


@pytest.mark.parametrize("value", ["", None, 7])
def test_r3_empty_id_is_no_id(tmp_path: Path, value: object) -> None:
    """Lines with an empty request id are not all one response."""
    for session in (SESSION, OTHER):
        line = reply("msg_1", None, requestId=value, at=int(session[0]))
        write(session_file(tmp_path, session), line)

    assert 2 == len(rows(tmp_path, "response_id"))


def test_r3_replay_of_a_sidechain_is_the_response_it_replays(tmp_path: Path) -> None:
    """A `/btw` question sends the conversation again: same message ids, new request ids."""
    write(session_file(tmp_path), reply("msg_1", "req_1"), reply("msg_2", "req_2", at=9))
    helper = "aside_question-1"
    write(
        agent_file(tmp_path, helper),
        sidechain(reply("msg_1", "req_8", at=60), helper),
        sidechain(reply("msg_2", "req_9", at=61), helper),
        sidechain(reply("msg_3", "req_3", 7, at=62), helper),
    )

    assert [("msg_1", "main", 1), ("msg_2", "main", 1), ("msg_3", helper, 0)] == rows(
        tmp_path, "response_id", "agent_id", "copies"
    )


def test_r3_sidechains_with_one_message_id_are_one_response(tmp_path: Path) -> None:
    """Where the main transcript is gone, its replays are still the same response."""
    for agent in ("aside_question-1", "aside_question-2"):
        write(agent_file(tmp_path, agent), sidechain(reply("msg_1", f"req_{agent}"), agent))

    assert [("msg_1", 1)] == rows(tmp_path, "response_id", "copies")


def test_r3_main_lines_with_other_requests_stay_apart_beside_a_sidechain(tmp_path: Path) -> None:
    """Of two responses that collide, a replay joins one and does not tie them together."""
    write(session_file(tmp_path), reply("msg_1", "req_1", 1))
    write(session_file(tmp_path, OTHER), reply("msg_1", "req_2", 2, at=60))
    write(agent_file(tmp_path), sidechain(reply("msg_1", "req_3", 1, at=90), "a1b2c3d"))

    assert [("req_1", 1), ("req_2", 0)] == sorted(rows(tmp_path, "request_id", "copies"))


# R4: what a response is worth


@pytest.mark.parametrize(
    ("regime", "output", "quality"),
    [
        (Regime.A, 450, "lower_bound"),
        (Regime.B, PLACEHOLDER, "placeholder"),
        (Regime.C, 600, "lower_bound"),
        (Regime.D, 600, "final"),
        (Regime.E, 600, "final"),
    ],
)
@pytest.mark.parametrize("request_id", ["req_1", None])
def test_r4_every_regime_of_writers(
    tmp_path: Path, regime: Regime, output: int, quality: str, request_id: str | None
) -> None:
    """The best line counts, and says how far it can be trusted."""
    write(session_file(tmp_path), *response(regime, "msg_1", request_id))

    assert [(output, quality, 2)] == rows(tmp_path, "output_tokens", "quality", "copies")


@pytest.mark.parametrize("request_id", ["req_1", None])
def test_r4_last_line_with_a_stop_reason_counts(tmp_path: Path, request_id: str | None) -> None:
    """Also where another says more, or comes later without a stop reason."""
    write(
        session_file(tmp_path),
        reply("msg_1", request_id, 900, stop=None, at=0),
        reply("msg_1", request_id, 500, stop="tool_use", at=1),
        reply("msg_1", request_id, 400, stop="end_turn", at=2),
        reply("msg_1", request_id, 950, stop=None, at=3),
    )

    assert [(400, "end_turn", "final")] == rows(tmp_path, "output_tokens", "stop_reason", "quality")


def test_r4_among_files_the_latest_final_line_counts(tmp_path: Path) -> None:
    """Whichever file is read first."""
    write(session_file(tmp_path), prompt(), reply(output=100, at=5))
    write(session_file(tmp_path, FORK), prompt(), reply(output=90, at=7))
    write(session_file(tmp_path, OTHER), prompt(), reply(output=110, at=6))

    assert [90] == outputs(tmp_path)


@pytest.mark.parametrize("request_id", ["req_1", None])
def test_r4_without_a_stop_reason_the_most_output_counts(
    tmp_path: Path, request_id: str | None
) -> None:
    """Nothing else tells how far the response had come."""
    write(
        session_file(tmp_path),
        *(
            reply("msg_1", request_id, output, stop=None, at=at)
            for at, output in enumerate((10, 80, 40))
        ),
    )

    assert [(80, "lower_bound")] == rows(tmp_path, "output_tokens", "quality")


@pytest.mark.parametrize(
    ("output", "quality"),
    [(0, "placeholder"), (30, "placeholder"), (31, "lower_bound"), (5000, "lower_bound")],
)
def test_r4_up_to_30_tokens_are_a_placeholder(tmp_path: Path, output: int, quality: str) -> None:
    """What stands there while a response starts is not its output."""
    write(session_file(tmp_path), reply(output=output, stop=None))

    assert [(output, quality)] == rows(tmp_path, "output_tokens", "quality")


def test_r4_small_output_with_a_stop_reason_is_final(tmp_path: Path) -> None:
    """A short answer is an answer."""
    write(session_file(tmp_path), reply(output=1))

    assert [(1, "final")] == rows(tmp_path, "output_tokens", "quality")


@pytest.mark.parametrize("stop", [None, "end_turn"])
@pytest.mark.parametrize("request_id", ["req_1", None])
def test_r4_never_a_maximum_per_field(
    tmp_path: Path, stop: str | None, request_id: str | None
) -> None:
    """A gateway estimates the input first: one line's usage counts as a whole."""
    first, last = usage(3, read=65_464, input_tokens=25_596), usage(50, read=63_344)
    write(
        session_file(tmp_path),
        reply("msg_1", request_id, stop=None, counts=first),
        reply("msg_1", request_id, stop=stop, counts=last, at=1),
    )

    assert [(10, 50, 63_344)] == rows(
        tmp_path, "input_tokens", "output_tokens", "cache_read_tokens"
    )


def test_r4_never_a_sum_over_copies(tmp_path: Path) -> None:
    """Ten lines of a response are one response."""
    write(session_file(tmp_path), *response(Regime.E, lines=10))

    total = load(tmp_path).totals()

    assert (1, 10, 600) == (total.responses, total.input_tokens, total.output_tokens)


@pytest.mark.parametrize("stop", [None, "end_turn"])
@pytest.mark.parametrize("request_id", ["req_1", None])
def test_r4_of_equal_lines_the_later_in_the_file_counts(
    tmp_path: Path, stop: str | None, request_id: str | None
) -> None:
    """Its place decides and not its time: times in a transcript go back and forth."""
    write(
        session_file(tmp_path),
        *(
            reply("msg_1", request_id, stop=stop, counts=usage(50, input_tokens=number), at=at)
            for number, at in ((1, 5), (2, 9), (3, 5), (4, 2))
        ),
    )

    assert [(4,)] == rows(tmp_path, "input_tokens")


# R4: the last reply of a subagent

COUNTS = usage(PLACEHOLDER, read=9_000, cache_creation={"ephemeral_1h_input_tokens": 600})
TOLD = usage(850, read=9_000, write=600)


def unfinished(root: Path, *told: Line, stop: str | None = None) -> None:
    """A subagent whose last reply has *stop* for a stop reason, and what its parent was *told*."""
    write(
        agent_file(root),
        sidechain(reply("msg_1", "req_1", 70), "a1b2c3d"),
        sidechain(reply("msg_2", "req_2", stop=stop, counts=COUNTS, at=5), "a1b2c3d"),
    )
    write(session_file(root), prompt(), *told, reply("msg_3", "req_3", 200, at=90))


def test_r4_unfinished_last_reply_is_repaired_from_the_parent(tmp_path: Path) -> None:
    """Where input and cache counts agree, the parent's result holds the final output."""
    unfinished(tmp_path, agent_result(TOLD, at=60))

    assert [(70, "final"), (850, "repaired"), (200, "final")] == rows(
        tmp_path, "output_tokens", "quality"
    )


@pytest.mark.parametrize(
    "told",
    [
        pytest.param([], id="told nothing"),
        pytest.param([agent_result({**TOLD, "input_tokens": 11})], id="other input"),
        pytest.param([agent_result(usage(850, read=9_001, write=600))], id="other cache read"),
        pytest.param([agent_result(usage(850, read=9_000, write=601))], id="other cache write"),
        pytest.param([agent_result(TOLD, "f0e1d2c")], id="another agent's result"),
        pytest.param([agent_result({**TOLD, "output_tokens": 2})], id="less than is known"),
        pytest.param([agent_result({**TOLD, "output_tokens": -1})], id="no count"),
        pytest.param([agent_result({**TOLD, "input_tokens": None})], id="half a usage"),
        pytest.param([prompt(toolUseResult={"agentId": "a1b2c3d"})], id="no usage"),
        pytest.param([prompt(toolUseResult="a1b2c3d")], id="a text"),
    ],
)
def test_r4_what_does_not_agree_repairs_nothing(tmp_path: Path, told: list[Line]) -> None:
    """Another call, another agent or no count at all: the placeholder stays one."""
    unfinished(tmp_path, *told)

    assert [(70, "final"), (PLACEHOLDER, "placeholder"), (200, "final")] == rows(
        tmp_path, "output_tokens", "quality"
    )


def test_r4_finished_reply_is_not_repaired(tmp_path: Path) -> None:
    """Its own line knows best."""
    unfinished(tmp_path, agent_result(TOLD), stop="end_turn")

    assert (PLACEHOLDER, "final") == rows(tmp_path, "output_tokens", "quality")[1]


def test_r4_finished_copy_goes_before_a_repair(tmp_path: Path) -> None:
    """A copy of the agent's transcript may be cut off where the other went on."""
    unfinished(tmp_path / "cut", agent_result(TOLD))
    unfinished(tmp_path / "whole", agent_result(TOLD), stop="end_turn")

    assert (PLACEHOLDER, "final", 1) == rows(tmp_path, "output_tokens", "quality", "copies")[1]


def test_r4_only_the_last_reply_is_repaired(tmp_path: Path) -> None:
    """The result tells of the last call alone, whatever the counts of an earlier one."""
    write(
        agent_file(tmp_path),
        sidechain(reply("msg_1", "req_1", stop=None, counts=COUNTS), "a1b2c3d"),
        sidechain(reply("msg_2", "req_2", PLACEHOLDER, stop=None, at=5), "a1b2c3d"),
    )
    write(session_file(tmp_path), agent_result(TOLD))

    assert [(PLACEHOLDER, "placeholder")] * 2 == rows(tmp_path, "output_tokens", "quality")


def test_r4_parent_may_be_an_agent_itself(tmp_path: Path) -> None:
    """An agent of an agent reports to that; progress of it after the last reply changes nothing."""
    inner = sidechain(reply("msg_9", "req_9", stop=None, counts=COUNTS, at=5), "a9")
    write(agent_file(tmp_path, "a9"), inner)
    outer = sidechain(reply("msg_1", "req_1", stop=None, counts=COUNTS, at=20), "a1")
    write(
        agent_file(tmp_path, "a1"),
        {**agent_result(TOLD, "a9", at=9), "isSidechain": True},
        outer,
        progress(inner, "a9", at=30),
    )
    write(session_file(tmp_path), agent_result({**TOLD, "output_tokens": 44}, "a1", at=40))

    assert [("a9", 850, "repaired"), ("a1", 44, "repaired")] == rows(
        tmp_path, "agent_id", "output_tokens", "quality"
    )


def test_r4_every_copy_of_an_agent_is_repaired(tmp_path: Path) -> None:
    """Agents of the same id under two roots, or in two workflows, are told apart by their counts."""
    unfinished(tmp_path / "one", agent_result(TOLD))
    unfinished(tmp_path / "two", agent_result(TOLD))
    other = tmp_path / "one/projects/-work-app" / SESSION / "subagents/workflows/wf_1"
    last = reply("msg_7", "req_7", stop=None, counts={**COUNTS, "input_tokens": 77}, at=8)
    write(other / "agent-a1b2c3d.jsonl", sidechain(last, "a1b2c3d"))
    told = agent_result({**TOLD, "input_tokens": 77, "output_tokens": 55}, at=70)
    write(session_file(tmp_path / "one"), agent_result(TOLD), told)

    found = rows(tmp_path, "response_id", "output_tokens", "quality")

    assert ("msg_2", 850, "repaired") in found
    assert ("msg_7", 55, "repaired") in found


# R5: to whom a response belongs


def test_r5_agents_own_line_goes_before_a_progress_copy(tmp_path: Path) -> None:
    """Even where the parent's transcript is older and says more."""
    own = sidechain(reply(output=5, stop=None, at=60), "a1b2c3d")
    repeated = {**own, "message": {**own["message"], "usage": usage(40)}}
    write(session_file(tmp_path), prompt(), progress(repeated, at=61))
    write(agent_file(tmp_path), own)

    assert [("a1b2c3d", False, 40, 1)] == load(tmp_path).frame.select(
        "agent_id", "is_progress", "output_tokens", "copies"
    ).rows()


def test_r5_partial_progress_copies_change_nothing(tmp_path: Path) -> None:
    """A parent repeats only the first lines, which are placeholders."""
    own = [sidechain(line, "a1b2c3d") for line in response(Regime.D, lines=3)]
    write(session_file(tmp_path), prompt(), progress(own[0]), progress(own[1], at=1))
    path = write(agent_file(tmp_path), *own)

    assert [("a1b2c3d", 600, "final", 4, str(path), 3)] == rows(
        tmp_path, "agent_id", "output_tokens", "quality", "copies", "source_path", "source_line"
    )


def test_r5_progress_copies_stand_for_an_agent_whose_file_is_gone(tmp_path: Path) -> None:
    """They are its only trace."""
    lines = response(Regime.C, output=44, lines=2)
    write(session_file(tmp_path), *(progress(line, "f0e1d2c", at=9) for line in lines))

    assert [(SESSION, "f0e1d2c", True, 44, "lower_bound")] == load(tmp_path).frame.select(
        "session_id", "agent_id", "is_progress", "output_tokens", "quality"
    ).rows()


def test_r5_progress_copy_without_ids_finds_its_own_line_by_uuid(tmp_path: Path) -> None:
    """The repeated message keeps uuid and timestamp."""
    own = sidechain(reply("msg_1", None), "a1b2c3d")
    write(session_file(tmp_path), progress(own, at=9))
    write(agent_file(tmp_path), own)

    assert [("a1b2c3d", 1)] == rows(tmp_path, "agent_id", "copies")


def test_r5_copy_outside_a_sidechain_goes_first(tmp_path: Path) -> None:
    """A compaction's helper replays the main agent's history, perhaps in an older file."""
    helper = "acompact-1"
    write(
        agent_file(tmp_path, helper),
        sidechain(reply(at=-60), helper),
        sidechain(reply("msg_2", "req_2", at=100), helper),
    )
    write(session_file(tmp_path), prompt(at=0), reply(at=-60))

    assert [("msg_1", "main", 1), ("msg_2", helper, 0)] == rows(
        tmp_path, "response_id", "agent_id", "copies"
    )


@pytest.mark.parametrize("older", [SESSION, FORK])
def test_r5_then_the_file_that_begins_first(tmp_path: Path, older: str) -> None:
    """A fork copies what stands in the original, whatever the two are called."""
    newer = FORK if older == SESSION else SESSION
    shared = [reply("msg_1", "req_1", at=10), reply("msg_2", "req_2", at=20)]
    write(session_file(tmp_path, older), prompt(at=0), *shared, reply("msg_3", "req_3", at=30))
    write(session_file(tmp_path, newer), prompt(at=9), *shared, reply("msg_4", "req_4", at=40))

    assert [("msg_1", older), ("msg_2", older), ("msg_3", older), ("msg_4", newer)] == rows(
        tmp_path, "response_id", "session_id"
    )
    assert [(newer, older)] == load(tmp_path).sessions.filter(
        pl.col("forked_from").is_not_null()
    ).select("session_id", "forked_from").rows()


def test_r5_file_without_any_time_comes_after_those_with_one(tmp_path: Path) -> None:
    """What is not known cannot be earliest."""
    write(session_file(tmp_path), {**reply(), "timestamp": None})
    write(session_file(tmp_path, FORK), reply(at=10))

    assert [(FORK,)] == rows(tmp_path, "session_id")


def test_r5_then_the_path_that_sorts_first(tmp_path: Path) -> None:
    """Among true copies of a file any would do; it must always be the same."""
    for project in ("-b", "-a", "-c"):
        write(session_file(tmp_path, project=project), prompt(), reply(cwd="/nowhere"))

    assert [("-a", 2)] == rows(tmp_path, "project", "copies")


def test_r5_inline_sidechains_belong_to_the_root_of_their_chain(tmp_path: Path) -> None:
    """Claude Code 1.0 named no agents; a chain that bites its tail ends where it closes."""

    def link(uuid: str | None, parent: str | None) -> Line:
        return {"uuid": uuid, "parentUuid": parent}

    write(
        session_file(tmp_path),
        {**sidechain(prompt()), **link("aaaaaaaa-1", None)},
        {**sidechain(prompt()), **link("bbbbbbbb-1", "main-line")},
        {**sidechain(reply("msg_1", "req_1", at=1)), **link("a2", "aaaaaaaa-1")},
        {**sidechain(reply("msg_2", "req_2", at=2)), **link("b2", "bbbbbbbb-1")},
        {**sidechain(reply("msg_3", "req_3", at=3)), **link("a3", "a2")},
        {**sidechain(reply("msg_4", "req_4", at=4)), **link("tail-1", "head-1")},
        {**sidechain(reply("msg_5", "req_5", at=5)), **link("head-1", "tail-1")},
        {**sidechain(reply("msg_6", "req_6", at=6)), **link(None, "a3")},
        reply("msg_7", "req_7", at=7),
    )

    assert [
        *("sidechain-aaaaaaaa", "sidechain-bbbbbbbb", "sidechain-aaaaaaaa"),
        *("sidechain-head-1", "sidechain-tail-1", "sidechain-", "main"),
    ] == load(tmp_path).frame["agent_id"].to_list()


def history(root: Path) -> None:
    """A session with an agent and its progress, a fork, a helper, gateways and a second root.

    Eight responses: five of the session and its agent, one each of the fork and of the helper, and
    one of another session whose id collides.
    """
    agent = [sidechain(line, "a1") for line in response(Regime.D, "msg_a", "req_a", at=30)]
    last = sidechain(reply("msg_z", "req_z", stop=None, counts=COUNTS, at=50), "a1")
    main = [
        prompt(at=0),
        *response(Regime.E, "msg_1", "req_1", at=1),
        *(progress(line, "a1", at=40) for line in agent[:2]),
        agent_result(TOLD, "a1", at=60),
        *response(Regime.A, "msg_g", None, at=70),
        reply(None, "req_n", uuid="u", at=80),
    ]
    for tree in (root / "one", root / "two"):
        write(session_file(tree), *main)
        write(agent_file(tree, "a1"), *agent, last)
        write(session_file(tree, FORK), *main, reply("msg_f", "req_f", at=500))
        write(agent_file(tree, "acompact-1"), *map(sidechain, main), sidechain(reply("m", "r")))
    write(session_file(root / "three", OTHER), *response(Regime.B, "msg_g", None, at=5))


def frames(root: Path, order: list[Transcript]) -> list[pl.DataFrame]:
    facts = facts_without_store(discover([root]), read(extents_of(order)))
    found = build(facts, shipped_card())
    return [found.frame, found.refused, found.sessions, found.agents, found.rejects]


def test_r5_totals_never_depend_on_the_order_of_reading(tmp_path: Path) -> None:
    """Whatever file is read first, every response has the same value and owner."""
    history(tmp_path)
    transcripts = discover([tmp_path]).transcripts
    expected = frames(tmp_path, transcripts)
    dice = random.Random(5)

    assert 8 == expected[0].height
    for _ in range(12):
        for found, wanted in zip(
            frames(tmp_path, dice.sample(transcripts, len(transcripts))), expected, strict=True
        ):
            assert wanted.equals(found)


def test_r5_totals_never_depend_on_dates_and_inodes_of_files(tmp_path: Path) -> None:
    """A restored backup has other dates, and its files lie in another order."""
    history(tmp_path / "a")
    expected = load(tmp_path / "a").frame
    dice = random.Random(6)
    files = sorted(path for path in (tmp_path / "a").rglob("*") if path.is_file())
    for path in dice.sample(files, len(files)):
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)
        os.utime(path, (dice.randrange(10**9), dice.randrange(10**9)))

    assert expected.equals(load(tmp_path / "a").frame)


def test_r5_totals_never_depend_on_the_order_of_roots(tmp_path: Path) -> None:
    """Which of two trees is named first decides nothing."""
    history(tmp_path)
    roots = [tmp_path / name for name in ("one", "two", "three")]
    expected = load(*roots).frame

    for order in itertools.permutations(roots):
        assert expected.equals(load(*order).frame)


def test_r5_filters_come_after_merging(tmp_path: Path) -> None:
    """The sessions' totals, each asked for alone, add up to the whole."""
    history(tmp_path)
    ledger = load(tmp_path)
    ids = ledger.sessions["session_id"].to_list()

    parts = [ledger.report("sessions", sessions=[name]).sections[0].totals or {} for name in ids]

    assert {SESSION, FORK, OTHER} == set(ids)
    assert ledger.totals().total_tokens == sum(part["total_tokens"] for part in parts)
    assert 8 == sum(part["responses"] for part in parts)


# R6: what iterations tell

MESSAGE = {"type": "message", **usage(100, input_tokens=10)}
ADVISOR = {"type": "advisor_message", "model": "claude-opus-5", **usage(70, input_tokens=500)}
COMPACTION = {"type": "compaction", **usage(3_000, input_tokens=4, read=150_000, write=20)}


def test_r6_advisor_and_compaction_are_responses_of_their_own(tmp_path: Path) -> None:
    """Outside the top level, with their own model or that of the message."""
    counts = usage(100, iterations=[MESSAGE, ADVISOR, COMPACTION])
    write(session_file(tmp_path), reply(counts=counts, model="claude-sonnet-5", stop=None))

    assert [
        ("msg_1", "message", "claude-sonnet-5", 10, 100, 0, 0, "lower_bound"),
        ("msg_1#1", "advisor", "claude-opus-5", 500, 70, 0, 0, "final"),
        ("msg_1#2", "compaction", "claude-sonnet-5", 4, 3_000, 150_000, 20, "final"),
    ] == rows(
        tmp_path,
        *("response_id", "kind", "model", "input_tokens", "output_tokens"),
        *("cache_read_tokens", "cache_write_5m_tokens", "quality"),
    )


def test_r6_iterations_have_their_number_and_responses_none(tmp_path: Path) -> None:
    """Also a response whose own id looks like that of an iteration."""
    counts = usage(100, iterations=[MESSAGE, ADVISOR])
    write(session_file(tmp_path), reply(counts=counts), reply("msg_2#7", "req_2", at=1))
    frame = load(tmp_path).frame

    assert [("msg_1", None, "msg_1"), ("msg_1#1", 1, "msg_1"), ("msg_2#7", None, "msg_2#7")] == (
        frame.select("response_id", "iteration", whole=WHOLE_ID).rows()
    )


def test_r6_iterations_are_merged_with_their_response(tmp_path: Path) -> None:
    """Every line and every copy repeats them: they count once."""
    counts = usage(100, iterations=[ADVISOR, MESSAGE])
    lines = [reply(counts=counts, at=at) for at in range(3)]
    write(session_file(tmp_path), *lines)
    write(session_file(tmp_path, FORK), prompt(at=90), *lines)

    assert [("msg_1", 5), ("msg_1#0", 0)] == rows(tmp_path, "response_id", "copies")
    assert 6 == load(tmp_path).intake.usage_lines


def test_r6_iterations_are_those_of_the_line_that_counts(tmp_path: Path) -> None:
    """An earlier line's attempt at them is no more than its counts are."""
    write(
        session_file(tmp_path),
        reply(counts=usage(3, iterations=[ADVISOR, COMPACTION]), stop=None),
        reply(counts=usage(100, iterations=[MESSAGE]), at=1),
    )

    assert [("msg_1", 100)] == rows(tmp_path, "response_id", "output_tokens")


def test_r6_iterations_of_two_responses_on_a_line_are_not_mixed(tmp_path: Path) -> None:
    """Each belongs to the object that it stands in."""
    one = reply("msg_1", "req_1", counts=usage(1, iterations=[ADVISOR]))
    two = reply("msg_2", "req_2", counts=usage(2, iterations=[MESSAGE, COMPACTION]))
    write(session_file(tmp_path), encoded(one) + encoded(two))

    assert ["msg_1", "msg_1#0", "msg_2", "msg_2#1"] == [
        name for (name,) in rows(tmp_path, "response_id")
    ]


def test_r6_refused_attempt_is_listed_and_costed_apart(tmp_path: Path) -> None:
    """The top level is the fallback's alone; the refused model's call is in no total."""
    refused = {"type": "message", "model": "claude-fable-5", **usage(2, input_tokens=1_000)}
    served = {"type": "fallback_message", "model": "claude-opus-4-8", **usage(100)}
    counts = usage(100, iterations=[refused, served])
    write(session_file(tmp_path), *[reply(counts=counts, model="claude-opus-4-8")] * 2)
    ledger = load(tmp_path)

    assert [("msg_1", "claude-opus-4-8", 100)] == ledger.frame.select(
        "response_id", "model", "output_tokens"
    ).rows()
    # 1,000 at $10 and 2 at $50 per million tokens
    assert [("msg_1#0", "claude-fable-5", 2, Decimal("0.010100000000"))] == ledger.refused.select(
        "response_id", "model", "output_tokens", "cost_usd"
    ).rows()
    assert (110, 1) == (ledger.totals().total_tokens, ledger.intake.refused_attempts)


def half(input_tokens: int) -> Line:
    return {"type": "message", **usage(500, input_tokens=input_tokens)}


@pytest.mark.parametrize(
    ("parts", "cost"),
    [
        # 120,000 at $0.10 and 1,000 at $0.50: each call is below the 100,000 of the higher price
        pytest.param([half(60_000), half(60_000)], "0.0125", id="adding up"),
        # 120,000 at $0.50 and 1,000 at $2.50
        pytest.param([half(60_000), half(60_001)], "0.0625", id="more than the top level"),
        pytest.param([half(60_000)], "0.0625", id="less than the top level"),
        pytest.param([], "0.0625", id="none"),
        # 110,000 at $0.50, 500 at $2.50, 10,000 at $0.10, 500 at $0.50
        pytest.param([half(110_000), half(10_000)], "0.0575", id="one of them long"),
    ],
)
def test_r6_long_prompts_are_judged_per_iteration(
    tmp_path: Path, parts: list[Line], cost: str
) -> None:
    """Where the iterations do not add up to the top level, that is judged as one call."""
    counts = usage(1_000, input_tokens=120_000, iterations=parts)
    line = reply(counts=counts, model="claude-haiku-5-5", timestamp="2026-10-20T12:00:00Z")
    write(session_file(tmp_path), line)

    assert [("msg_1", 121_000, Decimal(cost))] == rows(
        tmp_path, "response_id", "total_tokens", "cost_usd"
    )


def test_r6_calls_of_a_fallback_are_judged_each(tmp_path: Path) -> None:
    """The refused attempt is none of the calls that make up the top level."""
    refused = {"type": "message", "model": "claude-fable-5", **usage(2, input_tokens=1_000)}
    served = {**half(60_000), "type": "fallback_message"}
    counts = usage(1_000, input_tokens=120_000, iterations=[refused, served, served])
    line = reply(counts=counts, model="claude-haiku-5-5", timestamp="2026-10-20T12:00:00Z")
    write(session_file(tmp_path), line)

    assert [("msg_1", 121_000, Decimal("0.0125"))] == rows(
        tmp_path, "response_id", "total_tokens", "cost_usd"
    )
    assert 1 == load(tmp_path).refused.height


# R7: cache writes


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        pytest.param({"write": 800}, (800, 0, True), id="not split"),
        pytest.param({"write": 800, "cache_creation": None}, (800, 0, True), id="split null"),
        pytest.param({"write": 800, "cache_creation": {}}, (800, 0, True), id="split empty"),
        pytest.param({"write": 900, "split": (400, 500)}, (400, 500, False), id="split"),
        pytest.param({"write": 0, "split": (400, 500)}, (400, 500, False), id="flat is zero"),
        pytest.param({"split": (400, 500)}, (400, 500, False), id="flat is missing"),
        pytest.param({"write": 899, "split": (400, 500)}, (400, 500, False), id="flat is less"),
        pytest.param({"write": 999, "split": (400, 500)}, (499, 500, True), id="flat is more"),
        pytest.param({"write": 900, "split": (None, 500)}, (400, 500, True), id="half a split"),
        pytest.param({}, (0, 0, False), id="none"),
    ],
)
def test_r7_cache_writes_are_split(
    tmp_path: Path, counts: Line, expected: tuple[int, int, bool]
) -> None:
    """The larger of the flat field and the split counts; what is not split is 5-minute, flagged."""
    if "split" in counts:
        short, long = counts.pop("split")
        counts["cache_creation"] = {
            "ephemeral_5m_input_tokens": short,
            "ephemeral_1h_input_tokens": long,
        }
    write(session_file(tmp_path), reply(counts=usage(1, **counts)))

    assert [expected] == load(tmp_path).frame.select(
        "cache_write_5m_tokens", "cache_write_1h_tokens", "is_split_assumed"
    ).rows()
