"""One transcript in the making: a conversation that goes on, response by response.

It knows what follows what; how a line is spelled is the business of `lines`.
"""

import random
from dataclasses import dataclass, field, replace
from typing import Final, Literal, NamedTuple

import lines
from lines import Origin, Reply, Text, Usage, iso, new_token, new_uuid

LINES_PER_RESPONSE: Final = (32, 44, 16, 8)
BEFORE_LAST: Final[dict[int, tuple[tuple[str, ...], ...]]] = {
    1: ((),),
    2: (("thinking",), ("text",)),
    3: (("thinking", "text"), ("text", "tool")),
    4: (("thinking", "text", "tool"), ("thinking", "tool", "tool")),
}
"""The blocks before the last one of a response, by its number of lines."""

CONTEXT_LIMIT: Final = 165_000
SHARED_LINES: Final = 30
"""From how many lines of a subagent on its parent repeats no more of them as progress."""

NO_USAGE: Final = Usage(0, 0, 0, 0, 0)

ATTACHMENTS: Final = ("hook_additional_context", "task_reminder", "queued_command", "edited_file")


class Line(NamedTuple):
    """A finished line, and what a reader should take it for."""

    data: bytes
    kind: Literal["usage", "progress usage", "other"]
    uuid: str | None


class Call(NamedTuple):
    """A call of a tool that waits for its result."""

    name: str
    tool_id: str
    path: str
    line_uuid: str


class Shared(NamedTuple):
    """A message of a subagent as its parent repeats it."""

    data: bytes
    clock_ms: int
    kind: Literal["progress usage", "other"]


@dataclass(slots=True)
class Workshop:
    """What all transcripts of a corpus share: the dice, the text, and the responses so far."""

    rng: random.Random
    text: Text
    replies: list[tuple[str, Usage]] = field(default_factory=list)
    """Model and usage of each response, as its lines tell them."""


@dataclass(slots=True)
class Transcript:
    """One file: its lines so far, and what the next one depends on."""

    shop: Workshop
    origin: Origin
    model: str
    clock_ms: int
    limit: int
    """The longest tool result."""
    lines: list[Line] = field(default_factory=list)
    size: int = 0
    shared: list[Shared] = field(default_factory=list)
    sharing: bool = False
    """Whether a parent repeats what is said here."""
    last_usage: Usage = NO_USAGE
    parent: str | None = None
    context: int = 20_000
    hour_cache: bool = True
    idle: bool = True
    """Whether the user speaks next."""

    def write(self, line: Line) -> None:
        """Append a finished line."""
        self.lines.append(line)
        self.size += len(line.data)

    def loose(self, text: str) -> None:
        """Append a line that stands outside the chain of uuids."""
        self.write(Line(text.encode() + b"\n", "other", None))

    def chain(
        self,
        body: bytes,
        extra: bytes = b"",
        kind: Literal["usage", "progress usage", "other"] = "other",
    ) -> str:
        """Append a line to the chain, and give back its uuid."""
        uuid = new_uuid(self.shop.rng)
        head, tail = self.origin.head(self.parent), self.origin.tail()
        stamp = f',"uuid":"{uuid}","timestamp":"{iso(self.clock_ms)}"'
        data = b"".join((head.encode(), body, stamp.encode(), extra, tail.encode()))
        self.write(Line(data, kind, uuid))
        self.parent = uuid
        return uuid

    def wait(self, low_ms: int, high_ms: int) -> None:
        """Let time pass."""
        self.clock_ms += int(low_ms + self.shop.rng.random() * (high_ms - low_ms))

    def happens(self, chance: float) -> bool:
        """Throw the dice."""
        return self.shop.rng.random() < chance


# Responses


def step(it: Transcript) -> None:
    """Let one response happen, with the question before it and what comes of it."""
    if it.context > CONTEXT_LIMIT:
        compact(it)
    if it.idle:
        ask(it)
    # A subagent speaks to nobody until it is done.
    it.idle = it.origin.agent_id is None and it.happens(0.14)
    for call in respond(it, ends=it.idle):
        answer(it, call)
    if it.idle:
        end_turn(it)


def respond(it: Transcript, *, ends: bool, tool: str | None = None) -> list[Call]:
    """Write the lines of one response, and give back the tools that it calls."""
    count = it.shop.rng.choices((1, 2, 3, 4), LINES_PER_RESPONSE)[0]
    kinds = [*it.shop.rng.choice(BEFORE_LAST[count]), "tool"]
    if ends:
        kinds = ["text" if kind == "tool" else kind for kind in kinds]
    reply = next_reply(it, "end_turn" if ends else "tool_use")
    finals = final_marks(it, count)
    note_reply(it, reply, final=finals[-1])
    it.wait(1_500, 20_000)
    # Whole responses are shared, so that the parent's copy alone tells the same usage.
    it.sharing = it.sharing and len(it.shared) < SHARED_LINES
    calls: list[Call] = []
    for number, (kind, final) in enumerate(zip(kinds, finals, strict=True), 1):
        name = tool if number == count and tool else None
        calls.extend(say(it, reply, kind, name, final=final))
    return calls


def next_reply(it: Transcript, stop_reason: str) -> Reply:
    """Draw the next response of the model; it reads from the cache what came before."""
    rng = it.shop.rng
    written = it.shop.text.length(900, 1.1, 60_000)
    split = written // 2 if rng.random() < 0.05 else written
    short_lived, long_lived = (
        (written - split, split) if it.hour_cache else (split, written - split)
    )
    output = it.shop.text.length(190, 1.3, 32_000) + 1
    entered = rng.randrange(300, 6_000) if rng.random() < 0.03 else rng.randrange(1, 10)
    usage = Usage(entered, output, it.context, short_lived, long_lived)
    it.context += written + output
    ids = new_token(rng, "msg_01"), new_token(rng, "req_01")
    # What the first event of the stream says is never more than what its last one does.
    started = rng.randrange(1, min(30, output) + 1)
    return Reply(it.model, *ids, usage, stop_reason, placeholder=started)


def final_marks(it: Transcript, count: int) -> list[bool]:
    """Tell for each line of a response whether it shows the final usage."""
    match it.origin.era.finals:
        case "none":
            return [False] * count
        case "last":
            return [False] * (count - 1) + [it.happens(0.92)]
        case "all":
            # Replies that the user interrupted never get a stop reason.
            return [not it.happens(0.0005)] * count


def note_reply(it: Transcript, reply: Reply, *, final: bool) -> None:
    """Remember a response with the value that its lines give it."""
    usage = reply.usage if final else reply.usage._replace(output=reply.placeholder)
    it.shop.replies.append((reply.model, usage))
    it.last_usage = usage


def say(it: Transcript, reply: Reply, kind: str, tool: str | None, *, final: bool) -> list[Call]:
    """Write one block of a response on a line of its own."""
    call = new_call(it, tool)
    message = lines.message(reply, block(it, kind, call), it.origin.era, final=final)
    ids = f',"requestId":"{reply.request_id}"'.encode()
    it.wait(200, 2_500)
    uuid = it.chain(b'"message":%b%b,"type":"assistant"' % (message, ids), kind="usage")
    share(it, b'"message":%b%b,"uuid":"%b"' % (message, ids, uuid.encode()), "assistant")
    return [call._replace(line_uuid=uuid)] if kind == "tool" else []


def new_call(it: Transcript, tool: str | None) -> Call:
    """Choose a tool and what it is used on."""
    rng = it.shop.rng
    name = tool or rng.choices(lines.TOOLS, lines.TOOL_WEIGHTS)[0]
    return Call(name, new_token(rng, "toolu_01"), it.shop.text.path(it.origin.cwd), "")


def block(it: Transcript, kind: str, call: Call) -> bytes:
    """Write a block of content."""
    match kind:
        case "thinking":
            return lines.thinking_block(it.shop.text)
        case "text":
            return lines.text_block(it.shop.text)
        case _:
            return lines.tool_block(it.shop.text, call.name, call.tool_id, call.path)


def share(it: Transcript, data: bytes, role: Literal["user", "assistant"]) -> None:
    """Keep a message of a subagent for its parent."""
    if not it.sharing:
        return
    start = f'{{"type":"{role}","timestamp":"{iso(it.clock_ms)}",'.encode()
    kind: Literal["progress usage", "other"] = "progress usage" if role == "assistant" else "other"
    it.shared.append(Shared(start + data + b"}", it.clock_ms, kind))


# What comes of a response


def answer(it: Transcript, call: Call) -> None:
    """Write the result of a tool, and the progress before it."""
    if it.origin.era.progress and it.origin.agent_id is None:
        progress(it, call)
    it.wait(100, 30_000 if call.name == "Bash" else 400)
    content, result = lines.tool_result(it.shop.text, call.name, call.path, it.limit)
    give_back(it, call, content, result)
    if it.origin.era.modern and it.happens(0.25):
        attach(it)
    if call.name in {"Edit", "Write"}:
        snapshot(it, is_update=True)


def give_back(it: Transcript, call: Call, content: bytes, result: bytes) -> None:
    """Write a user line that holds the result of a tool."""
    tool_id, source = call.tool_id.encode(), call.line_uuid.encode()
    message = (
        b'{"role":"user","content":[{"tool_use_id":"%b","type":"tool_result","content":%b,'
        b'"is_error":false}]}' % (tool_id, content)
    )
    prompt_id = prompt_tag(it) if it.origin.era.modern else b""
    extra = b',"toolUseResult":%b,"sourceToolAssistantUUID":"%b"' % (result, source)
    it.chain(b'%b"type":"user","message":%b' % (prompt_id, message), extra)


def prompt_tag(it: Transcript) -> bytes:
    """Name the prompt that a line belongs to."""
    return f'"promptId":"{new_uuid(it.shop.rng)}",'.encode()


def progress(it: Transcript, call: Call) -> None:
    """Write what a running command and the hooks of a tool report."""
    if call.name == "Bash" and it.happens(0.45):
        for second in range(2, it.shop.rng.randrange(4, 14)):
            it.wait(900, 1_100)
            output_progress(it, call, second)
    for event in ("PreToolUse", "PostToolUse"):
        if it.happens(0.4):
            data = (
                f'"type":"progress","data":{{"type":"hook_progress","hookEvent":"{event}",'
                f'"hookName":"{event}:{call.name}","command":"callback"}},'
                f'"parentToolUseID":"{call.tool_id}","toolUseID":"{call.tool_id}"'
            )
            it.chain(data.encode())


def output_progress(it: Transcript, call: Call, second: int) -> None:
    """Write what a command has printed so far."""
    output = it.shop.text.vary(90, 1.0, 4_000)
    data = (
        b'"type":"progress","data":{"type":"bash_progress","output":"%b","fullOutput":"%b",'
        b'"elapsedTimeSeconds":%d,"totalLines":%d,"totalBytes":0}'
        b',"toolUseID":"bash-progress-%d","parentToolUseID":"%b"'
        % (output, output, second, output.count(b"\\n"), second, call.tool_id.encode())
    )
    it.chain(data)


def attach(it: Transcript) -> None:
    """Write what Claude Code adds to the conversation by itself."""
    kind = it.shop.rng.choice(ATTACHMENTS).encode()
    content = it.shop.text.vary(180, 1.0, 20_000)
    it.chain(b'"attachment":{"type":"%b","content":"%b"},"type":"attachment"' % (kind, content))


def snapshot(it: Transcript, *, is_update: bool) -> None:
    """Write which files are kept for going back."""
    message_id = new_uuid(it.shop.rng)
    backups = ",".join(
        f'"{it.shop.text.path(it.origin.cwd)}":{{"backupFileName":"{number:016x}@v1",'
        f'"version":1,"backupTime":"{iso(it.clock_ms)}"}}'
        for number in range(it.shop.rng.randrange(8))
    )
    it.loose(
        f'{{"type":"file-history-snapshot","messageId":"{message_id}","snapshot":{{'
        f'"messageId":"{message_id}","trackedFileBackups":{{{backups}}},'
        f'"timestamp":"{iso(it.clock_ms)}"}},"isSnapshotUpdate":{str(is_update).lower()}}}'
    )


# Turns


def begin(it: Transcript) -> None:
    """Write what stands at the head of a session."""
    title, leaf = it.shop.text.title(), new_uuid(it.shop.rng)
    session = f'"sessionId":"{it.origin.session_id}"'
    if it.origin.era.finals == "none":
        it.loose(f'{{"type":"summary","summary":"{title}","leafUuid":"{leaf}"}}')
    if it.origin.era.modern:
        it.loose(f'{{"type":"mode","mode":"normal",{session}}}')
        it.loose(f'{{"type":"ai-title","aiTitle":"{title}",{session}}}')
        attach(it)


def ask(it: Transcript) -> None:
    """Write a prompt, and what is written around it."""
    it.wait(5_000, 900_000)
    if it.origin.agent_id is None:
        snapshot(it, is_update=False)
        queue(it)
    words = it.shop.text.vary(320, 1.0, 12_000)
    message = b'"message":{"role":"user","content":"%b"}' % words
    tag = prompt_tag(it) if it.origin.era.modern else b""
    it.chain(tag + b'"type":"user",' + message)
    share(it, message + b',"uuid":"%b"' % str(it.parent).encode(), "user")


def queue(it: Transcript) -> None:
    """Write, now and then, a prompt that had to wait for its turn."""
    if not it.happens(0.4):
        return
    session = f'"timestamp":"{iso(it.clock_ms)}","sessionId":"{it.origin.session_id}"'
    content = it.shop.text.title()
    it.loose(f'{{"type":"queue-operation","operation":"enqueue",{session},"content":"{content}"}}')
    it.loose(f'{{"type":"queue-operation","operation":"dequeue",{session}}}')


def end_turn(it: Transcript) -> None:
    """Write what follows the last response to a prompt."""
    system = '"type":"system","subtype":'
    it.chain(
        f'{system}"stop_hook_summary","hookCount":1,"hookInfos":[{{"command":"callback"}}],'
        f'"hookErrors":[],"preventedContinuation":false,"stopReason":"","hasOutput":true,'
        f'"level":"suggestion"'.encode()
    )
    duration = it.shop.rng.randrange(4_000, 400_000)
    it.chain(f'{system}"turn_duration","durationMs":{duration}'.encode(), b',"isMeta":false')
    if it.origin.era.modern:
        title, session = it.shop.text.title(), f'"sessionId":"{it.origin.session_id}"'
        it.loose(f'{{"type":"last-prompt","lastPrompt":"{title}",{session}}}')
        it.loose(f'{{"type":"custom-title","customTitle":"{title}",{session}}}')


def compact(it: Transcript) -> None:
    """Write the boundary and the summary that a compaction leaves."""
    before, it.parent = it.parent, None
    data = (
        f'"logicalParentUuid":"{before}","type":"system","subtype":"compact_boundary",'
        f'"content":"Conversation compacted","isMeta":false,"level":"info",'
        f'"compactMetadata":{{"trigger":"auto","preTokens":{it.context}}}'
    )
    it.chain(data.encode())
    summary = it.shop.text.vary(7_000, 0.4, 30_000)
    message = b'"type":"user","message":{"role":"user","content":"%b"}' % summary
    it.chain(message, b',"isVisibleInTranscriptOnly":true,"isCompactSummary":true')
    it.context = it.shop.rng.randrange(18_000, 32_000)


# Subagents


def subagent(it: Transcript, limit: int) -> Transcript:
    """Start the transcript of an agent."""
    rng = it.shop.rng
    agent_id = f"{rng.getrandbits(64):016x}"
    # Ids had seven characters until 2.1.49.
    agent_id = f"a{agent_id[:6] if it.origin.era.finals == 'none' else agent_id}"
    return Transcript(
        it.shop,
        replace(it.origin, agent_id=agent_id),
        model=lines.HAIKU.name if rng.random() < 0.3 else it.model,
        clock_ms=it.clock_ms,
        limit=limit,
        sharing=it.origin.era.progress,
        context=rng.randrange(6_000, 18_000),
        hour_cache=rng.random() < 0.15,
    )


def take_back(it: Transcript, agent: Transcript, call: Call) -> None:
    """Write into the parent what an agent did."""
    for shared in agent.shared:
        it.clock_ms = shared.clock_ms
        data = (
            b'"type":"progress","data":{"message":%b,"normalizedMessages":[],'
            b'"type":"agent_progress","prompt":"","agentId":"%b"},"toolUseID":"agent_%b",'
            b'"parentToolUseID":"%b"'
            % (
                shared.data,
                str(agent.origin.agent_id).encode(),
                call.tool_id[6:].encode(),
                call.tool_id.encode(),
            )
        )
        it.chain(data, kind=shared.kind)
    it.clock_ms = max(it.clock_ms, agent.clock_ms)
    report = b'[{"type":"text","text":"%b"}]' % it.shop.text.vary(1_500, 0.7, 20_000)
    give_back(it, call, report, agent_result(agent, report))


def agent_result(agent: Transcript, report: bytes) -> bytes:
    """Write an agent's report with the usage of its last response."""
    # The usage is the one on the agent's last line: a reader that repairs unfinished counts
    # from here then finds the same totals as one that does not.
    usage = agent.last_usage
    start = (
        f'{{"status":"completed","agentId":"{agent.origin.agent_id}","totalDurationMs":61000,'
        f'"totalTokens":{sum(usage)},"totalToolUseCount":9,"usage":{lines.partial_usage(usage)}'
    )
    return start.encode() + b',"content":%b}' % report
