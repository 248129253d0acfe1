"""What the real client wrote, with truth by construction: what was cut, and what was never answered.

The data is no part of the project: it is looked for where TOKENAUDIT_CLIENT_DATA says, else in the
folder that lies beside the checkout, and these tests are skipped where it is absent.
"""

import json
import os
from pathlib import Path

import pytest
from transcripts_builder import facts_of

from tokenaudit import load, transcripts
from tokenaudit.audit.check.requests import unanswered

BESIDE = Path(__file__).parents[2] / "shared" / "data" / "client" / "2.1.332"
CLIENT = Path(os.environ.get("TOKENAUDIT_CLIENT_DATA", BESIDE))

pytestmark = pytest.mark.skipif(not CLIENT.is_dir(), reason="the client's transcripts are not here")


@pytest.mark.parametrize("scenario", ["cut", "cut_text", "cut_details", "stream_error"])
def test_what_the_server_cut_is_final_nowhere(scenario: str) -> None:
    """And all that it sent whole is final, with its very count."""
    frame = load(CLIENT / scenario / "root").frame
    found = {
        row["response_id"]: (row["quality"] == "final", row["output_tokens"])
        for row in frame.iter_rows(named=True)
    }
    truth = json.loads((CLIENT / scenario / "truth.json").read_text("utf-8"))
    whole = {one["id"]: one["usage"]["output_tokens"] for one in truth if is_whole(one)}
    broken = {one["id"]: one["usage"]["output_tokens"] for one in truth if not is_whole(one)}

    assert broken
    assert {**dict.fromkeys(broken, False), **dict.fromkeys(whole, True)} == {
        id_: is_final for id_, (is_final, _) in found.items()
    }
    assert all(found[id_][1] == output for id_, output in whole.items())
    assert all(found[id_][1] < output for id_, output in broken.items())


def is_whole(call: dict[str, object]) -> bool:
    return call["outcome"] == "complete"


@pytest.mark.parametrize(
    ("scenario", "sent", "reasons"),
    [
        ("one", 1, []),
        ("subs", 7, []),
        ("terminal_wander", 5, []),
        ("refusal", 2, []),
        ("killed", 3, ["unknown"]),
        ("ended", 2, ["unknown"]),
        ("refused", 2, ["refused", "refused"]),
        ("overloaded", 3, ["failed 529", "failed 529"]),
        ("fallback", 5, ["failed 529", "failed 529", "fallback overloaded", "failed 529"]),
    ],
)
def test_requests_without_an_answer(scenario: str, sent: int, reasons: list[str]) -> None:
    """As many as the server logged beside those that it answered whole, each with its reason."""
    facts = facts_of(transcripts.discover([CLIENT / scenario / "root"]))
    found = unanswered(facts.requests).sort("line")

    assert facts.transcripts["requests"].sum() == sent
    assert reasons == [
        " ".join(filter(None, row)) for row in found.select("reason", "detail").iter_rows()
    ]
