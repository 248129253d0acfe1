"""Rows of a lake: they follow the rules of merging, and uniting them obeys the laws of merging."""

from pathlib import Path

import polars as pl
import pytest
from evidence import Copy, facts, histories, rows
from hypothesis import given, settings
from polars.testing import assert_frame_equal
from stories import STORIES, Story
from transcripts_builder import facts_of, reply, session_file, write

from tokenaudit import transcripts
from tokenaudit.lake.rows import SCHEMA, merged, rows_of, unite
from tokenaudit.merge import merge
from tokenaudit.store.facts import Facts

LAWS = settings(max_examples=40, deadline=None)
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
    """A row for each response that has a line of its own, with the documented columns only."""
    read_facts = read(story.root)
    found = rows_of(read_facts, host="h", label="l")

    own = merge(read_facts).responses.filter(pl.col("kind") == "message")
    assert found.height == own.height
    assert dict(found.schema) == dict(SCHEMA)
    assert_frame_equal(unite(found), found)


@LAWS
@given(histories(), histories())
def test_uniting_is_commutative(one: list[Copy], other: list[Copy]) -> None:
    """The order in which hosts are read never matters."""
    a, b = rows(one, "h1"), rows(other, "h2")
    assert_frame_equal(unite(both(a, b)), unite(both(b, a)))


@LAWS
@given(histories(), histories(), histories())
def test_uniting_is_associative(one: list[Copy], two: list[Copy], three: list[Copy]) -> None:
    """What was united before never matters."""
    a, b, c = rows(one, "h1"), rows(two, "h2"), rows(three, "h3")
    together = unite(both(a, b, c))
    assert_frame_equal(unite(both(unite(both(a, b)), c)), together)
    assert_frame_equal(unite(both(a, unite(both(b, c)))), together)


@LAWS
@given(histories(), histories())
def test_uniting_is_idempotent(one: list[Copy], other: list[Copy]) -> None:
    """Evidence that is there already changes nothing."""
    united = unite(both(rows(one, "h1"), rows(other, "h2")))
    assert_frame_equal(unite(united), united)
    assert_frame_equal(unite(both(united, rows(one, "h1"))), united)


@LAWS
@given(histories(), histories())
def test_uniting_is_monotone(one: list[Copy], other: list[Copy]) -> None:
    """More evidence takes no response away and makes no quality worse."""
    before = rows(one, "h1")
    after = unite(both(before, rows(other, "h2")))
    ranks = dict(after.select("message_id", "quality").iter_rows())
    for message, quality in before.select("message_id", "quality").iter_rows():
        assert RANK[ranks[message]] >= RANK[quality]


@LAWS
@given(histories(), histories())
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


_FRAMES = (
    *("records", "iterations", "transcripts", "titles"),
    *("compactions", "rejects", "results"),
)


def test_final_copy_of_a_neighbour_wins_and_the_owner_stays() -> None:
    """The host whose transcript began first owns the response; the count is the finished line's."""
    early = Copy(1, transcript=3, output=5, is_final=False, later=0)
    late = Copy(1, transcript=1, output=400, is_final=True, later=9)

    found = unite(both(rows([early], "h1"), rows([late], "h2"))).row(0, named=True)

    assert (found["host"], found["branch"]) == ("h1", "branch of 3")
    assert (found["output_tokens"], found["quality"]) == (400, "final")
    assert (found["owner_path"], found["source_path"]) == ("t3", "t1")


def test_lines_without_any_id_are_never_taken_for_each_other(tmp_path: Path) -> None:
    """The same line exported again is one response; that of another host is another."""
    line = reply(None, None, uuid=None)
    write(session_file(tmp_path), line, {**line, "timestamp": "2026-03-02T10:00:00.000Z"})
    found = rows_of(read(tmp_path), host="h1", label=None)

    assert found.height == 2
    assert_frame_equal(unite(both(found, found)), found)
    assert unite(both(found, found.with_columns(host=pl.lit("h2")))).height == 4
