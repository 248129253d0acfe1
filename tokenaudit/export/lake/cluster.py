"""Work on a Dask cluster: the same functions, sent to workers that see the lake.

What is sent to a worker is run there, so an address off this machine must be under TLS, or the user
must have said that the way there is safe.
"""

import ipaddress
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from tokenaudit.export.lake.executors import MOST_TRIES, Work
from tokenaudit.model.errors import ConfigError, UsageError

__all__ = ["on_cluster"]

_PATIENCE_S: Final = 30
_WHERE: Final = "Name them in Dask's configuration, under distributed.comm.tls."


def on_cluster(address: str, *, is_insecure: bool = False) -> Work:
    """Return work on the cluster whose scheduler is at *address*; tasks of a dead worker go to others.

    Raises UsageError for a plain address off this machine, unless *is_insecure*; ConfigError where
    there is no scheduler, or Dask is not installed, or has no certificates for `tls://` in its
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
        if address.startswith("tls:"):
            _check_certificates(address)
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


def _check_certificates(address: str) -> None:
    """Raise ConfigError where there are none: a client without any ends in a minute, and with a trace."""
    from distributed import Security

    try:
        arguments = Security().get_connection_args("client")  # type: ignore[no-untyped-call]
    except OSError as error:
        raise ConfigError(
            f"{address}: the certificates cannot be used: {error}", hint=_WHERE
        ) from error
    if arguments.get("ssl_context") is None:
        raise ConfigError(f"{address}: no certificates are known", hint=_WHERE)


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
