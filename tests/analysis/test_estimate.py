"""Estimates of lost output: fitted on finals, measured on others, never in the ledger's own columns."""

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from evidence import evidence
from stories import FIXTURES
from transcripts_builder import Line, agent_file, progress, reply, session_file, sidechain, write

from tokenaudit.__main__ import main
from tokenaudit.analysis.estimate import estimated
from tokenaudit.analysis.output_weights import ShippedWeights, family_of, shipped_weights
from tokenaudit.ledger.frame import SCHEMA, Ledger
from tokenaudit.transcripts.text_sizes import written

SHIPPED = ShippedWeights(
    tokens_per_thinking=0.0,
    tokens_per_signature=0.2,
    tokens_per_text=0.3,
    tokens_per_tool_input=0.4,
    tokens_per_tool_call=50.0,
    tokens_per_response=5.0,
    reach=1.4,
    total_error=0.02,
    median_error=0.1,
    finals=400,
    histories=3,
    note="",
)
"""Weights that are easy to reckon with."""


def wrote(
    line: Line, *, thinking: int = 0, signature: int = 0, text: int = 0, tool: int = 0
) -> Line:
    """Return *line* with blocks of so many characters; tool input is JSON: quotes and braces count."""
    blocks: list[Line] = [
        {"type": "thinking", "thinking": "x" * thinking, "signature": "x" * signature},
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


def ledger(
    tmp_path: Path, *lines: Line, shipped: Mapping[str, ShippedWeights] | None = None
) -> Ledger:
    write(session_file(tmp_path), *lines)
    found = evidence(tmp_path)
    return estimated(found.ledger, found.facts, shipped)


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
    """The responses of one half have twice the tokens of the other, which neither can know."""
    lines = [
        wrote(reply(f"msg_{at:02}", f"req_{at}", 200 if at % 2 else 100, at=at), text=400)
        for at in range(40)
    ]
    calibration = ledger(tmp_path, *lines).calibration
    assert calibration is not None
    row = calibration.row(0, named=True)

    # 20 of 100 tokens are told as 200, 20 of 200 as 100: off by 100 % and by 50 %, in the sum by nothing
    assert row["total_error"] == pytest.approx(0)
    assert row["median_error"] == pytest.approx(0.75)
    assert row["reach"] == pytest.approx(2)
    assert row["tokens_per_text"] * 400 + row["tokens_per_response"] == pytest.approx(150)


def test_whole_sessions_are_held_out_where_there_are_four(tmp_path: Path) -> None:
    """Each has a rule of its own: 0.1, 0.2, 0.3, 0.4 tokens per character. Held out is every other one."""
    for number in range(4):
        session = f"{number}1111111-1111-4111-8111-111111111111"
        lines = [
            wrote(
                reply(f"msg_{number}{at}", f"req_{number}{at}", 100 * (number + 1), at=at),
                text=1000,
            )
            for at in range(10)
        ]
        write(session_file(tmp_path, session), *[{**line, "sessionId": session} for line in lines])
    found = evidence(tmp_path)
    calibration = estimated(found.ledger, found.facts).calibration
    assert calibration is not None
    row = calibration.row(0, named=True)

    # told by sessions 2 and 4 (300 tokens): 100, 300; by 1 and 3 (200 tokens): 200, 400
    # off by 200 %, 0 %, 0 %, 50 %; the sum by nothing; at most 400 / 200 times as much
    assert row["total_error"] == pytest.approx(0)
    assert row["median_error"] == pytest.approx(0.25)
    assert row["reach"] == pytest.approx(2)


def test_what_is_written_has_weights_of_its_own_each(tmp_path: Path) -> None:
    """0.3 and 0.4 tokens per character, 0.25 of a signature without its thinking, 50 per call."""
    lines = []
    for at in range(120):
        signature, text, tool = 500 * (at % 3), 300 + 100 * (at % 5), 100 * (at % 7) + 10
        tool = tool if at % 2 else 0
        tokens = round(0.25 * signature + 0.3 * text + 0.4 * tool + (50 if tool else 0))
        line = reply(f"msg_{at}", f"req_{at}", tokens, at=at)
        lines.append(wrote(line, signature=signature, text=text, tool=tool))
    calibration = ledger(tmp_path, *lines).calibration
    assert calibration is not None
    row = calibration.row(0, named=True)

    names = ("signature", "text", "tool_input")
    assert [row[f"tokens_per_{name}"] for name in names] == pytest.approx(
        [0.25, 0.3, 0.4], abs=0.01
    )
    assert row["tokens_per_tool_call"] == pytest.approx(50, abs=2)


def test_thinking_whose_text_is_left_out_is_told_by_its_signature(tmp_path: Path) -> None:
    """4,000 characters of signature at a quarter of a token are 1,000 tokens; without them nothing is known."""
    finals_of_thought = [
        wrote(reply(f"msg_f{at}", f"req_f{at}", 100 * (at + 1), at=at), signature=400 * (at + 1))
        for at in range(40)
    ]
    line = wrote(reply("msg_lost", "req_lost", 3, stop=None, at=-9), signature=4000)

    assert 1000 == of_lost(ledger(tmp_path, *finals_of_thought, line))["est_output_best_tokens"]


def test_a_root_without_finals_takes_the_weights_that_ship(tmp_path: Path) -> None:
    """4,000 characters of signature, 1,000 of text, a call with 100: 800 + 300 + 50 + 40 + 5 tokens.

    High is 1.4 times as much.
    """
    line = wrote(reply("msg_lost", "req_lost", 3, stop=None), signature=4000, text=1000, tool=100)
    found = ledger(tmp_path, line, shipped={"old": SHIPPED})
    row = of_lost(found)

    assert (1195, 1673) == (
        row["est_output_best_tokens"],
        row["est_output_high_tokens"],
    )
    assert found.calibration is not None
    assert ("claude-opus-4-6", True, 400, 0.02, 0.1) == found.calibration.select(
        "model", "is_shipped", "finals", "total_error", "median_error"
    ).row(0)


def test_what_too_few_finals_hold_keeps_the_weight_that_ships(tmp_path: Path) -> None:
    """40 finals of text tell 0.25 tokens a character; of a signature the 0.2 that ship stand: 500 + 800."""
    line = wrote(reply("msg_lost", "req_lost", 3, stop=None, at=-9), signature=4000, text=2000)
    found = ledger(tmp_path, *finals(40), line, shipped={"old": SHIPPED})

    assert 1300 == of_lost(found)["est_output_best_tokens"]


@pytest.mark.parametrize("model", ["glm-9", "claude-opus-9"])
def test_a_model_of_no_known_family_is_not_guessed(tmp_path: Path, model: str) -> None:
    """Not by the finals of another model either: what is recorded stands, and it is counted."""
    row = of_lost(ledger(tmp_path, *finals(40), lost(2000, model=model)))

    assert (3, 3, 1) == (
        row["est_output_best_tokens"],
        row["est_output_high_tokens"],
        row["est_unknown_responses"],
    )


def test_weights_ship_for_every_known_model() -> None:
    """Each belongs to a family, and each family's weights say how wrong they were, and on what."""
    assert {"old", "new"} == set(shipped_weights())
    assert family_of("claude-sonnet-4-5-20250929") == "old"
    assert family_of("claude-opus-4-7[1m]") == "new"
    assert family_of("glm-5.1") is None
    assert all(
        each.finals >= 40 and each.reach > 1 and each.tokens_per_signature > 0
        for each in shipped_weights().values()
    )


def test_no_estimate_is_below_what_is_recorded(tmp_path: Path) -> None:
    """A lower bound of 900 tokens for 400 characters stays."""
    row = of_lost(ledger(tmp_path, *finals(40), lost(400, 900)))

    assert (900, 900) == (row["est_output_best_tokens"], row["est_output_high_tokens"])
    assert row["est_cost_best_usd"] == row["cost_usd"]


def test_too_few_finals_fit_nothing(tmp_path: Path) -> None:
    """39 are too few: without weights that ship nothing is guessed, and it is counted."""
    found = ledger(tmp_path, *finals(39), lost(2000), shipped={})
    row = of_lost(found)

    assert found.calibration is not None
    assert found.calibration.is_empty()
    assert (3, 3, 1) == (
        row["est_output_best_tokens"],
        row["est_output_high_tokens"],
        row["est_unknown_responses"],
    )


def test_a_response_that_wrote_nothing_is_unknown(tmp_path: Path) -> None:
    """No characters tell nothing, also where there is a calibration."""
    assert 1 == of_lost(ledger(tmp_path, *finals(40), lost(0)))["est_unknown_responses"]


def test_an_unpriced_model_has_an_estimate_without_a_cost(tmp_path: Path) -> None:
    """Null, not zero."""
    row = of_lost(ledger(tmp_path, *finals(40, model="glm-9"), lost(2000, model="glm-9")))

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
    assert [0, 0, 0, 0] == found["tool_calls"]
    assert ["msg_lost", "msg_lost", "msg_lost", "msg_a"] == found["message_id"]
    whole = ledger(tmp_path / "more", *finals(40), line, other, line)
    assert round(150 * 0.25) == of_lost(whole)["est_output_best_tokens"]


def test_a_signature_and_calls_of_tools_are_counted(tmp_path: Path) -> None:
    """Of a call with an empty input the braces are its input."""
    line = reply("msg_1", "req_1")
    blocks: list[Line] = [
        {"type": "thinking", "thinking": "", "signature": "x" * 300},
        {"type": "tool_use", "input": {}},
        {"type": "tool_use", "input": {"a": "b"}},
    ]
    line["message"]["content"] = blocks
    found = written([str(write(session_file(tmp_path), line))])

    assert ([0], [300], [0], [11], [2]) == tuple(
        found[name] for name in ("thinking", "signature", "text", "tool_input", "tool_calls")
    )


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


def test_an_export_says_by_which_weights_it_estimated(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where others ship since, verification says so; what has no estimates depends on none."""
    with_them, without = str(tmp_path / "with.json"), str(tmp_path / "without.json")
    assert main(["export", "--demo", "--estimate", "-o", with_them]) == 0
    assert main(["export", "--demo", "-o", without]) == 0
    monkeypatch.setattr("tokenaudit.analysis.output_weights.digest", lambda: "0" * 64)
    capfd.readouterr()

    assert main(["verify", with_them]) == 1
    assert "Weights that ship: sha256 was" in " ".join(capfd.readouterr().out.split())
    assert main(["verify", without]) == 0


def test_an_export_with_estimates_can_be_verified(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """They are made anew like all the rest."""
    path = str(tmp_path / "export.parquet")
    assert main(["export", "--demo", "--estimate", "-o", path]) == 0
    assert main(["verify", path]) == 0, capfd.readouterr().out
