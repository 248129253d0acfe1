"""What is found below the roots of a watch, which may be nothing yet; no frames."""

import os
from collections.abc import Callable, Sequence

from tokenaudit.model.errors import NoTranscriptsError
from tokenaudit.transcripts import Discovery

__all__ = ["discovered"]


def discovered(find: Callable[[], Discovery], roots: Sequence[str]) -> Discovery:
    """Return what *find* finds; nothing below *roots*, where there is no transcript yet."""
    try:
        return find()
    except NoTranscriptsError:
        return Discovery([], [root for root in roots if os.path.exists(root)])  # noqa: PTH110
