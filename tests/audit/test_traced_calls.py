"""Calls that leave a trace and no usage: which model was asked, and the least that it was sent."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from evidence import evidence
from transcripts_builder import SESSION, Line, moment, prompt, reply, session_file, write

from tokenaudit.audit.traced_calls import unrecorded

TITLE: Line = {"type": "ai-title", "aiTitle": "Tests", "sessionId": SESSION}
PAGE = prompt(
    "1", at=5, toolUseResult={"bytes": 1, "code": 200, "codeText": "OK", "result": "page"}
)
SEARCH = prompt("2", at=6, toolUseResult={"query": "x", "searchCount": 2})
BOUNDARY: Line = {
    "type": "system",
    "subtype": "compact_boundary",
    "sessionId": SESSION,
    "timestamp": moment(7),
    "compactMetadata": {"trigger": "auto", "preTokens": 100_000},
}


def calls(root: Path, said: Line) -> Mapping[str, Mapping[str, Any]]:
    """The calls after one response, by kind."""
    write(session_file(root), TITLE, said, PAGE, SEARCH, BOUNDARY)
    found = unrecorded(evidence(root))
    return {row["kind"]: row for row in found.iter_rows(named=True)}


@pytest.mark.parametrize(
    ("time", "small"),
    [
        ("2025-10-14T12:00:00Z", "claude-3-5-haiku"),
        ("2025-10-15T12:00:00Z", "claude-haiku-4-5"),
        ("2026-10-06T12:00:00Z", "claude-haiku-4-5"),
        ("2026-10-07T12:00:00Z", "claude-haiku-5-5"),
    ],
)
def test_titles_and_pages_are_of_the_small_model_of_the_day(
    tmp_path: Path, time: str, small: str
) -> None:
    """A title has no time of its own: it was made when its session began."""
    write(session_file(tmp_path), TITLE, reply(timestamp=time), {**PAGE, "timestamp": time})
    found = {row["kind"]: row["model"] for row in unrecorded(evidence(tmp_path)).to_dicts()}

    assert found == {"title": small, "web_fetch": small}


def test_searches_and_compactions_are_of_the_model_at_work(tmp_path: Path) -> None:
    """Two searches are two cents, whatever they read."""
    found = calls(tmp_path, reply())

    assert [found[kind]["model"] for kind in ("web_search", "compaction")] == [
        "claude-opus-4-6"
    ] * 2
    assert found["web_search"]["cost_usd"] == Decimal("0.02")


@pytest.mark.parametrize(
    "said",
    [
        reply(model="global.anthropic.claude-opus-4-6-v1:0"),
        reply(request_id=None),
    ],
    ids=["Bedrock", "no request id"],
)
def test_through_a_gateway_all_are_of_the_model_at_work(tmp_path: Path, said: Line) -> None:
    """A title of Opus 4.6: 340 x $5 + 11 x $25 per million are $0.001975."""
    found = calls(tmp_path, said)

    assert {row["model"] for row in found.values()} == {said["message"]["model"]}
    assert found["title"]["cost_usd"] == Decimal("0.001975")


def test_of_another_vendor_nothing_is_priced(tmp_path: Path) -> None:
    """What its model costs is not known; that it was asked is."""
    found = calls(tmp_path, reply(model="glm-5.1"))

    assert {row["model"] for row in found.values()} == {"glm-5.1"}
    assert found["title"]["cost_usd"] is None


@pytest.mark.parametrize(
    ("model", "entrypoint", "tokens"),
    [
        ("claude-opus-4-6", "sdk-cli", 1060),
        ("claude-opus-4-6", "cli", 1152),
        ("claude-opus-4-8", "sdk-cli", 1590),
        ("claude-opus-4-8", "cli", 1728),
    ],
)
def test_a_compaction_has_its_instruction_beside_the_context(
    tmp_path: Path, model: str, entrypoint: str, tokens: int
) -> None:
    """6,361 characters headless, 6,912 in a terminal; at most 6 to a token of the old tokenizer, 4 of the new."""
    found = calls(tmp_path, reply(model=model, entrypoint=entrypoint))["compaction"]

    assert (found["input_tokens"], found["cache_read_tokens"]) == (tokens, 100_000)


def test_an_early_compaction_wrote_it_with_its_context(tmp_path: Path) -> None:
    """Up to 2.1.41 the whole prompt was written anew: nothing is beside it."""
    found = calls(tmp_path, reply(version="2.1.41"))["compaction"]

    assert (found["input_tokens"], found["cache_write_5m_tokens"]) == (0, 100_000)
