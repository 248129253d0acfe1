"""Who does the work of a lake's commands: this process, several, or a cluster."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenaudit.cli.options import Workers
    from tokenaudit.export.lake.executors import Work

__all__ = ["shared", "workers"]


def workers(asked: "Workers") -> "Work":
    """Return who works: the cluster at the address that is *asked* for, else that many processes.

    Raises UsageError where the address is none, or may not be used.
    """
    from tokenaudit.export.lake.executors import here, on_processes

    if asked.cluster is not None:
        from tokenaudit.export.lake.cluster import on_cluster

        return on_cluster(asked.cluster, is_insecure=asked.insecure_cluster)
    return here if asked.jobs == 1 else on_processes(asked.jobs)


def shared(place: str, asked: "Workers") -> str:
    """Return *place* as workers of a cluster find it, which have working folders of their own."""
    if asked.cluster is None or "://" in place:
        return place
    return os.path.abspath(place)  # noqa: PTH100 - it need not exist
