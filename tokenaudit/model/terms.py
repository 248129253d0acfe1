"""The words of the field as plain values: what every layer may speak of, without input or output."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from msgspec import Struct, field

__all__ = [
    "CUT",
    "MAIN_AGENT",
    "Intake",
    "Kind",
    "Quality",
    "Reject",
    "RequestEvent",
    "Transcript",
    "Usage",
]

MAIN_AGENT = "main"
"""The id of a session's own agent, which the user talks to."""

CUT = "cut"
"""The stop reason of a response whose stream was cut, in the place of the one that Claude Code invents.

Claude Code writes `end_turn` or `tool_use` on the counts of the start, as if the response had ended."""


class Quality(StrEnum):
    """How far a response's output count can be trusted (R4)."""

    FINAL = "final"
    """A line with a stop reason said it."""
    REPAIRED = "repaired"
    """The parent's tool result said it, where the agent's own transcript broke off."""
    LOWER_BOUND = "lower_bound"
    """The largest count of a response that no line finished, or the count of one that was cut."""
    PLACEHOLDER = "placeholder"
    """Only the count that stands there while a response starts: the true one is lost."""


class RequestEvent(StrEnum):
    """What a transcript says of a request to the API, beside its response."""

    SENT = "sent"
    """It was sent."""
    ANSWERED = "answered"
    """Lines of a response name it."""
    FAILED = "failed"
    """The API answered with an error, whose status is `detail`, and another is sent in its place."""
    DROPPED = "dropped"
    """Its connection broke, as `detail` says, and another is sent in its place."""
    REFUSED = "refused"
    """The model refused it."""
    FALLBACK = "fallback"
    """Another model is asked in the place of `model`; `detail` says why."""
    CUT = "cut"
    """The stream of the response that stands before was cut; `detail` says by what, where it is known."""


class Kind(StrEnum):
    """What a response was for (R6)."""

    MESSAGE = "message"
    ADVISOR = "advisor"
    COMPACTION = "compaction"
    REFUSED = "refused"


class Transcript(Struct, frozen=True):
    """One `.jsonl` file that Claude Code wrote, and what its place on disk says of it."""

    path: str
    root: str
    """The root below which it was found."""
    project_folder: str
    """Name of the project's folder: its directory, with all but letters and digits as dashes."""
    session_id: str | None
    """The session that the path names; None where only the lines tell."""
    agent_id: str
    """`main`, or the subagent's id."""
    size: int = 0
    """Bytes when it was found."""
    mtime_ns: int = 0
    device: int = 0
    inode: int = 0
    has_meta: bool = False
    """Whether a file beside it says what the agent is."""
    ctime_ns: int = 0
    """When it was last changed in any way, its name and times included; on Windows, when it was made."""


class Reject(Struct, frozen=True):
    """Something that should have been read and was not; never an error, always counted."""

    path: str
    line: int | None
    """Line number from 1; None when the whole file or folder could not be read."""
    reason: str
    kind: str | None = None
    """The reason without the place within the line, where it names one: what such rejects have in common."""


class Intake(Struct, frozen=True):
    """What a report stands on (R12): all that was read, whatever the filters."""

    files: int = 0
    gone: int = 0
    """Of these, transcripts that are no longer on disk, and known only from the store."""
    lines: int = 0
    usage_lines: int = 0
    responses: int = 0
    copies: int = 0
    rejects: int = 0
    incomplete: int = 0
    """Transcripts whose last line is half-written: an agent is writing it, or it broke off."""
    odd_values: int = 0
    """Responses with a value of an odd form that was read all the same (`"12"`, `12.0`, a strange time)."""
    undated_responses: int = 0
    unpriced_responses: int = 0
    refused_attempts: int = 0
    bytes: int = 0
    quality: dict[str, int] = field(
        default_factory=lambda: {quality.value: 0 for quality in Quality}
    )


class Usage(Struct, frozen=True):
    """What some responses used, in tokens by class, and what that cost in US dollars."""

    responses: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    cost_usd: Decimal | None = Decimal(0)
    """Of the priced responses; None when none is priced."""
    unpriced_responses: int = 0
    first_time: datetime | None = None
    last_time: datetime | None = None

    @property
    def prompt_tokens(self) -> int:
        """All that was sent: everything but the output."""
        return self.total_tokens - self.output_tokens

    @property
    def cached_tokens(self) -> int:
        """What of the prompts was read from the cache."""
        return self.cache_read_tokens

    @property
    def total_tokens(self) -> int:
        """The sum of all classes."""
        return (
            self.input_tokens
            + self.output_tokens
            + self.cache_read_tokens
            + self.cache_write_5m_tokens
            + self.cache_write_1h_tokens
        )
