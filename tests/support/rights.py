"""Runs tokenaudit under the permissions of files, which root, as whom tests may run, is above."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from processes import unmeasured

__all__ = ["run_under_permissions"]

_ABOVE = "-dac_override,-dac_read_search"
"""The capabilities by which root reads and writes what it may not."""


def run_under_permissions(
    *argv: str, home: Path, umask: int = 0o022
) -> subprocess.CompletedProcess[str]:
    """Run tokenaudit as this user, to whom permissions apply, with the home *home*."""
    before: list[str] = []
    if os.geteuid() == 0:
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            pytest.skip("root is above permissions, and there is no setpriv")
        before = [setpriv, f"--bounding-set={_ABOVE}", f"--inh-caps={_ABOVE}"]
    environ = {**unmeasured(), "HOME": str(home), "XDG_RUNTIME_DIR": ""}
    return subprocess.run(
        [*before, sys.executable, "-m", "tokenaudit", *argv],
        capture_output=True,
        text=True,
        check=False,
        env=environ,
        umask=umask,
    )
