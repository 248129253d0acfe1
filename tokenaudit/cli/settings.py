"""The user's settings, and what they name: the store, rates."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tokenaudit.cli.options import Pricing, SourceOptions
from tokenaudit.config import settings as config
from tokenaudit.config.directories import cache_folder, config_folder, data_folder
from tokenaudit.config.settings import Settings

if TYPE_CHECKING:
    from tokenaudit.pricing.card import RateCard

__all__ = [
    "load_settings",
    "rate_card",
    "store_folder",
]


def load_settings() -> Settings:
    """Return the settings of the user's file and environment. Raises ConfigError."""
    return config.load(config_folder(), os.environ)


def store_folder(source: SourceOptions, settings: Settings) -> Path:
    """Return where the store is, whether or not there is one yet."""
    if source.store is not None:
        return source.store
    if settings.store is not None:
        return Path(settings.store).expanduser()
    return data_folder() / "store"


def rate_card(pricing: Pricing) -> "RateCard":
    """Return all rates in force: those named, else those beside the settings, and the card."""
    from tokenaudit.pricing.sources import rates_in_force
    from tokenaudit.pricing.user_rates import FILE_NAME

    folder = config.file_in(config_folder(), os.environ).parent
    return rates_in_force(
        rates=pricing.rates,
        default_rates=folder / FILE_NAME,
        cache=cache_folder(),
        as_model=pricing.as_model,
    )
