"""A claim: another program's total, line by line as far as it says, and the scope it is about."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, Final, NamedTuple

from msgspec import Struct, field

from tokenaudit.model.errors import TokenauditError
from tokenaudit.transcripts import values
from tokenaudit.transcripts.values import BadCountError

__all__ = ["Claim", "ClaimCounts", "ClaimError", "ClaimKind", "ClaimLine", "Held", "count", "money"]

_LARGEST_COST: Final = Decimal(10) ** 15


class ClaimError(TokenauditError):
    """A file that states no total that is understood; says what was recognised and what was not."""


class ClaimKind(StrEnum):
    """What kind of file a claim is from."""

    RESULT = "a result of claude -p"
    STATUS_LINE = "status-line evidence"
    COST_STATE = "cost-state line"
    LAST_SESSION = ".claude.json"
    STATS_CACHE = "stats-cache.json"
    OTEL_EVENTS = "OpenTelemetry api_request events"
    OTEL_METRICS = "OpenTelemetry metrics"
    ADMIN_USAGE = "a usage report of the Admin API or Console"
    ADMIN_COST = "a cost report of the Admin API or Console"
    CCUSAGE = "ccusage --json"
    EXPORT = "an export of tokenaudit"


class ClaimCounts(Struct, frozen=True):
    """Tokens by class, as others tell them: cache writes of both kinds in one."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0

    def __add__(self, other: "ClaimCounts") -> "ClaimCounts":
        """Add class by class."""
        return ClaimCounts(
            self.input + other.input,
            self.output + other.output,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
        )

    def __sub__(self, other: "ClaimCounts") -> "ClaimCounts":
        """Subtract class by class; the result may be negative."""
        return ClaimCounts(
            self.input - other.input,
            self.output - other.output,
            self.cache_read - other.cache_read,
            self.cache_write - other.cache_write,
        )

    def __neg__(self) -> "ClaimCounts":
        """Return it as what is taken away."""
        return ClaimCounts() - self


class ClaimLine(Struct, frozen=True):
    """What a claim says of one model."""

    model: str | None
    counts: ClaimCounts | None
    """None where it tells no tokens."""
    cost_usd: Decimal | None
    """None where it tells no cost of the model."""
    web_searches: int = 0


class Held(NamedTuple):
    """A response as an earlier export of ours tells it."""

    response_id: str | None
    request_id: str | None
    time: str | None
    source_path: str | None
    source_line: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_5m_tokens: int
    cache_write_1h_tokens: int
    cost_usd: Decimal | None


class Claim(Struct, frozen=True):
    """Another program's total."""

    shape: ClaimKind
    source: str
    """The file it is from."""
    lines: tuple[ClaimLine, ...]
    cost_usd: Decimal | None = None
    """The total cost; None where it tells none."""
    sessions: frozenset[str] = frozenset()
    """The sessions it is about; empty for all of them."""
    since: date | None = None
    until: date | None = None
    """The last day, included."""
    first_time: datetime | None = None
    last_time: datetime | None = None
    """Of its first and last usage, where it says that rather than days."""
    is_utc: bool = False
    """Whether its days are those of UTC; else they are the user's."""
    is_of_claude_code: bool = False
    """Whether Claude Code itself stated it, by its own prices, with every call it made."""
    is_marked: bool = False
    """Whether transcripts mark from when to where it counts: its sessions are then all that it is about."""
    version: str | None = None
    """Of Claude Code, where it is said."""
    request_ids: frozenset[str] = frozenset()
    responses: tuple[Held, ...] = ()
    """Of an earlier export of ours that holds them, one by one."""
    meta: Mapping[str, Any] = field(default_factory=dict)
    """What an earlier export of ours says that it stood on."""
    notes: tuple[str, ...] = field(default=())
    """What must be known of the claim itself: a page missing, a line skipped."""

    @property
    def counts(self) -> ClaimCounts | None:
        """The sum of all tokens; None where some line tells none."""
        total = ClaimCounts()
        for line in self.lines:
            if line.counts is None:
                return None
            total += line.counts
        return total if self.lines else None

    @property
    def web_searches(self) -> int:
        """How many web searches it tells."""
        return sum(line.web_searches for line in self.lines)


def count(values_: Mapping[str, Any], name: str, where: str) -> int:
    """Return a count by its name; 0 where it is not there.

    Raises ClaimError for anything else than a whole number from 0.
    """
    value = values_.get(name)
    if value is None:
        return 0
    try:
        return values.count(value)
    except BadCountError as error:
        raise ClaimError(f"{where}: {name}: {error}") from None


def money(value: Any, where: str) -> Decimal | None:
    """Return US dollars exactly as they are written; None for null.

    Raises ClaimError for what is no amount.
    """
    if value is None or value == "":
        return None
    try:
        amount = Decimal(str(value).strip())
    except InvalidOperation:
        amount = Decimal("nan")
    if isinstance(value, bool) or not amount.is_finite() or abs(amount) > _LARGEST_COST:
        raise ClaimError(f"{where}: is no amount of money")
    return amount.quantize(Decimal("1e-12"))


def summed(lines: Iterable[ClaimLine]) -> tuple[ClaimLine, ...]:
    """Return one line per model, in the order in which models come."""
    found: dict[str | None, ClaimLine] = {}
    for line in lines:
        known = found.get(line.model)
        found[line.model] = line if known is None else _both(known, line)
    return tuple(found.values())


def _both(one: ClaimLine, other: ClaimLine) -> ClaimLine:
    counts = None if one.counts is None or other.counts is None else one.counts + other.counts
    costs = [cost for cost in (one.cost_usd, other.cost_usd) if cost is not None]
    return ClaimLine(
        one.model,
        counts,
        sum(costs, Decimal(0)) if costs else None,
        one.web_searches + other.web_searches,
    )
