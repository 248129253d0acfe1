"""The status line's state: the same figures as the ledger's, whatever grows, moves or breaks."""

import math
import os
import random
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from stories import STORIES, Story
from test_real_data import REAL
from transcripts_builder import (
    FORK,
    MODEL,
    SESSION,
    Regime,
    agent_file,
    encoded,
    facts_of,
    prompt,
    reply,
    response,
    session_file,
    write,
)

from tokenaudit import transcripts
from tokenaudit.ledger import frame as ledgers
from tokenaudit.ledger.frame import Ledger
from tokenaudit.pricing.card import shipped_card
from tokenaudit.reports.blocks import active_pace, with_blocks
from tokenaudit.statusline.line_reader import LineUsage, read_usage
from tokenaudit.statusline.settings_cache import tariffs
from tokenaudit.statusline.state import is_damage
from tokenaudit.statusline.usage_cache import UsageCache

Figures = tuple[int, int, int, int]
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
FAR = 10**18


def micros(moment: datetime) -> int:
    return int(moment.timestamp()) * 10**6


def loaded(root: Path) -> Ledger:
    found = transcripts.discover([root])
    return ledgers.build(facts_of(found), shipped_card())


def expected(root: Path) -> Figures:
    frame = loaded(root).frame.filter(pl.col("time").is_not_null())
    cost = frame["cost_usd"].sum()
    return (
        frame.height,
        int(frame["total_tokens"].sum()),
        int(Decimal(cost).scaleb(12)),
        frame["cost_usd"].null_count(),
    )


OPENED: list[UsageCache] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Close every state that a test has opened."""
    yield
    while OPENED:
        OPENED.pop().close()


def cache(folder: Path, basis: str = "basis") -> UsageCache:
    OPENED.append(UsageCache(str(folder / "state" / "statusline.db"), basis, tariffs))
    return OPENED[-1]


def refreshed(
    state: UsageCache, root: Path, own: Path | None = None, *, now: datetime | None = None
) -> UsageCache:
    """Read everything that is there, however old: today began in 1970."""
    moment = micros(now or datetime.now(UTC))
    assert state.refresh(
        [str(root)],
        str(own) if own else None,
        day_start=0,
        now=moment,
        deadline=math.inf,
    )
    return state


def figures(state: UsageCache) -> Figures:
    total = state.since(0, FAR)
    return (total.responses, total.tokens, total.cost, total.unpriced)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_every_story_sums_to_the_ledger(story: Story, tmp_path: Path) -> None:
    """Forks, sidechains, gateways, iterations, repairs, damage: the same responses and dollars."""
    state = refreshed(cache(tmp_path), story.root)

    assert figures(state) == expected(story.root)


def test_real_histories_sum_to_the_ledger_session_by_session(tmp_path: Path) -> None:
    """Fifteen thousand responses of 226 sessions, where these are at hand."""
    if not REAL.is_dir():
        pytest.skip("the real sessions are not here")
    state = refreshed(cache(tmp_path), REAL)
    sessions = loaded(REAL).frame.group_by("session_id").agg(pl.col("cost_usd").sum())

    assert figures(state) == expected(REAL)
    for session, cost in sessions.iter_rows():
        assert state.session(session).cost == int(cost.scaleb(12)), session


@pytest.mark.parametrize("seed", range(3))
def test_appending_in_any_pieces_gives_the_same(seed: int, tmp_path: Path) -> None:
    """A writer that stops anywhere, in the middle of a line and of a character too."""
    chance = random.Random(seed)
    root = tmp_path / "root"
    lines = [
        line
        for number in range(20)
        for line in (
            *response(chance.choice(list(Regime)), f"msg_{number}", f"req_{number}", at=number * 9),
            prompt("äöü€", at=number * 9 + 5),
        )
    ]
    data = b"".join(encoded(line) + b"\n" for line in lines)
    path = write(session_file(root))
    state = cache(tmp_path)
    while data:
        cut = min(chance.randrange(1, 3000), len(data))
        with path.open("ab") as file:
            file.write(data[:cut])
        data = data[cut:]
        refreshed(state, root, path)
    assert figures(state) == expected(root)
    assert figures(state)[0] == 20


def test_a_rewritten_transcript_is_read_again(tmp_path: Path) -> None:
    """Shorter, or another file of the name: nothing of the old one stays."""
    root = tmp_path / "root"
    path = write(session_file(root), reply("msg_1", "req_1"), reply("msg_2", "req_2"))
    write(session_file(root, FORK), reply("msg_2", "req_2"), reply("msg_3", "req_3"))
    state = refreshed(cache(tmp_path), root)
    write(path, reply("msg_9", "req_9"))

    assert figures(refreshed(state, root, path)) == expected(root)
    path.unlink()
    write(path, reply("msg_7", "req_7"), reply("msg_8", "req_8"), reply("msg_6", "req_6"))
    assert figures(refreshed(state, root, path)) == expected(root)


def test_only_appended_bytes_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second look at a transcript begins where the first one ended."""
    root = tmp_path / "root"
    path = write(session_file(root), *(reply(f"msg_{n}", f"req_{n}") for n in range(50)))
    state = refreshed(cache(tmp_path), root, path)
    seen: list[int] = []

    def watched(data: bytes) -> Iterator[LineUsage]:
        seen.append(len(data))
        return read_usage(data)

    monkeypatch.setattr("tokenaudit.statusline.responses.read_usage", watched)
    line = encoded(reply("msg_new", "req_new")) + b"\n"
    with path.open("ab") as file:
        file.write(line)
    refreshed(state, root, path)

    assert seen == [len(line)]
    assert figures(state)[0] == 51


def test_the_block_is_that_of_the_report(tmp_path: Path) -> None:
    """Its start and what was used in it, as `blocks` says, at every hour of two days."""
    root = tmp_path / "root"
    hours = (0.2, 1, 4.9, 5.3, 9.9, 11.1, 20, 23, 26, 31)
    path = write(
        session_file(root),
        *(reply(f"msg_{at}", f"req_{at}", at=at * 3600) for at in hours),
    )
    frame = with_blocks(loaded(root).frame)
    state = refreshed(cache(tmp_path), root, path)
    open_ones = 0
    for hour in range(40):
        now = START + timedelta(hours=hour, minutes=30)
        pace, start = active_pace(frame, now), state.block(micros(now))
        assert start == (None if pace is None else micros(pace.start))
        if pace is not None and start is not None:
            used = state.since(start, micros(now) + 1)
            assert pace.usage.cost_usd is not None
            assert used.tokens == pace.usage.total_tokens
            assert used.cost == int(pace.usage.cost_usd.scaleb(12))
            open_ones += 1
    assert open_ones > 20


def test_old_responses_of_others_are_left_out_and_those_of_the_own_session_are_not(
    tmp_path: Path,
) -> None:
    """A session's cost is that of all its days; another's old lines are none of today's business."""
    root = tmp_path / "root"
    own = write(session_file(root), reply("msg_1", "req_1"))
    agent = write(agent_file(root), reply("msg_2", "req_2", isSidechain=True, agentId="a1b2c3d"))
    other = write(session_file(root, FORK), reply("msg_3", "req_3", sessionId=FORK))
    today = micros(datetime.now(UTC))
    state = cache(tmp_path)
    deadline = math.inf
    state.refresh([str(root)], str(own), day_start=today, now=today, deadline=deadline)

    assert state.session(own.stem).responses == 2
    assert state.session(FORK).responses == 0
    state.refresh([str(root)], str(other), day_start=today, now=today, deadline=deadline)
    assert state.session(FORK).responses == 1
    assert agent.exists()


def test_the_prompt_is_that_of_the_sessions_own_last_response(tmp_path: Path) -> None:
    """Not a subagent's, however late."""
    root = tmp_path / "root"
    path = write(
        session_file(root),
        reply("msg_1", "req_1", at=0),
        reply("msg_2", "req_2", at=5, counts={"input_tokens": 77, "output_tokens": 1}),
        reply("msg_3", "req_3", at=9, isSidechain=True, agentId="a1b2c3d"),
    )
    state = refreshed(cache(tmp_path), root, path)

    assert state.prompt(path.stem) == 77
    assert state.prompt("nobody") is None


def test_time_that_is_up_leaves_the_rest_for_the_next_call(tmp_path: Path) -> None:
    """What was read stays read."""
    root = tmp_path / "root"
    path = write(session_file(root), reply("msg_1", "req_1"))
    write(session_file(root, FORK), reply("msg_2", "req_2"))
    state = cache(tmp_path)
    now = micros(datetime.now(UTC))

    for _ in range(3):
        state.refresh([str(root)], str(path), day_start=0, now=now, deadline=0)
    assert figures(refreshed(state, root, path)) == expected(root)


def test_another_basis_begins_anew(tmp_path: Path) -> None:
    """Other rates price all again."""
    root = tmp_path / "root"
    write(session_file(root), reply(at=0, model=MODEL))
    refreshed(cache(tmp_path), root).close()
    other = cache(tmp_path, "other rates")
    assert figures(other)[0] == 0

    assert figures(refreshed(other, root)) == expected(root)


def test_damage_is_told_from_what_another_call_may_do_better(tmp_path: Path) -> None:
    """What is no database is damage, as is a page that is none; a lock, a folder in its place is not."""
    path = tmp_path / "state" / "statusline.db"
    path.parent.mkdir()
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(sqlite3.DatabaseError) as damaged:
        cache(tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(sqlite3.OperationalError) as absent:
        cache(tmp_path)

    assert is_damage(damaged.value)
    assert is_damage(KeyError("value"))
    assert not is_damage(absent.value)
    assert not is_damage(PermissionError())


def test_two_at_once_do_not_spoil_each_other(tmp_path: Path) -> None:
    """While one writes, the other tells what it knows, and that this is not all."""
    root = tmp_path / "root"
    write(session_file(root), reply())
    first = refreshed(cache(tmp_path), root)
    second = sqlite3.connect(tmp_path / "state" / "statusline.db", timeout=0)
    second.execute("begin immediate")
    write(session_file(root, FORK), reply("msg_2", "req_2"))

    now = micros(datetime.now(UTC) + timedelta(minutes=1))
    assert not first.refresh([str(root)], None, day_start=0, now=now, deadline=math.inf)
    assert figures(first)[0] == 1
    second.rollback()
    second.close()
    later = datetime.now(UTC) + timedelta(minutes=1)
    assert figures(refreshed(first, root, now=later)) == expected(root)


def test_a_state_of_another_version_is_damage(tmp_path: Path) -> None:
    """Its tables may have other columns."""
    root = tmp_path / "root"
    write(session_file(root), reply())
    refreshed(cache(tmp_path), root).close()
    other = sqlite3.connect(tmp_path / "state" / "statusline.db")
    other.execute("pragma user_version = 99")
    other.close()

    with pytest.raises(sqlite3.DatabaseError) as error:
        cache(tmp_path)
    assert is_damage(error.value)


def test_a_pipe_with_the_name_of_a_transcript_is_not_waited_for(tmp_path: Path) -> None:
    """Nobody writes to it, and the rest counts."""
    root = tmp_path / "root"
    path = write(session_file(root), reply())
    os.mkfifo(path.with_name("pipe.jsonl"))

    assert figures(refreshed(cache(tmp_path), root))[0] == 1


def test_a_transcript_that_is_written_anew_and_is_longer_is_read_anew(tmp_path: Path) -> None:
    """The same file, by the name of which nothing tells that another text stands in it."""
    root = tmp_path / "root"
    path = write(session_file(root), reply("msg_1", "req_1"))
    state = refreshed(cache(tmp_path), root, path)
    assert figures(state) == expected(root)
    lines = [reply(f"msg_{n}", f"req_{n}", 77) for n in range(2, 6)]
    with path.open("r+b") as file:
        file.write(b"".join(encoded(line) + b"\n" for line in lines))

    assert figures(refreshed(state, root, path)) == expected(root)
    assert figures(state)[0] == 4


def test_r3_lines_without_any_id_are_responses_of_their_own(tmp_path: Path) -> None:
    """Nothing says that two of them are one: neither in two transcripts, nor in one."""
    root = tmp_path / "root"
    for session in (SESSION, FORK):
        lines = [reply(None, None, 40 + at, at=at, uuid=None) for at in range(2)]
        write(session_file(root, session), *lines)

    assert figures(refreshed(cache(tmp_path), root)) == expected(root)
    assert expected(root)[0] == 4
