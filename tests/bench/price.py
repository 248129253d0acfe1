"""How long it takes to price a million responses: `python tests/bench/price.py [RESPONSES]`.

Responses of every model on the card, over most of a year, at both speeds, some in the United States.
"""

import sys
import time
from datetime import UTC, datetime

import polars as pl

from tokenaudit.pricing.card import shipped_card
from tokenaudit.pricing.cost import price

MINUTES_PER_YEAR = 60 * 24 * 320


def responses(count: int) -> pl.DataFrame:
    """Return *count* responses, the same in every run."""
    models = pl.Series(sorted({rate.model for rate in shipped_card().rates}))
    number = pl.col("number")
    start = pl.lit(datetime(2026, 1, 1, tzinfo=UTC)).cast(pl.Datetime("us", "UTC"))
    return pl.select(number=pl.int_range(count)).with_columns(
        model=pl.lit(models).gather(number * 7919 % len(models)),
        speed=pl.when(number % 10 == 0).then(pl.lit("fast")).otherwise(pl.lit("standard")),
        time=start + pl.duration(minutes=number * 37 % MINUTES_PER_YEAR),
        inference_geo=pl.when(number % 3 == 0).then(pl.lit("us")),
        service_tier=pl.lit("standard"),
        web_searches=pl.lit(0, pl.Int64),
        input_tokens=number % 5000,
        output_tokens=number % 3000,
        cache_read_tokens=number % 300_000,
        cache_write_5m_tokens=number % 2000,
        cache_write_1h_tokens=number % 30_000,
    )


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    usage = responses(count)
    card = shipped_card()
    for _ in range(3):
        cpu, wall = time.process_time(), time.perf_counter()
        priced = price(usage, card)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        total = priced["cost_usd"].sum()
        print(f"{count:,} responses: {cpu:.2f} CPU s, {wall:.2f} s, ${total:,f}")


if __name__ == "__main__":
    main()
