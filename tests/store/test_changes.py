"""The store and changes of files: whatever changes anywhere in a transcript that is on disk is found."""

import json
import os
import shutil
import sys
import tempfile
import zlib
from pathlib import Path
from time import time_ns
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opened import opened_by
from properties import examples
from reckoning import reckon
from transcripts_builder import OTHER, encoded, prompt, reply, session_file, write

from tokenaudit.ledger.frame import Ledger, build
from tokenaudit.pricing.card import shipped_card
from tokenaudit.store import Store, facts_without_store
from tokenaudit.store import index as indexes
from tokenaudit.store.plan import Plan
from tokenaudit.transcripts import discover, extents_of, lines, prefix_digest, read

SECOND = 10**9


def planned(root: Path, folder: Path) -> tuple[Store, Plan]:
    store = Store.open(folder)
    return store, store.plan(discover([root]))


def run(root: Path, folder: Path, *, only_present: bool = False) -> Ledger:
    """Return the ledger of a run with the store in *folder*, long after the last change."""
    store, plan = planned(root, folder)
    now = time_ns() + 10 * SECOND
    facts = store.take(plan, read(plan.extents), now_ns=now, only_present=only_present)
    assert [] == store.notes
    return build(facts, shipped_card())


def run_without(root: Path) -> Ledger:
    discovery = discover([root])
    return build(
        facts_without_store(discovery, read(extents_of(discovery.transcripts))), shipped_card()
    )


def assert_as_without_store(root: Path, folder: Path) -> None:
    """What is on disk is in the store as a run without one reads it: responses, rejects, all sums."""
    one, two = run(root, folder, only_present=True), run_without(root)
    columns = [name for name in one.frame.columns if name != "estimate"]
    assert (
        one.frame.select(columns)
        .sort("response_id")
        .equals(two.frame.select(columns).sort("response_id"))
    )
    assert one.rejects.equals(two.rejects)
    assert one.intake == two.intake


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A transcript of 40 responses, and another."""
    root = tmp_path / "claude"
    write(
        session_file(root),
        *(line for at in range(40) for line in (prompt(), reply(f"m{at}", f"r{at}", at=at))),
    )
    write(session_file(root, OTHER), prompt(at=100), reply("msg_4", "req_4", at=101))
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the store is."""
    return tmp_path / "store"


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a transcript of some kilobytes have many digests, and be read in many blocks."""
    monkeypatch.setattr(prefix_digest, "DIGESTED", 512)
    monkeypatch.setattr(lines, "BLOCK", 300)


def overwrite(path: Path, data: bytes, *, keep_mtime: bool) -> None:
    """Let the same file hold *data*; perhaps with the time that it had."""
    before = path.stat()
    with path.open("r+b") as file:
        file.write(data)
    if keep_mtime:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("keep_mtime", [False, True])
def test_a_hole_that_is_filled_later_at_the_same_size_is_found(
    root: Path, folder: Path, *, keep_mtime: bool
) -> None:
    """A copy out of order: what stood in the hole counts as soon as it is there, and no reject is left."""
    path = session_file(root)
    whole = path.read_bytes()
    third = len(whole) // 3
    overwrite(path, whole[:third] + bytes(third) + whole[2 * third :], keep_mtime=keep_mtime)
    expected = reckon(path.read_bytes())
    before = run(root, folder)
    overwrite(path, whole, keep_mtime=keep_mtime)
    after = run(root, folder)

    assert 1 == len(expected.rejects) < expected.usage_lines < 40
    assert (expected.usage_lines + 1, 1) == (before.intake.responses, before.intake.rejects)
    assert (41, 0) == (after.intake.responses, after.intake.rejects)
    assert_as_without_store(root, folder)


@examples(30)
@given(st.data())
@pytest.mark.usefixtures("small_blocks")
def test_whatever_changes_in_a_file_is_found(data: st.DataObject) -> None:
    """Same-size edits, holes, swaps of lines, lines appended, all with the old time or not: as without a store."""
    place = Path(tempfile.mkdtemp())
    try:
        root, folder = place / "claude", place / "store"
        path = session_file(root)
        content = [
            encoded(each)
            for at in range(12)
            for each in (prompt(), reply(f"m{at}", f"r{at}", at=at))
        ]
        write(path, *content)
        run(root, folder)
        for _ in range(data.draw(st.integers(1, 3))):
            changed = data.draw(changes(path.read_bytes()))
            overwrite(path, changed, keep_mtime=data.draw(st.booleans()))
            assert_as_without_store(root, folder)
    finally:
        shutil.rmtree(place)


@st.composite
def changes(draw: st.DrawFn, data: bytes) -> bytes:
    """What *data* may become: never shorter."""
    at = draw(st.integers(0, len(data) - 1))
    match draw(st.integers(0, 4)):
        case 0:  # a digit or a letter
            return (
                data[:at] + draw(st.sampled_from([b"7", b"0", b"x", b"}", b"\n"])) + data[at + 1 :]
            )
        case 1:  # a hole
            end = min(at + draw(st.integers(1, 1500)), len(data))
            return data[:at] + bytes(end - at) + data[end:]
        case 2:  # two lines change places
            found = data.splitlines(keepends=True)
            one, two = draw(st.integers(0, len(found) - 1)), draw(st.integers(0, len(found) - 1))
            found[one], found[two] = found[two], found[one]
            return b"".join(found)
        case 3:  # more lines
            return (
                data
                + encoded(reply("more", f"more{at}", at=at))
                + draw(st.sampled_from([b"\n", b""]))
            )
        case _:
            return data


@pytest.mark.usefixtures("small_blocks")
def test_a_file_of_which_only_times_have_changed_is_not_parsed_again(
    root: Path, folder: Path
) -> None:
    """Its digests tell that it is the same; from then on one look at its times is enough again."""
    first = run(root, folder)
    session_file(root).touch()
    session_file(root, OTHER).chmod(0o600)
    _, plan = planned(root, folder)

    assert [extent.transcript.size for extent in plan.extents] == [
        extent.start for extent in plan.extents
    ]
    assert 2 == len(plan.extents)
    assert first.frame.equals(run(root, folder).frame)
    assert [] == planned(root, folder)[1].extents


def test_a_file_that_has_not_changed_is_not_opened(root: Path, folder: Path) -> None:
    """One stat is all that it costs, however large it is."""
    run(root, folder)

    assert set() == opened_by(lambda: planned(root, folder))


# lines that are too long


@pytest.fixture
def low_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a line of some kilobytes be too long, and a file of some more be read in pieces."""
    monkeypatch.setattr(lines, "LONGEST_LINE", 20_000)
    monkeypatch.setattr(lines, "BLOCK", 1_000)
    monkeypatch.setattr(sys.modules["tokenaudit.transcripts.read"], "_BATCH", 8_000)


@pytest.mark.parametrize("end", [b"\n", b""])
@pytest.mark.usefixtures("low_limit")
def test_what_stands_around_a_line_that_is_too_long_is_kept(
    root: Path, folder: Path, end: bytes
) -> None:
    """It is a reject; nothing is read twice, and when the file is gone its other responses are known."""
    path = session_file(root)
    long = encoded(reply("long", text="x" * 70_000))
    with path.open("ab") as file:
        file.write(long + b"\n" + encoded(reply("m99", "r99", at=99)) + b"\n" + long + end)
    before = run(root, folder)
    _, plan = planned(root, folder)
    path.unlink()
    after = run(root, folder)

    assert [(81, "longer than 64 MiB"), (83, "longer than 64 MiB")] == before.rejects.select(
        "line", "reason"
    ).rows()
    assert 42 == before.intake.responses
    assert [] == plan.extents
    assert (42, 2) == (after.intake.responses, after.intake.rejects)


@pytest.mark.usefixtures("low_limit")
def test_a_line_that_is_too_long_is_one_reject_though_it_grows(root: Path, folder: Path) -> None:
    """It was one before it had an end, and is none twice; lines behind it have their numbers."""
    path = session_file(root)
    with path.open("ab") as file:
        file.write(b'{"x":"' + b"x" * 30_000)
    first = run(root, folder)
    with path.open("ab") as file:
        file.write(b"x" * 30_000 + b'"}\nbad\n')
    second = run(root, folder)

    assert [81] == first.rejects["line"].to_list()
    assert [81, 82] == second.rejects["line"].to_list()
    assert_as_without_store(root, folder)


# what an older tokenaudit left


def test_a_store_of_format_1_is_read_and_its_transcripts_are_read_again(
    root: Path, folder: Path
) -> None:
    """It knew its transcripts by their two ends: what is gone is still known, the rest is read anew."""
    run(root, folder)
    session_file(root, OTHER).unlink()
    path = folder / indexes.NAME
    index = json.loads(path.read_bytes().partition(b"\n")[2])
    for state in index["files"]:
        for name in ("ctime_ns", "blocks", "read_by"):
            del state[name]
        state["digests"] = ["0123456789abcdef", "0123456789abcdef"]
    body = json.dumps(index).encode()
    header: dict[str, Any] = {"tokenaudit_store": 1, "crc32": zlib.crc32(body)}
    path.write_bytes(json.dumps(header).encode() + b"\n" + body)
    _, plan = planned(root, folder)
    found = run(root, folder)

    assert [0] == [extent.start for extent in plan.extents]
    assert (41, 1) == (found.intake.responses, found.intake.gone)
    assert [] == planned(root, folder)[1].extents
