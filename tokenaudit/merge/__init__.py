"""Merges the copies of responses, so that each counts once: the twin of `rules` over frames.

Takes what transcripts say (`store.Facts`) and yields responses; knows no price, no zone, no filter:
filters come after merging, or totals would depend on them.
"""

from tokenaudit.merge.identity import linked
from tokenaudit.merge.iterations import WHOLE_ID
from tokenaudit.merge.responses import (
    KEPT,
    CountedResponses,
    Merged,
    in_order,
    kept_frames,
    merge,
    with_iterations,
)

__all__ = [
    "KEPT",
    "WHOLE_ID",
    "CountedResponses",
    "Merged",
    "in_order",
    "kept_frames",
    "linked",
    "merge",
    "with_iterations",
]
