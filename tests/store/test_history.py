"""The store: whatever happens to transcripts between runs, the ledger is that of all that was ever seen."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import time_ns
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opened import opened_by
from properties import examples
from reckoning import reckon
from transcripts_builder import (
    FORK,
    OTHER,
    agent_file,
    agent_result,
    encoded,
    progress,
    prompt,
    reply,
    session_file,
    sidechain,
    usage,
    write,
)

from tokenaudit.ledger.frame import Ledger, build
from tokenaudit.merge import kept_frames
from tokenaudit.pricing.card import shipped_card
from tokenaudit.store import Store, facts_without_store
from tokenaudit.store import index as indexes
from tokenaudit.store.facts import Facts
from tokenaudit.store.versions import versions as versions_of
from tokenaudit.transcripts import discover, extents_of, read

SECOND = 10**9


def took(
    root: Path, folder: Path, *, only_present: bool = False, later_s: int = 10
) -> tuple[Store, Facts]:
    """Return the store in *folder* and all facts, after what is new was read *later_s* after the last change."""
    store = Store.open(folder)
    plan = store.plan(discover([root]))
    now = time_ns() + later_s * SECOND
    facts = store.take(plan, read(plan.extents), now_ns=now, only_present=only_present)
    assert [] == store.notes
    return store, facts


def run(root: Path, folder: Path, *, only_present: bool = False, later_s: int = 10) -> Ledger:
    """Return the ledger of a run with the store in *folder*, *later_s* after the last change."""
    store, facts = took(root, folder, only_present=only_present, later_s=later_s)
    whole = build(facts, shipped_card())
    assert_summed(whole, store.settled(facts, kept_frames))
    return whole


def assert_summed(whole: Ledger, facts: Facts) -> None:
    """What was merged before, and anew where something has come since, sums up to the same."""
    few = build(
        facts, shipped_card(), ["session_id", "agent_id", "agent_type", "project", "branch"]
    )
    names = few.frame.columns
    assert whole.intake == few.intake
    for name in ("frame", "refused"):
        rows = getattr(whole, name).select(names).sort(names)
        assert rows.equals(getattr(few, name).sort(names)), name
    assert whole.agents.equals(few.agents)
    assert whole.sessions.drop("branches", "versions").equals(few.sessions)


def scratch(root: Path) -> Ledger:
    """Return the ledger of a run without a store."""
    discovery = discover([root])
    facts = facts_without_store(discovery, read(extents_of(discovery.transcripts)))
    return build(facts, shipped_card())


def assert_equal(one: Ledger, two: Ledger) -> None:
    assert one.intake == two.intake
    for name in ("frame", "refused", "sessions", "agents", "compactions", "rejects"):
        assert getattr(one, name).equals(getattr(two, name)), name


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A history of two sessions, one with a subagent."""
    root = tmp_path / "claude"
    write(session_file(root), prompt(), reply("msg_1", "req_1"), reply("msg_2", "req_2", at=60))
    write(agent_file(root, "a1"), sidechain(reply("msg_3", "req_3", at=70), "a1"))
    write(session_file(root, OTHER), prompt(at=100), reply("msg_4", "req_4", at=101))
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the store is."""
    return tmp_path / "store"


# nothing is read twice


def test_a_second_run_opens_no_transcript(root: Path, folder: Path) -> None:
    """What has not changed is known."""
    first = run(root, folder)

    assert set() == opened_by(lambda: assert_equal(first, run(root, folder)))
    assert_equal(scratch(root), first)


def test_what_is_appended_is_read_alone(root: Path, folder: Path) -> None:
    """From the byte on where the last run ended."""
    run(root, folder)
    with session_file(root).open("ab") as file:
        file.write(encoded(reply("msg_5", "req_5", at=200)) + b"\n")
    store = Store.open(folder)
    plan = store.plan(discover([root]))

    whole = encoded(prompt()) + encoded(reply("msg_1", "req_1")) + encoded(reply("msg_2", at=60))
    assert [session_file(root).name] == [Path(path).name for path in plan.changes]
    assert [len(whole) + 3 + len("req_2") - len("req_1")] == [one.start for one in plan.extents]
    assert_equal(scratch(root), run(root, folder))


def test_lines_and_records_go_on_counting(root: Path, folder: Path) -> None:
    """A reject in an appended line names its place in the whole file."""
    run(root, folder)
    with session_file(root).open("ab") as file:
        file.write(b"garbage\n" + encoded(reply("msg_5", "req_5", at=200)) + b"\n")
    found = run(root, folder)

    assert [4] == found.rejects["line"].to_list()
    assert (
        5
        == found.frame.row(by_predicate=pl.col("response_id") == "msg_5", named=True)["source_line"]
    )
    assert_equal(scratch(root), run(root, folder))


def test_a_response_that_goes_on_in_appended_lines_is_one(root: Path, folder: Path) -> None:
    """Its last line counts (R4), and its first one dates it (R8)."""
    path = session_file(root, FORK)
    write(path, prompt(), reply("msg_9", "req_9", 3, stop=None, at=1))
    run(root, folder)
    with path.open("ab") as file:
        file.write(encoded(reply("msg_9", "req_9", 700, at=5)) + b"\n")
    found = run(root, folder)

    row = found.frame.row(by_predicate=pl.col("response_id") == "msg_9", named=True)
    assert (700, "final", 1) == (row["output_tokens"], row["quality"], row["copies"])
    assert_equal(scratch(root), run(root, folder))


def test_a_half_written_line_is_read_when_it_is_whole(root: Path, folder: Path) -> None:
    """Until then it is counted as incomplete, and never twice."""
    line = encoded(reply("msg_5", "req_5", at=200)) + b"\n"
    for end in range(0, len(line) + 1, 29):
        with session_file(root).open("ab") as file:
            file.write(line[max(0, end - 29) : end])
        assert_equal(scratch(root), run(root, folder))
    with session_file(root).open("ab") as file:
        file.write(line[len(line) // 29 * 29 :])

    found = run(root, folder)
    assert (5, 0) == (found.intake.responses, found.intake.incomplete)
    assert_equal(scratch(root), run(root, folder))


def test_a_whole_line_without_its_end_is_not_counted_twice(root: Path, folder: Path) -> None:
    """It may go on, so it is read again."""
    line = encoded(reply("msg_5", "req_5", at=200))
    for more in (line, b"\n", b"\n", line + line, b"x\n"):
        with session_file(root).open("ab") as file:
            file.write(more)
        assert_equal(scratch(root), run(root, folder))


def test_a_line_that_takes_many_runs_is_counted_once(root: Path, folder: Path) -> None:
    """Of parts that begin at the same byte the last one tells."""
    line = encoded(reply("msg_5", "req_5", at=200)) + b"\n"
    for piece in (line[:40], line[40:80], line[80:120], line[120:]):
        with session_file(root).open("ab") as file:
            file.write(piece)
        run(root, folder)
    found = run(root, folder)

    assert (7, 0) == (found.intake.lines, found.intake.incomplete)
    assert_equal(scratch(root), found)


def test_touched_files_are_not_read_again(root: Path, folder: Path) -> None:
    """A new time, or another inode with the same content, is no new content."""
    first = run(root, folder)
    copy = root / "copy"
    shutil.copy(session_file(root), copy)
    copy.replace(session_file(root))
    plan = Store.open(folder).plan(discover([root]))

    assert [session_file(root).stat().st_size] == [extent.start for extent in plan.extents]
    assert_equal(first, run(root, folder))


def test_a_file_written_within_a_tick_of_the_clock_is_looked_at_again(
    root: Path, folder: Path
) -> None:
    """Same size, same time, another content: only its bytes tell."""
    before = session_file(root).stat()
    run(root, folder, later_s=0)
    lines = session_file(root).read_bytes().replace(b"msg_2", b"msg_8")
    session_file(root).write_bytes(lines)
    os.utime(session_file(root), ns=(before.st_atime_ns, before.st_mtime_ns))

    assert "msg_8" in run(root, folder).frame["response_id"]


@pytest.mark.parametrize("came", [{"msg_6"}, {"msg_6", "msg_7", "msg_8"}])
def test_a_file_replaced_between_the_plan_and_the_reading_is_no_continuation(
    root: Path, folder: Path, came: set[str]
) -> None:
    """What the run knew stands; the next one finds the other file, and keeps the first as history."""
    run(root, folder)
    with session_file(root).open("ab") as file:
        file.write(encoded(reply("msg_5", "req_5", at=200)) + b"\n")
    store = Store.open(folder)
    plan = store.plan(discover([root]))
    other = write(root / "other", *(reply(name, name, at=300) for name in sorted(came)))
    other.replace(session_file(root))
    facts = store.take(plan, read(plan.extents), now_ns=time_ns() + 10 * SECOND)
    known = {"msg_1", "msg_2", "msg_3", "msg_4"}

    assert known == {*build(facts, shipped_card()).frame["response_id"]}
    found = run(root, folder)
    assert known | came == {*found.frame["response_id"]}
    assert 0 == found.rejects.height


def test_what_is_looked_at_again_and_has_not_grown_is_not_merged_again(
    root: Path, folder: Path
) -> None:
    """Read within a tick of its last line, a transcript is opened once more, and that is all."""
    first = run(root, folder, later_s=0)
    before = indexes.load(folder)
    found: list[Ledger] = []
    opened = opened_by(lambda: found.append(run(root, folder)))
    after = indexes.load(folder)

    assert session_file(root).name in opened
    assert before is not None
    assert after is not None
    assert (before.parts(), before.merged) == (after.parts(), after.merged)
    assert before.segments == after.segments
    assert set() == opened_by(lambda: run(root, folder))
    assert_equal(first, found[0])


def test_a_file_of_what_the_agent_is_may_come_later(root: Path, folder: Path) -> None:
    """Then its transcript is read again, to know the agent's type."""
    run(root, folder)
    meta = agent_file(root, "a1").with_name("agent-a1.meta.json")
    meta.write_text('{"agentType": "Explore"}')
    found = run(root, folder)

    assert "Explore" in found.agents["agent_type"]
    assert_equal(scratch(root), run(root, folder))


def test_results_are_looked_for_when_the_subagent_appears(root: Path, folder: Path) -> None:
    """The parent's transcript was read when there was none (R4)."""
    told = {**usage(850), "cache_read_input_tokens": 9}
    path = session_file(root, FORK)
    write(path, prompt(), agent_result(told, "b2", at=9), reply("msg_7", "req_7", at=10))
    run(root, folder)
    last = reply("msg_8", "req_8", stop=None, counts={**told, "output_tokens": 3}, at=8)
    write(agent_file(root, "b2", FORK), sidechain(last, "b2"))
    found = run(root, folder)

    assert (
        850
        == found.frame.row(by_predicate=pl.col("response_id") == "msg_8", named=True)[
            "output_tokens"
        ]
    )
    assert_equal(scratch(root), run(root, folder))


def test_a_late_line_of_an_earlier_reply_is_not_the_last_reply(root: Path, folder: Path) -> None:
    """The reply that began last is repaired, wherever the transcript was cut (R4)."""
    told = usage(850)
    write(session_file(root, FORK), prompt(), agent_result(told, "b2", at=90))
    path = agent_file(root, "b2", FORK)
    last = reply("msg_8", "req_8", stop=None, counts=usage(3), at=8)
    write(path, sidechain(reply("msg_7", "req_7", 2, stop=None, at=7), "b2"), sidechain(last, "b2"))
    run(root, folder)
    late = sidechain(reply("msg_7", "req_7", 40, at=9), "b2")
    with path.open("ab") as file:
        file.write(encoded(late) + b"\n")
    found = run(root, folder)

    outputs = dict(found.frame.select("response_id", "output_tokens").iter_rows())
    assert (40, 850) == (outputs["msg_7"], outputs["msg_8"])
    assert_equal(scratch(root), found)


def test_filters_open_nothing_that_is_known(root: Path, folder: Path) -> None:
    """The plan knows no filter: what is known is not opened, whichever days are asked for."""
    run(root, folder)
    write(session_file(root, FORK), prompt(), reply("msg_5", "req_5", at=3000))

    assert {session_file(root, FORK).name} == opened_by(lambda: run(root, folder))


# history outlives transcripts


def test_transcripts_that_are_gone_still_count(root: Path, folder: Path) -> None:
    """Claude Code deletes them after 30 days; what they held was used all the same."""
    first = run(root, folder)
    session_file(root, OTHER).unlink()
    found = run(root, folder)

    assert found.frame.equals(first.frame)
    assert [1, 0] == [
        sum(state.gone_ns is not None for state in Store.open(folder).index.files),
        scratch(root).frame["response_id"].to_list().count("msg_4"),
    ]
    assert_equal(scratch(root), run(root, folder, only_present=True))


def test_a_transcript_may_come_back(root: Path, folder: Path) -> None:
    """From a backup, say: then it is no longer gone."""
    path = session_file(root, OTHER)
    content = path.read_bytes()
    run(root, folder)
    path.unlink()
    run(root, folder)
    path.write_bytes(content + encoded(reply("msg_5", "req_5", at=300)) + b"\n")

    assert_equal(scratch(root), run(root, folder))
    assert [] == [one for one in Store.open(folder).index.files if one.gone_ns is not None]


@pytest.mark.parametrize(
    ("fate", "lines"),
    [
        pytest.param(
            "rewritten", [prompt("else"), *map(reply, ("m1", "m2", "m3"), ("r1", "r2", "r3"))]
        ),
        pytest.param("shrank", [prompt()]),
    ],
)
def test_versions_that_were_overwritten_still_count(
    root: Path, folder: Path, fate: str, lines: list[Any]
) -> None:
    """What they held is recorded, and stays in the ledger; --only-present leaves it out."""
    first = run(root, folder)
    write(session_file(root), *lines)
    found = run(root, folder)

    assert set(first.frame["response_id"]) <= set(found.frame["response_id"])
    former = [one for state in Store.open(folder).index.files for one in state.former]
    assert [(fate, 0)] == [(one.fate, one.revision) for one in former]
    assert_equal(scratch(root), run(root, folder, only_present=True))


def test_another_root_is_another_history(root: Path, folder: Path, tmp_path: Path) -> None:
    """What is kept of one root does not count in the report of another."""
    run(root, folder)
    other = tmp_path / "other"
    write(session_file(other), prompt(), reply("msg_x", "req_x"))

    assert ["msg_x"] == run(other, folder).frame["response_id"].to_list()
    assert_equal(scratch(root), run(root, folder))
    below = session_file(root).parent
    assert_equal(scratch(below), run(below, folder))
    assert_equal(scratch(session_file(root)), run(session_file(root), folder))


def test_a_transcript_found_by_another_name_counts_once(root: Path, folder: Path) -> None:
    """It is not gone, though it is not found by the name under which it is known."""
    run(root, folder)
    path = session_file(root)
    path.rename(path.with_name("moved.jsonl"))
    path.symlink_to(path.with_name("moved.jsonl"))

    found = run(root, folder)
    assert scratch(root).frame["response_id"].to_list() == found.frame["response_id"].to_list()


# any history


LINES = [
    encoded(line) + b"\n"
    for number in range(6)
    for line in (
        prompt(f"go {number}", at=number * 7),
        reply(f"msg_{number}", f"req_{number}", 3, stop=None, at=number * 7 + 1),
        reply(f"msg_{number}", f"req_{number}", 200 + number, at=number * 7 + 2),
        reply(f"alone_{number}", None, 50, at=number * 7 + 3),
        progress(reply(f"sub_{number}", f"sreq_{number}", 9), at=number * 7 + 4),
    )
] + [
    b"garbage\n",
    b'{"type":"custom-title","customTitle":"Kiln","sessionId":"s"}\n',
    b'{"type":"system","subtype":"compact_boundary","uuid":"u","timestamp":"2026-03-02T10:00:00.000Z"}\n',
    encoded(agent_result(usage(77), at=50)) + b"\n",
    encoded(sidechain(reply("inline", "req_inline"))) + b"\n",
]
NAMES = ("main", "other", "agent")
CONTENTS = st.lists(st.sampled_from(LINES), max_size=6).map(b"".join)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["append", "append", "append", "cut", "replace", "delete", "run", "run"]),
        st.sampled_from(NAMES),
        CONTENTS,
        st.integers(0, 3000),
    ),
    min_size=2,
    max_size=14,
)


class Seen:
    """An independent memory of all that runs have seen: for each file the contents of its versions."""

    def __init__(self, paths: dict[str, Path]) -> None:
        self.paths = paths
        self.versions: dict[str, list[bytes]] = {name: [] for name in paths}

    def look(self) -> None:
        """See what a run sees now: what begins as a known content did is the same version."""
        for name, path in self.paths.items():
            if not path.exists():
                continue
            content = path.read_bytes()
            versions = self.versions[name]
            known = versions[-1] if versions else b""
            if versions and content.startswith(known[: known.rfind(b"\n") + 1]):
                versions[-1] = content
            else:
                versions.append(content)

    def write(self, root: Path, source: Path) -> None:
        """Write all versions below *root*, each in a tree of its own."""
        for name, versions in self.versions.items():
            for number, content in enumerate(versions):
                path = root / str(number) / self.paths[name].relative_to(source)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)


def change(path: Path, step: str, content: bytes, at: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if step == "append":
        with path.open("ab") as file:
            file.write(content)
    elif step == "cut" and path.exists():
        path.write_bytes(path.read_bytes()[:at])
    elif step == "replace":
        path.write_bytes(content)
    elif step == "delete":
        path.unlink(missing_ok=True)


@contextmanager
def workshop() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp())
    try:
        yield place
    finally:
        shutil.rmtree(place)


@examples(30, makes_smaller=False)
@given(STEPS)
def test_any_history_gives_the_ledger_of_all_that_was_ever_seen(
    steps: list[tuple[str, str, bytes, int]],
) -> None:
    """Appends, truncations at any byte, replacements and deletions, with runs at any time."""
    with workshop() as place:
        root, folder, seen = place / "claude", place / "store", place / "seen"
        paths = {
            "main": session_file(root),
            "other": session_file(root, OTHER),
            "agent": agent_file(root),
        }
        write(session_file(root, FORK), prompt("the anchor"))
        memory = Seen({**paths, "anchor": session_file(root, FORK)})
        for step, name, content, at in [*steps, ("run", "main", b"", 0)]:
            if step == "run":
                run(root, folder, later_s=0)
                memory.look()
            else:
                change(paths[name], step, content, at)
        memory.write(seen, root)
        expected, found = scratch(seen), run(root, folder)

    apart = ("source_path", "source_line")
    by = ["response_id", "request_id", "time"]
    wanted, got = (one.frame.drop(apart).sort(by) for one in (expected, found))
    for name in wanted.columns:
        assert wanted[name].to_list() == got[name].to_list(), name
    for name in ("responses", "usage_lines", "copies", "odd_values", "lines"):
        assert getattr(expected.intake, name) == getattr(found.intake, name), name
    latest = [versions[-1] for versions in memory.versions.values() if versions]
    assert sum(len(reckon(content).rejects) for content in latest) == found.intake.rejects


@examples(12, makes_smaller=False)
@given(st.lists(st.lists(st.sampled_from(LINES), max_size=8), min_size=1, max_size=6), st.data())
def test_incremental_reading_is_reading_from_scratch(
    growth: list[list[bytes]], data: st.DataObject
) -> None:
    """Files that only grow, cut anywhere, some runs interrupted: the whole ledger is the same."""
    with workshop() as place:
        root, folder = place / "claude", place / "store"
        paths = [session_file(root), session_file(root, OTHER), agent_file(root)]
        write(session_file(root, FORK), prompt("the anchor"))
        for lines in growth:
            path = data.draw(st.sampled_from(paths))
            path.parent.mkdir(parents=True, exist_ok=True)
            content = b"".join(lines)
            cut = data.draw(st.integers(0, len(content)))
            for piece in (content[:cut], content[cut:]):
                with path.open("ab") as file:
                    file.write(piece)
                if data.draw(st.booleans()):
                    interrupted(root, folder, after=data.draw(st.integers(0, 2)))
                else:
                    run(root, folder, later_s=0)
        expected, found = scratch(root), run(root, folder)

    assert_equal(expected, found)


def interrupted(root: Path, folder: Path, *, after: int) -> None:
    """Run, and be interrupted when *after* transcripts have been read."""
    store = Store.open(folder)
    plan = store.plan(discover([root]))

    def readings() -> Iterator[Any]:
        for number, extent in enumerate(plan.extents):
            if number == after:
                raise KeyboardInterrupt
            yield from read([extent])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.take(plan, readings(), now_ns=time_ns())


def test_an_interrupted_run_keeps_what_it_has_read(root: Path, folder: Path) -> None:
    """Ctrl-C after one of three transcripts: the next run reads two."""
    interrupted(root, folder, after=1)
    plan = Store.open(folder).plan(discover([root]))

    assert [0, 0] == sorted(extent.start for extent in plan.extents)[:2]
    assert 1 == sum(extent.start > 0 for extent in plan.extents)
    assert_equal(scratch(root), run(root, folder))


def test_segments_stay_few(root: Path, folder: Path) -> None:
    """Each run adds one; the young ones are merged, so that a hundred runs leave a handful."""
    path = session_file(root)
    for number in range(40):
        with path.open("ab") as file:
            file.write(encoded(reply(f"m{number}", f"r{number}", at=300 + number)) + b"\n")
        took(root, folder)
    names = {one.name for one in folder.iterdir() if one.suffix == ".zip"}
    index = Store.open(folder).index

    assert {*index.names()} == names
    assert len(index.segments) <= 7
    assert_equal(scratch(root), run(root, folder))


# nothing is merged twice


def merged_names(folder: Path) -> list[str]:
    """Return the names of what is kept of merging."""
    return sorted(path.name for path in folder.glob("merged-*"))


def grown(root: Path, number: int = 100) -> None:
    """Add a session that is much longer than what the others hold."""
    replies = (reply(f"long_{at}", f"long_{at}", at=5000 + at) for at in range(number))
    write(session_file(root, FORK), prompt(at=4999), *replies)


def taken(root: Path, folder: Path) -> Facts:
    """Return the facts of a run, with what was merged of them before."""
    return took(root, folder)[1]


def test_what_is_known_is_not_merged_again(root: Path, folder: Path) -> None:
    """Neither in a run with nothing new, nor where other sessions have grown."""
    grown(root)
    run(root, folder)
    names = merged_names(folder)
    unchanged = taken(root, folder)
    with session_file(root, OTHER).open("ab") as file:
        file.write(encoded(reply("msg_5", "req_5", at=200)) + b"\n")
    appended = taken(root, folder)

    assert unchanged.kept is not None
    assert unchanged.anew is None
    assert appended.kept is not None
    assert appended.anew is not None
    assert {str(session_file(root, OTHER))} == {*appended.anew.transcripts["path"]}
    assert {"msg_4", "msg_5"} == {*appended.anew.records["message_id"]}
    assert_equal(scratch(root), run(root, folder))
    assert len(names) == 1
    assert names == merged_names(folder)  # so little is new that it is merged again for now


def test_sessions_that_share_a_response_are_merged_together(root: Path, folder: Path) -> None:
    """Whether by its id or, without one, by its uuid; and what these share with further ones."""
    grown(root)
    third, fourth = (
        session_file(root, f"{digit * 8}-1111-4111-8111-111111111111") for digit in "34"
    )
    anonymous = {**reply("", None, at=300), "uuid": "the same"}
    anonymous["message"].pop("id")
    write(third, prompt(at=150), reply("msg_4", "req_4", at=101), anonymous)
    write(fourth, prompt(at=160), anonymous, reply("msg_9", "req_9", at=900))
    run(root, folder)
    with session_file(root, OTHER).open("ab") as file:
        file.write(encoded(reply("msg_5", "req_5", at=200)) + b"\n")
    anew = taken(root, folder).anew

    assert anew is not None
    assert {str(session_file(root, OTHER)), str(third), str(fourth)} == {*anew.transcripts["path"]}
    assert_equal(scratch(root), run(root, folder))


def test_a_transcript_that_turns_out_to_be_of_another_session(root: Path, folder: Path) -> None:
    """What was told to the agents of the one it seemed to be of is no longer told to them."""
    grown(root)
    path = session_file(root).with_name("unnamed.jsonl")
    write(path, {"type": "mode", "mode": "plan"})
    run(root, folder)
    with path.open("ab") as file:
        file.write(encoded(reply("msg_7", "req_7", at=200)) + b"\n")

    assert_equal(scratch(root), run(root, folder))


def test_what_cannot_be_used_is_merged_again(root: Path, folder: Path) -> None:
    """A file that is gone, or damaged, or of another version; the figures are the same."""
    first = run(root, folder)

    def damaged(path: Path) -> None:
        path.write_bytes(path.read_bytes()[:-60])

    def foreign(_: Path) -> None:
        known = indexes.load(folder)
        assert known is not None
        assert known.merged is not None
        known.merged.made_by = "0.0.1/1"
        indexes.save(known, folder)

    for spoil in (Path.unlink, damaged, foreign):
        (name,) = merged_names(folder)
        spoil(folder / name)
        assert taken(root, folder).kept is None

        assert_equal(first, run(root, folder))
        assert taken(root, folder).kept is not None


def test_a_part_of_the_store_leaves_what_is_kept_of_the_whole(root: Path, folder: Path) -> None:
    """Runs over few roots, or without what is gone, merge for themselves."""
    run(root, folder)
    names = merged_names(folder)
    session_file(root, OTHER).unlink()
    one = session_file(root)
    run(root, folder)
    again = merged_names(folder)

    assert_equal(scratch(one), run(one, folder))
    assert_equal(scratch(root), run(root, folder, only_present=True))
    assert names == again == merged_names(folder)


def test_what_is_forgotten_is_kept_nowhere(root: Path, folder: Path) -> None:
    """Nor in what was merged of it."""
    run(root, folder)
    session_file(root, OTHER).unlink()
    run(root, folder)
    store = Store.open(folder)
    store.forget([one for one in versions_of(store.index) if one.fate == "gone"])

    assert [] == merged_names(folder)
    assert_equal(scratch(root), run(root, folder))
    assert len(merged_names(folder)) == 1
