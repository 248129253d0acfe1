"""The auditor's commands, run as a user runs them."""

import io
import json
from pathlib import Path

import polars as pl
import pytest

from tokenaudit.__main__ import main


def run(capfd: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    code = main([*argv, "--demo"])
    out, err = capfd.readouterr()
    return code, out, err


def test_explain_writes_json_with_every_part(capfd: pytest.CaptureFixture[str]) -> None:
    """The lines are the rows; the rest stands by name."""
    code, out, _ = run(capfd, "explain", "msg_01Z6n", "--all-rules", "--json")
    document = json.loads(out)

    assert code == 0
    assert document["meta"]["command"] == "explain"
    assert {"path", "line", "byte_offset", "verdict"} <= document["rows"][0].keys()
    assert document["sections"].keys() == {
        *("decisions", "transcripts", "terms", "grounds", "all_rules")
    }


def test_explain_takes_a_period_for_an_id(capfd: pytest.CaptureFixture[str]) -> None:
    """A day, given either way, is the same cell."""
    _, by_id, _ = run(capfd, "explain", "2026-10-08", "-n", "1")
    _, by_option, _ = run(capfd, "explain", "--day", "2026-10-08", "-n", "1")

    assert by_id == by_option
    assert by_id.startswith("2026-10-08\n")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("explain", "zzz"), "no response, request, session or agent begins with 'zzz'"),
        (("explain", "msg_"), "92 things begin with 'msg_'"),
        (
            ("explain", "0cf19"),
            (
                "no response, request, session or agent begins with '0cf19'\n"
                "  Did you mean session 0cf10ff4-2d19-48ce-9e06-817187dbef0d?"
            ),
        ),
        (("explain", "--day", "2026-10-08", "--since", "today"), "--day excludes --since"),
        (("explain", "2026-10", "--since", "2026-10-02"), "2026-10: a period, and --day"),
        (("explain", "--day", "soon"), "--since: not a day: soon"),
        (("diff", "2026-10", "soon"), "diff: not a period: soon"),
        (("query", "DROP TABLE usage"), "query: only queries are answered, not DROP"),
        (("query", "SELECT * FROM read_csv('/etc/passwd')"), "query: read_csv: no name may"),
        (("diff", "2026-10", "2026-11", "--last", "3"), "diff: the periods say the days"),
        (("diff", "2026-11-02..2026-11-01", "today"), "diff: ends before it begins"),
    ],
)
def test_mistakes_are_one_line(
    capfd: pytest.CaptureFixture[str], argv: tuple[str, ...], said: str
) -> None:
    code, out, err = run(capfd, *argv)

    assert (code, out) == (2, "")
    assert err.startswith(f"tokenaudit: error: {said}")
    assert len(err.splitlines()) <= 2


@pytest.mark.parametrize("form", ["csv", "ndjson", "markdown", "json"])
def test_cache_is_written_in_every_format(capfd: pytest.CaptureFixture[str], form: str) -> None:
    """The hit rate is a number for programs and per cent for people."""
    code, out, _ = run(capfd, "cache", "--format", form)

    assert code == 0
    assert ("84.6%" in out) == (form == "markdown")
    assert ('"hit_percent": 84.6' in out) == (form == "json")


@pytest.mark.parametrize("form", ["table", "csv", "ndjson", "markdown", "json"])
def test_query_is_written_in_every_format(capfd: pytest.CaptureFixture[str], form: str) -> None:
    sql = "SELECT project, SUM(cost_usd) AS cost_usd FROM usage GROUP BY project ORDER BY project"
    code, out, _ = run(capfd, "query", sql, "--format", form)

    assert code == 0
    assert "webshop" in out
    assert "$2.86" in out.replace("\\", "") if form in {"table", "markdown"} else "cost_usd" in out


def test_query_writes_parquet_with_money_as_decimals(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "answer.parquet"
    sql = "SELECT AVG(output_tokens) AS mean, SUM(cost_usd) AS cost_usd, COUNT(*) AS n FROM usage"
    code, _, _ = run(capfd, "query", sql, "-o", str(path))

    assert code == 0
    assert pl.read_parquet(path).schema == {
        "mean": pl.Float64(),
        "cost_usd": pl.Decimal(38, 12),
        "n": pl.Int64(),
    }


def test_query_reads_standard_input(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("SELECT COUNT(*) AS n FROM usage\n"))
    code, out, _ = run(capfd, "query", "-", "--format", "csv")

    assert (code, out) == (0, "n\n92\n")


@pytest.mark.parametrize("width", ["40", "80", "120", "200"])
def test_screens_are_no_wider_than_the_terminal(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    for argv in (
        ("explain", "msg_01Z6n", "--all-rules"),
        ("explain", "0cf1", "--all-rules"),
        ("cache",),
        ("diff", "2026-10", "2026-11"),
        ("query", "SELECT * FROM usage"),
    ):
        code, out, _ = run(capfd, *argv)

        assert code == 0
        assert max(map(len, out.splitlines())) <= int(width)
