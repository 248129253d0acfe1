"""Merges the copies of responses, so that each counts once (rules R3 to R7).

Takes what transcripts say (`store.Facts`) and yields responses; knows no price, no zone, no filter:
filters come after merging, or totals would depend on them.
"""

from tokenaudit.merge.identity import linked
from tokenaudit.merge.output import LARGEST_PLACEHOLDER
from tokenaudit.merge.responses import KEPT, Merged, in_order, kept_frames, merge

__all__ = ["KEPT", "LARGEST_PLACEHOLDER", "Merged", "in_order", "kept_frames", "linked", "merge"]
