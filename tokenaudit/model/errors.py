"""What tokenaudit raises when it cannot go on; bad lines and unreadable files are values, not errors.

TokenauditError              exit code 2
├── NoTranscriptsError       nothing to read: no root, an empty one, or one without transcripts
├── UsageError               options that make no sense together, an id that matches nothing
├── ConfigError              a configuration file or variable that cannot be used
├── OutputError              the target of a report cannot be written
└── StoreError               the store cannot be used; a run goes on without it
"""

from typing import ClassVar

__all__ = [
    "ConfigError",
    "NoTranscriptsError",
    "OutputError",
    "StoreError",
    "TokenauditError",
    "UsageError",
]


class TokenauditError(Exception):
    """Base of all errors that end a command; `hint` says what to do, where that is known."""

    exit_code: ClassVar[int] = 2

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        """Keep the one-line *message* and the optional *hint*."""
        super().__init__(message)
        self.hint = hint


class NoTranscriptsError(TokenauditError):
    """There is nothing to read where tokenaudit looked."""


class UsageError(TokenauditError):
    """The command line, or the arguments of the API, ask for something that cannot be done."""


class ConfigError(TokenauditError):
    """A configuration file or an environment variable holds something that cannot be used."""


class OutputError(TokenauditError):
    """The report cannot be written to its target."""


class StoreError(TokenauditError):
    """The store, or a part of it, cannot be used."""

    def __init__(self, message: str, *, hint: str | None = None, is_newer: bool = False) -> None:
        """Say with *is_newer* that a newer tokenaudit has written it, which can use it still."""
        super().__init__(message, hint=hint)
        self.is_newer = is_newer
