"""What holds for any history: nothing is lost, counted twice, or dependent on how it is read."""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples
from transcripts_builder import (
    START,
    Line,
    Regime,
    agent_file,
    agent_result,
    encoded,
    progress,
    prompt,
    reply,
    response,
    session_file,
    sidechain,
    usage,
)

from tokenaudit import Ledger, load
from tokenaudit.ledger.frame import MEASURES, build
from tokenaudit.ledger.frame import Ledger as Built
from tokenaudit.pricing.card import shipped_card
from tokenaudit.store import facts_without_store
from tokenaudit.transcripts import Reading, discover, extents_of, read

MODELS: Final = ("claude-opus-4-6", "claude-haiku-4-5-20251001", "gateway-large")
CHANGES_OF_CLOCKS: Final = (
    datetime(2026, 3, 29, 1, tzinfo=UTC),  # Berlin forward
    datetime(2026, 4, 4, 15, tzinfo=UTC),  # Lord Howe back, by half an hour
    datetime(2026, 10, 25, 1, tzinfo=UTC),  # Berlin back
    datetime(2026, 11, 1, 6, tzinfo=UTC),  # New York back
)
ZONES: Final = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
)


class World:
    """Transcripts in the making: the lines of each file, and how many of them are bad."""

    def __init__(self) -> None:
        self.files: dict[str, list[bytes]] = {}
        self.responses = 0
        self.rejects = 0

    def __repr__(self) -> str:
        return f"World({self.files!r})"[:6_000]

    def new_id(self) -> str:
        self.responses += 1
        return f"{self.responses:03}"


MOMENTS = st.one_of(
    st.integers(0, 3),
    st.integers(0, 3 * 86_400),
    st.builds(
        lambda change, seconds: round((change - START).total_seconds()) + seconds,
        st.sampled_from(CHANGES_OF_CLOCKS),
        st.integers(-7_200, 7_200),
    ),
)
COUNTS = st.integers(0, 50) | st.integers(0, 10**6) | st.just(2**53 - 1)


@st.composite
def responses(draw: st.DrawFn, /, world: World, **more: Any) -> list[Line]:
    """The lines of a response, as a writer of some era leaves them."""
    number = world.new_id()
    at = draw(MOMENTS)
    lines = response(
        draw(st.sampled_from(Regime)),
        f"msg_{number}",
        f"req_{number}" if draw(st.integers(0, 3)) else None,
        output=draw(COUNTS),
        lines=draw(st.integers(1, 3)),
        at=at,
        model=draw(st.sampled_from(MODELS)),
        gitBranch=draw(st.sampled_from(["main", "fix", "", None])),
        attributionAgent=draw(st.sampled_from(["Explore", "Plan", "", None])),
        effort=draw(st.sampled_from(["high", "", None])),
        **more,
    )
    kind = draw(st.integers(0, 11))
    if kind == 0:
        lines = [{**line, "timestamp": "yesterday"} for line in lines]
    elif kind == 1:
        lines = [reply(None, None, 7, at=at, uuid=f"u{number}", **more)]
    elif kind == 2:
        lines = [_with_iterations(line) for line in lines]
    elif kind == 3:
        counts = {"input_tokens": "12", "output_tokens": 7.0, "service_tier": 1}
        lines = [reply(f"msg_{number}", f"req_{number}", counts=counts, at=at, **more)]
    return lines


def _with_iterations(line: Line) -> Line:
    counts = line["message"]["usage"]
    advisor = {"type": "advisor_message", **usage(9, input_tokens=len(json.dumps(line)))}
    iterations = [{"type": "message", **counts}, advisor]
    return {**line, "message": {**line["message"], "usage": {**counts, "iterations": iterations}}}


@st.composite
def agents(draw: st.DrawFn, world: World, session: str, project: str) -> list[Line]:
    """A subagent: its file, if that is still there; returned is what its parent says of it."""
    agent = f"a{world.new_id()}"
    lines = [
        sidechain(line, agent)
        for _ in range(draw(st.integers(1, 2)))
        for line in draw(responses(world))
    ]
    if draw(st.booleans()):
        path = agent_file(Path(), agent, session, project)
        world.files[str(path)] = [encoded(line) for line in lines]
        repeated = lines[: draw(st.integers(0, len(lines)))]
    else:
        repeated = lines[: draw(st.integers(1, len(lines)))]
    last = lines[-1]["message"]["usage"]
    told = agent_result({**last, "output_tokens": draw(COUNTS)}, agent)
    return [*(progress(line, agent) for line in repeated), told]


@st.composite
def titles(draw: st.DrawFn, lines: list[Line]) -> list[Line]:
    """What a session is called, now so and then so, and where its context was replaced."""
    names = st.sampled_from(["Kiln", "Glaze", "Clay"])
    leaf = draw(st.sampled_from(lines)).get("uuid")
    kinds: list[Line] = [
        {"type": "custom-title", "customTitle": draw(names)},
        {"type": "ai-title", "aiTitle": draw(names)},
        {"type": "summary", "summary": draw(names), "leafUuid": leaf},
        {
            "type": "system",
            "subtype": "compact_boundary",
            "timestamp": lines[0]["timestamp"],
            "compactMetadata": {"trigger": "auto", "preTokens": draw(st.integers(1, 3))},
        },
    ]
    return draw(st.lists(st.sampled_from(kinds), max_size=2))


@st.composite
def written(draw: st.DrawFn, lines: list[Line]) -> list[bytes]:
    """The lines as a file holds them; now and then a line end is lost between two."""
    content = [encoded(line) for line in lines]
    if len(content) > 1 and draw(st.booleans()):
        at = draw(st.integers(0, len(content) - 2))
        content[at : at + 2] = [content[at] + content[at + 1]]
    return content


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """A few sessions with agents, forks, replays, gateways, odd values and damage."""
    world = World()
    for number in range(draw(st.integers(1, 3))):
        session = f"{number}" * 8 + "-1111-4111-8111-111111111111"
        project = draw(st.sampled_from(["-work-app", "-work-shop"]))
        lines = [prompt(at=number)]
        for _ in range(draw(st.integers(0, 3))):
            lines += draw(responses(world, sessionId=session))
        for _ in range(draw(st.integers(0, 2))):
            lines += draw(agents(world, session, project))
        lines += draw(titles(lines))
        content = draw(written(lines))
        for _ in range(draw(st.integers(0, 2))):
            bad = draw(st.sampled_from([b"garbage", b"\x00\x00", b"", b"[]", _bad_count(world)]))
            world.rejects += bad != b""
            content.insert(draw(st.integers(0, len(content))), bad)
        world.files[str(session_file(Path(), session, project))] = content
        if draw(st.booleans()):
            again = draw(titles(lines))
            other = session_file(Path(), session, "-moved")
            world.files[str(other)] = [encoded(line) for line in [*lines, *again]]
        if draw(st.booleans()):
            fork = f"{number}" * 8 + "-2222-4222-8222-222222222222"
            copied = [encoded(line) for line in lines[: draw(st.integers(1, len(lines)))]]
            more = [encoded(line) for line in draw(responses(world, sessionId=fork))]
            world.files[str(session_file(Path(), fork, project))] = [*copied, *more]
        if draw(st.booleans()):
            helper = f"aside_question-{number}"
            replayed = [
                encoded(sidechain({**line, "requestId": f"again_{at}"}, helper))
                for at, line in enumerate(lines)
                if line["type"] == "assistant" and line.get("requestId")
            ]
            world.files[str(agent_file(Path(), helper, session, project))] = replayed
    return world


def _bad_count(world: World) -> bytes:
    return encoded(reply(f"bad_{world.responses}", "bad", counts=usage(-1)))


@contextmanager
def on_disk(world: World) -> Iterator[Path]:
    """Write *world* to a folder, which is gone afterwards."""
    root = Path(tempfile.mkdtemp())
    try:
        for name, lines in world.files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"".join(line + b"\n" for line in lines))
        yield root
    finally:
        shutil.rmtree(root)


def built(root: Path, readings: list[Reading]) -> Built:
    return build(facts_without_store(discover([root]), readings), shipped_card())


def assert_equal(one: Built, two: Built) -> None:
    assert one.intake == two.intake
    for name in ("frame", "refused", "sessions", "agents", "compactions", "rejects"):
        assert getattr(one, name).equals(getattr(two, name)), name


# nothing is lost


@examples(25)
@given(worlds())
def test_usage_lines_are_responses_and_their_copies(world: World) -> None:
    """Every line is accounted for: as usage, as a reject, or as one of no interest."""
    with on_disk(world) as root:
        ledger = load(root)
    intake = ledger.intake
    with_line = (ledger.frame["kind"] == "message").sum()

    assert sum(len(list(filter(None, lines))) for lines in world.files.values()) == intake.lines
    assert (len(world.files), world.rejects) == (intake.files, intake.rejects)
    assert intake.usage_lines == with_line + intake.copies
    assert intake.responses == ledger.frame.height == sum(intake.quality.values())
    assert intake.bytes == sum(len(line) + 1 for lines in world.files.values() for line in lines)


@examples(25)
@given(worlds(), st.data())
def test_any_damage_is_survived(world: World, data: st.DataObject) -> None:
    """Whatever bytes a history holds, there is a ledger and a report, and they add up."""
    for name, lines in world.files.items():
        content = b"\n".join(lines)
        at = data.draw(st.integers(0, len(content)), label=name)
        rest = content[at + data.draw(st.integers(0, 40)) :]
        world.files[name] = [content[:at] + data.draw(st.binary(max_size=5)) + rest]
    with on_disk(world) as root:
        ledger = load(root)
    intake = ledger.intake

    assert intake.usage_lines == intake.copies + (ledger.frame["kind"] == "message").sum()
    assert_adds_up(ledger, "daily")
    json.dumps(ledger.to_report())


# the way of reading does not matter


@examples(20)
@given(worlds(), st.randoms(use_true_random=False))
def test_order_of_reading_never_matters(world: World, dice: Any) -> None:
    """Whatever file comes first, and whichever are read together, the ledger is the same."""
    with on_disk(world) as root:
        extents = extents_of(discover([root]).transcripts)
        expected = built(root, list(read(extents)))
        shuffled = list(read(dice.sample(extents, len(extents))))
        apart = [next(iter(read([one]))) for one in dice.sample(extents, len(extents))]

        assert_equal(expected, built(root, shuffled))
        assert_equal(expected, built(root, apart))


@examples(4, makes_smaller=False)
@given(st.lists(worlds(), min_size=4, max_size=4))
def test_number_of_processes_never_matters(several: list[World]) -> None:
    """A history read by two processes gives the ledger of one."""
    everything = World()
    for number, world in enumerate(several):
        everything.files.update({f"{number}/{name}": lines for name, lines in world.files.items()})
    with on_disk(everything) as root, pytest.MonkeyPatch.context() as patch:
        module = sys.modules["tokenaudit.transcripts.read"]  # its name is also its function's
        patch.setattr(module, "_MUCH", 0)
        patch.setattr(module, "_BATCH", 300)
        extents = extents_of(discover([root]).transcripts)
        alone = list(read(extents))
        shared = list(read(extents, jobs=2))
        one, two = built(root, alone), built(root, shared)

    assert len(alone) > 1
    assert_equal(one, two)


@examples(20)
@given(worlds(), st.data())
def test_a_growing_file_ends_as_if_it_were_read_at_once(world: World, data: st.DataObject) -> None:
    """Cut at any byte there is no reject more, and nothing that later turns out to be too much."""
    name = data.draw(st.sampled_from(sorted(world.files)))
    with on_disk(world) as root:
        whole = load(root)
        content = (root / name).read_bytes()
        for at in data.draw(st.lists(st.integers(0, len(content)), max_size=3).map(sorted)):
            (root / name).write_bytes(content[:at])
            before = load(root)

            assert before.intake.usage_lines <= whole.intake.usage_lines
            assert before.intake.responses <= whole.intake.responses
            assert before.intake.rejects <= whole.intake.rejects
            assert before.intake.lines <= whole.intake.lines
        (root / name).write_bytes(content)
        after = load(root)

    assert whole.frame.equals(after.frame)
    assert whole.intake == after.intake


@examples(20)
@given(worlds())
def test_a_second_copy_of_everything_changes_no_total(world: World) -> None:
    """A backup beside the root adds copies, and nothing else."""
    with on_disk(world) as root:
        once = load(root / "projects")
        shutil.copytree(root / "projects", root / "backup" / "projects")
        twice = load(root / "projects", root / "backup")
    measures = ["session_id", "agent_id", "model", "time", "total_tokens", "cost_usd", "quality"]

    assert once.totals() == twice.totals()
    assert sorted(map(str, once.frame.select(measures).rows())) == sorted(
        map(str, twice.frame.select(measures).rows())
    )
    assert once.intake.usage_lines == twice.intake.copies - once.intake.copies


# every report adds up

REPORTS: Final = (
    *("hourly", "daily", "weekly", "monthly", "sessions", "agents", "projects", "models"),
    *("branches", "quality,kind", "version,speed"),
)


def assert_adds_up(ledger: Ledger, name: str, **filters: Any) -> dict[str, Any]:
    """Check that the rows of a report add up to its totals, to the last digit; return these (R11)."""
    section = ledger.report(name, **filters).sections[0]
    assert section.totals is not None
    summed: dict[str, Any] = {
        measure: sum(section.rows[measure].drop_nulls(), Decimal(0) if measure == "cost_usd" else 0)
        for measure in MEASURES
    }
    if summed["unpriced_responses"] == summed["responses"] > 0:
        summed["cost_usd"] = None
    assert summed == dict(section.totals), name
    return summed


@st.composite
def filters(draw: st.DrawFn) -> dict[str, Any]:
    """Any filter of any report."""
    days = st.none() | st.dates(date(2026, 3, 1), date(2026, 3, 31))
    return {
        "since": draw(days),
        "until": draw(days | st.just(date(2026, 11, 30))),
        "projects": draw(st.sampled_from([(), ("app",), ("*shop", "app"), ("nothing",)])),
        "models": draw(st.sampled_from([(), ("claude-*",), ("gateway-*",)])),
        "sessions": draw(st.sampled_from([(), ("0",), ("1", "2*")])),
        "agents": draw(st.sampled_from([(), ("main",), ("a*",)])),
        "branches": draw(st.sampled_from([(), ("main",), ("f?x",)])),
    }


def chosen(row: dict[str, Any], zone: ZoneInfo, wanted: dict[str, Any]) -> bool:
    """Tell, by hand, whether a row of the ledger is one of those that are *wanted*."""
    day = row["time"] and row["time"].astimezone(zone).date()
    values = {
        "projects": [row["project"], row["project"].rpartition("/")[2]],
        "models": [row["model"]],
        "sessions": [row["session_id"]],
        "agents": [row["agent_id"], row["agent_type"]],
        "branches": [row["branch"]],
    }
    return (
        (wanted["since"] is None or (day is not None and day >= wanted["since"]))
        and (wanted["until"] is None or (day is not None and day <= wanted["until"]))
        and all(
            not wanted[name]
            or any(
                value is not None
                and (fnmatchcase(value, pattern) or (is_id(name) and value.startswith(pattern)))
                for value in found
                for pattern in wanted[name]
            )
            for name, found in values.items()
        )
    )


def is_id(name: str) -> bool:
    return name in {"sessions", "agents"}


@examples(20)
@given(worlds(), filters(), st.sampled_from(ZONES), st.sampled_from(["monday", "sunday"]))
def test_every_report_adds_up_to_the_same_total(
    world: World, wanted: dict[str, Any], zone: str, start: str
) -> None:
    """For any filter, in any zone, to the last digit: R11."""
    with on_disk(world) as root:
        ledger = load(root, timezone=zone, start_of_week=start)
    rows = [
        row for row in ledger.frame.iter_rows(named=True) if chosen(row, ZoneInfo(zone), wanted)
    ]

    for name in REPORTS:
        found = assert_adds_up(ledger, name, **wanted)
        assert len(rows) == found["responses"]
        for measure in ("input_tokens", "output_tokens", "total_tokens"):
            assert sum(row[measure] for row in rows) == found[measure]
        costs = [row["cost_usd"] for row in rows if row["cost_usd"] is not None]
        assert (sum(costs, Decimal(0)) if costs or not rows else None) == found["cost_usd"]


@examples(20)
@given(worlds(), st.sampled_from(ZONES))
def test_days_are_those_of_the_zone(world: World, zone: str) -> None:
    """R8: a response belongs to the day and hour that the clock on the wall showed."""
    with on_disk(world) as root:
        ledger = load(root, timezone=zone)
    local = [time and time.astimezone(ZoneInfo(zone)) for time in ledger.frame["time"]]

    days = ledger.report("daily").sections[0].rows
    weeks = ledger.report("weekly").sections[0].rows
    months = ledger.report("monthly").sections[0].rows

    assert {time and time.date() for time in local} == set(days["day"])
    assert {time and time.date() - timedelta(days=time.weekday()) for time in local} == set(
        weeks["week"]
    )
    assert {time and f"{time:%Y-%m}" for time in local} == set(months["month"])
