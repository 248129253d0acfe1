"""Asks for the status line as Claude Code does: in a process of its own, with JSON on stdin."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from transcripts_builder import SESSION, reply, session_file, usage, write

PROGRAM = [sys.executable, "-m", "tokenaudit", "statusline"]


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return {**kept, "HOME": str(home), "TZ": "UTC", "NO_COLOR": "1", **more}


def shown(home: Path, data: bytes, *argv: str, **more: str) -> str:
    """Return the line; that there is one, and the exit code is 0, holds always."""
    done = subprocess.run(
        [*PROGRAM, *argv],
        input=data,
        capture_output=True,
        check=True,
        timeout=60,
        env=environment(home, **more),
    )
    assert done.stderr == b""
    assert done.stdout.count(b"\n") == 1
    return done.stdout.decode().rstrip("\n")


def told(path: Path | None = None, **more: Any) -> bytes:
    """Return what Claude Code says."""
    found = {
        "session_id": SESSION,
        "model": {"id": "claude-opus-4-6", "display_name": "Opus 4.6"},
        "cost": {"total_cost_usd": 1.5},
        **({"transcript_path": str(path)} if path else {}),
        **more,
    }
    return json.dumps(found).encode()


def gauge(used: int, size: int = 200_000) -> dict[str, Any]:
    current = {
        "input_tokens": 3,
        "cache_creation_input_tokens": 890,
        "cache_read_input_tokens": used - 893,
        "output_tokens": 5000,
    }
    return {"context_window": {"context_window_size": size, "current_usage": current}}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Today two responses of Opus 4.6: 10 in, 100 out, 1,000,000 read: $0.50255 each."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    lines = [
        reply(f"msg_{n}", f"req_{n}", counts=usage(100, read=10**6), timestamp=now)
        for n in range(2)
    ]
    write(session_file(tmp_path / ".claude"), *lines)
    return tmp_path
