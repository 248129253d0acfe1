"""What Claude Code says itself of sessions: found in any form it may have, and never taken for usage."""

import json
from pathlib import Path

import pytest
from transcripts_builder import (
    MODEL,
    OTHER,
    SESSION,
    cost_state,
    encoded,
    facts_of,
    last_session,
    parsed,
    prompt,
    reply,
    session_file,
    write,
)

from tokenaudit.transcripts import ModelTotal, discover, global_totals

STATED = {MODEL: (4, 123, 20, 30, 0.08665980000000001)}
OPUS = ModelTotal(MODEL, 4, 123, 20, 30, 0, "0.08665980000000001")
ODD = {**cost_state(STATED), "modelUsage": {MODEL: {"inputTokens": "4", "outputTokens": 123.0}}}


@pytest.mark.parametrize(
    "line",
    [
        encoded(cost_state(STATED)),
        json.dumps(cost_state(STATED)).encode(),
        json.dumps(dict(reversed(cost_state(STATED).items()))).encode(),
        encoded(dict(reversed(cost_state(STATED).items()))),
        b"  " + encoded(cost_state(STATED)),
        encoded(cost_state(STATED)) + encoded(prompt()),
        json.dumps({"padding": {"text": "x" * 5_000}, **cost_state(STATED)}).encode(),
    ],
    ids=["plain", "blanks", "blanks, reversed", "reversed", "ragged", "glued", "long"],
)
def test_a_cost_state_line_is_found_in_any_form(tmp_path: Path, line: bytes) -> None:
    """With the digits of its costs as they are written; it is no usage, and no reject."""
    found = parsed(write(tmp_path / "x.jsonl", reply(), line, reply("msg_2", "req_2", at=1)))

    (total,) = found.totals
    assert (2, SESSION, "0.08665980000000001") == (total.line, total.session_id, total.cost_usd)
    assert (OPUS,) == total.models
    assert total.start_time is not None
    assert (2, []) == (len(found.records), found.rejects)


def test_odd_but_clear_counts_are_taken(tmp_path: Path) -> None:
    """As those of usage (R9): `"4"` and `123.0` are 4 and 123."""
    (total,) = parsed(write(tmp_path / "x.jsonl", ODD)).totals

    assert (ModelTotal(MODEL, 4, 123, 0, 0, 0, None),) == total.models


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"totalCostUSD": None}, "cost-state: totalCostUSD: is no amount of money"),
        ({"totalCostUSD": True}, "cost-state: totalCostUSD: is no amount of money"),
        ({"totalCostUSD": 1e300}, "cost-state: totalCostUSD: is no amount of money"),
        ({"modelUsage": []}, "cost-state: modelUsage: is no object"),
        ({"modelUsage": {"m": 1}}, "cost-state: modelUsage of m: is no object"),
        (
            {"modelUsage": {"m": {"inputTokens": -1}}},
            "cost-state: modelUsage of m: inputTokens: negative",
        ),
    ],
)
def test_a_figure_that_is_none_is_a_reject(
    tmp_path: Path, more: dict[str, object], reason: str
) -> None:
    """Counted, with its line and the field's name; the lines around it count."""
    found = parsed(write(tmp_path / "x.jsonl", reply(), cost_state(STATED) | more))

    assert [(2, reason)] == [(reject.line, reject.reason) for reject in found.rejects]
    assert (1, []) == (len(found.records), found.totals)


def test_totals_become_rows_by_model_with_the_session_of_their_transcript(tmp_path: Path) -> None:
    """A line that names no session states that of the file it stands in."""
    nameless = {
        **cost_state({MODEL: (4, 123, 20, 30, 0.25), "other": (1, 2, 3, 4, 0.5)}),
        "sessionId": None,
    }
    write(session_file(tmp_path, OTHER), reply(), nameless)
    totals = facts_of(discover([tmp_path])).totals

    columns = ("session_id", "line", "model", "output_tokens", "cost_usd")
    assert totals.select(columns).rows() == [
        (OTHER, 2, MODEL, 123, "0.25"),
        (OTHER, 2, "other", 2, "0.5"),
    ]
    assert ["0.75"] * 2 == totals["total_cost_usd"].to_list()


def test_what_claude_json_states_in_a_root_and_beside_it(tmp_path: Path) -> None:
    """In the root itself, and beside one that is called `.claude`; of each project its last session."""
    root = tmp_path / ".claude"
    root.mkdir()
    projects = {"/work/app": last_session(STATED, lastDuration=5_000), "/work/new": {}}
    (root / ".claude.json").write_text(json.dumps({"projects": projects, "userID": "x"}))
    beside = {"projects": {"/work/app": last_session(STATED, session=OTHER)}}
    (tmp_path / ".claude.json").write_text(json.dumps(beside))
    inside, outside = global_totals([str(root)])

    assert (SESSION, str(root / ".claude.json"), 5_000) == (
        inside.session_id,
        inside.path,
        inside.duration_ms,
    )
    assert (OTHER, str(tmp_path / ".claude.json")) == (outside.session_id, outside.path)
    assert (OPUS,) == inside.models == outside.models


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{",
        b"\xff",
        b'{"projects": 3}',
        b'{"projects": {"x": 3, "y": {"lastCost": 1}}}',
        json.dumps({"projects": {"x": last_session(STATED) | {"lastCost": "much"}}}).encode(),
    ],
)
def test_a_claude_json_of_no_use_states_nothing(tmp_path: Path, content: bytes) -> None:
    """It is no transcript: nothing of ours depends on it."""
    (tmp_path / ".claude.json").write_bytes(content)

    assert [] == global_totals([str(tmp_path)])
