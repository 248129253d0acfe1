"""At any moment the figures of `watch` are those that a report has from scratch."""

import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from transcripts_builder import (
    FORK,
    agent_file,
    agent_result,
    cut_note,
    encoded,
    reply,
    session_file,
    sidechain,
    usage,
    write,
)
from writer import Writer

from tokenaudit import transcripts
from tokenaudit.ledger import frame as ledger
from tokenaudit.live.incremental_ledger import COLUMNS, IncrementalLedger
from tokenaudit.live.sources import Sources
from tokenaudit.pricing.card import shipped_card
from tokenaudit.store import gather_without_store
from tokenaudit.store.facts import facts_of
from tokenaudit.store.index import Index
from tokenaudit.store.plan import plan

NOW = 10**18
"""Long before the files are written: no time of theirs is then taken for settled, and all are read."""
ORDER = ["time", "source_path", "source_line", "response_id", "request_id"]


def started(root: Path) -> tuple[Sources, IncrementalLedger]:
    def find() -> transcripts.Discovery:
        return transcripts.discover([root])

    discovery = transcripts.discover([root])
    made = plan(Index(), discovery)
    known = gather_without_store(made, transcripts.read(made.extents), now_ns=NOW)
    return Sources(find, discovery, known, with_former=False), IncrementalLedger(
        known.rows, shipped_card()
    )


def from_scratch(root: Path) -> pl.DataFrame:
    discovery = transcripts.discover([root])
    made = plan(Index(), discovery)
    rows = gather_without_store(made, transcripts.read(made.extents), now_ns=NOW).rows
    return ledger.build(facts_of(rows), shipped_card()).frame.select(COLUMNS).sort(ORDER)


Clock = Callable[[random.Random], int]

CLOCKS: dict[str, Clock] = {
    "long before": lambda _: NOW,
    "ahead": lambda _: time.time_ns() + 3600 * 10**9,
    "back and forth": lambda rng: time.time_ns() + rng.choice([-7200, -1, 0, 3600]) * 10**9,
}
"""In the first no time is taken for settled; in the second all are, and nothing is read in vain."""


def same(live: IncrementalLedger, root: Path) -> tuple[list[Any], list[Any]]:
    """The rows of both, agents' types apart: those need whole agents."""
    shown = live.frame.select(COLUMNS).sort(ORDER)
    return shown.drop("agent_type").rows(), from_scratch(root).drop("agent_type").rows()


@pytest.mark.parametrize(
    ("seed", "clock"),
    [
        *((seed, "long before") for seed in range(5)),
        *((seed, "ahead") for seed in range(8, 11)),
        *((seed, "back and forth") for seed in range(14, 18)),
    ],
)
def test_every_response_is_as_from_scratch(tmp_path: Path, seed: int, clock: str) -> None:
    """After each of many random events: appends, half lines, forks, truncations, deletions."""
    writer = Writer(tmp_path, random.Random(seed))
    writer.append()
    sources, live = started(tmp_path)
    compared = 0
    for _ in range(40):
        before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.jsonl")}
        if writer.rng.random() < 0.15 and len(before) > 1:
            writer.harm()
        else:
            writer.append()
        after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.jsonl")}
        changed = {str(path) for path in {*before, *after} if before.get(path) != after.get(path)}
        lost = writer.rng.random() < 0.2  # the kernel's event: a look at all finds it
        now_ns = CLOCKS[clock](writer.rng)
        if clock == "back and forth" and changed and writer.rng.random() < 0.3:
            _set_back(Path(min(changed)))
        step = sources.look_at_all(now_ns=now_ns) if lost else sources.look(changed, now_ns=now_ns)
        if step is not None:
            live.apply(step)
        shown, expected = same(live, tmp_path)
        compared += len(expected)
        assert expected == shown

    assert compared > 400


def test_a_reply_that_is_not_an_agents_last_is_not_repaired(tmp_path: Path) -> None:
    """Of two unfinished replies the parent tells of the second; the first is then copied elsewhere."""
    agent = "a1b2c3d"
    first, second = (
        sidechain(reply(f"msg_{n}", f"req_{n}", 5 * n, stop=None, at=n), agent) for n in (1, 2)
    )
    write(agent_file(tmp_path, agent), first, second)
    write(session_file(tmp_path), agent_result(usage(950), agent, at=3))
    sources, live = started(tmp_path)
    before = dict(live.frame.select("response_id", "output_tokens").iter_rows())
    later = time.time_ns() + 3600 * 10**9
    sources.look_at_all(now_ns=later)  # from now on no file is read again that has not changed
    copy = write(session_file(tmp_path, FORK), {**first, "sessionId": FORK})
    step = sources.look({str(copy)}, now_ns=later)
    assert step is not None
    assert [str(copy)] == step.rows.parts["path"].to_list()
    live.apply(step)
    shown, expected = same(live, tmp_path)

    assert {"msg_1": 5, "msg_2": 950} == before
    assert before == dict(live.frame.select("response_id", "output_tokens").iter_rows())
    assert expected == shown


def test_a_mark_that_a_response_was_cut_comes_later(tmp_path: Path) -> None:
    """Line by line as it is written; then an earlier response of that transcript is copied elsewhere."""
    lines = [
        reply("msg_1", "req_1", 50, at=1),
        reply("msg_2", "req_2", 2, at=2),
        cut_note(at=3),
        reply("msg_3", "req_3", 70, at=4),
    ]
    path = write(session_file(tmp_path), lines[0])
    sources, live = started(tmp_path)
    later = time.time_ns() + 3600 * 10**9
    qualities = []
    for line in lines[1:]:
        with path.open("ab") as file:
            file.write(encoded(line) + b"\n")
        step = sources.look({str(path)}, now_ns=later)
        assert step is not None
        live.apply(step)
        qualities.append(dict(live.frame.select("response_id", "quality").iter_rows())["msg_2"])
    copy = write(session_file(tmp_path, FORK), {**lines[0], "sessionId": FORK})
    step = sources.look({str(copy)}, now_ns=later)
    assert step is not None
    live.apply(step)
    shown, expected = same(live, tmp_path)

    assert ["final", "lower_bound", "lower_bound"] == qualities
    assert expected == shown


def _set_back(path: Path) -> None:
    """Let a file have been written an hour ago, as where the clock has been set back meanwhile."""
    if path.exists():
        found = path.stat()
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns - 3600 * 10**9))
