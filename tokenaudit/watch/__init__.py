"""Watching agents at work."""
