"""Questions put to the ledger: each file answers one, as a value that any renderer can write."""
