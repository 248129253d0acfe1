"""Every line that tells usage, none merged: what tools that merge otherwise, or not at all, add up.

Read anew from transcripts, only where another total is to be explained by them.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from tokenaudit.transcripts.columns import Columns
from tokenaudit.transcripts.evidence import EvidenceLine, Voice, read_lines

__all__ = ["tellings"]

_SAID: Final = (
    *("path", "line", "message_id", "request_id", "time", "model", "stop_reason", "speed"),
    *("inference_geo", "service_tier", "web_searches"),
)
_COUNTS: Final = (
    *("input_tokens", "output_tokens", "cache_read_tokens"),
    *("cache_write_5m_tokens", "cache_write_1h_tokens"),
)


def tellings(paths: Iterable[str]) -> Columns:
    """Return the usage lines of the transcripts at *paths* as columns, in the order of the files.

    `is_progress` marks those by which a parent repeats its subagent; `time` is in microseconds of
    UTC; cache writes that are not split are 5-minute ones (R7).
    """
    columns: Columns = {name: [] for name in (*_SAID, *_COUNTS, "is_progress")}
    for line in _lines(paths):
        for name in _SAID:
            columns[name].append(getattr(line, name))
        for name in _COUNTS:
            columns[name].append(getattr(line.counts, name))
        columns["is_progress"].append(line.voice is Voice.PROGRESS)
    return columns


def _lines(paths: Iterable[str]) -> Iterator[EvidenceLine]:
    for path in paths:
        try:
            yield from read_lines(path)
        except OSError:
            continue  # gone: what the store knows of it is in the ledger, its lines are not to be had
