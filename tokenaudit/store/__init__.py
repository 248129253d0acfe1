"""What has been read, kept from run to run: nothing is parsed twice, and no history is lost."""

from tokenaudit.store.in_memory import facts_without_store, gather_without_store
from tokenaudit.store.plan import is_within
from tokenaudit.store.store import Gathered, Store
from tokenaudit.store.versions import PRESENT, Version

__all__ = [
    "PRESENT",
    "Gathered",
    "Store",
    "Version",
    "facts_without_store",
    "gather_without_store",
    "is_within",
]
