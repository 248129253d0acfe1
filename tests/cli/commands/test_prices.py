"""The commands about prices and the options that change them, run as a user runs them."""

import json
import shlex
import socket
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import typer
from stories import FIXTURES, STORIES, Story
from transcripts_builder import reply, session_file, write

import tokenaudit
from tokenaudit.__main__ import main
from tokenaudit.cli import app
from tokenaudit.cli.commands.prices import prices
from tokenaudit.cli.pipeline import spoken
from tokenaudit.pricing.card import shipped_card
from tokenaudit.render import Format
from tokenaudit.reports.prices import card_prices, explained, model_prices
from tokenaudit.reports.request import Request

UNPRICED = str(FIXTURES / "unpriced-models" / "claude")
ADVISOR = str(FIXTURES / "advisor-and-compaction" / "claude")
FEED = [
    {
        "id": "anthropic",
        "name": "Anthropic",
        "api_pattern": "https://api\\.anthropic\\.com",
        "models": [
            {
                "id": "claude-opus-6",
                "match": {"equals": "claude-opus-6"},
                "prices": {
                    "input_mtok": 6,
                    "output_mtok": 30,
                    "cache_read_mtok": 0.3,
                    "cache_write_mtok": 7.5,
                    "cache_write_1h_mtok": 12,
                },
            }
        ],
    }
]
RATES = """\
[[price]]
model = "glm-4.7"
input = 0.6
output = 2.2
cache_read = 0.11
cache_write_5m = 0.6
cache_write_1h = 0.6
[[discount]]
models = ["claude-*"]
multiplier = 0.8512
[aliases]
opus = "claude-opus-5-5"
"""


@pytest.fixture
def rates(tmp_path: Path) -> str:
    path = tmp_path / "rates.toml"
    path.write_text(RATES, "utf-8")
    return str(path)


@pytest.fixture
def feed(tmp_path: Path) -> str:
    path = tmp_path / "data.json"
    path.write_text(json.dumps(FEED), "utf-8")
    return str(path)


def run(capfd: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    code = main(argv)
    out, err = capfd.readouterr()
    return code, out, err


def document(capfd: pytest.CaptureFixture[str], *argv: str) -> dict[str, Any]:
    code, out, err = run(capfd, *argv, "--json")
    assert (code, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    return found


# the network


def commands() -> list[list[str]]:
    """The examples at the foot of each command's help, without those that may use the network.

    Of one command they run in their order: one may need what the one before it wrote.
    """
    help_of = [*app.registered_commands, *prices.registered_commands]
    epilogs = [each.epilog for each in help_of]
    callback = prices.registered_callback
    assert callback is not None
    epilogs.append(callback.epilog)
    examples = [
        [each.removeprefix("tokenaudit ") for each in epilog.removeprefix("Examples: ").split("; ")]
        for epilog in epilogs
        if isinstance(epilog, str)
    ]
    return [[""], *(each for each in examples if not each[0].startswith("prices update"))]


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which no socket can be made."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a socket was asked for")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("examples", commands(), ids=lambda examples: examples[0])
def test_no_command_opens_a_socket(
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    examples: list[str],
) -> None:
    """All work where there is no network at all."""
    monkeypatch.chdir(tmp_path)
    for example in examples:
        argv = shlex.split(example)
        sample = [] if argv[:1] == ["prices"] and "explain" not in argv else ["--demo"]
        code, out, err = run(capfd, *argv, *({*sample} - {*argv}))

        assert (code, "error" in err) == (0, False), example
        assert out or err or list(tmp_path.iterdir())


@pytest.mark.usefixtures("offline")
def test_an_update_from_a_file_opens_no_socket(
    capfd: pytest.CaptureFixture[str], feed: str
) -> None:
    """And its rows hold from then on, for models that the card lacks."""
    before = document(capfd, "models", "--root", UNPRICED)
    rows = document(capfd, "prices", "update", "--from-file", feed)["rows"]
    after = document(capfd, "models", "--root", UNPRICED)
    cost = {row["model"]: row["cost_usd"] for row in after["rows"]}

    assert "library" not in before["meta"]["pricing"]
    assert after["meta"]["pricing"]["library"].startswith("genai-prices 0.2.3 of ")
    assert {
        "rate_id": "claude-opus-6|standard|always|genai-prices",
        "price": "cache_read",
        "before_usd_per_mtok": None,
        "after_usd_per_mtok": "0.30",
    } in rows
    # 2 x 6 + 90 x 30 + 15,000 x 0.3 + 300 x 12 = 12 + 2,700 + 4,500 + 3,600 millionths
    assert cost["claude-opus-6"] == "0.010812"
    assert cost["glm-4.7"] is None


@pytest.mark.usefixtures("offline")
def test_an_update_without_a_network_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    """In one line and a hint; nothing is changed."""
    code, out, err = run(capfd, "prices", "update")

    assert (code, out) == (2, "")
    assert err.startswith("tokenaudit: error: prices cannot be fetched: a socket was asked for\n")


def test_importing_the_command_line_imports_no_library_of_prices() -> None:
    """Nor what it needs."""
    code = (
        "import sys; import tokenaudit.__main__, tokenaudit.cli;"
        "found = {'genai_prices', 'httpx2', 'pydantic'} & {*sys.modules}; assert not found, found"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("argv", [["--help"], ["daily", "--demo"], ["prices"]])
def test_no_report_imports_the_library(argv: list[str]) -> None:
    """Typer takes pydantic for itself; nothing takes genai-prices and its way to the network."""
    code = (
        "import sys; from tokenaudit.__main__ import main; code = main(sys.argv[1:]);"
        "found = {'genai_prices', 'httpx2'} & {*sys.modules};"
        "assert not found, found; sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *argv], capture_output=True, text=True, check=False
    )

    assert (0, "") == (done.returncode, done.stderr)


# prices, prices show


def test_prices_lists_what_is_in_force(capfd: pytest.CaptureFixture[str]) -> None:
    """Each with its days and its source."""
    rows = document(capfd, "prices")["rows"]
    sonnet = [row for row in rows if row["model"] == "claude-sonnet-5-5"]

    assert [
        {
            "model": "claude-sonnet-5-5",
            "speed": "standard",
            "valid_from": "2026-10-07",
            "valid_to": None,
            "prompt_above_tokens": None,
            "input_usd_per_mtok": "2.00",
            "output_usd_per_mtok": "10.00",
            "cache_read_usd_per_mtok": "0.10",
            "cache_write_5m_usd_per_mtok": "2.50",
            "cache_write_1h_usd_per_mtok": "4.00",
            "price_confidence": "high",
            "price_source": "release notes 2026-10-07",
        }
    ] == sonnet
    assert "claude-opus-4-7" not in {row["model"] for row in rows if row["speed"] == "fast"}


def test_the_users_rates_come_first(capfd: pytest.CaptureFixture[str], rates: str) -> None:
    """In the list, and in the basis."""
    found = document(capfd, "prices", "--rates", rates)

    assert (found["rows"][0]["model"], found["rows"][0]["valid_from"]) == ("glm-4-7", None)
    assert found["meta"]["pricing"]["user_rates"] == rates


def test_show_tells_the_history_of_a_model(capfd: pytest.CaptureFixture[str]) -> None:
    """Under any of its names; on a day only what held."""
    every = document(capfd, "prices", "show", "us.anthropic.claude-opus-4-6-v1")["rows"]
    then = document(capfd, "prices", "show", "claude-opus-4-6", "--on", "2026-03-13")["rows"]

    assert len(every) == 6
    assert [("standard", "2026-03-13"), ("fast", "2026-02-20")] == [
        (row["speed"], row["valid_from"]) for row in then
    ]


@pytest.mark.parametrize(
    ("day", "words"),
    [
        (date(2027, 1, 21), "Deprecated: Anthropic's API ends the model on 2027-01-22."),
        (date(2027, 1, 22), "Anthropic's API ended the model on 2027-01-22; its prices hold"),
    ],
)
def test_show_tells_the_end_of_life_of_a_model(day: date, words: str) -> None:
    """Before it as deprecated, from that day on as what has been."""
    now = datetime(day.year, day.month, day.day, tzinfo=UTC)
    request = Request(command="prices", version="1", now=now)
    shown = model_prices(shipped_card(), request, "claude-opus-4-5", None)
    listed = " ".join(card_prices(shipped_card(), request).notes)

    assert any(note.startswith(words) for note in shown.notes)
    assert ("Deprecated" in listed) == ("Deprecated" in words)
    assert ("claude-opus-4-5 (2027-01-22)" in listed) == ("Deprecated" in words)


def test_a_price_on_which_sources_differ_is_low_and_names_them(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Both figures stand in the source; none of them is passed off as sure."""
    (row,) = document(capfd, "prices", "show", "claude-mythos-preview")["rows"]

    assert row["price_confidence"] == "low"
    assert "$25/$125" in row["price_source"]
    assert "$10/$50" in row["price_source"]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["prices", "show", "claude-opus-45"], "no price for claude-opus-45"),
        (["prices", "show", "claude-opus-5", "--on", "soon"], "--on: not a day: soon"),
        (["prices", "explain", "nothing", "--demo"], "no response begins with 'nothing'"),
        (["prices", "explain", "msg_", "--demo"], "92 responses begin with 'msg_'"),
        (["prices", "update", "--from-file", "/none.json"], "/none.json: cannot be read"),
        (["daily", "--demo", "--as-model", "claude-opus-45"], "--as-model: no price for"),
        (["daily", "--demo", "--rates", "/none.toml"], "/none.toml: cannot be read"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_said(
    capfd: pytest.CaptureFixture[str], argv: list[str], words: str
) -> None:
    """On stderr, in a line, with exit code 2."""
    code, out, err = run(capfd, *argv)

    assert (code, out) == (2, "")
    assert words in err.splitlines()[0]


# prices explain


def test_explain_shows_each_term(capfd: pytest.CaptureFixture[str]) -> None:
    """1760 x 2 + 531 x 10 + 412 x 0.2 millionths: the response that asked an advisor."""
    ids = {
        row["response_id"]: row["cost_usd"]
        for row in document(capfd, "export", "--root", ADVISOR)["rows"]
    }
    asked = next(name for name, cost in ids.items() if cost == "0.0089124")
    found = document(capfd, "prices", "explain", asked, "--root", ADVISOR)

    sums: dict[str, list[Decimal]] = {}
    for row in found["rows"]:
        count, cost = sums.setdefault(row["item"], [Decimal(0), Decimal(0)])
        sums[row["item"]] = [count + row["count"], cost + Decimal(row["cost_term_usd"])]

    # it took two inferences, whose terms stand apart
    assert {1, 2} == {row["inference"] for row in found["rows"]}
    assert sums == {
        "input tokens": [1760, Decimal("0.00352")],
        "output tokens": [531, Decimal("0.00531")],
        "cache reads": [412, Decimal("0.0000824")],
    }
    assert found["totals"]["cost_term_usd"] == "0.0089124"


def story_rates(tmp_path: Path) -> list[Path | None]:
    path = tmp_path / "rates.toml"
    path.write_text(RATES, "utf-8")
    return [None, path]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_the_terms_sum_to_the_cost(story: Story, tmp_path: Path) -> None:
    """Of every response of every story, refused ones too, with and without the user's rates."""
    for path in story_rates(tmp_path):
        ledger = tokenaudit.load(story.root, rates=path)._ledger
        both = pl.concat([ledger.frame, ledger.refused]).filter(pl.col("cost_usd").is_not_null())
        if both.is_empty():
            continue
        for name, cost in (
            both.select("response_id", "cost_usd").unique("response_id", keep="none").rows()
        ):
            report = explained(ledger, Request("", "", datetime(2026, 11, 22, tzinfo=UTC)), name)
            assert report.sections[0].rows["cost_term_usd"].sum() == cost, name


# what if, own rates, strictness


def test_discounted_and_list_cost_stand_side_by_side(
    capfd: pytest.CaptureFixture[str], rates: str
) -> None:
    """Only where a discount is in force; rows still add up."""
    plain = document(capfd, "models", "--root", UNPRICED)
    found = document(capfd, "models", "--root", UNPRICED, "--rates", rates)
    by_model = {row["model"]: row for row in found["rows"]}

    assert "list_cost_usd" not in plain["rows"][0]
    # 0.051316 x 0.8512, its four parts exact in 12 places
    assert by_model["claude-opus-5-5"]["list_cost_usd"] == "0.051316"
    assert by_model["claude-opus-5-5"]["cost_usd"] == "0.0436801792"
    # glm-4.7: 8200 x 0.6 + 210 x 2.2 + 18000 x 0.11 = 4,920 + 462 + 1,980 millionths
    assert by_model["glm-4.7"]["cost_usd"] == by_model["glm-4.7"]["list_cost_usd"] == "0.007362"
    # opus as Opus 5.5: 2 x 4 + 80 x 20 + 15,300 x 0.2 + 200 x 8 = 6,268 millionths
    assert by_model["opus"]["list_cost_usd"] == "0.006268"
    assert Decimal(found["totals"]["cost_usd"]) == sum(
        Decimal(row["cost_usd"]) for row in found["rows"] if row["cost_usd"]
    )


def test_rates_beside_the_settings_hold(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rates: str
) -> None:
    """`rates.toml` where `tokenaudit.toml` is."""
    settings = tmp_path / "tokenaudit.toml"
    settings.write_text('timezone = "UTC"\n')
    monkeypatch.setenv("TOKENAUDIT_CONFIG", str(settings))

    assert document(capfd, "daily", "--demo")["meta"]["pricing"]["user_rates"] == rates


@pytest.mark.parametrize(
    ("extra", "code"), [([], 0), (["--strict"], 1), (["--strict", "--model", "claude-opus-5-5"], 0)]
)
def test_strict_fails_on_what_is_unpriced_in_the_selection(
    capfd: pytest.CaptureFixture[str], extra: list[str], code: int
) -> None:
    """After the report, which is written whole."""
    found, out, err = run(capfd, "models", "--root", UNPRICED, *extra)

    assert (found, err) == (code, "")
    assert "Output counts" in out


def test_the_foot_says_how_to_price_what_is_unpriced(capfd: pytest.CaptureFixture[str]) -> None:
    """A price for a model that is known to nobody here, an alias for a name that means several."""
    _, out, _ = run(capfd, "models", "--root", UNPRICED)
    text = " ".join(out.split())

    assert '[[price]] model = "glm-4.7" …; [aliases] "opus" = "claude-…"' in text


def test_another_model_reprices_everything(capfd: pytest.CaptureFixture[str]) -> None:
    """And the foot says that its tokenizer would have counted otherwise."""
    found = document(
        capfd,
        "daily",
        "--root",
        ADVISOR,
        "--as-model",
        "claude-sonnet-4-6",
        "--until",
        "2026-12-31",
    )
    _, out, _ = run(capfd, "daily", "--root", ADVISOR, "--as-model", "claude-sonnet-4-6")
    _, same, _ = run(capfd, "daily", "--root", ADVISOR, "--as-model", "claude-fable-5")

    assert found["meta"]["pricing"]["as_model"] == "claude-sonnet-4-6"
    assert "all responses are priced as claude-sonnet-4-6" in " ".join(out.split())
    assert (
        "claude-sonnet-4-6 has another tokenizer than claude-opus-5, claude-sonnet-5"
        in " ".join(out.split())
    )
    assert "tokenizer" not in same


# what responses of another time and kind cost


def loaded(tmp_path: Path, *lines: dict[str, Any]) -> tokenaudit.Ledger:
    write(session_file(tmp_path), *lines)
    return tokenaudit.load(tmp_path)


def test_an_old_card_warns_of_newer_usage(tmp_path: Path) -> None:
    """From the 46th day after its last check, and only if there is usage after that."""
    line = reply(model="claude-opus-5") | {"timestamp": "2026-12-01T09:00:00.000Z"}
    ledger = loaded(tmp_path, line)

    def warns(now: date, **more: Any) -> bool:
        report = ledger.report(
            "daily", now=datetime(now.year, now.month, now.day, tzinfo=UTC), **more
        )
        return any(note.startswith("Warning: the rate card") for note in report.notes)

    old = ledger.report("daily", now=datetime(2027, 1, 15, tzinfo=UTC))

    assert [old.notes[-1]] == spoken(old, Format.JSON)
    assert ([], list(old.notes)) == (spoken(old, Format.TABLE), spoken(old, Format.CSV))
    assert not warns(date(2027, 1, 14))
    assert warns(date(2027, 1, 15))
    assert not warns(date(2027, 1, 15), until=date(2026, 11, 30))
    assert ledger.frame["price_modifiers"].to_list() == ["carried_forward"]


@pytest.mark.parametrize(
    ("output", "stop", "cost", "modifiers"),
    [
        (0, "refusal", "0", "unbilled_refusal"),
        (1, "refusal", "0.000075", None),
        (0, "end_turn", "0.00005", None),
    ],
)
def test_a_refusal_before_any_output_is_not_billed(
    tmp_path: Path, output: int, stop: str, cost: str, modifiers: str | None
) -> None:
    """Ten tokens of input and one of output cost $0.000075 at Opus 4.8."""
    ledger = loaded(
        tmp_path,
        reply(output=output, stop=stop, model="claude-opus-4-8")
        | {"timestamp": "2026-07-01T09:00:00.000Z"},
    )
    row = ledger.frame.row(0, named=True)

    assert (Decimal(cost), modifiers) == (row["cost_usd"], row["price_modifiers"])
    assert row["is_unbilled"] is (Decimal(cost) == 0)
    assert row["cost_usd"] == row["list_cost_usd"]


def test_the_app_of_prices_is_typers() -> None:
    """The commands above are those that users get."""
    assert isinstance(prices, typer.Typer)


@pytest.mark.parametrize(
    ("output", "words", "cost"),
    [(0, "before any output, so not billed", "0"), (2, "$0.43 if billed", "0.42812")],
)
def test_the_foot_says_whether_a_refused_attempt_is_billed(
    tmp_path: Path, output: int, words: str, cost: str
) -> None:
    """The story of a fallback, and the same where the first model had said nothing."""
    source = next((FIXTURES / "refused-fallback" / "claude" / "projects").rglob("*.jsonl"))
    lines = [json.loads(line) for line in source.read_text("utf-8").splitlines()]
    for line in lines:
        for each in line.get("message", {}).get("usage", {}).get("iterations") or []:
            if each["type"] == "message" and each["output_tokens"] == 2:
                each["output_tokens"] = output
    ledger = loaded(tmp_path, *lines)

    assert Decimal(cost) == ledger.refused["cost_usd"].item()
    assert any(words in note for note in ledger.report("daily").notes)
