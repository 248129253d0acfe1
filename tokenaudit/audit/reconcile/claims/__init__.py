"""Totals that others state, read from their files: what they say, of which scope, and nothing of ours."""

from tokenaudit.audit.reconcile.claims.claim import (
    Claim,
    ClaimCounts,
    ClaimError,
    ClaimKind,
    ClaimLine,
    Held,
)
from tokenaudit.audit.reconcile.claims.recognise import read_claims

__all__ = ["Claim", "ClaimCounts", "ClaimError", "ClaimKind", "ClaimLine", "Held", "read_claims"]
