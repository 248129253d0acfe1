"""The ledger in a database: tables that are made where they are missing, and added to ever after."""

from typing import Final

__all__ = ["SCHEMES", "is_database"]

SCHEMES: Final = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}
"""The databases that are known, and the driver of each."""


def is_database(place: str) -> bool:
    """Tell whether *place* is the address of a database, not a folder."""
    scheme, colon, _ = place.partition("://")
    return bool(colon) and scheme in SCHEMES
