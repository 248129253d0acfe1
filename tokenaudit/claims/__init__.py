"""Totals that others state, read from their files: what they say, of which scope, and nothing of ours."""

from tokenaudit.claims.claim import Claim, ClaimError, Counts, Held, Line, Shape
from tokenaudit.claims.recognise import read_claims

__all__ = ["Claim", "ClaimError", "Counts", "Held", "Line", "Shape", "read_claims"]
