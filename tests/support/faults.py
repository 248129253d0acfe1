"""Runs tokenaudit so that one step by which it changes the disk fails, or is its last."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

__all__ = ["KILL", "faulty"]

KILL = 0
"""Instead of the number of an error: the process is killed without warning before the step."""

_PROGRAM = """
import os, signal, sys
from tokenaudit import __main__

step, number, reached = (int(sys.argv.pop(1)) for _ in range(3))
left = step

def counted(event, args):
    # every step by which a run changes the disk, or takes a lock
    global left
    changes = event in {"os.rename", "os.remove", "os.mkdir", "os.link", "fcntl.flock"}
    writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
    if not changes and (not writes or args[0] == os.devnull):
        return
    left -= 1
    if left == 0:
        os.write(reached, event.encode())
        if not number:
            os.kill(os.getpid(), signal.SIGKILL)
        raise OSError(number, os.strerror(number))

sys.addaudithook(counted)
__main__.run()
"""


def faulty(
    step: int, number: int, argv: Sequence[str], *, environ: Mapping[str, str], told: bytes = b""
) -> tuple[subprocess.CompletedProcess[bytes], str]:
    """Run tokenaudit with *argv*; its *step* on disk fails with the error *number*, or is its end.

    Returns how it ended, and which call that step was: nothing where it takes fewer steps. *told* is
    what stands on stdin.
    """
    read, write = os.pipe()
    command = [sys.executable, "-B", "-c", _PROGRAM, str(step), str(number), str(write), *argv]
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
