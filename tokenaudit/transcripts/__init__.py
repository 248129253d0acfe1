"""The only part that knows Claude Code's format: finds its transcripts and reads what they say."""

from tokenaudit.transcripts.columns import Columns, Reading
from tokenaudit.transcripts.content import Cause, Content, Piece, read_content
from tokenaudit.transcripts.discover import DEMO, Discovery, default_roots, discover
from tokenaudit.transcripts.parse import folder_name
from tokenaudit.transcripts.read import Progress, read
from tokenaudit.transcripts.values import micros

__all__ = [
    "DEMO",
    "Cause",
    "Columns",
    "Content",
    "Discovery",
    "Piece",
    "Progress",
    "Reading",
    "default_roots",
    "discover",
    "folder_name",
    "micros",
    "read",
    "read_content",
]
