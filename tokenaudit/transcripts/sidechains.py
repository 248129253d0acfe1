"""The subagents of Claude Code 1.0, which speak in their parent's transcript and have no ids."""

from collections.abc import Iterator, Mapping

from tokenaudit.transcripts import tolerant, values
from tokenaudit.transcripts.lines import lines_with
from tokenaudit.transcripts.parse import Parsed

__all__ = ["name_inline_agents"]


def name_inline_agents(parsed: Parsed) -> None:
    """Give the records of inline sidechains their agent: `sidechain-` and the root of the chain.

    Lines that are appended are not to be read on their own: their chains may begin before them.
    """
    parsed.is_settled = False
    parents = {
        uuid: values.text(value.get("parentUuid"))
        for line in _lines_with(parsed.transcript.path, b'"isSidechain"', b'"uuid"')
        for value in tolerant.objects(line)[0]
        if value.get("isSidechain") is True and (uuid := values.text(value.get("uuid")))
    }
    for record in parsed.records:
        if record.agent_id is None:
            record.agent_id = f"sidechain-{_root(record.first.uuid or '', parents)[:8]}"


def _root(uuid: str, parents: Mapping[str, str | None]) -> str:
    """Follow *parents* up from *uuid* within the sidechain; a loop ends where it closes."""
    seen = {uuid}
    while (parent := parents.get(uuid)) is not None and parent in parents and parent not in seen:
        uuid = parent
        seen.add(uuid)
    return uuid


def _lines_with(path: str, rare: bytes, other: bytes) -> Iterator[bytes]:
    """Yield the lines that hold *rare*, which is searched first, and *other*."""
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            yield from (line for line in lines_with(file, rare) if other in line)
    except OSError:
        return  # gone since it was parsed: the chain is not to be had
