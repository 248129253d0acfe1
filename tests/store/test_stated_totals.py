"""What Claude Code says itself of sessions is kept: nothing is read twice, no history is lost."""

import json
from pathlib import Path
from time import time_ns

import pytest
from msgspec.structs import replace
from opened import opened_by
from transcripts_builder import (
    FORK,
    MODEL,
    OTHER,
    SESSION,
    cost_state,
    encoded,
    last_session,
    reply,
    session_file,
    write,
)

from tokenaudit.store import Store
from tokenaudit.store import index as indexes
from tokenaudit.store.facts import Facts
from tokenaudit.transcripts import discover, read

SMALL, LARGE = {MODEL: (1, 2, 3, 4, 0.25)}, {MODEL: (10, 20, 30, 40, 2.5)}


def run(root: Path, folder: Path, *, only_present: bool = False) -> Facts:
    store = Store.open(folder)
    plan = store.plan(discover([root]))
    now = time_ns() + 10**10
    facts = store.take(plan, read(plan.extents), now_ns=now, only_present=only_present)
    assert [] == store.notes
    return facts


def stated(facts: Facts) -> list[tuple[str, int | None, str]]:
    return sorted(facts.totals.select("session_id", "line", "total_cost_usd").rows(), key=str)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "claude"
    write(session_file(root), reply(), cost_state(SMALL))
    write(session_file(root, OTHER), reply("msg_2", "req_2", at=100))
    return root


def config(root: Path, session: str) -> None:
    projects = {"/work/app": last_session(LARGE, session=session)}
    (root / ".claude.json").write_text(json.dumps({"projects": projects}))


def test_totals_come_out_of_the_store_as_they_went_in(root: Path, tmp_path: Path) -> None:
    """In a second run no transcript is opened; a line that is appended counts on."""
    folder = tmp_path / "store"
    run(root, folder)
    again: list[Facts] = []
    assert set() == opened_by(lambda: again.append(run(root, folder)))
    assert [(SESSION, 2, "0.25")] == stated(again[0])
    with session_file(root).open("ab") as file:
        file.write(encoded(cost_state(LARGE)) + b"\n")

    assert [(SESSION, 2, "0.25"), (SESSION, 3, "2.5")] == stated(run(root, folder))


def test_totals_outlive_their_transcript(root: Path, tmp_path: Path) -> None:
    """Claude Code deletes it after a month; --only-present leaves them out."""
    folder = tmp_path / "store"
    run(root, folder)
    session_file(root).unlink()

    assert [(SESSION, 2, "0.25")] == stated(run(root, folder))
    assert [] == stated(run(root, folder, only_present=True))


def test_what_claude_json_said_outlives_it(root: Path, tmp_path: Path) -> None:
    """The next session of the project takes its place there, not here; other roots have their own."""
    folder = tmp_path / "store"
    config(root, SESSION)
    run(root, folder)
    config(root, OTHER)
    both = [(SESSION, 2, "0.25"), (SESSION, None, "2.5"), (OTHER, None, "2.5")]

    assert sorted(both, key=str) == stated(run(root, folder))
    (root / ".claude.json").unlink()
    assert sorted(both, key=str) == stated(run(root, folder))
    assert both[:1] == stated(run(root, folder, only_present=True))
    other = tmp_path / "other"
    write(session_file(other, FORK), reply("msg_3", "req_3"))
    assert [] == stated(run(other, folder))


def test_what_an_older_version_read_is_read_again(root: Path, tmp_path: Path) -> None:
    """It passed these lines by; what is gone stays as it was read."""
    folder = tmp_path / "store"
    run(root, folder)
    index = indexes.load(folder)
    assert index is not None
    old = [replace(state, read_by=0) for state in index.files]
    indexes.save(replace(index, files=old), folder)
    session_file(root, OTHER).unlink()
    store = Store.open(folder)
    plan = store.plan(discover([root]))

    assert [str(session_file(root))] == [extent.transcript.path for extent in plan.extents]
    facts = store.take(plan, read(plan.extents), now_ns=time_ns() + 10**10)
    assert [(SESSION, 2, "0.25")] == stated(facts)
    assert 2 == facts.records.height
    assert {} == Store.open(folder).plan(discover([root])).changes


def test_what_is_forgotten_of_a_session_is_its_total_too(root: Path, tmp_path: Path) -> None:
    """Once its transcript is: that of another session stays."""
    folder = tmp_path / "store"
    for session in (SESSION, OTHER):
        config(root, session)
        run(root, folder)
    store = Store.open(folder)
    chosen = [one for one in store.holdings().versions if one.path == str(session_file(root))]
    store.forget(chosen)
    index = indexes.load(folder)

    assert index is not None
    assert [OTHER] == [total.session_id for total in index.totals]
