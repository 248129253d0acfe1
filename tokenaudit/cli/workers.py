"""Who does the work of a lake's commands: this process, several, or a cluster."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenaudit.lake.work import Work

__all__ = ["shared", "workers"]


def workers(jobs: int, cluster: str | None, *, is_insecure: bool) -> "Work":
    """Return who works: the *cluster* at that address, else *jobs* processes.

    Raises UsageError where the address is none, or may not be used.
    """
    from tokenaudit.lake.work import here, on_processes

    if cluster is not None:
        from tokenaudit.lake.cluster import on_cluster

        return on_cluster(cluster, is_insecure=is_insecure)
    return here if jobs == 1 else on_processes(jobs)


def shared(place: str, cluster: str | None) -> str:
    """Return *place* as workers of a *cluster* find it, which have working folders of their own."""
    if cluster is None or "://" in place:
        return place
    return os.path.abspath(place)  # noqa: PTH100 - it need not exist
