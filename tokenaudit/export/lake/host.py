"""Who exports: a random id made once for each machine and user, and a label for people."""

import re
import secrets
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from tokenaudit.files import atomic as files
from tokenaudit.files import inputs
from tokenaudit.model.errors import ConfigError, OutputError

__all__ = ["VARIABLE", "Host", "this_host"]

VARIABLE: Final = "TOKENAUDIT_HOST_ID"
_FILE: Final = "host.json"
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Host(Struct, frozen=True):
    """A host of a lake."""

    id: str
    label: str
    """What people call it; it may change, and two hosts may share it."""


def this_host(folder: Path, environ: Mapping[str, str], label: str | None) -> Host:
    """Return this host: that of the environment, else that kept in *folder*, where it is made once.

    *label* replaces the label that is kept; without either it is the name of the machine. Raises
    ConfigError where the id cannot be used, or the kept one cannot be read.
    """
    named = environ.get(VARIABLE)
    if named:
        if not _ID.fullmatch(named):
            raise ConfigError(
                f"environment: {VARIABLE}: not an id: {named}",
                hint="Up to 64 letters, digits, dots, dashes and underscores.",
            )
        return Host(named, label or named)
    path = folder / _FILE
    kept = _kept(path) or _made(path, label)
    if label and label != kept.label:
        kept = Host(kept.id, label)
        _write(path, kept, replace=True)
    return kept


def _kept(path: Path) -> Host | None:
    try:
        host = msgspec.json.decode(
            inputs.read(path, inputs.MEBIBYTE, follow_links=False), type=Host
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}", hint=_WAY_OUT) from error
    except msgspec.MsgspecError as error:
        raise ConfigError(f"{path}: not the id of a host: {error}", hint=_WAY_OUT) from error
    if not _ID.fullmatch(host.id):
        raise ConfigError(f"{path}: not the id of a host", hint=_WAY_OUT)
    return host


_WAY_OUT: Final = f"Say which host this is with {VARIABLE}."


def _made(path: Path, label: str | None) -> Host:
    """Make an id; of several that are made at once, the first one written holds."""
    host = Host(secrets.token_hex(8), label or socket.gethostname() or "unnamed")
    _write(path, host, replace=False)
    return _kept(path) or host


def _write(path: Path, host: Host, *, replace: bool) -> None:
    write = files.replace if replace else files.create
    try:
        files.make_folder(path.parent)
        write(path, msgspec.json.encode(host))
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}", hint=_WAY_OUT) from error
