"""One line for Claude Code's status bar, from the JSON that it writes to stdin.

No frame, terminal or command line is imported on the way to it, and what takes long (settings, rates,
time zones) only where it has changed.
"""

from tokenaudit.statusline.program import main

__all__ = ["main"]
