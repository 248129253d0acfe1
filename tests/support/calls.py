"""What tests that call the command share: the call, and a history to call it with."""

import pytest
from stories import FIXTURES

from tokenaudit.__main__ import main

__all__ = ["FORK", "refused", "run"]

FORK = str(FIXTURES / "fork-copies" / "claude")
"""A root with five responses."""


def run(capfd: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    """Call the command; return its exit code, and what it wrote to stdout and stderr."""
    code = main(argv)
    out, err = capfd.readouterr()
    return code, out, err


def refused(capfd: pytest.CaptureFixture[str], *argv: str) -> str:
    """Call the command, which cannot do it and says so in one line; return what it said."""
    code, out, err = run(capfd, *argv)
    assert (code, out) == (2, "")
    assert err.startswith("tokenaudit: error: ")
    return err
