"""Writes files whole or not at all, and seals them; never asks what they mean."""
