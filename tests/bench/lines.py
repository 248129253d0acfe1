"""The lines that Claude Code writes, built from seeded text that looks like code, logs and JSON.

Everything here is bytes: text is escaped once, in a pool, and only cut and joined afterwards.
"""

import base64
import json
import random
from bisect import bisect_left
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final, Literal, NamedTuple

ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

WORDS: Final = (
    *("account", "adapter", "archive", "batch", "branch", "buffer", "builder", "cache", "channel"),
    *("client", "column", "config", "cursor", "customer", "digest", "driver", "entry", "export"),
    *("filter", "folder", "format", "gateway", "handler", "header", "index", "invoice", "journal"),
    *("ledger", "limit", "lookup", "margin", "message", "metric", "migration", "module", "monitor"),
    *("notice", "offset", "option", "order", "packet", "parser", "payload", "policy", "pricing"),
    *("project", "queue", "record", "region", "report", "request", "response", "retry", "router"),
    *("schema", "session", "shard", "signal", "snapshot", "store", "stream", "table", "task"),
    *("tenant", "thread", "token", "tracker", "update", "user", "vector", "worker"),
)

SHAPES: Final = (
    (
        "    def %(a)s_%(b)s(self, %(c)s: str, *, limit: int = %(n)s) -> list[%(b)s]:",
        '        """Return every %(a)s of the %(b)s, newest first."""',
        '        if not self._%(a)s or "%(b)s" in %(c)s:',
        '            raise ValueError(f"no {%(a)s!r} in %(b)s %(n)s")',
        '        rows = self.%(b)s.where("%(c)s = ?", %(n)s).order_by(-self.%(a)s)',
        "        return [row.%(a)s for row in rows if row.%(b)s is not None]",
        "",
    ),
    (
        "%(n)6s→\timport { %(a)s, type %(b)s } from '../%(c)s/%(a)s.js';",
        "%(n)6s→\texport const %(a)s%(n)s = async (%(b)s: string): Promise<void> => {",
        '%(n)6s→\t  const %(c)s = await %(a)s.get(`/api/%(b)s/${%(b)s}`, { "x-id": "%(h)s" });',
        '%(n)6s→\t  if (%(c)s.status !== 200) throw new Error("%(a)s: " + %(c)s.statusText);',
        "%(n)6s→\t  return %(c)s.%(a)s?.map((row) => ({ ...row, %(b)s: row.%(b)s ?? %(n)s }));",
        "%(n)6s→\t};",
    ),
    (
        "2026-03-14T09:26:53.%(n)04dZ  INFO %(a)s::%(b)s: accepted id=%(h)s size=%(n)s",
        '2026-03-14T09:26:54.%(n)04dZ  WARN %(a)s::%(c)s: slow query="%(b)s" took %(n)sms',
        "\x1b[32m✓\x1b[39m %(a)s > %(b)s keeps the %(c)s \x1b[2m(%(n)s ms)\x1b[22m",
        "\x1b[31mFAIL\x1b[39m tests/%(a)s/test_%(b)s.py::test_%(c)s - assert %(n)s == 'x'",
        "-rw-r--r--  1 dev  dev  %(n)6s Mar 14 09:26 src\\%(a)s\\%(b)s_%(c)s.rs",
        "npm warn deprecated %(a)s-%(b)s@%(n)s: use @%(c)s/%(a)s instead",
    ),
    (
        '  "%(a)s": {"type": "%(b)s", "id": "%(h)s", "count": %(n)s, "tags": ["%(c)s"]},',
        '    {"role": "%(a)s", "values": {"%(b)s_%(c)s": %(n)s, "%(c)s": [null, true]}},',
        '  "%(a)s-%(b)s": "^%(n)s.2.0", "resolved": "https://registry.example/%(a)s/%(h)s",',
        '      "pattern": "\\\\b%(a)s\\\\.(%(b)s|%(c)s)\\\\b", "path": "C:\\\\src\\\\%(c)s",',
    ),
    (
        "@@ -%(n)s,7 +%(n)s,9 @@ def %(a)s_%(b)s(%(c)s):",
        "-    %(a)s = %(b)s.get('%(c)s', %(n)s)",
        '+    %(a)s = %(b)s.get("%(c)s") or %(a)s_%(b)s(%(n)s)',
        "     # the %(b)s is kept until the %(c)s has been written",
        " ",
    ),
    (
        "The %(a)s now waits for the %(b)s, so a late %(c)s can't overwrite it any more.",
        "- **%(a)s**: see `%(b)s/%(c)s.py:%(n)s` — “%(a)s %(b)s” is read twice.",
        "1. Check that the %(b)s is empty, then run `make %(a)s %(c)s=%(n)s`.",
        "",
    ),
    (
        '{"type":"assistant","message":{"id":"%(a)s","usage":{"input_tokens":%(n)s}}}',
        "jq -s 'map(.message.usage.output_tokens // %(n)s) | add' %(a)s/%(b)s.jsonl",
    ),
)
"""Kinds of text; the last, work on transcripts, quotes what a reader looks for."""
SHAPE_WEIGHTS: Final = (30, 20, 25, 15, 10, 15, 1)


class Text:
    """Escaped text of any length, cut from one pool of whole lines made from the seed."""

    def __init__(self, rng: random.Random, pool_lines: int = 60_000) -> None:
        self._rng = rng
        pieces = [piece for _ in range(pool_lines // 30) for piece in self._passage(30)]
        self._pool = b"".join(pieces)
        self._ends: list[int] = []
        end = 0
        for piece in pieces:
            end += len(piece)
            self._ends.append(end)
        self._base64 = base64.b64encode(rng.randbytes(3 << 19))

    def _passage(self, count: int) -> list[bytes]:
        shapes = self._rng.choices(SHAPES, SHAPE_WEIGHTS)[0]
        return [_escape(self._rng.choice(shapes) % self._fillings()) for _ in range(count)]

    def _fillings(self) -> dict[str, object]:
        a, b, c = self._rng.choices(WORDS, k=3)
        number = self._rng.randrange(1, 9999)
        return {"a": a, "b": b, "c": c, "n": number, "h": f"{self._rng.getrandbits(48):012x}"}

    def take(self, size: int) -> bytes:
        """Cut whole lines of at least `size` bytes (as far as the pool goes)."""
        # A start in the first half leaves room for the longest texts without wrapping round.
        first = int(self._rng.random() * len(self._ends) / 2)
        begin = self._ends[first]
        last = bisect_left(self._ends, begin + size, lo=first + 1, hi=len(self._ends) - 1)
        return self._pool[begin : self._ends[last]]

    def vary(self, median: float, spread: float, limit: int) -> bytes:
        """Cut a text whose length is log-normal."""
        return self.take(self.length(median, spread, limit))

    def length(self, median: float, spread: float, limit: int) -> int:
        """Draw a log-normal length."""
        return min(limit, int(median * self._rng.lognormvariate(0, spread)))

    def encoded(self, size: int) -> bytes:
        """Cut base64, as signatures and images hold."""
        begin = int(self._rng.random() * max(1, len(self._base64) - size))
        return self._base64[begin : begin + size]

    def title(self) -> str:
        """Make a few words without anything to escape."""
        return "Fix the {} of each {} {}".format(*self._rng.choices(WORDS, k=3))

    def path(self, cwd: str) -> str:
        """Make the path of a source file."""
        return "{}/src/{}/{}_{}.py".format(cwd, *self._rng.choices(WORDS, k=3))


def _escape(line: str) -> bytes:
    # Like JSON.stringify: characters beyond ASCII stay as they are, control characters do not.
    return json.dumps(line + "\n", ensure_ascii=False)[1:-1].encode()


class Model(NamedTuple):
    """A model id, the day it came out, and how often it is met."""

    name: str
    since: date
    weight: int


@dataclass(frozen=True, slots=True)
class Era:
    """What one span of Claude Code's versions writes."""

    versions: tuple[str, ...]
    first_day: date
    days: int
    models: tuple[Model, ...]
    finals: Literal["none", "last", "all"]
    """Which lines of a response carry its final usage."""
    progress: bool
    """Whether progress lines are written (attachments came in their place)."""

    @property
    def modern(self) -> bool:
        """Tell whether `message` precedes the envelope, as since the end of progress lines."""
        return not self.progress


HAIKU: Final = Model("claude-haiku-4-5-20251001", date(2025, 10, 15), 2)

ERAS: Final = (
    Era(
        ("2.1.17", "2.1.20", "2.1.25"),
        date(2026, 1, 22),
        12,
        (
            Model("claude-opus-4-5-20251101", date(2025, 11, 24), 6),
            Model("claude-sonnet-4-5-20250929", date(2025, 9, 29), 3),
            HAIKU,
        ),
        "none",
        progress=True,
    ),
    Era(
        ("2.1.63", "2.1.70", "2.1.81"),
        date(2026, 3, 2),
        20,
        (
            Model("claude-opus-4-6", date(2026, 2, 5), 6),
            Model("claude-sonnet-4-6", date(2026, 2, 17), 4),
            HAIKU,
        ),
        "last",
        progress=True,
    ),
    Era(
        ("2.1.200", "2.1.209", "2.1.219"),
        date(2026, 7, 1),
        44,
        (
            Model("claude-opus-5", date(2026, 7, 24), 6),
            Model("claude-sonnet-5", date(2026, 6, 30), 5),
            Model("claude-opus-4-8", date(2026, 5, 28), 2),
            HAIKU,
        ),
        "all",
        progress=False,
    ),
)


def new_uuid(rng: random.Random) -> str:
    """Make a random identifier in the form of a version 4 UUID."""
    digits = f"{rng.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def new_token(rng: random.Random, prefix: str) -> str:
    """Make an id as the API gives them: a prefix and 22 characters."""
    return prefix + "".join(rng.choices(ALPHABET, k=22))


def iso(clock_ms: int) -> str:
    """Write a time as Claude Code does."""
    whole, thousandths = divmod(clock_ms, 1000)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{thousandths:03d}Z"


@dataclass(frozen=True, slots=True)
class Origin:
    """What all chained lines of one transcript say about where they come from."""

    era: Era
    version: str
    cwd: str
    session_id: str
    branch: str
    slug: str
    agent_id: str | None = None

    def head(self, parent: str | None) -> str:
        """Open a line."""
        agent = f'"agentId":"{self.agent_id}",' if self.agent_id else ""
        sidechain = "true" if self.agent_id else "false"
        link = f'"{parent}"' if parent else "null"
        start = f'{{"parentUuid":{link},"isSidechain":{sidechain},'
        if self.era.modern:
            return start + agent
        return f'{start}"userType":"external",{self._place()},{agent}"slug":"{self.slug}",'

    def tail(self) -> str:
        """Close a line."""
        if self.era.modern:
            return f',"userType":"external","entrypoint":"cli",{self._place()}}}\n'
        return "}\n"

    def _place(self) -> str:
        return (
            f'"cwd":"{self.cwd}","sessionId":"{self.session_id}",'
            f'"version":"{self.version}","gitBranch":"{self.branch}"'
        )


class Usage(NamedTuple):
    """The disjoint token counts of one response."""

    input: int
    output: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int


@dataclass(frozen=True, slots=True)
class Reply:
    """One response of the API; several lines repeat it."""

    model: str
    message_id: str
    request_id: str
    usage: Usage
    stop_reason: str
    placeholder: int
    """The output count that lines without a stop reason show."""


def _split(usage: Usage) -> str:
    return (
        f'"cache_creation":{{"ephemeral_5m_input_tokens":{usage.cache_write_5m},'
        f'"ephemeral_1h_input_tokens":{usage.cache_write_1h}}}'
    )


def _counts(usage: Usage) -> str:
    written = usage.cache_write_5m + usage.cache_write_1h
    return (
        f'"input_tokens":{usage.input},"cache_creation_input_tokens":{written},'
        f'"cache_read_input_tokens":{usage.cache_read}'
    )


def partial_usage(usage: Usage) -> str:
    """Write the usage object of a line that came before the end of its response."""
    return (
        f'{{{_counts(usage)},{_split(usage)},"output_tokens":{usage.output},'
        f'"service_tier":"standard","inference_geo":"not_available"}}'
    )


def final_usage(usage: Usage, *, iterations: bool) -> str:
    """Write the usage object of a finished response; its keys come in another order."""
    entry = (
        f'{{"input_tokens":{usage.input},"output_tokens":{usage.output},'
        f'"cache_read_input_tokens":{usage.cache_read},"cache_creation_input_tokens":'
        f'{usage.cache_write_5m + usage.cache_write_1h},{_split(usage)},"type":"message"}}'
    )
    return (
        f'{{{_counts(usage)},"output_tokens":{usage.output},'
        f'"server_tool_use":{{"web_search_requests":0,"web_fetch_requests":0}},'
        f'"service_tier":"standard","cache_creation":{{'
        f'"ephemeral_1h_input_tokens":{usage.cache_write_1h},'
        f'"ephemeral_5m_input_tokens":{usage.cache_write_5m}}},'
        f'"inference_geo":"{"not_available" if iterations else ""}",'
        f'"iterations":[{entry if iterations else ""}],"speed":"standard"}}'
    )


def message(reply: Reply, block: bytes, era: Era, *, final: bool) -> bytes:
    """Write the `message` object of one assistant line."""
    start = (
        f'{{"model":"{reply.model}","id":"{reply.message_id}","type":"message",'
        f'"role":"assistant","content":['
    )
    if final:
        stop, usage = f'"{reply.stop_reason}"', final_usage(reply.usage, iterations=era.modern)
    else:
        stop = "null"
        usage = partial_usage(reply.usage._replace(output=reply.placeholder))
    details = '"stop_details":null,' if era.modern else ""
    diagnostics = ',"diagnostics":null' if era.modern else ""
    end = f'],"stop_reason":{stop},"stop_sequence":null,{details}"usage":{usage}{diagnostics}}}'
    return b"".join((start.encode(), block, end.encode()))


TOOLS: Final = ("Bash", "Read", "Edit", "Grep", "Write", "Image")
TOOL_WEIGHTS: Final = (46, 24, 14, 11, 4.9, 0.1)


def thinking_block(text: Text) -> bytes:
    """Write a block of thinking with its signature."""
    thought, signature = text.vary(260, 1.0, 20_000), text.encoded(420)
    return b"".join(
        (b'{"type":"thinking","thinking":"', thought, b'","signature":"', signature, b'"}')
    )


def text_block(text: Text) -> bytes:
    """Write a block of text."""
    return b"".join((b'{"type":"text","text":"', text.vary(300, 1.1, 20_000), b'"}'))


def tool_block(text: Text, name: str, tool_id: str, path: str) -> bytes:
    """Write a call of a tool."""
    shown = "Read" if name == "Image" else name
    start = f'{{"type":"tool_use","id":"{tool_id}","name":"{shown}","input":{{'
    return b"".join(
        (start.encode(), _tool_input(text, name, path), b'},"caller":{"type":"direct"}}')
    )


def _tool_input(text: Text, name: str, path: str) -> bytes:
    match name:
        case "Bash":
            command = text.vary(150, 0.9, 8_000)
            return b'"command":"%b","description":"%b"' % (command, text.title().encode())
        case "Edit":
            old, new = text.vary(400, 1.0, 20_000), text.vary(550, 1.0, 20_000)
            strings = b'"old_string":"%b","new_string":"%b"' % (old, new)
            return b'"replace_all":false,"file_path":"%b",%b' % (path.encode(), strings)
        case "Write":
            return b'"file_path":"%b","content":"%b"' % (
                path.encode(),
                text.vary(3_000, 1.0, 80_000),
            )
        case "Grep":
            return f'"pattern":"{path[-9:-3]}","path":"{path}","output_mode":"content"'.encode()
        case "Read" | "Image":
            return f'"file_path":"{path}"'.encode()
        case _:
            prompt = text.vary(900, 0.6, 8_000)
            kind = b'"subagent_type":"general-purpose"'
            return b'"description":"%b","prompt":"%b",%b' % (text.title().encode(), prompt, kind)


def tool_result(text: Text, name: str, path: str, limit: int) -> tuple[bytes, bytes]:
    """Write what a tool gave back, twice as Claude Code does: for the model, and for itself."""
    if name == "Image":
        return _image_result(text.encoded(text.length(120_000, 0.9, limit)))
    shown = text.vary(2_000, 1.37, limit)
    quoted, where = b'"%b"' % shown, path.encode()
    done = b'"The file %b has been updated."' % where
    match name:
        case "Read":
            return quoted, _read_result(shown, where)
        case "Edit":
            patch = b'"structuredPatch":[{"oldStart":1,"oldLines":1,"newStart":1,"newLines":1}]'
            return done, b'{"filePath":"%b","originalFile":%b,%b}' % (where, quoted, patch)
        case "Write":
            known = b'"structuredPatch":[],"originalFile":null'
            return done, b'{"type":"create","filePath":"%b","content":%b,%b}' % (
                where,
                quoted,
                known,
            )
        case "Grep":
            return quoted, b'{"mode":"content","numFiles":0,"filenames":[],"content":%b}' % quoted
        case _:
            flags = b'"stderr":"","interrupted":false,"isImage":false'
            return quoted, b'{"stdout":%b,%b}' % (quoted, flags)


def _read_result(shown: bytes, where: bytes) -> bytes:
    count = shown.count(b"\\n")
    lines = b'"numLines":%d,"startLine":1,"totalLines":%d' % (count, count)
    return b'{"type":"text","file":{"filePath":"%b","content":"%b",%b}}' % (where, shown, lines)


def _image_result(data: bytes) -> tuple[bytes, bytes]:
    source = b'{"type":"base64","data":"%b","media_type":"image/png"}' % data
    return (
        b'[{"type":"image","source":%b}]' % source,
        b'{"type":"image","file":{"base64":"%b","type":"image/png"}}' % data,
    )
