"""The fields of a response: what each is called, its type, where it comes from, which tables carry it.

The one place where a field is written down. Tables of the store, the ledger, the lake and databases,
dimensions of reports and the reference of the documentation are made from it; it reads nothing.
"""

from collections.abc import Iterator
from enum import Enum, Flag, StrEnum, auto
from typing import Final, NamedTuple

__all__ = [
    "DIMENSIONS",
    "FIELDS",
    "TOKENS",
    "Dtype",
    "Field",
    "In",
    "Origin",
    "names",
]


class Dtype(Enum):
    """The type of a field's values."""

    TEXT = auto()
    ID = auto()
    """A text that names one thing, and says nothing else."""
    COUNT = auto()
    TOKENS = auto()
    """A count of tokens."""
    FLAG = auto()
    TIME = auto()
    """An instant, in UTC, to the microsecond."""
    USD = auto()
    """US dollars, exact, with 12 decimals."""
    USD_TEXT = auto()
    """US dollars, in the words of the transcript."""


class Origin(StrEnum):
    """What of a response a field is taken from."""

    OWNER = "the copy that owns the response (R5)"
    VALUE = "the line that counts (R4)"
    COPIES = "all lines and copies together"
    SESSION = "what is known of the session and its agents"
    RULES = "the accounting rules"
    PRICE = "the rate that was in force (R10)"
    PLACE = "where the line stands"
    ESTIMATE = "what is estimated of output that no line records"


class In(Flag):
    """The tables that carry a field."""

    RECORDS = auto()
    """What one transcript says of a response, as the store keeps it."""
    MERGED = auto()
    """What is kept of merging, for the sums of reports."""
    LEDGER = auto()
    """One row per response, and so every export and database."""
    LAKE = auto()
    """What a host exports of a response."""
    ESTIMATES = auto()
    """Columns beside the ledger's, where estimates were asked for: part of no total."""


class Field(NamedTuple):
    """One field of a response."""

    name: str
    dtype: Dtype
    origin: Origin
    tables: In
    meaning: str
    """For the reference: a phrase, with the unit where the name does not say it."""
    label: str | None = None
    """What it is called as a dimension of reports; None where it is none."""
    repeats: bool = False
    """Whether few different texts stand in many records, so that keeping each once pays."""


_ALL: Final = In.RECORDS | In.MERGED | In.LEDGER | In.LAKE
_MERGED: Final = In.MERGED | In.LEDGER | In.LAKE

FIELDS: Final = (
    # what it is
    Field(
        "response_id",
        Dtype.ID,
        Origin.VALUE,
        In.LEDGER,
        "`message.id`; of an iteration, that with `#` and its number",
    ),
    Field("message_id", Dtype.ID, Origin.VALUE, In.RECORDS | In.LAKE, "`message.id`"),
    Field(
        "request_id",
        Dtype.ID,
        Origin.COPIES,
        In.RECORDS | In.LEDGER | In.LAKE,
        "the id of the request",
    ),
    Field("uuid", Dtype.ID, Origin.VALUE, In.RECORDS | In.LAKE, "of the line"),
    Field(
        "kind",
        Dtype.TEXT,
        Origin.RULES,
        In.MERGED | In.LEDGER,
        "message, advisor or compaction",
        "Kind",
    ),
    Field(
        "iteration",
        Dtype.COUNT,
        Origin.RULES,
        In.LEDGER,
        "of an iteration, its number in its response; null of a response",
    ),
    Field(
        "time",
        Dtype.TIME,
        Origin.COPIES,
        _ALL,
        "the earliest that a line or copy tells; null where none has a usable one (R8)",
    ),
    Field("value_time", Dtype.TIME, Origin.VALUE, In.RECORDS | In.LAKE, "of the line that counts"),
    # to whom it belongs (R5)
    Field("session_id", Dtype.ID, Origin.SESSION, _MERGED, "of its owner", "Session"),
    Field(
        "agent_id",
        Dtype.ID,
        Origin.OWNER,
        _ALL,
        "`main`, or the subagent's",
        "Agent",
        repeats=True,
    ),
    Field(
        "agent_type",
        Dtype.TEXT,
        Origin.SESSION,
        In.LEDGER | In.LAKE,
        "what kind of agent; `main` for a session's own",
        "Agent type",
    ),
    Field(
        "project",
        Dtype.TEXT,
        Origin.SESSION,
        In.LEDGER | In.LAKE,
        "the directory that the project's folder is named after, else the folder's name",
        "Project",
    ),
    # what was asked
    Field(
        "model", Dtype.TEXT, Origin.VALUE, _ALL, "as the transcript names it", "Model", repeats=True
    ),
    Field("speed", Dtype.TEXT, Origin.VALUE, _ALL, "standard or fast", "Speed", repeats=True),
    Field(
        "service_tier",
        Dtype.TEXT,
        Origin.VALUE,
        _ALL,
        "standard, priority or batch",
        "Tier",
        repeats=True,
    ),
    Field(
        "inference_geo",
        Dtype.TEXT,
        Origin.VALUE,
        _ALL,
        "where inference ran",
        "Geography",
        repeats=True,
    ),
    Field(
        "effort",
        Dtype.TEXT,
        Origin.VALUE,
        _ALL,
        "the effort that was asked for",
        "Effort",
        repeats=True,
    ),
    # where it stood
    Field("branch", Dtype.TEXT, Origin.OWNER, _ALL, "the git branch", "Branch", repeats=True),
    Field("cwd", Dtype.TEXT, Origin.OWNER, _ALL, "the working directory", repeats=True),
    Field("version", Dtype.TEXT, Origin.OWNER, _ALL, "of Claude Code", "Version", repeats=True),
    Field(
        "entrypoint",
        Dtype.TEXT,
        Origin.OWNER,
        _ALL,
        "how Claude Code was started",
        "Entry point",
        repeats=True,
    ),
    Field("skill", Dtype.TEXT, Origin.VALUE, _ALL, "the skill at work", "Skill", repeats=True),
    Field("plugin", Dtype.TEXT, Origin.VALUE, _ALL, "the plugin at work", "Plugin", repeats=True),
    Field(
        "agent_label",
        Dtype.TEXT,
        Origin.VALUE,
        In.RECORDS | In.MERGED,
        "the type of agent that a line names",
        repeats=True,
    ),
    Field(
        "mcp_server",
        Dtype.TEXT,
        Origin.VALUE,
        _ALL,
        "the MCP server at work",
        "MCP server",
        repeats=True,
    ),
    Field(
        "mcp_tool", Dtype.TEXT, Origin.VALUE, _ALL, "the MCP tool at work", "MCP tool", repeats=True
    ),
    # what it used
    Field(
        "input_tokens",
        Dtype.TOKENS,
        Origin.VALUE,
        _ALL,
        "neither read from the cache nor written to it",
    ),
    Field("output_tokens", Dtype.TOKENS, Origin.VALUE, _ALL, "thinking included"),
    Field("cache_read_tokens", Dtype.TOKENS, Origin.VALUE, _ALL, "read from the prompt cache"),
    Field(
        "cache_write_tokens",
        Dtype.TOKENS,
        Origin.VALUE,
        In.RECORDS,
        "written to the cache, as one count",
    ),
    Field("split_5m_tokens", Dtype.TOKENS, Origin.VALUE, In.RECORDS, "written for 5 minutes"),
    Field("split_1h_tokens", Dtype.TOKENS, Origin.VALUE, In.RECORDS, "written for an hour"),
    Field(
        "cache_write_5m_tokens",
        Dtype.TOKENS,
        Origin.RULES,
        _MERGED,
        "written to the cache for 5 minutes (R7)",
    ),
    Field(
        "cache_write_1h_tokens",
        Dtype.TOKENS,
        Origin.RULES,
        _MERGED,
        "written to the cache for an hour (R7)",
    ),
    Field("prompt_tokens", Dtype.TOKENS, Origin.RULES, In.LEDGER, "all but output"),
    Field("total_tokens", Dtype.TOKENS, Origin.RULES, In.LEDGER, "the sum of the five classes"),
    Field(
        "thinking_tokens",
        Dtype.TOKENS,
        Origin.VALUE,
        _ALL,
        "part of the output; null where no line says it",
    ),
    Field("web_searches", Dtype.COUNT, Origin.VALUE, _ALL, "searches that the API made"),
    Field("web_fetches", Dtype.COUNT, Origin.VALUE, _ALL, "pages that the API fetched"),
    # what it cost (R10)
    Field("cost_input_usd", Dtype.USD, Origin.PRICE, In.LEDGER, "of the input"),
    Field("cost_output_usd", Dtype.USD, Origin.PRICE, In.LEDGER, "of the output"),
    Field("cost_cache_read_usd", Dtype.USD, Origin.PRICE, In.LEDGER, "of cache reads"),
    Field("cost_cache_write_usd", Dtype.USD, Origin.PRICE, In.LEDGER, "of cache writes"),
    Field("cost_web_search_usd", Dtype.USD, Origin.PRICE, In.LEDGER, "of web searches"),
    Field("cost_usd", Dtype.USD, Origin.PRICE, In.LEDGER, "of all; null where there is no price"),
    Field(
        "list_cost_usd", Dtype.USD, Origin.PRICE, In.LEDGER, "the same without the user's discounts"
    ),
    Field(
        "rate_id",
        Dtype.TEXT,
        Origin.PRICE,
        In.LEDGER,
        "model, speed and first day of the rate; null when unpriced",
    ),
    Field("price_source", Dtype.TEXT, Origin.PRICE, In.LEDGER, "who states the rate"),
    Field("price_confidence", Dtype.TEXT, Origin.PRICE, In.LEDGER, "how sure the rate is"),
    Field(
        "price_modifiers",
        Dtype.TEXT,
        Origin.PRICE,
        In.LEDGER,
        "what changed the plain price, and doubts: `long>200000 us1.1`, `carried_forward` (a day after"
        " the card's last check), `unbilled_refusal` (why the cost is zero)",
    ),
    Field(
        "is_unbilled",
        Dtype.FLAG,
        Origin.RULES,
        In.LEDGER,
        "whether it was refused before any output, which is not billed",
    ),
    Field(
        "recorded_cost_usd",
        Dtype.USD_TEXT,
        Origin.VALUE,
        In.RECORDS | In.LEDGER | In.LAKE,
        "what old transcripts recorded, in US dollars; never mixed in",
        repeats=True,
    ),
    # how far it can be trusted
    Field(
        "quality",
        Dtype.TEXT,
        Origin.RULES,
        _MERGED,
        "of the output count: final, repaired, lower_bound or placeholder (R4)",
        "Quality",
    ),
    Field("copies", Dtype.COUNT, Origin.COPIES, _MERGED, "lines that said it again, merged away"),
    Field("is_sidechain", Dtype.FLAG, Origin.OWNER, _ALL, "whether a subagent's line owns it"),
    Field(
        "is_progress",
        Dtype.FLAG,
        Origin.OWNER,
        _ALL,
        "whether it is known only from progress lines of the parent",
    ),
    Field(
        "is_split_assumed",
        Dtype.FLAG,
        Origin.RULES,
        In.LEDGER | In.LAKE,
        "whether cache writes had no split, and were taken as 5-minute ones (R7)",
    ),
    Field(
        "stop_reason",
        Dtype.TEXT,
        Origin.VALUE,
        _ALL,
        "why it ended; `cut` where its stream broke off",
        repeats=True,
    ),
    Field(
        "odd",
        Dtype.TEXT,
        Origin.VALUE,
        _ALL,
        "names of values that had an odd form (R9)",
        repeats=True,
    ),
    # where it stands
    Field("record", Dtype.COUNT, Origin.PLACE, In.RECORDS, "its number in the transcript"),
    Field("line", Dtype.COUNT, Origin.PLACE, In.RECORDS, "its first line"),
    Field("value_line", Dtype.COUNT, Origin.PLACE, In.RECORDS, "the line that counts"),
    Field("lines", Dtype.COUNT, Origin.PLACE, In.RECORDS, "how many lines say it"),
    Field(
        "source_path", Dtype.TEXT, Origin.PLACE, In.LEDGER, "the transcript of the line that counts"
    ),
    Field("source_line", Dtype.COUNT, Origin.PLACE, In.LEDGER, "the line that counts, from 1"),
    # what it may have used beyond what was recorded
    Field(
        "est_output_best_tokens",
        Dtype.TOKENS,
        Origin.ESTIMATE,
        In.ESTIMATES,
        "the output, as it most likely was",
    ),
    Field(
        "est_output_high_tokens",
        Dtype.TOKENS,
        Origin.ESTIMATE,
        In.ESTIMATES,
        "the output, as 19 of 20 held-out sessions did not exceed it",
    ),
    Field("est_cost_best_usd", Dtype.USD, Origin.ESTIMATE, In.ESTIMATES, "the cost by the first"),
    Field("est_cost_high_usd", Dtype.USD, Origin.ESTIMATE, In.ESTIMATES, "the cost by the second"),
    Field(
        "est_unknown_responses",
        Dtype.COUNT,
        Origin.ESTIMATE,
        In.ESTIMATES,
        "1 where nothing can be estimated",
    ),
)
"""The fields of a response, in the order of the ledger."""

TOKENS: Final = (
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
)
"""The classes of tokens: disjoint; `total_tokens` is their sum, `prompt_tokens` all but output."""

DIMENSIONS: Final = (
    *(field for field in FIELDS if field.label and field.origin is not Origin.RULES),
    *(field for field in FIELDS if field.label and field.origin is Origin.RULES),
)
"""The fields by which responses can be grouped: what transcripts say before what the rules add."""


def names(tables: In, *, origin: Origin | None = None) -> Iterator[str]:
    """Yield the names of the fields that *tables* carry, of *origin* alone where one is named."""
    for field in FIELDS:
        if field.tables & tables and origin in {None, field.origin}:
            yield field.name
