"""Databases: the ledger in tables, added once however often it is said, exact to the last digit."""

import re
import socket
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from postgresql import running
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.pool import NullPool
from transcripts_builder import facts_of

from tokenaudit import transcripts
from tokenaudit.export.database import is_database, write
from tokenaudit.export.database.tables import COLUMNS, KEYS
from tokenaudit.export.database.write import add, shown
from tokenaudit.ledger import frame as ledgers
from tokenaudit.ledger.frame import Ledger
from tokenaudit.model.errors import OutputError, UsageError
from tokenaudit.model.terms import CUT
from tokenaudit.pricing.card import shipped_card

DOCUMENT = Path(__file__).parents[3] / "docs" / "reference" / "lake.md"


@pytest.fixture(scope="module")
def postgresql() -> Iterator[str]:
    with running() as address:
        yield address


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    discovery = transcripts.discover([transcripts.DEMO])
    return ledgers.build(facts_of(discovery), shipped_card())


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/usage.db"
        return
    address = request.getfixturevalue("postgresql")
    yield address
    with engine(address).begin() as connection:
        for table in ("responses", "sessions", "agents", "daily", "tokenaudit"):
            connection.execute(text("SET lock_timeout = '5s'"))
            connection.execute(text(f"DROP TABLE IF EXISTS {table}"))


def engine(place: str) -> Engine:
    return create_engine(place.replace("postgresql:", "postgresql+psycopg:"), poolclass=NullPool)


def rows(place: str, query: str) -> list[tuple[object, ...]]:
    with engine(place).connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def dump(place: str) -> dict[str, list[tuple[object, ...]]]:
    return {
        name: sorted(rows(place, f"SELECT * FROM {name}"), key=repr)
        for name in ("responses", "sessions", "agents", "daily")
    }


def total(place: str, table: str) -> Decimal:
    found = rows(place, f"SELECT cost_usd FROM {table} WHERE cost_usd IS NOT NULL")
    return sum((Decimal(str(row[0])) for row in found), Decimal(0))


def test_tables_hold_the_ledger_to_the_last_digit(ledger: Ledger, place: str) -> None:
    """Responses, and the sums of sessions, agents and days, are the totals of every report."""
    added = add(ledger, ledger.frame, place, "h1")

    expected = ledgers.totals(ledger.frame)
    assert (added.responses, added.tables["responses"]) == (92, 92)
    for table in ("responses", "sessions", "agents", "daily"):
        assert total(place, table) == expected.cost_usd, table
    for table in ("sessions", "agents", "daily"):
        (sums,) = rows(place, f"SELECT SUM(responses), SUM(total_tokens) FROM {table}")
        assert [int(str(one)) for one in sums] == [92, expected.total_tokens]
    assert rows(place, "SELECT version FROM tokenaudit") == [(2,)]


def test_a_repeat_changes_nothing(ledger: Ledger, place: str) -> None:
    """Said again, by the same host or another, all is as it was."""
    add(ledger, ledger.frame, place, "h1")
    before = dump(place)

    assert add(ledger, ledger.frame, place, "h1").responses == 0
    assert add(ledger, ledger.frame.reverse(), place, "h2").responses == 0
    assert dump(place) == before


def test_a_better_count_replaces_a_worse_and_never_the_reverse(ledger: Ledger, place: str) -> None:
    """Whichever comes first, the final counts stand; what is no longer known stays."""
    worse = ledger.frame.with_columns(
        output_tokens=pl.lit(3, pl.Int64), quality=pl.lit("placeholder")
    )
    add(ledger, worse, place, "h1")
    better = add(ledger, ledger.frame, place, "h2")
    after = dump(place)
    assert (
        better.responses
        == 92
        - ledger.frame.filter(
            (pl.col("quality") == "placeholder") & (pl.col("output_tokens") <= 3)
        ).height
    )

    add(ledger, worse, place, "h1")
    add(ledger, ledger.frame.head(10), place, "h3")

    assert dump(place) == after
    assert total(place, "daily") == ledgers.totals(ledger.frame).cost_usd


@pytest.mark.parametrize("knowing_first", [True, False])
def test_what_one_host_knows_to_be_cut_no_other_makes_final(
    ledger: Ledger, place: str, *, knowing_first: bool
) -> None:
    """In either order (R4): the stop reason of a cut response is an invention, wherever it stands."""
    final = ledger.frame.filter(pl.col("quality") == "final").head(3)
    cut = final.with_columns(stop_reason=pl.lit(CUT), quality=pl.lit("lower_bound"))
    for frame in (cut, final) if knowing_first else (final, cut):
        add(ledger, frame, place, "h")

    assert rows(place, "SELECT quality, quality_rank FROM responses") == [("lower_bound", 4)] * 3


def test_nothing_is_written_where_the_tables_are_of_another_version(
    ledger: Ledger, place: str
) -> None:
    """A newer tokenaudit's tables are left alone."""
    add(ledger, ledger.frame, place, "h1")
    with engine(place).begin() as connection:
        connection.execute(text("UPDATE tokenaudit SET version = 9"))
    before = dump(place)
    with pytest.raises(OutputError, match="version 9"):
        add(ledger, ledger.frame, place, "h2")
    assert dump(place) == before


def test_tables_of_the_first_version_gain_the_columns_that_they_lack(
    ledger: Ledger, place: str
) -> None:
    """What is not said again stays as it was; what is has all columns, as in new tables."""
    add(ledger, ledger.frame, place, "h1")
    with engine(place).begin() as connection:
        for column in ("iteration", "is_unbilled"):
            connection.execute(text(f"ALTER TABLE responses DROP COLUMN {column}"))
        connection.execute(text("UPDATE tokenaudit SET version = 1"))

    assert add(ledger, ledger.frame.head(10), place, "h1").responses == 10

    assert rows(place, "SELECT version FROM tokenaudit") == [(2,)]
    known = "SELECT COUNT(*), COUNT(is_unbilled) FROM responses"
    assert rows(place, known) == [(92, 10)]
    assert total(place, "responses") == ledgers.totals(ledger.frame).cost_usd

    assert add(ledger, ledger.frame, place, "h1").responses == 82
    told = rows(place, "SELECT response_id, iteration, is_unbilled FROM responses")
    assert {tuple(each) for each in told} == set(
        ledger.frame.select("response_id", "iteration", "is_unbilled").rows()
    )


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://ada:hunter2@127.0.0.1:1/usage",
        "postgresql://ada@127.0.0.1:1/usage?password=hunter2",
    ],
)
def test_credentials_are_never_shown(ledger: Ledger, address: str) -> None:
    """The error names the server, and no password."""
    with pytest.raises(OutputError) as raised:
        add(ledger, ledger.frame, address, "h1")
    assert "127.0.0.1:1" in str(raised.value)
    assert "hunter2" not in str(raised.value) + str(raised.value.__cause__)
    assert "hunter2" not in shown(address)


def test_the_document_names_tables_keys_and_types() -> None:
    """Those that are documented are those that are made."""
    kinds = {pl.String: "text", pl.Int64: "count", pl.Boolean: "boolean", pl.Date: "day"}
    section = DOCUMENT.read_text("utf-8").partition("## Databases")[2].partition("\n## ")[0]
    for name, columns in COLUMNS.items():
        table = section.partition(f"| `{name}` | type |")[2].partition("\n\n")[0]
        found = {
            column: cells[2].strip()
            for cells in (line.split("|") for line in table.splitlines()[2:])
            for column in re.findall(r"`(\w+)`", cells[1])
        }
        assert found == {
            column: (
                "money"
                if isinstance(dtype, pl.Decimal)
                else "time"
                if isinstance(dtype, pl.Datetime)
                else kinds[dtype]
            )
            + (", key" if column in KEYS[name] else "")
            for column, dtype in columns.items()
        }


def test_what_is_no_database() -> None:
    """Folders are not; other databases are refused by name."""
    assert is_database("sqlite:///usage.db")
    assert is_database("postgresql://h/db")
    assert not is_database("/mnt/lake")
    assert not is_database("s3://bucket")


def test_a_folder_that_does_not_exist_is_one_line(ledger: Ledger) -> None:
    """What SQLite cannot open is said with its reason."""
    with pytest.raises(OutputError, match="unable to open database file"):
        add(ledger, ledger.frame, "sqlite:////does/not/exist/usage.db", "h1")
    with pytest.raises(UsageError, match="not the address of a database"):
        add(ledger, ledger.frame, "mysql://h/db", "h1")


def test_a_run_that_holds_the_tables_is_not_waited_for_without_end(
    ledger: Ledger, postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be one whose machine is gone; the server says so, and nothing is written."""
    monkeypatch.setitem(write._OF_TRANSACTIONS, "lock_timeout", "100ms")
    with engine(postgresql).begin() as other:
        other.execute(text(f"SELECT pg_advisory_xact_lock({write._LOCK})"))
        with pytest.raises(OutputError, match=r"cannot be written: .*lock timeout"):
            add(ledger, ledger.frame, postgresql, "h1")


def test_a_server_that_does_not_answer_is_given_up(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes connections, and says nothing; the address may say how long to wait."""
    monkeypatch.setitem(write._OF_CONNECTIONS, "connect_timeout", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"postgresql://auditor:open-sesame@127.0.0.1:{silent.getsockname()[1]}/usage"
        for address in (place, f"{place}?connect_timeout=1"):
            with pytest.raises(OutputError, match=r"cannot be written: .*timeout") as caught:
                add(ledger, ledger.frame, address, "h1")
            assert "open-sesame" not in str(caught.value)
