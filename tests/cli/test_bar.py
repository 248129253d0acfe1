"""The bar of a first look, on a terminal."""

import os
import re
import subprocess
import sys


def test_it_says_how_many_bytes_of_how_many_and_how_fast() -> None:
    """400 of 1,000 megabytes, in two steps of which the second tells the speed; then it is taken away."""
    master, slave = os.openpty()
    code = (
        "from tokenaudit.cli.bar import Bar; bar = Bar(10**9);"
        "bar.show(10**8); bar.show(4 * 10**8); bar.close()"
    )
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    done = subprocess.run([sys.executable, "-c", code], stderr=slave, check=False, env=environment)
    os.close(slave)
    shown = os.read(master, 1 << 16).decode()
    os.close(master)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown)

    assert 0 == done.returncode
    assert re.search(r"Reading transcripts .* 0\.4/1\.0 GB [\d.]+ \w?B/s", text), text
    assert shown.endswith("\x1b[1A\x1b[2K")
