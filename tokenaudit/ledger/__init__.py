"""The ledger and what stands behind it: sessions, agents, lineage, verdicts on single figures."""
