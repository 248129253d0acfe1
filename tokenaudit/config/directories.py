"""Where the platform keeps a user's settings, what can be made again, and what cannot."""

from pathlib import Path

__all__ = ["cache_folder", "config_folder", "data_folder"]

_NAME = "tokenaudit"


def config_folder() -> Path:
    """Return the folder of settings and of the user's own rates."""
    from platformdirs import user_config_path

    return user_config_path(_NAME, appauthor=False)


def cache_folder() -> Path:
    """Return the folder of what can be made again."""
    from platformdirs import user_cache_path

    return user_cache_path(_NAME, appauthor=False)


def data_folder() -> Path:
    """Return the folder of what cannot be made again."""
    from platformdirs import user_data_path

    return user_data_path(_NAME, appauthor=False)
