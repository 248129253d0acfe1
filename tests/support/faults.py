"""Runs tokenaudit so that one step by which it changes the disk fails, or is its last."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from steps import Steps, hooked

__all__ = ["failing", "faulty"]

_PROGRAM = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from steps import hooked
from tokenaudit import __main__

steps = hooked()
steps.number, steps.reached, steps.left = (int(sys.argv.pop(1)) for _ in range(3))
__main__.run()
"""


@contextmanager
def failing(step: int, number: int) -> Iterator[Steps]:
    """Let the *step* on disk from here on fail with the error *number*: the call is the `failed` of what is given."""
    steps = hooked()
    steps.failed, steps.reached = "", None
    steps.number, steps.left = number, step
    try:
        yield steps
    finally:
        steps.left = 0


def faulty(
    step: int, number: int, argv: Sequence[str], *, environ: Mapping[str, str], told: bytes = b""
) -> tuple[subprocess.CompletedProcess[bytes], str]:
    """Run tokenaudit with *argv*; its *step* on disk fails with the error *number*, or is its end.

    Returns how it ended, and which call that step was: nothing where it takes fewer steps. *told* is
    what stands on stdin.
    """
    read, write = os.pipe()
    support = str(Path(__file__).parent)
    numbers = map(str, (number, write, step))
    command = [sys.executable, "-B", "-c", _PROGRAM, support, *numbers, *argv]
    try:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            input=told,
            env=environ,
            pass_fds=[write],
        )
    finally:
        os.close(write)
    with os.fdopen(read, "rb") as reader:
        return done, reader.read().decode()
