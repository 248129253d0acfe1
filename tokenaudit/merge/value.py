"""R4 over frames: what decides whose usage counts; the twin of `rules.value`."""

from typing import Final

import polars as pl

from tokenaudit.model.terms import CUT

__all__ = ["IS_CUT", "IS_FINAL", "LATER", "SAID"]

IS_CUT: Final = (pl.col("stop_reason") == CUT).fill_null(value=False)
"""Whether it is known to be cut: then its stop reason is an invention wherever it stands."""
IS_FINAL: Final = pl.col("stop_reason").is_not_null()
"""Whether a line says that it is finished."""
SAID: Final = pl.when(~IS_FINAL).then("output_tokens").otherwise(0)
"""How much output it says; counts of finished ones are not compared."""
LATER: Final = pl.col("value_time").fill_null(pl.datetime(1, 1, 1, time_zone="UTC"))
"""Which of equally good lines of several transcripts is the later; one without a time is the earliest."""
