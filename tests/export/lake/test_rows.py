"""Rows of a lake: they follow the rules of merging, and uniting them obeys the laws of merging."""

from datetime import date, timedelta
from itertools import permutations
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from lake_evidence import DAY, Copy, facts, histories, rows, told_once
from polars.testing import assert_frame_equal
from properties import examples
from stories import STORIES, Story
from transcripts_builder import (
    agent_file,
    agent_result,
    facts_of,
    progress,
    reply,
    session_file,
    sidechain,
    usage,
    write,
)

from tokenaudit import transcripts
from tokenaudit.export.lake.cross_host_merge import merged
from tokenaudit.export.lake.dedupe import deduplicate
from tokenaudit.export.lake.rows import rows_of
from tokenaudit.export.lake.schema import SCHEMA
from tokenaudit.merge import merge
from tokenaudit.model.terms import CUT
from tokenaudit.store.facts import Facts

LAWS = examples(20)
RANK = {"final": 3, "repaired": 2, "lower_bound": 1, "placeholder": 0}
KEYS = ["response_id", "request_id", "source_path", "source_line", "source_record"]


def read(root: Path) -> Facts:
    discovery = transcripts.discover([root])
    return facts_of(discovery)


def both(*frames: pl.DataFrame) -> pl.DataFrame:
    return pl.concat(frames)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_a_lake_of_one_host_merges_as_its_transcripts_do(story: Story) -> None:
    """What rows say again as facts is what the transcripts said: responses, refusals, inferences."""
    read_facts = read(story.root)
    expected = merge(read_facts)

    found = merged(rows_of(read_facts, host="h", label=None))

    columns = [name for name in expected.responses.columns if name != "agent_label"]
    for there, here in (
        (found.responses, expected.responses),
        (found.refused, expected.refused),
    ):
        assert_frame_equal(there.select(columns).sort(KEYS), here.select(columns).sort(KEYS))
    parts = [name for name in expected.parts.columns if name != "response"]
    assert_frame_equal(
        found.parts.select(parts).sort(parts), expected.parts.select(parts).sort(parts)
    )


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_one_row_per_response_without_text(story: Story) -> None:
    """A row for each response that has a line of its own, with the documented columns only.

    A copy without a request id has one of its own: only all hosts can tell whose it is.
    """
    read_facts = read(story.root)
    found = rows_of(read_facts, host="h", label="l")

    own = merge(read_facts).responses.filter(pl.col("kind") == "message")
    bare = {"era-2-1-subagents": 1}.get(story.name, 0)
    assert found.height == own.height + bare
    assert dict(found.schema) == dict(SCHEMA)
    assert_frame_equal(deduplicate(found), found)


@LAWS
@given(histories(), histories())
def test_uniting_is_commutative(one: list[Copy], other: list[Copy]) -> None:
    """The order in which hosts are read never matters."""
    a, b = rows(one, "h1"), rows(other, "h2")
    assert_frame_equal(deduplicate(both(a, b)), deduplicate(both(b, a)))


@LAWS
@given(histories(), histories(), histories())
def test_uniting_is_associative(one: list[Copy], two: list[Copy], three: list[Copy]) -> None:
    """What was united before never matters."""
    a, b, c = rows(one, "h1"), rows(two, "h2"), rows(three, "h3")
    together = deduplicate(both(a, b, c))
    assert_frame_equal(deduplicate(both(deduplicate(both(a, b)), c)), together)
    assert_frame_equal(deduplicate(both(a, deduplicate(both(b, c)))), together)


@LAWS
@given(histories(), histories())
def test_uniting_is_idempotent(one: list[Copy], other: list[Copy]) -> None:
    """Evidence that is there already changes nothing."""
    deduplicated = deduplicate(both(rows(one, "h1"), rows(other, "h2")))
    assert_frame_equal(deduplicate(deduplicated), deduplicated)
    assert_frame_equal(deduplicate(both(deduplicated, rows(one, "h1"))), deduplicated)


@LAWS
@given(histories(), histories())
def test_uniting_is_monotone(one: list[Copy], other: list[Copy]) -> None:
    """More evidence takes no response away and makes no quality worse, but where it tells of a cut."""
    before = rows(one, "h1")
    after = deduplicate(both(before, rows(other, "h2")))
    ids = ["message_id", "request_id", "time"]
    is_cut = pl.col("stop_reason") == CUT
    rank = pl.when(is_cut).then(4).otherwise(pl.col("quality").replace_strict(RANK))
    ranks = {tuple(key): known for *key, known in after.select(*ids, rank).iter_rows()}
    for *key, known in before.select(*ids, rank).iter_rows():
        assert ranks[tuple(key)] >= known


@LAWS
@given(told_once(), told_once())
def test_hosts_apart_give_what_their_transcripts_give_together(
    one: list[Copy], other: list[Copy]
) -> None:
    """Exporting on two hosts and rolling up is merging all their transcripts on one machine."""
    first, second = facts(one, "a"), facts(other, "b")
    together = merge(
        Facts(
            **{
                name: pl.concat([getattr(first, name), getattr(second, name)])
                for name in (*_FRAMES,)
            }
        )
    ).responses
    found = merged(
        pl.concat(
            [
                rows_of(first, host="h1", label=None),
                rows_of(second, host="h2", label=None),
            ]
        )
    ).responses

    # how many lines said it is known only per host
    columns = [name for name in together.columns if name not in {"copies", "agent_label"}]
    assert_frame_equal(found.select(columns).sort(KEYS), together.select(columns).sort(KEYS))


def test_without_a_request_id_the_first_line_and_the_one_that_counts_tie_hosts() -> None:
    """Of two lines in one transcript; a further line alone on another host is the limit of that.

    On one machine all of them are one response. The README tells the limit.
    """
    first, later = (Copy(1, 1, 9, is_final=n == 0, later=0, form="bare", begins=n) for n in (0, 1))
    final = Copy(1, 1, 9, is_final=True, later=0, form="bare", begins=1)
    for mine, theirs, responses in (
        ([first, later], [first], 1),
        ([first, later], [first, later], 1),
        ([first, final], [final], 1),
        ([first, later], [later], 2),
    ):
        found = merged(both(rows(mine), rows_of(facts(theirs, "~"), host="h2", label=None)))
        assert found.responses.height == responses


_FRAMES = (
    *("records", "iterations", "transcripts", "titles"),
    *("compactions", "rejects", "results", "uncounted", "requests", "totals"),
)


def test_final_copy_of_a_neighbour_wins_and_the_owner_stays() -> None:
    """The host whose transcript began first owns the response; the count is the finished line's."""
    early = Copy(1, transcript=3, output=5, is_final=False, later=0)
    late = Copy(1, transcript=1, output=400, is_final=True, later=9)

    found = deduplicate(both(rows([early], "h1"), rows([late], "h2"))).row(0, named=True)

    assert (found["host"], found["branch"]) == ("h1", "branch of 3")
    assert (found["output_tokens"], found["quality"]) == (400, "final")
    assert (found["owner_path"], found["source_path"]) == ("t3", "t1")


def test_what_a_replay_and_a_line_without_request_id_are_all_hosts_tell() -> None:
    """A response, its replay a minute later, and a line of the replay: one, whatever met first."""
    own = rows([Copy(1, 1, 9, is_final=True, later=0)], "h1")
    replay = rows([Copy(1, 2, 9, True, 0, "sidechain", begins=1)], "h2")
    bare = rows([Copy(1, 4, 9, True, 0, "bare", begins=1)], "h3")

    for first, second, third in permutations([own, replay, bare]):
        found = merged(both(deduplicate(both(first, second)), third)).responses
        assert found.select("host", "request_id", "time").rows() == [
            ("h1", "req_1", DAY + timedelta(hours=1))
        ]


def test_a_line_without_request_id_ties_what_its_transcript_ties() -> None:
    """That it stands beside a line with one no other host knows: a row says it."""
    beside = [Copy(1, 1, 9, True, 0, "bare", begins=2), Copy(1, 1, 9, is_final=True, later=0)]
    found = rows(beside, "h1")

    hour = DAY + timedelta(hours=1)
    assert sorted(found.select("request_id", "time", "copies").rows(), key=str) == [
        ("req_1", hour, 1),
        ("req_1", hour + timedelta(minutes=2), None),
        (None, hour + timedelta(minutes=2), 1),
    ]
    assert merged(found).responses.select("request_id", "copies").rows() == [("req_1", 3)]


def test_a_replay_of_the_next_day_lies_under_the_day_of_the_response(tmp_path: Path) -> None:
    """A roll-up takes one day at a time, and counts it once."""
    helper = "a1b2c3d"
    write(session_file(tmp_path), reply("msg_1", "req_1"))
    replayed = reply("msg_1", "req_2", at=86_400)
    write(agent_file(tmp_path, helper), sidechain(replayed, helper))
    found = rows_of(read(tmp_path), host="h1", label=None)

    assert found.select(pl.col("request_id"), pl.col("time").dt.date()).sort(
        "request_id"
    ).rows() == [
        ("req_1", date(2026, 3, 2)),
        ("req_2", date(2026, 3, 2)),
    ]


def test_lines_without_any_id_are_never_taken_for_each_other(tmp_path: Path) -> None:
    """The same line exported again is one response; that of another host is another."""
    line = reply(None, None, uuid=None)
    write(session_file(tmp_path), line, {**line, "timestamp": "2026-03-02T10:00:00.000Z"})
    found = rows_of(read(tmp_path), host="h1", label=None)

    assert found.height == 2
    assert_frame_equal(deduplicate(both(found, found)), found)
    assert deduplicate(both(found, found.with_columns(host=pl.lit("h2")))).height == 4


def test_a_reply_whose_copy_counts_is_repaired_in_a_lake_too(tmp_path: Path) -> None:
    """The subagent's line says 2 tokens, its parent's copy 8, the parent's total 850: that counts (R4)."""
    own = reply("msg_1", "req_1", 2, stop=None)
    copy = reply("msg_1", "req_1", 8, stop=None)
    write(agent_file(tmp_path, "a1b2c3d"), sidechain(own, "a1b2c3d"))
    write(
        session_file(tmp_path),
        progress(copy, "a1b2c3d", at=1),
        agent_result(usage(850), "a1b2c3d", at=2),
    )
    read_facts = read(tmp_path)

    for responses in (
        merge(read_facts).responses,
        merged(rows_of(read_facts, host="h", label=None)).responses,
    ):
        assert responses.select("output_tokens", "quality").rows() == [(850, "repaired")]


def test_of_lines_that_are_known_to_be_cut_the_later_one_counts() -> None:
    """Their stop reasons are inventions, so that counts are not compared: on all hosts as on one (R4)."""
    early = Copy(1, transcript=1, output=400, is_final=True, later=0, is_cut=True)
    late = Copy(1, transcript=2, output=300, is_final=True, later=3, is_cut=True)

    for responses in (
        merge(facts([early, late])).responses,
        merged(both(rows([early], "h1"), rows([late], "h2"))).responses,
    ):
        assert responses.select("output_tokens", "quality").rows() == [(300, "lower_bound")]
