"""Tells by its content what kind of total a file states; names lie, and are not asked."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from tokenaudit.audit.reconcile.claims import ccusage, claude_code, console, own, parquet, telemetry
from tokenaudit.audit.reconcile.claims.claim import Claim, ClaimError
from tokenaudit.files import inputs

__all__ = ["read_claims"]

_ENDINGS: Final = frozenset({".json", ".jsonl", ".ndjson", ".csv", ".parquet", ".log", ".txt"})
_KNOWN: Final = (
    "Known are: results of claude -p (JSON or stream-json), status-line input, stats-cache.json,"
    " OpenTelemetry JSON (api_request events, metrics), usage and cost reports of the Admin API and the"
    " Console, ccusage --json, and exports of tokenaudit (JSON, NDJSON, CSV, Parquet)."
)


def read_claims(path: Path) -> tuple[list[Claim], list[str]]:
    """Read the file at *path*, or each file in the folder; return claims, and why others are none.

    Raises ClaimError for a file, or a folder without any file, that states no total that is known.
    """
    if not path.is_dir():
        return [_of_file(path)], []
    claims, others = [], []
    for each in sorted(path.iterdir()):
        if each.is_file() and each.suffix.lower() in _ENDINGS:
            try:
                claims.append(_of_file(each))
            except ClaimError as error:
                others.append(str(error))
    if not claims:
        first = f": {others[0]}" if others else ""
        raise ClaimError(f"{path}: no file in it states a total that is known{first}", hint=_KNOWN)
    return claims, others


def _of_file(path: Path) -> Claim:
    content, source = _content(path), str(path)
    if parquet.is_parquet(content):
        return parquet.claim_of(content, source)
    text = _text(content, source)
    if not text.strip():
        raise ClaimError(f"{path}: is empty", hint=_KNOWN)
    if text.lstrip()[0] not in "{[":
        found = console.console_csv(text, source) or own.table(text, source)
        if found is None:
            header = text.splitlines()[0][:80]
            raise ClaimError(
                f"{path}: recognised neither as JSON nor as a known CSV; begins with {header!r}",
                hint=_KNOWN,
            )
        return found
    values = list(_objects(text, source))
    for read in _READERS:
        if (claim := read(values, source)) is not None:
            return claim
    keys = sorted({str(key) for value in values[:100] for key in value})
    raise ClaimError(
        f"{path}: recognised as JSON, but as no total that is known; its keys: {', '.join(keys[:12])}",
        hint=_KNOWN,
    )


def _content(path: Path) -> bytes:
    try:
        return inputs.read(path, inputs.GIBIBYTE)
    except OSError as error:
        raise ClaimError(f"{path}: cannot be read: {error.strerror}") from None


def _text(content: bytes, source: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ClaimError(f"{source}: is no text in UTF-8", hint=_KNOWN) from None


def _objects(text: str, source: str) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON document, of a list of them, or of lines of them."""
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        yield from _lines(text, source)
        return
    for value in document if isinstance(document, list) else [document]:
        if isinstance(value, dict):
            yield value


def _lines(text: str, source: str) -> Iterator[dict[str, Any]]:
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    for at, (number, line) in enumerate(lines):
        try:
            value = msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            whole = f"{at:,} whole {'line' if at == 1 else 'lines'} before it"
            raise ClaimError(
                f"{source}:{number}: is no JSON: {error}; {whole}",
                hint="Was the file cut, or is it still being written?",
            ) from None
        if isinstance(value, dict):
            yield value


def _first(
    read: Callable[[Any, str], Claim | None],
) -> Callable[[Sequence[Any], str], Claim | None]:
    """Return a reader of files that hold one object."""
    return lambda values, source: read(values[0], source) if len(values) == 1 else None


_READERS: Final[Sequence[Callable[[Sequence[Any], str], Claim | None]]] = (
    _first(own.document),
    _first(claude_code.stats_cache),
    _first(ccusage.ccusage),
    console.report,
    telemetry.events,
    telemetry.metrics,
    claude_code.status_line,
    claude_code.result,
    own.rows,
)
"""The one list to which a shape is added; each returns None for what is not its own."""
