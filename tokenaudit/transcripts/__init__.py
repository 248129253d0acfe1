"""The only part that knows Claude Code's format: finds its transcripts and reads what they say."""

from tokenaudit.transcripts.columns import Columns, Reading
from tokenaudit.transcripts.content import (
    DEFINED,
    Cause,
    Content,
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
from tokenaudit.transcripts.parse import Extent, folder_name
from tokenaudit.transcripts.prefix_digest import REWRITTEN, SHRANK, Digests, fate_of
from tokenaudit.transcripts.read import Progress, extents_of, read
from tokenaudit.transcripts.values import micros

__all__ = [
    "DEFINED",
    "DEMO",
    "REWRITTEN",
    "SHRANK",
    "Cause",
    "Columns",
    "Content",
    "Digests",
    "Discovery",
    "Extent",
    "Follower",
    "Piece",
    "Progress",
    "Reading",
    "ReportedContext",
    "default_roots",
    "discover",
    "extents_of",
    "fate_of",
    "folder_name",
    "is_session_id",
    "micros",
    "read",
    "read_content",
]
