"""Findings about requests to the API that no response answers, by the reason that transcripts give.

Claude Code writes a line for each request that it sends (since a version between 2.1.233 and 2.1.332),
and each line of a response names its own. Which of the others are billed no transcript says.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import polars as pl

from tokenaudit.audit.check.evidence import Evidence, place_of
from tokenaudit.audit.check.finding import Finding, Severity, counted
from tokenaudit.model.terms import RequestEvent

__all__ = ["requests", "unanswered"]

_UNKNOWN: Final = "unknown"


class _Reason(NamedTuple):
    """Why a request has no answer, and what that means."""

    severity: Severity
    what: str
    action: str


_REASONS: Final = {
    _UNKNOWN: _Reason(
        Severity.WARNING,
        "nothing says why: it was killed or interrupted, or is being answered",
        "What the API had begun to answer is billed and in no total: see `tokenaudit reconcile`.",
    ),
    RequestEvent.DROPPED: _Reason(
        Severity.WARNING,
        "the connection broke before a line was written, and another was sent in its place",
        "What the API had begun to answer is billed and in no total: see `tokenaudit reconcile`.",
    ),
    RequestEvent.REFUSED: _Reason(
        Severity.INFO,
        "the model refused before any output",
        "The API does not bill what is refused before any output; Claude Code's own total counts it.",
    ),
    RequestEvent.FALLBACK: _Reason(
        Severity.INFO,
        "another model was asked instead",
        "Nothing: what the API turns down is not billed.",
    ),
    RequestEvent.FAILED: _Reason(
        Severity.INFO,
        "the API answered with an error, and another was sent in its place",
        "Nothing: what the API turns down is not billed.",
    ),
}
"""In the order in which they are told."""


def requests(evidence: Evidence) -> Iterator[Finding]:
    """Yield the requests without an answer, by reason, and by what befell them where that is known."""
    transcripts = evidence.facts.transcripts
    found = unanswered(evidence.facts.requests)
    if evidence.is_filtered:
        asked = evidence.rows.select("session_id").unique()
        transcripts = transcripts.join(asked, on="session_id", how="semi")
        found = found.join(transcripts.select("path"), on="path", how="semi")
    sent = int(transcripts["requests"].sum())
    for reason, meaning in _REASONS.items():
        for (detail,), rows in sorted(
            found.filter(pl.col("reason") == reason).partition_by("detail", as_dict=True).items(),
            key=lambda item: (-item[1].height, str(item[0])),
        ):
            yield Finding(
                "unanswered_request",
                meaning.severity,
                reason if detail is None else f"{reason}: {detail}",
                rows.height,
                None,
                None,
                f"{rows.height:,} of {counted(sent, 'request')} without an answer"
                f"{'' if detail is None else f' ({detail})'}: {meaning.what}.",
                meaning.action,
                place_of(rows, "path", "line"),
            )


def unanswered(marks: pl.DataFrame) -> pl.DataFrame:
    """Return the requests among *marks* that none answers: `path, line, time, model, reason, detail`.

    A reason is the first event that is about the request. What is read later than the request does
    not name it: then it is about the one before it in the transcript, if that has no answer.
    """
    event = pl.col("event")
    is_sent = event == RequestEvent.SENT.value
    events = [each.value for each in _TELLING]
    before = pl.when(is_sent.shift(1)).then(pl.col("id").shift(1)).over("path", order_by="time")
    known = marks.sort("path", "time", "line", nulls_last=True).with_columns(
        id=pl.when(event.is_in(events)).then(pl.coalesce("id", before)).otherwise("id")
    )
    answered = known.filter(event == RequestEvent.ANSWERED.value)
    told = known.filter(event.is_in(events) & pl.col("id").is_not_null())
    reasons = told.unique("id", keep="first", maintain_order=True)
    return (
        known.filter(is_sent)
        .unique("id", keep="first", maintain_order=True)
        .join(answered, on="id", how="anti", maintain_order="left")
        .select("path", "line", "time", "model", "id")
        .join(reasons.select("id", "event", "detail"), on="id", how="left", maintain_order="left")
        .select(
            "path", "line", "time", "model", "detail", reason=pl.col("event").fill_null(_UNKNOWN)
        )
    )


_TELLING: Final = (
    RequestEvent.FAILED,
    RequestEvent.DROPPED,
    RequestEvent.REFUSED,
    RequestEvent.FALLBACK,
)
