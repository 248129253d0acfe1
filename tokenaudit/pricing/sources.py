"""Puts the rate card of a run together from its sources."""

from pathlib import Path

from tokenaudit.model.errors import UsageError
from tokenaudit.pricing import library as libraries
from tokenaudit.pricing.card import RateCard, shipped_card
from tokenaudit.pricing.user_rates import read_user_rates

__all__ = ["rates_in_force"]


def rates_in_force(
    *,
    rates: Path | None = None,
    default_rates: Path | None = None,
    cache: Path | None = None,
    as_model: str | None = None,
) -> RateCard:
    """Return the shipped card with the user's rates before it and cached library rows behind it.

    *rates* is the file that the user named, *default_rates* one that need not exist, *cache* the
    folder of cached rows. With *as_model*, every response is priced as if that model had given it.
    Raises ConfigError for a file of rates that cannot be used, UsageError for an unknown model.
    """
    card = shipped_card()
    library = libraries.cached(cache) if cache else None
    if library is not None:
        is_newer = library.is_newer(card.checked_against, card.verified_through)
        card = card.with_library(library.rates, library.basis, is_newer=is_newer)
    path = rates or default_rates
    if path is not None:
        card = card.with_user(read_user_rates(path, must_exist=rates is not None))
    if as_model is not None and not card.knows(as_model):
        raise UsageError(
            f"--as-model: no price for {as_model}",
            hint="`tokenaudit prices` lists the models that have one.",
        )
    return card.priced_as(as_model)
