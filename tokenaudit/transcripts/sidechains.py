"""The subagents of Claude Code 1.0, which speak in their parent's transcript and have no ids."""

from collections.abc import Iterator, Mapping

from tokenaudit.transcripts.parse import Parsed
from tokenaudit.transcripts.visitor import lines_of, understood
from tokenaudit.transcripts.wire import IS_SIDECHAIN

__all__ = ["name_inline_agents"]


def name_inline_agents(parsed: Parsed) -> None:
    """Give the records of inline sidechains their agent: `sidechain-` and the root of the chain.

    Lines that are appended are not to be read on their own: their chains may begin before them.
    """
    parsed.is_settled = False
    parents = dict(_parents(parsed.transcript.path))
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


def _parents(path: str) -> Iterator[tuple[str, str | None]]:
    """Yield which line of a sidechain follows which."""
    try:
        for found in lines_of(path, lambda data: IS_SIDECHAIN in data and b'"uuid"' in data):
            for line in understood(found.data)[0]:
                if line.is_sidechain and line.uuid:
                    yield line.uuid, line.parent_uuid
    except OSError:
        return  # gone since it was parsed: the chain is not to be had
