"""R7: the token counts of a response, cache writes by how long they last."""

import polars as pl

__all__ = ["split_cache_writes"]


def split_cache_writes(frame: pl.DataFrame) -> pl.DataFrame:
    """Resolve the cache writes into 5-minute and 1-hour ones (R7)."""
    split = pl.col("split_5m_tokens") + pl.col("split_1h_tokens")
    total = pl.max_horizontal("cache_write_tokens", split)
    return frame.with_columns(
        cache_write_5m_tokens=total - pl.col("split_1h_tokens"),
        cache_write_1h_tokens=pl.col("split_1h_tokens"),
        is_split_assumed=total > split,
    ).drop("cache_write_tokens", "split_5m_tokens", "split_1h_tokens")
