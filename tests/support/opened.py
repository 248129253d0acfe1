"""What tests share that ask which transcripts were opened."""

import sys
from collections.abc import Callable
from pathlib import Path

__all__ = ["opened_by"]

_opened: list[str] = []
sys.addaudithook(lambda event, args: _opened.append(str(args[0])) if event == "open" else None)


def opened_by(action: Callable[[], object]) -> set[str]:
    """Return the names of the transcripts that *action* opens in this process."""
    _opened.clear()
    action()
    return {Path(path).name for path in _opened if path.endswith(".jsonl")}
