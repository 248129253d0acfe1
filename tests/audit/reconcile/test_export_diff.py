"""Bridges from an earlier export of ours: exported, changed, and reconciled; figures worked out by hand.

A reply is 10 tokens in and 100 out of Opus 4.6: 10 x $5 + 100 x $25 per million are $0.00255.
"""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from transcripts_builder import (
    FORK,
    OTHER,
    SESSION,
    prompt,
    reply,
    session_file,
    write,
)

from tokenaudit.__main__ import main
from tokenaudit.ledger.frame import RULES

Steps = dict[str, tuple[str, int, int, Decimal]]
ONE = Decimal("0.00255")
NOTHING: Steps = {"unexplained": ("unexplained", 0, 0, Decimal(0))}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two sessions: two replies on 2 March, one on 3 March."""
    root = tmp_path / "claude"
    write(session_file(root), prompt(), reply(), reply("msg_2", "req_2", at=1))
    write(session_file(root, OTHER), reply("msg_3", "req_3", at=86_400, sessionId=OTHER))
    return root


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def run(*argv: object) -> str:
        code = main([str(each) for each in argv])
        out, err = capfd.readouterr()
        assert code == 0, err
        return out

    return run


@pytest.fixture
def reconcile(run: Callable[..., str], root: Path) -> Callable[..., Steps]:
    def reconcile(path: Path, *more: object) -> Steps:
        """The steps, whose sum is ours: name to basis, input, output, dollars."""
        rows = json.loads(run("reconcile", path, "--root", root, "--json", *more))["rows"]
        for name in ("input_tokens", "output_tokens"):
            assert sum(row[name] for row in rows[:-1]) == rows[-1][name]
        assert sum(Decimal(row["cost_usd"]) for row in rows[:-1]) == Decimal(rows[-1]["cost_usd"])
        return {
            row["step"]: (
                row["basis"],
                row["input_tokens"],
                row["output_tokens"],
                Decimal(row["cost_usd"]),
            )
            for row in rows[1:-1]
        }

    return reconcile


@pytest.fixture(
    params=[
        "export ledger -o x.json",
        "export daily -o x.json",
        "daily -o x.csv",
        "export ledger -o x.parquet",
        "export daily -o x.parquet",
        "sessions -o x.parquet",
        "export overview -o x.csv",
        "export overview -o x.parquet",
    ]
)
def command(request: pytest.FixtureRequest) -> list[str]:
    return str(request.param).split()


def exported(run: Callable[..., str], root: Path, command: list[str], *more: object) -> Path:
    path = root.parent / command[-1]
    run(*command[:-1], path, "--root", root, "--timezone", "UTC", *more)
    return path


LEDGER = ["export", "ledger", "-o", "x.json"]
DAILY = ["export", "daily", "-o", "x.json"]


def test_the_same_transcripts_need_no_step(
    run: Callable[..., str], reconcile: Callable[..., Steps], root: Path, command: list[str]
) -> None:
    """Whatever the export tells."""
    assert reconcile(exported(run, root, command)) == NOTHING


@pytest.mark.parametrize("form", ["ndjson", "csv"])
def test_responses_without_what_they_stood_on(
    run: Callable[..., str],
    reconcile: Callable[..., Steps],
    root: Path,
    form: str,
) -> None:
    """Rows alone still tell one response from another: which are gone is known, since when is not."""
    path = exported(run, root, ["export", "ledger", "-o", f"x.{form}"])
    session_file(root, OTHER).unlink()
    more = reply("msg_4", "req_4", 7, at=2)
    write(session_file(root), reply(), reply("msg_2", "req_2", at=1), more)

    assert reconcile(path, "--no-store") == {
        "transcripts that are not here": ("measured", -10, -100, -ONE),
        "unexplained": ("unexplained", 10, 7, Decimal("0.000225")),
    }


PARQUET = ["export", "ledger", "-o", "x.parquet"]


@pytest.mark.parametrize(
    "command", [LEDGER, DAILY, PARQUET], ids=["responses", "totals", "parquet"]
)
def test_lines_and_transcripts_that_came_since(
    run: Callable[..., str], reconcile: Callable[..., Steps], root: Path, command: list[str]
) -> None:
    """One reply behind what was read, one in a file that was not there."""
    path = exported(run, root, command)
    with session_file(root).open("a") as file:
        file.write(json.dumps(reply("msg_4", "req_4", 7, at=2)) + "\n")
    write(session_file(root, FORK), reply("msg_5", "req_5", at=9, sessionId=FORK))

    assert reconcile(path) == {
        "transcripts that are new": ("measured", 10, 100, ONE),
        "lines since then": ("measured", 10, 7, Decimal("0.000225")),
        **NOTHING,
    }


def test_transcripts_that_are_gone_and_rewritten(
    run: Callable[..., str],
    reconcile: Callable[..., Steps],
    root: Path,
) -> None:
    """A file removed, and a line of another: while the store knows of them, no figure changes."""
    path = exported(run, root, LEDGER)
    totals = root.parent / "totals.json"
    run("export", "daily", "-o", totals, "--root", root)
    session_file(root, OTHER).unlink()
    assert reconcile(path) == NOTHING

    gone = {"transcripts that are not here": ("measured", -10, -100, -ONE), **NOTHING}
    assert reconcile(path, "--no-store") == gone
    inferred = {"transcripts that are not here": ("inferred", -10, -100, -ONE), **NOTHING}
    assert reconcile(totals, "--no-store") == inferred

    write(session_file(root), prompt(), reply())
    assert reconcile(path, "--no-store") == {
        **gone,
        "lines that are gone": ("measured", -10, -100, -ONE),
    }


def test_a_response_that_was_finished_since(
    run: Callable[..., str], reconcile: Callable[..., Steps], root: Path
) -> None:
    """Its line of 3 became one of 100: 97 x $25 per million."""
    write(session_file(root), reply(output=3, stop=None))
    path = exported(run, root, LEDGER)
    write(session_file(root), reply(output=3, stop=None), reply(at=1))

    assert reconcile(path) == {
        "responses that count otherwise": ("measured", 0, 97, Decimal("0.002425")),
        **NOTHING,
    }


def test_other_rates(
    run: Callable[..., str],
    reconcile: Callable[..., Steps],
    root: Path,
    command: list[str],
) -> None:
    """Half of three replies; the tokens are the same."""
    path = exported(run, root, command)
    rates = root.parent / "rates.toml"
    rates.write_text('[[discount]]\nmodels = ["claude-*"]\nmultiplier = 0.5\n')

    assert reconcile(path, "--rates", rates) == {
        "rates": ("measured", 0, 0, -ONE * 3 / 2),
        **NOTHING,
    }


@pytest.mark.parametrize("command", [LEDGER, DAILY], ids=["responses", "totals"])
def test_filters_of_then_and_of_today(
    run: Callable[..., str], reconcile: Callable[..., Steps], root: Path, command: list[str]
) -> None:
    """Of then: a session, a day; of today: the other day. The same ones change nothing."""
    name = "filters of the export" if command is LEDGER else "filters"
    path = exported(run, root, command, "--session", SESSION)
    assert reconcile(path) == {name: ("measured", 10, 100, ONE), **NOTHING}
    assert reconcile(path, "--session", SESSION) == NOTHING

    name = "days of the export" if command is LEDGER else "filters"
    path = exported(run, root, command, "--until", "2026-03-02")
    assert reconcile(path) == {name: ("measured", 10, 100, ONE), **NOTHING}
    assert reconcile(path, "--until", "2026-03-02", "--timezone", "UTC") == NOTHING

    name = "filters of today" if command is LEDGER else "filters"
    path = exported(run, root, command)
    hidden = {name: ("measured", -20, -200, -2 * ONE), **NOTHING}
    assert reconcile(path, "--session", OTHER) == hidden


@pytest.mark.parametrize("command", [LEDGER, DAILY], ids=["responses", "totals"])
def test_another_zone(
    run: Callable[..., str], reconcile: Callable[..., Steps], root: Path, command: list[str]
) -> None:
    """2 March at 20:00 UTC is the third in Tokyo, where the export's day of 3 March began at 15:00."""
    write(session_file(root), reply(at=11 * 3600))
    path = exported(run, root, command, "--since", "2026-03-03")

    assert reconcile(path, "--timezone", "Asia/Tokyo", "--since", "2026-03-03") == {
        "time zone": ("measured", 10, 100, ONE),
        **NOTHING,
    }


@pytest.mark.parametrize("command", [LEDGER, DAILY], ids=["responses", "totals"])
def test_other_rules(
    run: Callable[..., str],
    reconcile: Callable[..., Steps],
    root: Path,
    command: list[str],
) -> None:
    """What counts otherwise is told as theirs; of totals it is inferred."""
    path = exported(run, root, command)
    document = json.loads(path.read_text())
    document["meta"]["provenance"]["rules"] = 0
    document["totals"]["output_tokens"] -= 40
    if command is LEDGER:
        document["rows"][0]["output_tokens"] -= 40
    path.write_text(json.dumps(document))
    basis = "measured" if command is LEDGER else "inferred"

    assert reconcile(path) == {
        f"accounting rules, version 0 to {RULES}": (basis, 0, 40, Decimal(0)),
        **NOTHING,
    }


def test_parquet_of_a_history_that_was_empty(
    run: Callable[..., str], reconcile: Callable[..., Steps], root: Path
) -> None:
    """It tells no response, and all of them came since."""
    session_file(root).unlink()
    lines = session_file(root, OTHER).read_text()
    session_file(root, OTHER).write_text("")
    path = exported(run, root, PARQUET)
    session_file(root, OTHER).write_text(lines)

    assert reconcile(path) == {"lines since then": ("measured", 10, 100, ONE), **NOTHING}


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ("sessions --limit 1", "its rows add up to 1 of 3 responses"),
        ("rejects", "without usage in its rows"),
        ("hour --no-cost", None),
    ],
)
def test_parquet_whose_rows_are_not_its_total(
    run: Callable[..., str],
    root: Path,
    capfd: pytest.CaptureFixture[str],
    argv: str,
    words: str | None,
) -> None:
    """Unlike JSON it carries no totals: cut rows are no total, and are not taken for one."""
    path = exported(run, root, ["export", *argv.split(), "-o", "x.parquet"])
    code = main(["reconcile", str(path), "--root", str(root)])
    out, err = capfd.readouterr()

    assert (0 if words is None else 2) == code
    if words is not None:
        assert "" == out
        assert err.startswith(f"tokenaudit: error: {path}: ")
        assert words in err.splitlines()[0]


def test_what_it_stood_on_goes_to_the_foot(run: Callable[..., str], root: Path) -> None:
    """The rates that changed, and the transcripts that are not here."""
    path = exported(run, root, LEDGER)
    document = json.loads(path.read_text())
    document["meta"]["pricing"]["card"] = "2020.01.01"
    path.write_text(json.dumps(document))
    gone = session_file(root, OTHER)
    gone.unlink()
    notes = " ".join(run("reconcile", path, "--root", root, "--no-store").split())

    assert "Its rates: card: was 2020.01.01, is 2026.11.30." in notes
    assert "1 transcript of it not here any more" in notes
    assert gone.name in notes


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timezone", "Mars/Olympus"),
        ("timezone", 7),
        ("filters", {"since": "never"}),
        ("provenance", {"rules": "one"}),
        ("generated_at", "yesterday"),
    ],
)
def test_metadata_that_cannot_be_used(
    run: Callable[..., str],
    root: Path,
    capfd: pytest.CaptureFixture[str],
    name: str,
    value: Any,
) -> None:
    """One line, and no traceback."""
    path = exported(run, root, DAILY)
    document = json.loads(path.read_text())
    document["meta"][name] = value
    path.write_text(json.dumps(document))
    code = main(["reconcile", str(path), "--root", str(root)])
    out, err = capfd.readouterr()

    assert (2, "") == (code, out)
    assert f"{path}: its metadata cannot be used: " in err.splitlines()[0]
