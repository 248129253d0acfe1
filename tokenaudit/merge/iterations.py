"""R6: what iterations tell of responses that took several inferences."""

from typing import Final

import polars as pl

from tokenaudit.model.fields import TOKENS
from tokenaudit.model.terms import Kind, Quality
from tokenaudit.rules.iterations import APART, FALLBACK, MESSAGE

__all__ = ["WHOLE_ID", "Iterations"]

_ID: Final = pl.format("{}#{}", "response_id", "iteration")
"""What an iteration outside the top level is called."""
WHOLE_ID: Final = pl.coalesce(
    pl.col("response_id").str.strip_suffix(pl.format("#{}", "iteration")), "response_id"
)
"""The id of the response that a row belongs to: of an iteration, that without its number."""


class Iterations:
    """The inferences behind responses whose top level does not tell all."""

    def __init__(self, iterations: pl.DataFrame, responses: pl.DataFrame) -> None:
        """Join *iterations*, whose writes are split, with the *responses* whose rows they name as `response`."""
        self._responses = responses.with_row_index("response")
        found = iterations.join(
            self._responses.drop(*TOKENS, "is_split_assumed", "iteration"),
            on="response",
            maintain_order="left",
        )
        is_served = pl.col("type") == FALLBACK
        self._found = found.with_columns(is_fallback=is_served.any().over("response"))

    def responses(self) -> list[pl.DataFrame]:
        """Return those that are responses of their own, outside the top level."""
        return [self._own(pl.col("type") == name, Kind(kind)) for name, kind in APART.items()]

    def refused(self) -> pl.DataFrame:
        """Return the attempts before a fallback: asked, and answered by another model."""
        return self._own(pl.col("is_fallback") & (pl.col("type") == MESSAGE), Kind.REFUSED)

    def parts(self) -> pl.DataFrame:
        """Return the inferences of responses that took several and whose counts they add up to.

        Where they do not add up the top level stands alone: it is what is counted.
        """
        served = pl.when("is_fallback").then(pl.lit(FALLBACK)).otherwise(pl.lit(MESSAGE))
        parts = self._found.filter(pl.col("type") == served)
        sums = parts.group_by("response").agg(pl.len().alias("parts"), pl.col(*TOKENS).sum())
        agreeing = sums.filter(pl.col("parts") > 1).join(
            self._responses.select("response", *TOKENS), on=["response", *TOKENS]
        )
        return parts.join(agreeing, on="response", how="semi").select("response", *TOKENS)

    def _own(self, which: pl.Expr, kind: Kind) -> pl.DataFrame:
        nothing = pl.lit(0, dtype=pl.Int64)
        return (
            self._found.filter(which)
            .with_columns(
                response_id=_ID,
                kind=pl.lit(kind.value),
                model=pl.coalesce("iteration_model", "model"),
                copies=nothing,
                web_searches=nothing,
                web_fetches=nothing,
                thinking_tokens=pl.lit(None, dtype=pl.Int64),
                recorded_cost_usd=pl.lit(None, dtype=pl.String),
                odd=pl.lit(None, dtype=pl.String),
                quality=pl.lit(Quality.FINAL.value),
            )
            .select(self._responses.drop("response").columns)
        )
