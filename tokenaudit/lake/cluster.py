"""Work on a Dask cluster: the same functions, sent to workers that see the lake.

What is sent to a worker is run there, so an address off this machine must be under TLS, or the user
must have said that the way there is safe.
"""

import ipaddress
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from tokenaudit.errors import ConfigError, UsageError
from tokenaudit.lake.work import MOST_TRIES, Work

__all__ = ["on_cluster"]

_PATIENCE_S: Final = 30


def on_cluster(address: str, *, is_insecure: bool = False) -> Work:
    """Return work on the cluster whose scheduler is at *address*; tasks of a dead worker go to others.

    Raises UsageError for a plain address off this machine, unless *is_insecure*; ConfigError where
    there is no scheduler, or Dask is not installed. With `tls://`, certificates come from Dask's
    configuration (`distributed.comm.tls`).
    """
    _check(address, is_insecure=is_insecure)

    def work(function: Callable[[Any], Any], tasks: Sequence[Any]) -> Iterator[Any]:
        try:
            from distributed import Client, as_completed
        except ImportError:
            raise ConfigError(
                "--cluster: Dask is not installed", hint="pip install 'tokenaudit-cli[cluster]'"
            ) from None
        try:
            client = Client(  # type: ignore[no-untyped-call]
                address, timeout=_PATIENCE_S, set_as_default=False
            )
        except (OSError, TimeoutError, ValueError) as error:
            raise ConfigError(f"{address}: no cluster answers: {error}") from error
        with client:
            futures = client.map(function, tasks, pure=False, retries=MOST_TRIES)
            done = as_completed(futures, loop=client.loop, with_results=True)  # type: ignore[no-untyped-call]
            for future, result in done:
                future.release()
                yield result

    return work


def _check(address: str, *, is_insecure: bool) -> None:
    parts = urlsplit(address)
    if parts.scheme not in {"tcp", "tls"} or not parts.hostname:
        raise UsageError(f"--cluster: not an address of a scheduler: {address}")
    if parts.scheme == "tcp" and not is_insecure and not _is_here(parts.hostname):
        raise UsageError(
            f"--cluster: {address} is another machine, and the way there is not encrypted",
            hint="Use tls://, or say --insecure-cluster where the network is yours alone.",
        )


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
