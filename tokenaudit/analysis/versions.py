"""Compares versions of Claude Code, whole columns at once; knows nothing of what they changed."""

import polars as pl

__all__ = ["up_to"]


def up_to(version: pl.Expr, last: tuple[int, int, int]) -> pl.Expr:
    """Tell whether *version*, such as `2.1.41`, is not after *last*; null for what is no version."""
    parts = version.str.extract_groups(r"^(\d{1,5})\.(\d{1,5})\.(\d{1,5})")
    one, two, three = (parts.struct.field(name).cast(pl.Int64) for name in ("1", "2", "3"))
    first, second, third = last
    return one * 10**10 + two * 10**5 + three <= first * 10**10 + second * 10**5 + third
