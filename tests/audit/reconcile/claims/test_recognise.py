"""Recognising totals: each known shape by its content, and words for all that is none."""

import json
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tokenaudit.audit.reconcile.claims import Claim, ClaimCounts, ClaimError, ClaimKind, read_claims
from tokenaudit.files.seal import UNSEALED, sealed

RESULT = {
    "type": "result",
    "session_id": "s1",
    "total_cost_usd": 0.1,
    "modelUsage": {"m": {"inputTokens": 1, "outputTokens": 2, "costUSD": 0.1}},
}
REPLY = {"type": "assistant", "session_id": "s1", "message": {"model": "m", "usage": {}}}


def written(tmp_path: Path, *values: Any, name: str = "claim.json") -> Path:
    path = tmp_path / name
    texts = [value if isinstance(value, str) else json.dumps(value) for value in values]
    path.write_text("\n".join(texts), "utf-8")
    return path


def read(tmp_path: Path, *values: Any, name: str = "claim.json") -> Claim:
    (claim,), others = read_claims(written(tmp_path, *values, name=name))
    assert others == []
    return claim


def test_a_result_and_a_stream_of_it(tmp_path: Path) -> None:
    """Of a session the last result counts; of several sessions each."""
    early = {**RESULT, "total_cost_usd": 0.05}
    other = {**RESULT, "session_id": "s2"}
    init = {"type": "system", "subtype": "init", "claude_code_version": "2.1.205"}
    alone = read(tmp_path, RESULT)
    stream = read(tmp_path, init, REPLY, early, RESULT, other)
    as_list = read(tmp_path, [init, REPLY, RESULT])

    assert (ClaimKind.RESULT, Decimal("0.1"), ClaimCounts(1, 2)) == (
        alone.shape,
        alone.cost_usd,
        alone.counts,
    )
    assert (Decimal("0.2"), ClaimCounts(2, 4), "2.1.205") == (
        stream.cost_usd,
        stream.counts,
        stream.version,
    )
    assert {"s1", "s2"} == stream.sessions
    assert Decimal("0.1") == as_list.cost_usd


def test_a_result_of_2025(tmp_path: Path) -> None:
    """`total_cost`, and no usage by model: the model is that of the replies, if they have one."""
    old = {
        "type": "result",
        "session_id": "s1",
        "total_cost": 0.2,
        "usage": {"input_tokens": 1, "output_tokens": 2, "cache_read_input_tokens": 3},
    }
    claim = read(tmp_path, REPLY, old)

    assert ("m", ClaimCounts(1, 2, 3), Decimal("0.2")) == (
        claim.lines[0].model,
        claim.counts,
        claim.cost_usd,
    )


@pytest.mark.parametrize(("temporality", "tokens"), [(1, 30), (2, 20)])
def test_telemetry_metrics(tmp_path: Path, temporality: int, tokens: int) -> None:
    """Deltas are added up; of cumulative points the last counts."""

    def points(name: str, *values: float, **attributes: str) -> Any:
        pairs = [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()]
        data = [{"attributes": pairs, "asDouble": value} for value in values]
        return {"name": name, "sum": {"aggregationTemporality": temporality, "dataPoints": data}}

    metrics = [
        points("claude_code.token.usage", 10, 20, type="cacheRead", model="m"),
        points("claude_code.cost.usage", 0.1, 0.2, model="m"),
        points("claude_code.commit.count", 7),
    ]
    claim = read(tmp_path, {"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]})

    assert (ClaimKind.OTEL_METRICS, ClaimCounts(cache_read=tokens)) == (claim.shape, claim.counts)
    assert Decimal("0.3" if temporality == 1 else "0.2") == claim.cost_usd


def page(*results: Any, **more: Any) -> Any:
    bucket = {
        "starting_at": "2026-03-01T00:00:00Z",
        "ending_at": "2026-03-02T00:00:00Z",
        "results": list(results),
    }
    return {"data": [bucket], "has_more": False, **more}


def test_the_admin_apis_reports(tmp_path: Path) -> None:
    """Usage in tokens; cost in cents; the last day is the one before the bucket's end."""
    usage = {
        "model": "m",
        "uncached_input_tokens": 1,
        "output_tokens": 2,
        "cache_read_input_tokens": 3,
        "cache_creation": {"ephemeral_5m_input_tokens": 4, "ephemeral_1h_input_tokens": 5},
        "server_tool_use": {"web_search_requests": 6},
    }
    claim = read(tmp_path, page(usage, has_more=True))
    assert (ClaimKind.ADMIN_USAGE, ClaimCounts(1, 2, 3, 9), 6) == (
        claim.shape,
        claim.counts,
        claim.web_searches,
    )
    assert ("2026-03-01", "2026-03-01") == (str(claim.since), str(claim.until))

    pages = read(tmp_path, [page({"amount": "123.45", "currency": "USD"})] * 2)
    assert (ClaimKind.ADMIN_COST, Decimal("2.469"), None) == (
        pages.shape,
        pages.cost_usd,
        pages.counts,
    )
    assert not any("has_more" in note for note in pages.notes)
    more = read(tmp_path, page({"amount": "1"}, has_more=True) | {"has_more": True})
    assert any("has_more" in note for note in more.notes)


def test_the_consoles_csv_of_cost(tmp_path: Path) -> None:
    """By day, in dollars."""
    claim = read(
        tmp_path,
        "usage_date_utc,model,cost_usd",
        "2026-03-01,m,1.5",
        "2026-03-03,m,0.25",
        name="cost.csv",
    )

    assert (ClaimKind.ADMIN_COST, Decimal("1.75")) == (claim.shape, claim.cost_usd)
    assert ("2026-03-01", "2026-03-03") == (str(claim.since), str(claim.until))


@pytest.mark.parametrize("name", ["daily", "monthly", "session", "blocks"])
def test_reports_of_ccusage(tmp_path: Path, name: str) -> None:
    """Any of them; daily and monthly say from when to when."""
    part = {"modelName": "m", "inputTokens": 1, "outputTokens": 2, "cost": 0.5}
    row = {"date": "2026-03-01", "totalCost": 0.5, "modelBreakdowns": [part]}
    if name == "blocks":
        counts = {"inputTokens": 1, "outputTokens": 2, "cacheReadInputTokens": 0}
        row = {"costUSD": 0.5, "tokenCounts": counts}
    claim = read(tmp_path, {name: [row, row], "totals": {}})

    assert (ClaimKind.CCUSAGE, ClaimCounts(2, 4), Decimal(1)) == (
        claim.shape,
        claim.counts,
        claim.cost_usd,
    )
    assert (name in {"daily", "monthly"}) == (claim.since is not None)


def test_a_folder_is_read_file_by_file(tmp_path: Path) -> None:
    """What is no total is said, and does not hide what is one."""
    written(tmp_path, RESULT, name="a.json")
    written(tmp_path, {"x": 1}, name="b.json")
    written(tmp_path, "not read", name="c.md")
    claims, others = read_claims(tmp_path)

    assert [1, 1] == [len(claims), len(others)]
    assert "its keys: x" in others[0]


OTEL = {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "x"}}]}]}]}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([""], "is empty"),
        (["\n\n"], "is empty"),
        ([{"x": 1, "y": 2}], "its keys: x, y"),
        (["[]"], "its keys: "),
        (["<html>"], "recognised neither as JSON nor as a known CSV; begins with '<html>'"),
        ([REPLY, REPLY], "with 2 assistant lines, but without its closing result"),
        ([REPLY, '{"type":"resu'], "claim.json:2: is no JSON"),
        (['{"type":"result"'], "0 whole lines before it"),
        ([{"type": "result", "session_id": "s"}], "without usage and without modelUsage"),
        ([{**RESULT, "modelUsage": {"m": 1}}], "modelUsage of m: is no object"),
        ([{**RESULT, "modelUsage": {"m": {"inputTokens": -1}}}], "inputTokens: negative"),
        ([{**RESULT, "total_cost_usd": "much"}], "total_cost_usd: is no amount of money"),
        ([{**RESULT, "total_cost_usd": True}], "total_cost_usd: is no amount of money"),
        (
            [
                {
                    "version": 4,
                    "lastComputedDate": "2026-01-01",
                    "dailyActivity": [],
                    "modelUsage": {},
                }
            ],
            "stats-cache.json of version 4; known are 1 to 3",
        ),
        (
            [{"version": 1, "lastComputedDate": "soon", "dailyActivity": [], "modelUsage": {}}],
            "lastComputedDate: is no day",
        ),
        ([OTEL], "without any event claude_code.api_request"),
        ([{"resourceMetrics": []}], "without claude_code.token.usage"),
        ([{"daily": [{"date": "2026-01-01"}], "totals": {}}], "looks like ccusage daily --json"),
        ([page({"amount": "1", "currency": "EUR"})], "in EUR; only USD"),
        (["usage_date_utc,model", "2026-01-01,m"], "neither usage_output_tokens nor cost_usd"),
        (["usage_date_utc,cost_usd", "soon,1"], "usage_date_utc: "),
        (
            [{"meta": {"tool": "tokenaudit", "format": 2, "version": "9"}}],
            "in format 2; known is 1",
        ),
        ([{"meta": {"tool": "tokenaudit", "format": 1}}], "without totals of usage"),
    ],
)
def test_what_states_no_total_is_told(tmp_path: Path, values: list[Any], words: str) -> None:
    """With what was recognised and what was not, in one line."""
    with pytest.raises(ClaimError) as error:
        read_claims(written(tmp_path, *values))

    assert words in str(error.value)
    assert str(error.value).startswith(str(tmp_path))
    assert "\n" not in str(error.value)


def test_what_cannot_be_read(tmp_path: Path) -> None:
    """A file that is not there, one that is no text, a folder without any total."""
    with pytest.raises(ClaimError, match="cannot be read: No such file"):
        read_claims(tmp_path / "none.json")
    (tmp_path / "x.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(ClaimError, match="no text in UTF-8"):
        read_claims(tmp_path / "x.json")
    with pytest.raises(ClaimError, match="no file in it states a total"):
        read_claims(tmp_path)


def parquet(tmp_path: Path, columns: dict[str, Any], **meta: str) -> Path:
    """A file of Parquet with a footer and a seal such as ours."""
    file = BytesIO()
    footer = {f"tokenaudit.{name}": text for name, text in meta.items()}
    pl.DataFrame(columns).write_parquet(file, metadata=footer)
    path = tmp_path / "claim.parquet"
    path.write_bytes(sealed(file.getvalue(), is_last=True))
    return path


WRITES = {"cache_write_5m_tokens": [1, 2], "cache_write_1h_tokens": [3, 4]}
COUNTS = {"input_tokens": [5, 6], "output_tokens": [7, 8], "cache_read_tokens": [9, 10], **WRITES}
OURS = {"format": "1", "seal": UNSEALED}


def test_our_own_parquet(tmp_path: Path) -> None:
    """Its rows are added up; both kinds of cache writes are one class."""
    parquet(tmp_path, {**COUNTS, "cost_usd": ["0.1", None]}, **OURS)
    (claim,), others = read_claims(tmp_path)

    assert (ClaimKind.EXPORT, ClaimCounts(11, 15, 19, 10)) == (claim.shape, claim.counts)
    assert (Decimal("0.1"), []) == (claim.cost_usd, others)
    assert 1 == claim.meta["format"]


@pytest.mark.parametrize(
    ("columns", "meta", "words"),
    [
        (COUNTS, {}, "is Parquet, but carries no seal of tokenaudit"),
        (COUNTS, {"seal": f"sha256:{'1' * 64}"}, "its seal is broken"),
        (COUNTS, OURS | {"format": "2", "version": "9"}, "tokenaudit 9 in format 2; known is 1"),
        (COUNTS, {"seal": UNSEALED}, "in format None; known is 1"),
        (COUNTS, OURS | {"format": "{"}, "its metadata cannot be read: "),
        ({"x": [1]}, OURS, "without usage in its rows"),
        ({**COUNTS, "input_tokens": [-1, 0]}, OURS, "input_tokens: negative"),
        ({**COUNTS, "input_tokens": [[1], [2]]}, OURS, "input_tokens: "),
        ({**COUNTS, "cost_usd": ["much", "1"]}, OURS, "is no amount of money"),
        (COUNTS, OURS | {"selected": '{"responses":3}'}, "its rows add up to 2 of 3 responses"),
    ],
)
def test_parquet_that_states_no_total(
    tmp_path: Path, columns: dict[str, Any], meta: dict[str, str], words: str
) -> None:
    """What is none of ours, of a later format, or without figures."""
    with pytest.raises(ClaimError) as error:
        read_claims(parquet(tmp_path, columns, **meta))

    assert words in str(error.value)
    assert str(error.value).startswith(str(tmp_path))
    assert "\n" not in str(error.value)


def test_parquet_that_is_damaged(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Cut or flipped anywhere: one line. Polars is not asked, whom some of these would end."""
    path = parquet(tmp_path, COUNTS, **OURS)
    whole = path.read_bytes()
    cut = [whole[:at] for at in range(4, len(whole), 7)]
    flipped = [
        whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :]
        for at in range(len(whole))
        for bit in (1, 64)
    ]
    for data in (*cut, *flipped):
        path.write_bytes(data)
        with pytest.raises(ClaimError, match=r"its seal is broken|carries no seal") as error:
            read_claims(path)
        assert "\n" not in str(error.value)
    assert ("", "") == capfd.readouterr()


def test_parquet_that_was_never_whole(tmp_path: Path) -> None:
    """Its seal fits, and yet it is no Parquet."""
    path = tmp_path / "claim.parquet"
    path.write_bytes(sealed(b"PAR1" + UNSEALED.encode() + b"PAR1", is_last=True))

    with pytest.raises(ClaimError, match="cannot be read as Parquet: "):
        read_claims(path)


SAMPLES: list[Any] = [
    RESULT,
    {"session_id": "s", "version": "2", "cost": {"total_cost_usd": 1}},
    {
        "version": 2,
        "lastComputedDate": "2026-01-01",
        "dailyActivity": [],
        "modelUsage": {"m": {"inputTokens": 1}},
    },
    {
        "resourceMetrics": [
            {
                "scopeMetrics": [
                    {
                        "metrics": [
                            {
                                "name": "claude_code.token.usage",
                                "sum": {
                                    "aggregationTemporality": 1,
                                    "dataPoints": [
                                        {
                                            "attributes": [
                                                {"key": "type", "value": {"stringValue": "input"}}
                                            ],
                                            "asDouble": 3,
                                        }
                                    ],
                                },
                            }
                        ]
                    }
                ]
            }
        ]
    },
    page({"model": "m", "uncached_input_tokens": 1, "cache_creation": {"x": 1}}),
    page({"model": "m", "amount": "1.5", "currency": "USD"}),
    {
        "daily": [{"date": "2026-01-01", "totalCost": 1, "modelBreakdowns": [{"cost": 1}]}],
        "totals": {},
    },
    {"meta": {"tool": "tokenaudit", "format": 1}, "totals": {"output_tokens": 2, "cost_usd": "1"}},
]
ODD: list[Any] = [None, True, -1, 1.5, "x", [], {}, [[]], {"a": 1}, 10**400, 1e300]


def places(value: Any) -> list[list[Any]]:
    """All places in a document, as ways to them."""
    inner: Any = ()
    if isinstance(value, dict | list):
        inner = value.items() if isinstance(value, dict) else enumerate(value)
    return [[]] + [[key, *way] for key, each in inner for way in places(each)]


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: next(iter(sample)))
def test_no_odd_value_ends_in_a_traceback(tmp_path: Path, sample: Any) -> None:
    """Whatever stands at any place, and wherever a file is cut: a claim, or words."""
    text = json.dumps(sample)
    documents = [text[:at] for at in range(len(text))]
    for way in places(sample):
        for odd in ODD:
            changed = json.loads(text)
            target = {"": changed}
            *before, last = ["", *way]
            inner: Any = target
            for key in before:
                inner = inner[key]
            inner[last] = odd
            documents.append(json.dumps(target[""]))
    for document in documents:
        try:
            claims, _ = read_claims(written(tmp_path, document))
        except ClaimError as error:
            assert "\n" not in str(error)  # noqa: PT017
        else:
            assert len(claims) == 1
