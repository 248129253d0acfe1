"""Bridges from totals that others state to ours, in named steps that sum exactly."""
