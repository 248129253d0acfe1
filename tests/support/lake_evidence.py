"""What several hosts may hold of the same responses: facts of small histories, and rows of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
from hypothesis import strategies as st
from transcripts_builder import facts_of

from tokenaudit import transcripts
from tokenaudit.export.lake.rows import rows_of
from tokenaudit.model.terms import CUT
from tokenaudit.store import facts as store_facts
from tokenaudit.store.facts import Facts
from tokenaudit.store.rows import COUNTS

DAY = datetime(2026, 3, 2, tzinfo=UTC)


@dataclass(frozen=True)
class Copy:
    """One transcript's record of a response."""

    message: int
    transcript: int
    output: int
    is_final: bool
    later: int
    """Seconds from the response's first line to that whose values count."""
    form: str = "own"
    """One of FORMS."""
    begins: int = 0
    """Minutes from the first line of the response to that of a line without a request id."""
    is_cut: bool = False
    """Whether its stream is known to be cut: its stop reason is an invention."""


FORMS = {"own": 0, "progress": 0, "sidechain": 1, "other": 1, "bare": None}
"""How a transcript can tell of a response, and in which minute that begins.

By a line of its own, by one that repeats a subagent's, by a replay of a sidechain, which has another
request id, by a line of another response that has the same message id, or without a request id.
"""


def copies() -> st.SearchStrategy[Copy]:
    return st.sampled_from(list(FORMS)).flatmap(_copies)


def _copies(form: str) -> st.SearchStrategy[Copy]:
    minute = FORMS[form]
    return st.builds(
        Copy,
        message=st.integers(1, 2),
        transcript=st.integers(1, 4),
        output=st.integers(0, 60),
        is_final=st.booleans(),
        later=st.integers(0, 3),
        form=st.just(form),
        begins=st.integers(0, 2) if minute is None else st.just(minute),
        is_cut=st.booleans(),
    )


def histories() -> st.SearchStrategy[list[Copy]]:
    """Return what one host holds: at most one record of each form of a response in a transcript."""
    return st.lists(
        copies(),
        max_size=6,
        unique_by=lambda copy: (copy.message, copy.transcript, copy.form, copy.begins),
    )


def told_once() -> st.SearchStrategy[list[Copy]]:
    """Return histories in which no transcript has two lines of one message without a request id."""
    return st.lists(
        copies(),
        max_size=6,
        unique_by=lambda copy: (copy.message, copy.transcript, copy.form),
    )


def facts(history: Sequence[Copy], host: str = "") -> Facts:
    """Return the facts of *history*; *host* stands before paths, so that hosts can be put together."""
    records = [_record(copy, host) for copy in history]
    transcripts = [_transcript(number, host) for number in range(1, 5)]
    empty: dict[str, Any] = {
        name: pl.DataFrame(schema=getattr(store_facts, name.upper()))
        for name in (
            "iterations",
            "titles",
            "compactions",
            "rejects",
            "results",
            "uncounted",
            "requests",
            "totals",
        )
    }
    return Facts(
        records=pl.DataFrame(records, schema=dict(store_facts.RECORDS), orient="row"),
        transcripts=pl.DataFrame(transcripts, schema=dict(store_facts.TRANSCRIPTS), orient="row"),
        **empty,
    )


def rows(history: Sequence[Copy], host: str = "h1") -> pl.DataFrame:
    return rows_of(facts(history), host=host, label=host)


def facts_below(*roots: Path) -> Facts:
    """Return the facts of real transcripts."""
    return facts_of(transcripts.discover(roots))


def worse(rows: pl.DataFrame) -> pl.DataFrame:
    """Return *rows* as a host holds them that has copied transcripts too early."""
    return rows.with_columns(
        stop_reason=pl.lit(None, pl.String),
        said_output_tokens=pl.lit(3, pl.Int64),
        output_tokens=pl.lit(3, pl.Int64),
        quality=pl.lit("placeholder"),
        source_path=pl.concat_str("source_path", pl.lit("~")),
        owner_path=pl.concat_str("owner_path", pl.lit("~")),
        iterations=pl.lit(None, rows.schema["iterations"]),
    )


def _record(copy: Copy, host: str) -> dict[str, Any]:
    time = DAY + timedelta(hours=copy.message, minutes=copy.begins)
    request = {
        "sidechain": f"req_{copy.message}_again",
        "other": f"req_{copy.message}_other",
        "bare": None,
    }
    # Within a transcript what is later stands further down.
    place = (copy.message, copy.begins, copy.later, list(FORMS).index(copy.form))
    record = int("".join(map(str, place)))
    values: dict[str, Any] = dict.fromkeys(store_facts.RECORDS)
    return values | {
        "path": f"t{copy.transcript}{host}",
        "record": record,
        "line": record * 10,
        "value_line": record * 10 + 2,
        "lines": 2,
        "is_progress": copy.form == "progress",
        "is_sidechain": copy.form in {"progress", "sidechain"},
        "agent_id": "main",
        "message_id": f"msg_{copy.message}",
        "request_id": request.get(copy.form, f"req_{copy.message}"),
        "uuid": f"{copy.message}-{copy.begins}",
        "time": time,
        "value_time": time
        + timedelta(seconds=copy.later, milliseconds=list(FORMS).index(copy.form)),
        "model": "claude-opus-4-6",
        "stop_reason": CUT if copy.is_cut else "end_turn" if copy.is_final else None,
        **dict.fromkeys(COUNTS, 0),
        "input_tokens": copy.transcript,
        "output_tokens": copy.output,
        "revision": 0,
        "file_time": DAY + timedelta(minutes=copy.transcript % 3),
        "cache_write_tokens": 7,
        "split_1h_tokens": 3,
        "web_searches": 0,
        "web_fetches": 0,
        "branch": f"branch of {copy.transcript}",
    }


def _transcript(number: int, host: str) -> dict[str, Any]:
    values: dict[str, Any] = dict.fromkeys(store_facts.TRANSCRIPTS)
    return values | {
        "path": f"t{number}{host}",
        "root": "/root",
        "project_folder": f"-work-{number}",
        "session_id": f"session-{number}",
        "agent_id": "main",
        "first_time": DAY + timedelta(minutes=number % 3),
        "project": f"/work/{number}",
        "is_incomplete": False,
        "lines": 0,
        "bytes": 0,
        "usage_lines": 0,
    }
