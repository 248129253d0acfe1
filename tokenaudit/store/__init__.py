"""What has been read, kept from run to run: nothing is parsed twice, and no history is lost."""

from tokenaudit.store.store import Gathered, Store, facts_without_store, gather_without_store

__all__ = ["Gathered", "Store", "facts_without_store", "gather_without_store"]
