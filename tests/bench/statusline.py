"""What one call of the status line costs beside `python -c pass`: wall, CPU and memory, in one run.

Generates a history, a transcript of 4 MB in it that was touched today, and calls the status line in
turns with an empty interpreter; between calls a line is appended, as a session does.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

SESSION = "5e551011-0000-4000-8000-000000000001"
_FILLER = "x" * 4000


@dataclass(frozen=True)
class Cost:
    """What one run of a program took."""

    wall_ms: float
    cpu_ms: float


def line(number: int) -> bytes:
    """Return the line of one response of the session that asks, written now."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    usage = {
        "input_tokens": 2,
        "output_tokens": 300,
        "cache_read_input_tokens": 30_000,
        "cache_creation_input_tokens": 900,
    }
    message = {
        "id": f"msg_{number}",
        "model": "claude-sonnet-5-5",
        "role": "assistant",
        "content": [{"type": "text", "text": _FILLER}],
        "stop_reason": "end_turn",
        "usage": usage,
    }
    found = {
        "type": "assistant",
        "sessionId": SESSION,
        "uuid": f"u{number}",
        "requestId": f"req_{number}",
        "timestamp": now,
        "message": message,
    }
    return json.dumps(found, separators=(",", ":")).encode() + b"\n"


def run(command: list[str], home: Path, data: bytes) -> Cost:
    """Run *command* once, with *data* on stdin."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "TZ": "UTC"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run(command, input=data, capture_output=True, check=True, env=environment)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall * 1000, cpu * 1000)


def history(root: Path, files: int, size: int) -> Path:
    """Write *files* old transcripts of *size* bytes in all, and today's; return the latter."""
    old = time.time() - 30 * 86400
    folder = root / "projects" / "-work-app"
    folder.mkdir(parents=True)
    each = line(0) * max(size // files // len(line(0)), 1)
    for number in range(files):
        path = folder / f"{number:08x}-0000-4000-8000-000000000000.jsonl"
        path.write_bytes(each)
        os.utime(path, (old, old))
    own = folder / f"{SESSION}.jsonl"
    own.write_bytes(b"".join(line(number) for number in range((4 << 20) // len(line(0)))))
    return own


def main() -> int:
    """Measure, and say how the status line compares; return 1 where it is beyond its bounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--bytes", type=int, default=100 << 20, help="size of the old history")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        own = history(home / ".claude", options.files, options.bytes)
        told = {"session_id": SESSION, "transcript_path": str(own), "model": {"id": "m"}}
        data = json.dumps(told).encode()
        script = Path(sys.executable).with_name("tokenaudit")
        print(f"first call: {run([str(script), 'statusline'], home, data).wall_ms:.0f} ms")
        costs: dict[str, list[Cost]] = {"statusline": [], "pass": []}
        for number in range(options.runs):
            with own.open("ab") as file:
                file.write(line(10**6 + number))
            costs["statusline"].append(run([str(script), "statusline"], home, data))
            costs["pass"].append(run([sys.executable, "-c", "pass"], home, b""))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    ratios = []
    for name in ("wall_ms", "cpu_ms"):
        ours, bare = (
            statistics.median(getattr(cost, name) for cost in costs[each])
            for each in ("statusline", "pass")
        )
        ratios.append(ours / bare)
        print(f"{name}: {ours:.1f}, python -c pass {bare:.1f}: {ours / bare:.2f} times")
    print(f"peak of any child: {peak:.0f} MB (the first call included)")
    return int(max(ratios) > 3 or peak > 40)


if __name__ == "__main__":
    sys.exit(main())
