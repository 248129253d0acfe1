"""What Claude Code writes, as types: the only place that spells its camelCase field names.

The types are strict, and msgspec checks them while it decodes; a line that they refuse is not lost
but goes to `tolerant`, which builds the same types value by value (rules R8 and R9).

Fields stand in the order in which Claude Code writes them: msgspec looks for the next key behind the
last, and finds it at once.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

__all__ = [
    "AGENT_ID",
    "ATTACHMENT_TEXTS",
    "CUT_NOTE",
    "IS_SIDECHAIN",
    "LINE_KEYS",
    "PROJECT_KEYS",
    "REFUSED_MESSAGE_ID",
    "RESULT_KEYS",
    "SETTINGS_KEYS",
    "STATED_USAGE_KEYS",
    "TOOL_USE_RESULT",
    "TOTAL_KEYS",
    "AgentFacts",
    "AgentProgress",
    "AnyLine",
    "Assistant",
    "Attachment",
    "CacheCreation",
    "ClaudeSettings",
    "ContentBlock",
    "ContextCategory",
    "ContextUsage",
    "Count",
    "DefinitionLine",
    "InnerBlock",
    "Iteration",
    "Message",
    "MessageContent",
    "MessageUsage",
    "OutputDetails",
    "ProgressLine",
    "ProjectTotal",
    "PromptSnapshot",
    "RenderedMessage",
    "RepeatedLine",
    "RequestLine",
    "RequestOrigin",
    "RequestShape",
    "ResultLine",
    "ServerToolUse",
    "SessionLine",
    "StatedTotal",
    "StatedUsage",
    "ToolDefinition",
    "ToolResult",
    "TopLevel",
    "decode_agent_facts",
    "decode_any_line",
    "decode_assistant",
    "decode_attachment",
    "decode_context_usage",
    "decode_definition_line",
    "decode_note",
    "decode_progress",
    "decode_rendered",
    "decode_repeated",
    "decode_request",
    "decode_result_line",
    "decode_snapshot",
    "decode_tool",
    "decode_top_level",
    "keys_of",
]

LARGEST_COUNT = 2**53 - 1
"""The largest whole number that every JSON writer keeps exactly; a larger count is not a count."""

Count = Annotated[int, Meta(ge=0, le=LARGEST_COUNT)]


class CacheCreation(Struct, gc=False):
    """How the cache writes split by their time to live."""

    ephemeral_5m_input_tokens: Count | None = None
    ephemeral_1h_input_tokens: Count | None = None


class ServerToolUse(Struct, gc=False):
    """What the API's own tools did."""

    web_search_requests: Count | None = None
    web_fetch_requests: Count | None = None


class OutputDetails(Struct, gc=False):
    """What the output tokens were for; part of them, never beside them."""

    thinking_tokens: Count | None = None


class Iteration(Struct, gc=False):
    """One of the inferences behind a response."""

    type: str | None = None
    model: str | None = None
    input_tokens: Count | None = None
    output_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    cache_creation_input_tokens: Count | None = None
    cache_creation: CacheCreation | None = None


class MessageUsage(Struct, gc=False, kw_only=True):
    """`message.usage`: the counts of one response."""

    input_tokens: Count
    cache_creation_input_tokens: Count | None = None
    cache_read_input_tokens: Count | None = None
    output_tokens: Count
    server_tool_use: ServerToolUse | None = None
    service_tier: str | None = None
    cache_creation: CacheCreation | None = None
    inference_geo: str | None = None
    iterations: list[Iteration] | None = None
    speed: str | None = None
    output_tokens_details: OutputDetails | None = None


class Message(Struct, gc=False, kw_only=True):
    """What the API answered, without its content."""

    model: str | None = None
    id: str | None = None
    stop_reason: str | None = None
    usage: MessageUsage


class ForkedFrom(Struct, gc=False, rename="camel"):
    """Where a branched session comes from."""

    session_id: str | None = None


class Assistant(Struct, gc=False, rename="camel", kw_only=True):
    """A line of type `assistant` with usage; also what an `agent_progress` line repeats."""

    is_sidechain: bool | None = None
    agent_id: str | None = None
    message: Message
    request_id: str | None = None
    request_ref: str | None = None
    type: str
    uuid: str | None = None
    timestamp: str | None = None
    effort: str | None = None
    entrypoint: str | None = None
    cwd: str | None = None
    session_id: str | None = None
    process_session: str | None = msgspec.field(default=None, name="session_id")
    version: str | None = None
    git_branch: str | None = None
    forked_from: ForkedFrom | None = None
    attribution_skill: str | None = None
    attribution_plugin: str | None = None
    attribution_agent: str | None = None
    attribution_mcp_server: str | None = None
    attribution_mcp_tool: str | None = None
    refused_message_id: str | None = None
    stream_cut_cause: str | None = None
    cost_usd: float | None = msgspec.field(default=None, name="costUSD")
    odd: tuple[str, ...] = msgspec.field(default=(), name="(odd)")
    """Names of the values whose form was odd; filled by `tolerant` alone."""

    @property
    def session(self) -> str | None:
        """The session of the line; only a `stream-json` log says it as the process's."""
        return self.session_id or self.process_session


class AgentProgress(Struct, gc=False, rename="camel"):
    """`data` of a progress line that repeats a subagent's message."""

    type: str
    message: Assistant
    agent_id: str | None = None


class ProgressLine(Struct, gc=False, rename="camel"):
    """A line of type `progress`."""

    type: str
    data: AgentProgress
    session_id: str | None = None
    cwd: str | None = None
    git_branch: str | None = None
    version: str | None = None
    entrypoint: str | None = None


class CompactMetadata(Struct, gc=False, rename="camel"):
    """What a `compact_boundary` line says of the compaction."""

    trigger: str | None = None
    pre_tokens: Count | None = None
    post_tokens: Count | None = None


class SessionLine(Struct, gc=False, rename="camel"):
    """Any other line, as far as a session's facts need it: titles, compactions, first and last times."""

    type: str | None = None
    subtype: str | None = None
    uuid: str | None = None
    timestamp: str | None = None
    session_id: str | None = None
    process_session: str | None = msgspec.field(default=None, name="session_id")
    cwd: str | None = None
    forked_from: ForkedFrom | None = None
    custom_title: str | None = None
    ai_title: str | None = None
    summary: str | None = None
    leaf_uuid: str | None = None
    compact_metadata: CompactMetadata | None = None

    @property
    def session(self) -> str | None:
        """The session of the line; only a `stream-json` log says it as the process's."""
        return self.session_id or self.process_session


class RequestParams(Struct, gc=False):
    """What a request asks, as far as it matters here."""

    model: str | None = None


class Connection(Struct, gc=False):
    """What befell the connection of a request."""

    code: str | None = None


class RequestError(Struct, gc=False):
    """Why a request failed: the status of its answer, or what befell the connection."""

    status: int | None = None
    connection: Connection | None = None


class RequestLine(Struct, gc=False, rename="camel"):
    """A line about a request: that it was sent, failed, was refused or cut, or went to another model.

    Of types `api-request`, `system` and `user`.
    """

    type: str | None = None
    subtype: str | None = None
    error: RequestError | None = None
    trigger: str | None = None
    original_model: str | None = None
    id: str | None = None
    is_meta: bool | None = None
    timestamp: str | None = None
    params: RequestParams | None = None
    refused_message_id: str | None = None
    is_cut: bool = msgspec.field(default=False, name="(cut)")
    """Whether its message begins as CUT_NOTE does; not told by the decoder."""


CUT_NOTE = "Your response above was cut off mid-stream"
"""How the note begins by which Claude Code lets a model go on whose stream was cut.

The line has no field that says it: notes of other kinds have the same ones."""


class ResultLine(Struct, gc=False, rename="camel"):
    """A line with the result of a tool, as the first reading looks at it: no more than that."""

    tool_use_result: msgspec.Raw = msgspec.Raw()


class InnerBlock(Struct, gc=False):
    """A block within a block: of a tool's result, of what was made from an attachment."""

    type: str | None = None
    text: str | None = None


class ContentBlock(Struct, gc=False):
    """A block of a message."""

    type: str | None = None
    text: str | None = None
    thinking: str | None = None
    signature: msgspec.Raw = msgspec.Raw()
    """Of thinking, which it holds in encrypted form."""
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = msgspec.Raw()
    tool_use_id: str | None = None
    content: str | list[InnerBlock] | None = None
    is_error: bool | None = None


class MessageContent(Struct, gc=False):
    """A message, as far as it says what came into a context."""

    id: str | None = None
    content: str | list[ContentBlock] | None = None


class AnyLine(Struct, gc=False, rename="camel"):
    """Any line, as a second look reads it; what few ask for is still as it is written."""

    type: str | None = None
    subtype: str | None = None
    uuid: str | None = None
    parent_uuid: str | None = None
    timestamp: str | None = None
    is_sidechain: bool | None = None
    is_meta: bool | None = None
    is_compact_summary: bool | None = None
    is_display_only: bool | None = None
    request_id: str | None = None
    request_ref: str | None = None
    ai_title: str | None = None
    message: MessageContent | None = None
    content: msgspec.Raw = msgspec.Raw()
    attachment: msgspec.Raw = msgspec.Raw()
    rendered: msgspec.Raw = msgspec.Raw()
    context_usage: msgspec.Raw = msgspec.Raw()
    tool_use_result: msgspec.Raw = msgspec.Raw()
    data: msgspec.Raw = msgspec.Raw()


class RepeatedLine(Struct, gc=False):
    """`data` of a progress line, as a second look reads it."""

    message: AnyLine | None = None


class ToolResult(Struct, gc=False, rename="camel"):
    """What the result of a tool may say: of a subagent, of a web search, of a fetched page."""

    agent_id: msgspec.Raw = msgspec.Raw()
    usage: msgspec.Raw = msgspec.Raw()
    total_tokens: msgspec.Raw = msgspec.Raw()
    query: msgspec.Raw = msgspec.Raw()
    search_count: msgspec.Raw = msgspec.Raw()
    duration_seconds: msgspec.Raw = msgspec.Raw()
    code_text: msgspec.Raw = msgspec.Raw()
    bytes: msgspec.Raw = msgspec.Raw()


class StatedTotal(Struct, gc=False, rename="camel"):
    """What a line of type `cost-state` states of a session."""

    session_id: msgspec.Raw = msgspec.Raw()
    start_time: msgspec.Raw = msgspec.Raw()
    total_duration: msgspec.Raw = msgspec.Raw()
    total_cost_usd: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name="totalCostUSD")
    model_usage: msgspec.Raw = msgspec.Raw()


class StatedUsage(Struct, gc=False, rename="camel"):
    """What all of Claude Code's own totals state of a model."""

    input_tokens: msgspec.Raw = msgspec.Raw()
    output_tokens: msgspec.Raw = msgspec.Raw()
    cache_read_input_tokens: msgspec.Raw = msgspec.Raw()
    cache_creation_input_tokens: msgspec.Raw = msgspec.Raw()
    web_search_requests: msgspec.Raw = msgspec.Raw()
    cost_usd: msgspec.Raw = msgspec.field(default=msgspec.Raw(), name="costUSD")


class ProjectTotal(Struct, gc=False, rename="camel"):
    """What `.claude.json` states of the last session of a project."""

    last_session_id: msgspec.Raw = msgspec.Raw()
    last_start_time: msgspec.Raw = msgspec.Raw()
    last_duration: msgspec.Raw = msgspec.Raw()
    last_cost: msgspec.Raw = msgspec.Raw()
    last_model_usage: msgspec.Raw = msgspec.Raw()


class AgentFacts(Struct, gc=False, rename="camel"):
    """The small file beside a subagent's transcript: type and task, as far as they are known."""

    agent_type: str | None = None
    description: str | None = None


class ClaudeSettings(Struct, gc=False, rename="camel"):
    """What is read of, or written to, Claude Code's settings."""

    cleanup_period_days: msgspec.Raw = msgspec.Raw()
    status_line: msgspec.Raw = msgspec.Raw()


def keys_of(*kinds: type[Struct]) -> dict[str, str]:
    """Return by its name here what each field of *kinds* is called in transcripts."""
    return {
        name: key
        for kind in kinds
        for name, key in zip(kind.__struct_fields__, kind.__struct_encode_fields__, strict=True)
    }


LINE_KEYS = keys_of(
    *(AgentProgress, Assistant, CompactMetadata, ForkedFrom, ProgressLine, RequestLine),
    *(SessionLine, AnyLine),
)
RESULT_KEYS = keys_of(ToolResult)
TOTAL_KEYS = keys_of(StatedTotal)
STATED_USAGE_KEYS = keys_of(StatedUsage)
PROJECT_KEYS = keys_of(ProjectTotal)
SETTINGS_KEYS = keys_of(ClaudeSettings)

AGENT_ID = b'"agentId"'
IS_SIDECHAIN = b'"isSidechain"'
REFUSED_MESSAGE_ID = b'"refusedMessageId"'
TOOL_USE_RESULT = b'"toolUseResult"'
"""Keys as they stand in the bytes of a line."""


class RequestOrigin(Struct, gc=False):
    """Who or what a queued command comes from."""

    kind: str | None = None


class Attachment(Struct, gc=False, rename="camel"):
    """What an attachment says of itself."""

    type: str | None = None
    command_mode: str | None = None
    hook_event: str | None = None
    is_meta: bool | None = None
    origin: RequestOrigin | None = None


class RenderedMessage(Struct, gc=False):
    """A message that was made from an attachment, and sent."""

    content: str | list[InnerBlock] | None = None


ATTACHMENT_TEXTS = (
    "addedBlocks",
    "addedLines",
    "additionalContext",
    "blockingError",
    "content",
    "contents",
    "diagnostics",
    "file",
    "files",
    "hookSpecificOutput",
    "memories",
    "message",
    "planContent",
    "prompt",
    "response",
    "skills",
    "snippet",
    "subject",
    "systemMessage",
    "text",
)
"""The keys below which the texts of an attachment stand; names, paths, numbers and digests do not."""


class ToolDefinition(Struct, gc=False):
    """A tool, as a request or a snapshot defines it."""

    name: str | None = None
    schema: msgspec.Raw = msgspec.Raw()
    """Of a snapshot: the definition that is sent."""
    defer_loading: bool | None = None
    """Whether the model sees the tool only after it has searched for it."""


class RequestShape(Struct, gc=False):
    """What stands before the messages of a request."""

    system: str | list[InnerBlock] | None = None
    tools: list[msgspec.Raw] | None = None


class DefinitionLine(Struct, gc=False, rename="camel"):
    """A line of type `api-request` or `api-request-shape`, as far as it defines system prompt and tools."""

    type: str | None = None
    id: str | None = None
    timestamp: str | None = None
    shape_hash: str | None = None
    shape: RequestShape | None = None


class PromptSnapshot(Struct, gc=False, rename="camel"):
    """An attachment that holds the system prompt, and perhaps the tools; it was not sent itself."""

    cli_prefix: str | None = None
    system_prompt: list[str | InnerBlock] | None = None
    tools: list[msgspec.Raw] | None = None


class ContextCategory(Struct, gc=False):
    """A line of what `/context` shows."""

    name: str | None = None
    kind: str | None = None
    tokens: Count | None = None


class ContextUsage(Struct, gc=False):
    """What `/context` said of a context."""

    model: str | None = None
    total_tokens: Count | None = None
    raw_max_tokens: Count | None = None
    categories: list[ContextCategory] | None = None


class TopLevel(Struct, gc=False):
    """What a look at a line asks that is none of Claude Code's: whether it has a usage of its own."""

    usage: msgspec.Raw = msgspec.Raw()


decode_assistant = msgspec.json.Decoder(Assistant).decode
decode_progress = msgspec.json.Decoder(ProgressLine).decode
decode_note = msgspec.json.Decoder(SessionLine).decode
decode_request = msgspec.json.Decoder(RequestLine).decode
decode_result_line = msgspec.json.Decoder(ResultLine).decode
decode_any_line = msgspec.json.Decoder(AnyLine).decode
decode_repeated = msgspec.json.Decoder(RepeatedLine).decode
decode_attachment = msgspec.json.Decoder(Attachment).decode
decode_rendered = msgspec.json.Decoder(list[RenderedMessage]).decode
decode_definition_line = msgspec.json.Decoder(DefinitionLine).decode
decode_snapshot = msgspec.json.Decoder(PromptSnapshot).decode
decode_tool = msgspec.json.Decoder(ToolDefinition).decode
decode_context_usage = msgspec.json.Decoder(ContextUsage).decode
decode_agent_facts = msgspec.json.Decoder(AgentFacts).decode
decode_top_level = msgspec.json.Decoder(TopLevel).decode
