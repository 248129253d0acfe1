"""The only part that knows Claude Code's format: finds its transcripts and reads what they say."""

from tokenaudit.rules.time import micros
from tokenaudit.transcripts.columns import Columns, Reading
from tokenaudit.transcripts.content import (
    DEFINED,
    Content,
    ContentCause,
    Follower,
    Piece,
    ReportedContext,
    read_content,
)
from tokenaudit.transcripts.discover import (
    DEMO,
    Discovery,
    default_roots,
    discover,
    is_session_id,
)
from tokenaudit.transcripts.parse import READ_BY, Extent, folder_name
from tokenaudit.transcripts.prefix_digest import (
    REWRITTEN,
    SHRANK,
    Digests,
    ends_alike,
    fate_of,
    joined,
)
from tokenaudit.transcripts.read import Progress, extents_of, read
from tokenaudit.transcripts.totals import ModelTotal, SessionTotal, global_totals, model_total

__all__ = [
    "DEFINED",
    "DEMO",
    "READ_BY",
    "REWRITTEN",
    "SHRANK",
    "Columns",
    "Content",
    "ContentCause",
    "Digests",
    "Discovery",
    "Extent",
    "Follower",
    "ModelTotal",
    "Piece",
    "Progress",
    "Reading",
    "ReportedContext",
    "SessionTotal",
    "default_roots",
    "discover",
    "ends_alike",
    "extents_of",
    "fate_of",
    "folder_name",
    "global_totals",
    "is_session_id",
    "joined",
    "micros",
    "model_total",
    "read",
    "read_content",
]
