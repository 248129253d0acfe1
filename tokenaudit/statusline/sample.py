"""What Claude Code would say beside the last session of the sample history."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tokenaudit import transcripts

__all__ = ["sample"]

_SESSION: Final = "3f7d9db5-84ae-4d84-9e8e-7f12a8117002"
_NOW: Final = datetime(2026, 11, 19, 20, 30, tzinfo=UTC)


def _epoch(moment: datetime, *, hours: float) -> int:
    """Return the time that lies *hours* after *moment*, in seconds since 1970."""
    return int((moment + timedelta(hours=hours)).timestamp())


def sample() -> tuple[dict[str, Any], int, str]:
    """Return what Claude Code would say beside the last session of the sample, when, and its root."""
    folder = transcripts.DEMO / "projects" / "-home-ada-webshop"
    context = {
        "context_window_size": 10**6,
        "current_usage": {"input_tokens": 3, "cache_read_input_tokens": 137_216}
        | {"cache_creation_input_tokens": 4245},
    }
    given = {
        "session_id": _SESSION,
        "transcript_path": str(folder / f"{_SESSION}.jsonl"),
        "model": {"id": "claude-fable-5-2", "display_name": "Fable 5.2"},
        "cost": {"total_cost_usd": 4.47},
        "context_window": context,
        "rate_limits": {
            "five_hour": {"used_percentage": 23.5, "resets_at": _epoch(_NOW, hours=2.5)},
            "seven_day": {"used_percentage": 41.2, "resets_at": _epoch(_NOW, hours=108.5)},
        },
    }
    return given, int(_NOW.timestamp()) * 10**6, str(transcripts.DEMO)
