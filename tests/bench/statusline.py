"""What one call of the status line costs beside `python -c pass`: wall, CPU and memory, in one run.

Puts a history of 1 GB into the store, with a transcript of 4 MB that is being written, and calls the
status line in turns with an empty interpreter; between calls a line is appended, as a session does.
"""

import argparse
import json
import os
import shutil
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
    peak_mb: float


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
    start = time.perf_counter()
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment
    ) as process:
        assert process.stdin is not None
        process.stdin.write(data)
        process.stdin.close()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return Cost(wall * 1000, (usage.ru_utime + usage.ru_stime) * 1000, usage.ru_maxrss / 1024)


def history(projects: Path, files: int, size: int) -> None:
    """Write *files* old transcripts of *size* bytes in all."""
    folder = projects / "-work-app"
    folder.mkdir(parents=True)
    each = line(0) * max(size // files // len(line(0)), 1)
    for number in range(files):
        (folder / f"{number:08x}-0000-4000-8000-000000000000.jsonl").write_bytes(each)


def aged(projects: Path) -> None:
    """Let all transcripts have been written a month ago."""
    old = time.time() - 30 * 86400
    for path in projects.rglob("*.jsonl"):
        os.utime(path, (old, old))


def own_transcript(projects: Path) -> Path:
    """Write the session that is under way: 4 MB."""
    path = projects / "-work-own" / f"{SESSION}.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"".join(line(number) for number in range((4 << 20) // len(line(0)))))
    return path


def main() -> int:
    """Measure, and say how the status line compares; return 1 where it is beyond its bounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--bytes", type=int, default=1 << 30, help="size of the old history")
    parser.add_argument("--root", type=Path, help="a history to take instead, as of generate.py")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        projects = home / ".claude" / "projects"
        if options.root:
            shutil.copytree(options.root / "projects", projects)
        else:
            history(projects, options.files, options.bytes)
        aged(projects)
        script = str(Path(sys.executable).with_name("tokenaudit"))
        run([script, "daily"], home, b"")  # the store is filled
        own = own_transcript(projects)
        files = [path.stat().st_size for path in projects.rglob("*.jsonl")]
        print(f"history: {len(files)} transcripts, {sum(files) / 1e6:.0f} MB")
        told = {"session_id": SESSION, "transcript_path": str(own), "model": {"id": "m"}}
        data = json.dumps(told).encode()
        first = run([script, "statusline"], home, data)
        print(f"first call: {first.wall_ms:.0f} ms, {first.peak_mb:.0f} MB")
        costs = in_turns([script, "statusline"], home, data, own, options.runs)
    return judged(costs, first)


def in_turns(
    command: list[str], home: Path, data: bytes, own: Path, runs: int
) -> dict[str, list[Cost]]:
    """Return the costs of *command* and of an empty interpreter, a line being appended before each call."""
    costs: dict[str, list[Cost]] = {"statusline": [], "pass": []}
    for number in range(runs):
        with own.open("ab") as file:
            file.write(line(10**6 + number))
        costs["statusline"].append(run(command, home, data))
        costs["pass"].append(run([sys.executable, "-c", "pass"], home, b""))
    return costs


def judged(costs: dict[str, list[Cost]], first: Cost) -> int:
    """Print medians and ratios; return 1 where one is beyond its bound."""
    ratios = []
    for name in ("wall_ms", "cpu_ms"):
        ours, bare = (
            statistics.median(getattr(cost, name) for cost in costs[each])
            for each in ("statusline", "pass")
        )
        ratios.append(ours / bare)
        print(f"{name}: {ours:.1f}, python -c pass {bare:.1f}: {ours / bare:.2f} times")
    peak = max(cost.peak_mb for cost in (first, *costs["statusline"]))
    print(f"peak: {peak:.0f} MB (the first call included)")
    return int(max(ratios) > 3 or peak > 40)


if __name__ == "__main__":
    sys.exit(main())
