"""The doctor: each cause of an empty or small figure, made on disk, is named with a next step."""

import gzip
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from time import time_ns
from typing import Any

import pytest
from evidence import evidence
from msgspec.structs import replace
from transcripts_builder import prompt, reply, session_file, usage, write

from tokenaudit.audit.doctor.diagnosis import Diagnosis, Environment, State, diagnoses
from tokenaudit.model.errors import StoreError
from tokenaudit.store import Store
from tokenaudit.store.status import StoreStatus
from tokenaudit.transcripts import discover, read
from tokenaudit.transcripts.survey import other_places, survey

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)


def environment(*roots: Path, **more: Any) -> Environment:
    surveys = [survey(root) for root in roots]
    has_any = any(each.transcripts for each in surveys)
    found = evidence(*[root for root in roots if root.exists()]) if has_any else None
    base = Environment(
        chosen_by="--root",
        surveys=surveys,
        elsewhere=[],
        environ={},
        now=NOW,
        timezone="UTC",
        zone_by="--timezone",
        watches=None,
        versions={"tokenaudit": "1"},
        settings="none",
        ledger=None if found is None else found.ledger,
        rows=None if found is None else found.rows,
        filters={},
    )
    return replace(base, **more)


def told(topic: str, of: Environment) -> list[Diagnosis]:
    return [each for each in diagnoses(of) if each.topic == topic]


def old(path: Path, moment: datetime = NOW) -> Path:
    """Let *path* be last written at *moment*."""
    os.utime(path, (moment.timestamp(), moment.timestamp()))
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    old(write(session_file(tmp_path), prompt(), reply()))
    return tmp_path


def test_a_sound_root_has_no_problem(root: Path) -> None:
    """What was found, and when it was last written."""
    of = environment(root)

    assert {State.PROBLEM} & {each.state for each in diagnoses(of)} == set()
    assert "1 transcript in 1 folder, 0.0 MB, last written just now." in told("where", of)[0].found


def test_a_root_that_is_not_there(tmp_path: Path) -> None:
    """Named by the user it is a problem; by default it is one only where nothing is found at all."""
    gone = tmp_path / "gone"
    missing, nothing = told("where", environment(gone))
    assert (State.PROBLEM, State.PROBLEM) == (missing.state, nothing.state)
    assert "does not exist" in missing.found

    missing, nothing = told("where", environment(gone, chosen_by="by default"))
    assert (State.NOTE, State.PROBLEM) == (missing.state, nothing.state)


def test_an_empty_root(tmp_path: Path) -> None:
    """With and without a folder of projects."""
    assert "and no folder `projects`" in told("where", environment(tmp_path))[0].found
    (tmp_path / "projects").mkdir()
    assert "holds no transcripts." in told("where", environment(tmp_path))[0].found


def test_another_place_is_named(root: Path) -> None:
    """Of which nothing is read."""
    found = told("where", environment(root, elsewhere=["/home/ada/.config/claude"]))[-1]

    assert (State.NOTE, True) == (found.state, "/home/ada/.config/claude" in found.found)


def test_what_is_ignored_and_why(root: Path) -> None:
    """Each reason once, with an example."""
    project = session_file(root).parent
    (project / "empty.jsonl").touch()
    (project / "journal.jsonl").write_text("{}\n")
    (project / "old.jsonl.gz").write_bytes(gzip.compress(b"{}\n"))
    (project / "link.jsonl").symlink_to(session_file(root))
    (root / "stray.jsonl").write_text("{}\n")
    (project / "notes.txt").touch()
    found = told("ignored", environment(root))

    assert sorted(
        (each.state.value, each.found.split(": ")[1].split(";")[0]) for each in found
    ) == [
        ("note", "outside of `projects`, where Claude Code keeps transcripts"),
        ("note", "packed"),
        ("ok", "empty"),
        ("ok", "journals, audits or prompt histories"),
        ("ok", "links to files that are read already"),
    ]


def test_transcripts_without_usage(tmp_path: Path) -> None:
    """Only a prompt: nothing was used."""
    write(session_file(tmp_path), prompt())

    assert "1 line, and none tells of a response." in told("usage", environment(tmp_path))[0].found


def test_usage_where_none_is_counted(tmp_path: Path) -> None:
    """Lines of a wrapper: why there is nothing; beside responses, a note."""
    wrapped = {"type": "result", "usage": usage(7)}
    path = write(session_file(tmp_path), prompt(), wrapped, {**wrapped, "type": None})
    found = told("usage", environment(tmp_path))
    write(path, prompt(), wrapped, reply())

    assert [State.PROBLEM, State.PROBLEM] == [each.state for each in found]
    assert found[0].found.startswith("2 lines with usage beside a message instead of in one")
    assert found[0].found.endswith(f"{path}:2 (type result).")
    assert State.NOTE is told("usage", environment(tmp_path))[0].state


def test_filters_that_hide(root: Path) -> None:
    """All responses, or some."""
    of = environment(root)
    assert of.rows is not None
    hidden = replace(of, rows=of.rows.clear(), filters={"since": "2026-03-03", "project": ["x"]})
    (found,) = told("usage", hidden)

    assert found.state is State.PROBLEM
    assert "1 response, but none in this selection: --since 2026-03-03, --project x." == found.found


def test_doubts_about_what_is_seen(tmp_path: Path) -> None:
    """Rejects, lost output and unpriced models, each with a number."""
    write(
        session_file(tmp_path),
        b"broken",
        reply(output=3, stop=None),
        reply("m", "r", model="glm-9"),
    )
    found = told("usage", environment(tmp_path))

    assert [State.PROBLEM, State.OK, State.NOTE, State.NOTE] == [each.state for each in found]
    assert found[0].found.startswith("1 line or file could not be read, such as ")
    assert found[2].found.startswith("1 response of 2 lack")
    assert found[3].found.startswith("1 response without a price")


def test_time(root: Path) -> None:
    """No response today; a file from the future; the day in the user's zone."""
    of = environment(root)
    zone, span = told("time", of)
    assert "It is 2026-03-03 12:00 in UTC" in zone.found
    assert (State.NOTE, "Responses from 2026-03-02 to 2026-03-02; 0 responses today.") == (
        span.state,
        span.found,
    )

    old(session_file(root), datetime(2026, 3, 3, 13, 30, tzinfo=UTC))
    assert State.PROBLEM in {each.state for each in told("time", environment(root))}


@pytest.mark.parametrize(
    ("settings", "state", "words"),
    [
        (None, State.OK, "after 30 days, as no setting says otherwise."),
        ('{"cleanupPeriodDays": 365}', State.OK, "after 365 days."),
        ('{"cleanupPeriodDays": 1}', State.NOTE, "your history begins just then"),
        ('{"cleanupPeriodDays": 0}', State.PROBLEM, "no number of days from 1"),
        ('{"cleanupPeriodDays": "soon"}', State.PROBLEM, "no number of days from 1"),
        ('{"cleanupPeriodDays"', State.OK, "after 30 days"),
        ("[]", State.OK, "after 30 days"),
    ],
)
def test_what_claude_code_deletes(
    root: Path, settings: str | None, state: State, words: str
) -> None:
    """As its settings say, or as it does without them."""
    if settings is not None:
        (root / "settings.json").write_text(settings)
    found = told("history", environment(root))[0]

    assert state is found.state
    assert words in found.found


def test_a_variable_that_stops_transcripts(root: Path) -> None:
    """Nothing is written while it is set."""
    of = environment(root, environ={"CLAUDE_CODE_SKIP_PROMPT_HISTORY": "1"})

    assert State.PROBLEM is told("history", of)[0].state
    assert "CLAUDE_CODE_SKIP_PROMPT_HISTORY=1" in told("environment", of)[0].found


@pytest.mark.parametrize(
    ("watches", "states"),
    [(None, []), (0, [State.PROBLEM]), (1, [State.NOTE]), (2, [State.OK])],
)
def test_the_limit_of_watches(root: Path, watches: int | None, states: list[State]) -> None:
    """Transcripts stand in one folder: twice that many watches are comfortable."""
    assert states == [each.state for each in told("watching", environment(root, watches=watches))]


def test_other_places(tmp_path: Path) -> None:
    """Those that exist and may hold transcripts."""
    (tmp_path / ".claude" / "projects").mkdir(parents=True)
    (tmp_path / ".config" / "claude").mkdir(parents=True)
    desktop = tmp_path / ".config" / "Claude" / "local-agent-mode-sessions"
    desktop.mkdir(parents=True)

    assert [tmp_path / ".claude", desktop] == other_places({}, tmp_path)


# the store


def kept(root: Path, folder: Path) -> StoreStatus:
    """Read *root* into a store, and return what that holds."""
    store = Store.open(folder)
    plan = store.plan(discover([root]))
    store.take(plan, read(plan.extents), now_ns=time_ns())
    return Store.look(folder).holdings()


@pytest.mark.parametrize(("gone", "words"), [("projects", "holds no"), (".", "does not exist")])
def test_a_root_that_only_the_store_knows(tmp_path: Path, gone: str, words: str) -> None:
    """Its history is counted: nothing is wrong with it, and another root is not helped by it."""
    root, empty = tmp_path / "claude", tmp_path / "empty"
    write(session_file(root), prompt(), reply())
    empty.mkdir()
    holdings = kept(root, tmp_path / "store")
    shutil.rmtree(root / gone)
    of_it, of_another = told("where", environment(root, empty, kept=holdings, ledger=None))

    assert (State.NOTE, State.PROBLEM) == (of_it.state, of_another.state)
    assert words in of_it.found
    assert "what the store knows of 1 transcript there is counted." in of_it.found


def test_the_store_is_told_of(root: Path, tmp_path: Path) -> None:
    """Unused, empty, filled, damaged: none of these hides a figure."""
    folder = tmp_path / "store"
    states = [None, Store.look(folder).holdings(), kept(root, folder)]
    (folder / "index.json").write_bytes(b"garbage")
    states.append(Store.look(folder).holdings())
    told_of = [told("store", environment(root, kept=state))[0] for state in states]

    assert [State.OK] * 3 + [State.NOTE] == [each.state for each in told_of]
    for words, each in zip(
        ("Not used", "nothing is kept yet", "1 transcript kept, 0 of", "is damaged"),
        told_of,
        strict=True,
    ):
        assert words in each.found


def test_a_store_of_a_newer_format_is_told_of(root: Path) -> None:
    """With what to do about it."""
    error = StoreError("/store: has format 9", hint="Update tokenaudit.", is_newer=True)
    (found,) = told("store", environment(root, kept=error))

    assert (State.NOTE, "Update tokenaudit.") == (found.state, found.next_step)
