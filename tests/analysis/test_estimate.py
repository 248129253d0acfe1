"""Estimates of lost output: fitted on finals, measured on others, never in the ledger's own columns."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from evidence import evidence
from stories import FIXTURES
from test_real_data import REAL
from transcripts_builder import Line, agent_file, progress, reply, session_file, sidechain, write

from tokenaudit.__main__ import main
from tokenaudit.analysis.estimate import estimated
from tokenaudit.ledger.frame import SCHEMA, Ledger
from tokenaudit.transcripts.text_sizes import written


def wrote(line: Line, *, thinking: int = 0, text: int = 0, tool: int = 0) -> Line:
    """Return *line* with blocks of so many characters; tool input is JSON: quotes and braces count."""
    blocks: list[Line] = [
        {"type": "thinking", "thinking": "x" * thinking},
        {"type": "text", "text": "x" * text},
        {"type": "tool_use", "input": {"a": "x" * (tool - 8)}} if tool else {"type": "text"},
    ]
    return {**line, "message": {**line["message"], "content": blocks}}


def finals(
    number: int, *, per_character: float = 0.25, model: str = "claude-opus-4-6"
) -> list[Line]:
    """Finals of 400, 800, 1,200... characters of text, with so many tokens for each."""
    return [
        wrote(
            reply(
                f"msg_f{at}",
                f"req_f{at}",
                round(400 * (at + 1) * per_character),
                at=at,
                model=model,
            ),
            text=400 * (at + 1),
        )
        for at in range(number)
    ]


def lost(characters: int, output: int = 3, **more: Any) -> Line:
    return wrote(reply("msg_lost", "req_lost", output, stop=None, at=-9, **more), text=characters)


def ledger(tmp_path: Path, *lines: Line) -> Ledger:
    write(session_file(tmp_path), *lines)
    found = evidence(tmp_path)
    return estimated(found.ledger, found.facts)


def of_lost(found: Ledger) -> dict[str, Any]:
    import polars as pl

    return found.frame.row(by_predicate=pl.col("response_id") == "msg_lost", named=True)


def test_a_quarter_of_a_token_per_character(tmp_path: Path) -> None:
    """2,000 characters are 500 tokens: 497 more than recorded, at $25 per million $0.012425."""
    found = ledger(tmp_path, *finals(40), lost(2000))
    row = of_lost(found)

    assert (500, 500, 0) == (
        row["est_output_best_tokens"],
        row["est_output_high_tokens"],
        row["est_unknown_responses"],
    )
    assert row["est_cost_best_usd"] - row["cost_usd"] == Decimal("0.012425")
    assert (3, "placeholder") == (row["output_tokens"], row["quality"])


def test_the_ledgers_own_columns_stay_as_they_were(tmp_path: Path) -> None:
    """To the last value."""
    write(session_file(tmp_path), *finals(40), lost(2000))
    plain = evidence(tmp_path)

    assert (
        estimated(plain.ledger, plain.facts).frame.select(SCHEMA.keys()).equals(plain.ledger.frame)
    )


def test_the_error_is_that_of_finals_held_out(tmp_path: Path) -> None:
    """Where all follow one rule it is nothing; the fit is known to its digits."""
    calibration = ledger(tmp_path, *finals(40)).calibration
    assert calibration is not None
    row = calibration.row(0, named=True)

    assert ("claude-opus-4-6", 40) == (row["model"], row["finals"])
    assert row["tokens_per_text"] == pytest.approx(0.25)
    assert row["total_error"] == pytest.approx(0)
    assert row["median_error"] == pytest.approx(0)
    assert row["reach"] == pytest.approx(1)


def test_the_error_is_not_that_of_what_was_fitted(tmp_path: Path) -> None:
    """The responses of one half have twice the tokens of the other, which the other cannot know."""
    lines = [
        wrote(reply(f"msg_{at:02}", f"req_{at}", 200 if at % 2 else 100, at=at), text=400)
        for at in range(40)
    ]
    calibration = ledger(tmp_path, *lines).calibration
    assert calibration is not None
    row = calibration.row(0, named=True)

    # ranks of ids from 1: the held ones are those of even rank, of 200 tokens, told as 100
    assert row["total_error"] == pytest.approx(-0.5)
    assert row["median_error"] == pytest.approx(0.5)
    assert row["reach"] == pytest.approx(2)
    assert row["tokens_per_text"] == pytest.approx(150 / 400)


def test_thinking_text_and_tool_input_have_their_own_weights(tmp_path: Path) -> None:
    """0.2, 0.3 and 0.4 tokens per character, found again."""
    lines = []
    for at in range(60):
        sizes = (500 * (at % 3), 300 + 100 * (at % 5), 100 * (at % 7) + 10)
        tokens = round(0.2 * sizes[0] + 0.3 * sizes[1] + 0.4 * sizes[2])
        line = reply(f"msg_{at}", f"req_{at}", tokens, at=at)
        lines.append(wrote(line, thinking=sizes[0], text=sizes[1], tool=sizes[2]))
    calibration = ledger(tmp_path, *lines).calibration
    assert calibration is not None
    row = calibration.row(0, named=True)

    weights = [row[f"tokens_per_{name}"] for name in ("thinking", "text", "tool_input")]
    assert weights == pytest.approx([0.2, 0.3, 0.4], abs=0.01)


def test_no_estimate_is_below_what_is_recorded(tmp_path: Path) -> None:
    """A lower bound of 900 tokens for 400 characters stays."""
    row = of_lost(ledger(tmp_path, *finals(40), lost(400, 900)))

    assert (900, 900) == (row["est_output_best_tokens"], row["est_output_high_tokens"])
    assert row["est_cost_best_usd"] == row["cost_usd"]


def test_too_few_finals_calibrate_nothing(tmp_path: Path) -> None:
    """39 are too few: nothing is guessed, and it is counted."""
    found = ledger(tmp_path, *finals(39), lost(2000))
    row = of_lost(found)

    assert found.calibration is not None
    assert found.calibration.is_empty()
    assert (3, 3, 1) == (
        row["est_output_best_tokens"],
        row["est_output_high_tokens"],
        row["est_unknown_responses"],
    )


def test_a_model_without_finals_is_estimated_by_all_models(tmp_path: Path) -> None:
    """By those of another, which is named so."""
    found = ledger(tmp_path, *finals(40), lost(2000, model="claude-sonnet-4-5"))

    assert found.calibration is not None
    assert ["claude-opus-4-6", "all models"] == found.calibration["model"].to_list()
    assert 500 == of_lost(found)["est_output_best_tokens"]


def test_a_response_that_wrote_nothing_is_unknown(tmp_path: Path) -> None:
    """No characters tell nothing, also where there is a calibration."""
    assert 1 == of_lost(ledger(tmp_path, *finals(40), lost(0)))["est_unknown_responses"]


def test_an_unpriced_model_has_an_estimate_without_a_cost(tmp_path: Path) -> None:
    """Null, not zero."""
    row = of_lost(ledger(tmp_path, *finals(40), lost(2000, model="glm-9")))

    assert (500, None) == (row["est_output_best_tokens"], row["est_cost_best_usd"])


def test_what_is_written_is_counted_once(tmp_path: Path) -> None:
    """Lines of several blocks add up; copies of a line in a fork and a progress line do not."""
    line = lost(100)
    other = {**lost(50), "uuid": "other"}
    agent = sidechain(wrote(reply("msg_a", "req_a"), text=7), "a1")
    path = write(session_file(tmp_path), line, other, line, progress(agent, "a1"))
    write(agent_file(tmp_path, "a1"), agent)
    found = written([str(path)])

    assert [100, 50, 100, 7] == found["text"]
    assert ["msg_lost", "msg_lost", "msg_lost", "msg_a"] == found["message_id"]
    whole = ledger(tmp_path / "more", *finals(40), line, other, line)
    assert round(150 * 0.25) == of_lost(whole)["est_output_best_tokens"]


def test_estimates_are_columns_that_say_so(capfd: pytest.CaptureFixture[str]) -> None:
    """Rows add up to totals, recorded figures are the same with and without."""
    root = str(FIXTURES / "streaming-placeholders" / "claude")
    documents = []
    for more in ([], ["--estimate"]):
        assert main(["models", "--root", root, "--json", *more]) == 0
        documents.append(json.loads(capfd.readouterr().out))
    plain, with_estimate = documents
    added = set(with_estimate["totals"]) - set(plain["totals"])

    assert all(name.startswith("est_") for name in added)
    assert len(added) == 5
    assert {name: with_estimate["totals"][name] for name in plain["totals"]} == plain["totals"]
    for name in ("est_output_best_tokens", "est_output_high_tokens", "est_unknown_responses"):
        assert sum(row[name] for row in with_estimate["rows"]) == with_estimate["totals"][name]


@pytest.mark.parametrize(
    "command",
    ["", "daily --breakdown", "sessions --no-cost", "session 0cf1", "agents --full", "export refused",
     "export --format csv", "weekly --sort est_cost_best"],
)  # fmt: skip
def test_every_report_takes_estimates(capfd: pytest.CaptureFixture[str], command: str) -> None:
    """Without a fault, and with its foot."""
    code = main([*command.split(), "--demo", "--estimate"])
    out, err = capfd.readouterr()

    assert code == 0, err
    assert "held out" in " ".join(f"{out} {err}".split())


def test_an_export_with_estimates_can_be_verified(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """They are made anew like all the rest."""
    path = str(tmp_path / "export.parquet")
    assert main(["export", "--demo", "--estimate", "-o", path]) == 0
    assert main(["verify", path]) == 0, capfd.readouterr().out


@pytest.mark.skipif(not REAL.is_dir(), reason="the real histories are not here")
def test_the_error_on_a_real_history_is_what_the_readme_states() -> None:
    """Of each model and of all together, in whole per cent."""
    found = evidence(REAL / "oh-my-posh")
    calibration = estimated(found.ledger, found.facts).calibration
    assert calibration is not None
    stated = {
        row["model"]: (
            row["finals"],
            round(100 * row["total_error"]),
            round(100 * row["median_error"]),
        )
        for row in calibration.iter_rows(named=True)
    }

    assert stated == {
        "claude-fable-5": (690, 8, 101),
        "claude-opus-5": (917, -5, 58),
        "claude-sonnet-5": (852, -23, 101),
        "all models": (2461, 0, 97),
    }
