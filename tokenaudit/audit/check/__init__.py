"""Findings: what a user should know of the figures, one module for each family."""
