"""Questions in SQL: what they may ask, in which units they are answered, and what they cannot do."""

from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from audited import Audited, request
from stories import FIXTURES

from tokenaudit.model.errors import UsageError
from tokenaudit.reports.query import TABLES, query
from tokenaudit.reports.report import Report, Unit

ROOT = FIXTURES / "plain-day" / "claude"


@pytest.fixture(scope="module")
def audited() -> Audited:
    return Audited.of(ROOT)


def ask(audited: Audited, sql: str, **chosen: Any) -> Report:
    return query(audited.ledger, request(**chosen), sql)


def answer(audited: Audited, sql: str, **chosen: Any) -> list[dict[str, Any]]:
    return ask(audited, sql, **chosen).sections[0].rows.to_dicts()


def test_sums_are_those_of_the_ledger(audited: Audited) -> None:
    """Exact: the plain day cost 183,680 millionths (its README)."""
    sql = "SELECT model, COUNT(*) AS n, SUM(cost_usd) AS cost_usd FROM usage GROUP BY model"

    assert answer(audited, sql) == [
        {"model": "claude-opus-4-8", "n": 3, "cost_usd": Decimal("0.18368")}
    ]


def test_there_are_four_tables(audited: Audited) -> None:
    assert [row["name"] for row in answer(audited, "SHOW TABLES")] == sorted(TABLES)
    for table in TABLES:
        assert ask(audited, f"SELECT * FROM {table}").sections[0].name == "query"


def test_columns_have_units_by_name_and_type(audited: Audited) -> None:
    sql = (
        "SELECT session_id, model, time, day, total_tokens, copies, cost_usd, is_sidechain,"
        " output_tokens / 7.0 AS ratio, cost_usd / copies AS each, time - time AS took"
        " FROM usage LIMIT 1"
    )

    assert {column.name: column.unit for column in ask(audited, sql).sections[0].columns} == {
        "session_id": Unit.ID,
        "model": Unit.TEXT,
        "time": Unit.TIME,
        "day": Unit.DATE,
        "total_tokens": Unit.TOKENS,
        "copies": Unit.COUNT,
        "cost_usd": Unit.USD,
        "is_sidechain": Unit.FLAG,
        "ratio": Unit.NUMBER,
        "each": Unit.USD,
        "took": Unit.DURATION,
    }


def test_values_without_a_unit_become_text_and_no_number_becomes_null(audited: Audited) -> None:
    sql = (
        "SELECT versions, branches, CAST('NaN' AS DOUBLE) AS nan, NULL AS nothing,"
        " TIME '12:30:00' AS clock FROM sessions"
    )

    assert answer(audited, sql) == [
        {
            "versions": "2.1.200",
            "branches": "main",
            "nan": None,
            "nothing": None,
            "clock": "12:30:00",
        }
    ]


def test_times_are_utc_and_days_are_those_of_the_zone(audited: Audited) -> None:
    """09:00 UTC of 6 July is 6 July in Tokyo, at 18 hours."""
    (row,) = answer(
        audited, "SELECT MIN(hour) AS hour, MIN(day) AS day FROM usage", timezone="Asia/Tokyo"
    )

    assert row == {"hour": datetime(2026, 7, 6, 9, tzinfo=UTC), "day": date(2026, 7, 6)}


def test_filters_and_limits_hold(audited: Audited) -> None:
    assert answer(audited, "SELECT COUNT(*) AS n FROM usage", models=("none",)) == [{"n": 0}]
    assert answer(audited, "SELECT COUNT(*) AS n FROM sessions", models=("none",)) == [{"n": 0}]
    section = ask(audited, "SELECT * FROM usage", limit=2).sections[0]
    assert (section.rows.height, section.cut_rows) == (2, 1)


def test_the_question_is_kept_with_the_answer(audited: Audited) -> None:
    sql = "SELECT 1 AS one"

    assert ask(audited, sql).meta.filters == {"sql": sql}


# what it cannot do

SECRET = "secret-7f3a"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of files in every format that Polars reads, and nothing else."""
    monkeypatch.chdir(tmp_path)
    frame = pl.DataFrame({"secret": [SECRET]})
    frame.write_csv(tmp_path / "f.csv")
    frame.write_parquet(tmp_path / "f.parquet")
    frame.write_ipc(tmp_path / "f.ipc")
    frame.write_ndjson(tmp_path / "f.json")
    frame.write_ndjson(tmp_path / "f.ndjson")
    return tmp_path


FORMATS = ("csv", "parquet", "ipc", "json", "ndjson")
READERS = (
    "SELECT * FROM {call}",
    "SELECT * FROM {call} AS t",
    "SELECT * FROM usage, {call} AS t",
    "SELECT t.secret FROM usage CROSS JOIN {call} AS t",
    "WITH t AS (SELECT * FROM {call}) SELECT * FROM t",
    "SELECT * FROM usage WHERE model IN (SELECT secret FROM {call})",
    "SELECT model FROM usage UNION ALL SELECT secret FROM {call}",
    "(SELECT * FROM {call})",
    "FROM {call}",
    "/* a */ -- b\n SELECT * FROM {call}",
)
WAYS = (
    "read_{form}('{path}')",
    "READ_{form}('{path}')",
    "\"read_{form}\"('{path}')",
    "read_{form} /* x */ ('{path}')",
    "read_{form}\n('{path}')",
)


@pytest.mark.parametrize("form", FORMATS)
def test_polars_would_read_these_files(folder: Path, form: str) -> None:
    """What is refused below is no straw man: Polars' SQL, as it comes, reads every one of them."""
    sql = f"SELECT * FROM read_{form}('{folder}/f.{form}')"

    assert pl.SQLContext().execute(sql, eager=True).to_dicts() == [{"secret": SECRET}]


@pytest.mark.parametrize("reader", READERS)
def test_no_query_reads_a_file(audited: Audited, folder: Path, reader: str) -> None:
    """However the function is written, for any format, wherever a table may stand."""
    for way, form in product(WAYS, FORMATS):
        call = way.format(form=form, path=folder / f"f.{form}")

        with pytest.raises(UsageError, match="no name may begin with read_ or scan_"):
            ask(audited, reader.format(call=call))


def test_a_plan_that_reads_a_file_is_refused_whatever_it_is_called(
    audited: Audited, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The third lock, with the second one open."""
    import re

    from tokenaudit.reports import query as module

    monkeypatch.setattr(module, "_READER", re.compile(r"(?!)"))
    for form in FORMATS:
        for reader in READERS:
            call = f"read_{form}('{folder}/f.{form}')"
            with pytest.raises(UsageError) as refused:
                ask(audited, reader.format(call=call))
            assert SECRET not in f"{refused.value} {refused.value.hint}"


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE t AS SELECT * FROM usage",
        "CREATE OR REPLACE TEMP TABLE usage AS SELECT 1",
        "DROP TABLE usage",
        "TRUNCATE TABLE usage",
        "DELETE FROM usage",
        "DELETE FROM usage WHERE 1 = 1",
        "INSERT INTO usage VALUES (1)",
        "UPDATE usage SET model = 'x'",
        "COPY usage TO 'out.csv'",
        "COPY (SELECT 1) TO 'out.csv'",
        "SELECT * INTO t FROM usage",
        "SELECT * INTO OUTFILE 'out.csv' FROM usage",
        "SELECT 1; DROP TABLE usage",
        "SELECT 1; SELECT * FROM usage",
        "WITH t AS (SELECT 1) DELETE FROM usage",
        "WITH t AS (SELECT 1) INSERT INTO usage SELECT 1",
        "EXPLAIN SELECT * FROM usage",
        "ATTACH 'x' AS y",
        "SET x = 1",
        "PRAGMA x",
        "CALL x()",
        "LOAD 'x'",
        "EXECUTE x",
        "",
        "   -- nothing\n",
        "SELECT load_extension('x')",
        "SELECT getenv('HOME')",
        "SELECT system('id')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM 'f.csv'",
        'SELECT * FROM "f.csv"',
        "SELECT * FROM glob('*')",
        "SELECT * FROM audited",
        "SELECT * FROM usage WHERE",
        "SELECT nope FROM usage",
        "SELECT * FROM nope",
        'SELECT 1 AS "^a$"',
        'SELECT 1 AS "*"',
        "SELECT " + "(" * 5000 + "1" + ")" * 5000,
        "\x00",
    ],
)
def test_whatever_is_no_query_is_refused_and_changes_nothing(
    audited: Audited, folder: Path, sql: str
) -> None:
    """One line, a hint perhaps; no file, no other ledger."""
    before, frame = sorted(folder.iterdir()), audited.ledger.frame.clone()

    with pytest.raises(UsageError, match="query: ") as refused:
        ask(audited, sql)

    assert "\n" not in str(refused.value)
    assert SECRET not in str(refused.value)
    assert sorted(folder.iterdir()) == before
    assert audited.ledger.frame.equals(frame)
    assert answer(audited, "SELECT COUNT(*) AS n FROM usage") == [{"n": 3}]


def test_a_wrong_column_names_the_nearest(audited: Audited) -> None:
    with pytest.raises(UsageError, match='unable to find column "cost"') as refused:
        ask(audited, "SELECT cost FROM usage")

    assert refused.value.hint is not None
    assert len(refused.value.hint) < 2000


def test_columns_that_read_like_readers_are_no_offence(audited: Audited) -> None:
    """`cache_read_tokens` may be named, and a text may speak of a plan."""
    sql = "SELECT SUM(cache_read_tokens) AS n, 'Csv SCAN [x]' AS words FROM usage WHERE model <> ' SCAN '"

    assert answer(audited, sql) == [{"n": 69_800, "words": "Csv SCAN [x]"}]


# what it takes


def pairs(number: int) -> str:
    """A join without a condition of *number* tables of three rows."""
    return ", ".join(f"usage AS t{at}" for at in range(number))


def test_joins_without_a_condition_are_counted_without_being_held(audited: Audited) -> None:
    """3^18 pairs: held as they are made, they would take gigabytes."""
    sql = f"SELECT COUNT(*) AS n, MAX(t0.output_tokens) AS most FROM {pairs(18)}"

    assert answer(audited, sql) == [{"n": 3**18, "most": 320}]


@pytest.mark.parametrize("columns", ["t0.model", "t0.model, t1.day, t2.cost_usd", "t0.*"])
def test_an_answer_without_end_is_refused(audited: Audited, columns: str) -> None:
    """3^20 rows are more than anybody reads; some of them may be had."""
    sql = f"SELECT {columns} FROM {pairs(20)}"
    with pytest.raises(UsageError, match=r"more than [\d,]+ rows of \d+ columns?$") as refused:
        ask(audited, sql)

    assert "LIMIT" in str(refused.value.hint)
    assert 7 == len(answer(audited, f"{sql} LIMIT 7"))


def test_an_answer_may_be_as_long_as_a_table(
    audited: Audited, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However large the ledger is, all of it can be asked for; not every pair of it."""
    monkeypatch.setattr("tokenaudit.reports.query._MOST_CELLS", 2)

    assert 3 == len(answer(audited, "SELECT model FROM usage"))
    with pytest.raises(UsageError, match=r"more than 3 rows of 1 column$"):
        ask(audited, "SELECT a.model FROM usage AS a, usage AS b")


def test_equal_keys_multiply_rows_as_well(audited: Audited) -> None:
    """3^15 rows of one model, counted and not held; a table of one row is joined as any other."""
    joins = " ".join(f"JOIN usage AS t{at} ON t0.model = t{at}.model" for at in range(1, 15))
    assert answer(audited, f"SELECT COUNT(*) AS n FROM usage AS t0 {joins}") == [{"n": 3**15}]

    share = (
        "SELECT SUM(output_tokens) / whole.sum AS part FROM usage"
        " CROSS JOIN (SELECT SUM(output_tokens) AS sum FROM usage) AS whole GROUP BY whole.sum"
    )
    assert answer(audited, share) == [{"part": 1}]
