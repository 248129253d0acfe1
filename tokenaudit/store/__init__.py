"""What has been read, kept from run to run: nothing is parsed twice, and no history is lost."""

from tokenaudit.store.store import Store, facts_without_store

__all__ = ["Store", "facts_without_store"]
