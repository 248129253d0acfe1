"""Requests that no response answers, and why: as the story's README tells them."""

import shutil
from pathlib import Path
from time import time_ns

import polars as pl
from stories import FIXTURES
from transcripts_builder import SESSION, facts_of, reply, session_file, write

from tokenaudit import ledger as ledgers
from tokenaudit import transcripts
from tokenaudit.audit.check.requests import unanswered
from tokenaudit.pricing.sources import rates_in_force
from tokenaudit.store import Store
from tokenaudit.store.facts import Facts

STORY = FIXTURES / "cut-responses" / "claude"
REASONS = [
    (17, "failed", "529"),
    (22, "dropped", "ECONNRESET"),
    (24, "refused", None),
    (26, "fallback", "overloaded"),
    (31, "unknown", None),
]


def reasons(facts: Facts) -> list[tuple[int, str, str | None]]:
    found = unanswered(facts.requests).sort("line")
    return list(found.select("line", "reason", "detail").iter_rows())


def test_each_request_without_an_answer_has_its_reason() -> None:
    """Five of fifteen; the line that overtook another is told by its time."""
    facts = facts_of(transcripts.discover([STORY]))

    assert reasons(facts) == REASONS
    assert facts.transcripts["requests"].sum() == 15


def test_a_transcript_read_in_two_goes_tells_the_same(tmp_path: Path) -> None:
    """Wherever it is split: requests, reasons, and which responses were cut."""
    whole = ledgers.frame.build(facts_of(transcripts.discover([STORY])), rates_in_force())
    ids = ["response_id", "output_tokens", "stop_reason", "quality", "copies"]
    wanted = whole.frame.select(ids).sort("response_id")
    name = "5c0ffee0-1111-4a2b-8c3d-000000000001.jsonl"
    lines = next(STORY.rglob(name)).read_bytes().splitlines(keepends=True)
    for split in range(1, len(lines)):
        root, folder = tmp_path / f"root{split}", tmp_path / f"store{split}"
        shutil.copytree(STORY, root)
        path = next(root.rglob(name))
        path.write_bytes(b"".join(lines[:split]))
        kept(root, folder)
        with path.open("ab") as file:
            file.writelines(lines[split:])
        facts = kept(root, folder)

        assert reasons(facts) == REASONS, split
        found = ledgers.frame.build(facts, rates_in_force()).frame
        assert found.select(ids).sort("response_id").equals(wanted), split


def kept(root: Path, folder: Path) -> Facts:
    discovery = transcripts.discover([root])
    store = Store.open(folder)
    made = store.plan(discovery)
    return store.take(made, transcripts.read(made.extents), now_ns=time_ns())


def test_lines_about_requests_are_understood_however_they_are_written(tmp_path: Path) -> None:
    """With blanks between their parts as without: the tolerant reading tells what the strict one does."""
    name = "5c0ffee0-1111-4a2b-8c3d-000000000001.jsonl"
    shutil.copytree(STORY, tmp_path / "root")
    path = next((tmp_path / "root").rglob(name))
    path.write_bytes(b"".join(b" " + line for line in path.read_bytes().splitlines(keepends=True)))
    facts = facts_of(transcripts.discover([tmp_path / "root"]))

    assert reasons(facts) == REASONS
    cuts = facts.requests.filter(pl.col("event") == "cut")["line"].to_list()
    assert sorted(cuts) == [4, 5, 7, 13]


def test_an_answer_in_another_transcript_is_an_answer(tmp_path: Path) -> None:
    """A branch copies the lines of responses, and not those of requests; or the other way round."""
    asked = {"type": "api-request", "id": "r1", "timestamp": "2026-03-02T09:00:00.000Z"}
    write(session_file(tmp_path), {**asked, "sessionId": SESSION})
    write(session_file(tmp_path, "b" * 8), reply(requestRef="r1"))
    facts = facts_of(transcripts.discover([tmp_path]))

    assert reasons(facts) == []
