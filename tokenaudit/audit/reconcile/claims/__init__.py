"""Totals that others state, read from their files: what they say, of which scope, and nothing of ours."""

from tokenaudit.audit.reconcile.claims.claim import Claim, ClaimError, ClaimKind, Counts, Held, Line
from tokenaudit.audit.reconcile.claims.recognise import read_claims

__all__ = ["Claim", "ClaimError", "ClaimKind", "Counts", "Held", "Line", "read_claims"]
