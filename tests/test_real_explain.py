"""Explanations of real responses agree with a direct reading of their lines.

The reading below knows nothing of tokenaudit: it decodes every line with `json` and compares ids.
"""

import json
import random
from collections import defaultdict
from functools import cache
from typing import Any

import pytest
from audited import Audited, rows, warnings
from test_real_data import FOLDERS, REAL

pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="the real histories are not here")

decode = json.JSONDecoder().raw_decode  # a second object on a line is never about usage here

Observation = tuple[str, int, int, str | None, int, int, int, int]


@cache
def direct() -> dict[str, list[Observation]]:
    """Every line of every transcript that says usage, by message id."""
    found: dict[str, list[Observation]] = defaultdict(list)
    for path in sorted(REAL.glob("*/**/*.jsonl")):
        offset = 0
        for number, data in enumerate(path.read_bytes().split(b"\n"), 1):
            line: dict[str, Any] = decode(data.decode())[0] if data.strip() else {}
            if line.get("type") == "progress" and line["data"].get("type") == "agent_progress":
                line = line["data"]["message"]
            message = line.get("message") or {}
            if line.get("type") == "assistant" and message.get("model") != "<synthetic>":
                usage = message["usage"]
                counts = [usage[f"{name}_tokens"] for name in ("input", "output")]
                cached = [
                    usage.get(f"cache_{name}_input_tokens", 0) for name in ("read", "creation")
                ]
                said = (str(path), number, offset, message.get("stop_reason"), *counts, *cached)
                found[message["id"]].append(said)
            offset += len(data) + 1
    return found


def test_explanations_of_a_hundred_responses_agree_with_a_direct_reading() -> None:
    """The same lines at the same places with the same counts; the same one counts."""
    audited = Audited.of(*(REAL / folder for folder in FOLDERS))
    frame = audited.ledger.frame.filter(kind="message")
    chosen = random.Random(20261122).sample(range(frame.height), 100)
    for at in chosen:
        row = frame.row(at, named=True)
        report = audited.explain(row["response_id"], all_rules=True)
        lines = direct()[row["response_id"]]
        explained = rows(report, "lines")

        assert warnings(report) == []
        assert sorted(
            (
                *(line["path"], line["line"], line["byte_offset"], line["stop_reason"]),
                *(line["input_tokens"], line["output_tokens"], line["cache_read_tokens"]),
                line["cache_write_5m_tokens"] + line["cache_write_1h_tokens"],
            )
            for line in explained
        ) == sorted(lines)
        (counting,) = (line for line in explained if line["verdict"] == "counts")
        final = [said for said in lines if said[3] is not None]
        outputs = {said[5] for said in (final or lines)}
        assert counting["output_tokens"] == row["output_tokens"]
        assert counting["output_tokens"] == max(outputs)
        by_rule = {each["rule"]: each for each in rows(report, "all_rules")}
        assert by_rule["sum_of_lines"]["output_tokens"] == sum(said[5] for said in lines)
        assert by_rule["as_counted"]["output_tokens"] == row["output_tokens"]


def test_all_lines_together_are_those_of_a_direct_reading() -> None:
    """What a sum over all lines would say, over the whole history."""
    audited = Audited.of(*(REAL / folder for folder in FOLDERS))
    report = audited.explain(None, all_rules=True)
    by_rule = {each["rule"]: each for each in rows(report, "all_rules")}
    everything = [said for lines in direct().values() for said in lines]

    assert warnings(report) == []
    assert by_rule["sum_of_lines"]["counted"] == len(everything)
    assert by_rule["sum_of_lines"]["output_tokens"] == sum(said[5] for said in everything)
