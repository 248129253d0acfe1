"""What tests that start a process of their own share."""

import os

__all__ = ["unmeasured"]


def unmeasured() -> dict[str, str]:
    """An environment in which nothing is written but by the run itself: no coverage either."""
    return {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
