"""What is worked out from a ledger for several reports: caching, context growth, effects, estimates."""
