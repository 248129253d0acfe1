"""What a watch costs, and how soon it tells: latency, idle and under load, in one run.

Generates a history, watches it with `watch --json`, and appends lines as agents do. Figures: from a line
appended to its event with many transcripts watched; CPU of an idle minute and the memory with many
responses in the store; CPU while five agents write fifty lines a second each, and what was lost. Where
other programs keep the processor busy, the CPU for one line says more than how long it took: both are
printed, with how many programs waited for a core.
"""

import argparse
import json
import os
import queue
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

TICK = os.sysconf("SC_CLK_TCK")


def line(session: str, number: int) -> bytes:
    """Return the line of one response, written now."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    usage = {
        "input_tokens": 2,
        "output_tokens": 300,
        "cache_read_input_tokens": 30_000 + number % 1000,
        "cache_creation_input_tokens": 900,
    }
    message = {
        "id": f"msg_{session[:8]}{number}",
        "model": "claude-sonnet-5-5",
        "role": "assistant",
        "content": [{"type": "text", "text": "x" * 200}],
        "stop_reason": "end_turn",
        "usage": usage,
    }
    found = {
        "type": "assistant",
        "sessionId": session,
        "uuid": f"{session[:8]}-{number}-0000-0000-000000000000",
        "requestId": f"req_{session[:8]}{number}",
        "timestamp": now,
        "cwd": "/work/app",
        "version": "2.1.200",
        "gitBranch": "main",
        "isSidechain": False,
        "message": message,
    }
    return json.dumps(found, separators=(",", ":")).encode() + b"\n"


def session(number: int) -> str:
    """Return the id of a session."""
    return f"{number:08x}-0000-4000-8000-000000000000"


def history(root: Path, files: int, responses: int) -> list[Path]:
    """Write *files* transcripts with *responses* in all; return them."""
    folder = root / "projects" / "-work-app"
    folder.mkdir(parents=True)
    paths = []
    for number in range(files):
        own = session(number)
        path = folder / f"{own}.jsonl"
        path.write_bytes(b"".join(line(own, each) for each in range(responses // files)))
        paths.append(path)
    return paths


class Watch:
    """A watch that runs: its events with when they came, its CPU seconds, its memory."""

    def __init__(self, root: Path, home: Path) -> None:
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "TZ": "UTC"}
        command = [sys.executable, "-m", "tokenaudit", "watch", "--json", "--root", str(root)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
        self.events: queue.Queue[tuple[float, dict[str, Any]]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for data in self.process.stdout:
            self.events.put((time.perf_counter(), json.loads(data)))

    def until(self, name: str) -> tuple[float, dict[str, Any]]:
        """Return the next event of this *name*, and when it came."""
        while True:
            at, event = self.events.get(timeout=120)
            if event["event"] == name:
                return at, event

    def cpu(self) -> float:
        """Return the seconds that it has computed so far."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / TICK

    def memory(self, what: str = "VmRSS") -> float:
        """Return its memory in MB: what is resident, or VmHWM, the most that was."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition(f"{what}:")[2].split()[0]) / 1024


@contextmanager
def watching(root: Path, home: Path) -> Iterator[Watch]:
    """Watch *root*, from its first snapshot on."""
    found = Watch(root, home)
    try:
        found.until("snapshot")
        yield found
    finally:
        found.process.kill()


def latency(watch: Watch, paths: list[Path], count: int) -> list[float]:
    """Return the milliseconds from each of *count* lines to its event."""
    taken = []
    for number in range(count):
        path = paths[number * 7919 % len(paths)]
        with path.open("ab") as file:
            file.write(line(path.stem, 10**6 + number))
        written = time.perf_counter()
        at, _ = watch.until("usage")
        taken.append((at - written) * 1000)
        time.sleep(0.2 + number % 7 / 10)
    return taken


def load(watch: Watch, paths: list[Path], seconds: float, rate: float) -> tuple[float, int, int]:
    """Let five agents write; return the share of a core, lines written, and responses told."""
    before, start, written = watch.cpu(), time.perf_counter(), 0
    files = [path.open("ab") for path in paths[:5]]
    while time.perf_counter() - start < seconds:
        due = start + (written // 5 + 1) / rate
        for file in files:
            file.write(line(Path(file.name).stem, 2 * 10**6 + written))
            file.flush()
            written += 1
        time.sleep(max(due - time.perf_counter(), 0))
    told: set[str] = set()
    while len(told) < written:
        _, event = watch.events.get(timeout=20)
        if event["event"] == "usage":
            told.add(event["response_id"])
    share = (watch.cpu() - before) / (time.perf_counter() - start)
    for file in files:
        file.close()
    return share, written, len(told)


def _waiting() -> float:
    """Return how many programs wanted a core in the last minute, on average."""
    return os.getloadavg()[0]


def main() -> int:
    """Measure all three; return 1 where one is beyond its bound."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--responses", type=int, default=100_000)
    parser.add_argument("--lines", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home, root = Path(folder) / "home", Path(folder) / "claude"
        paths = history(root, options.files, options.responses)
        with watching(root, home):
            pass  # the store is filled
        with watching(root, home) as watch:
            print(f"peak after the start: {watch.memory('VmHWM'):.0f} MB", flush=True)
            time.sleep(5)
            before = watch.cpu()
            time.sleep(options.seconds)
            idle = (watch.cpu() - before) * 60 / options.seconds
            resident = watch.memory()
            print(f"idle: {idle:.2f} CPU-s a minute, {resident:.0f} MB", flush=True)
            before = watch.cpu()
            taken = latency(watch, paths, options.lines)
            each = (watch.cpu() - before) * 1000 / options.lines
            median, worst = statistics.median(taken), max(taken)
            print(
                f"line to event: median {median:.0f} ms, worst {worst:.0f} ms of {options.lines},"
                f" {each:.0f} ms of CPU for each; {_waiting():.1f} programs on {os.cpu_count()} cores",
                flush=True,
            )
            share, written, told = load(watch, paths, options.seconds, 50)
            print(
                f"5 agents x 50 lines/s: {share:.0%} of a core, {written - told} of {written} lost"
            )
            print(f"at the end: {watch.memory():.0f} MB", flush=True)
    is_right = idle <= 0.2 and resident <= 200 and median <= 250 and worst <= 1000
    return int(not is_right or share > 0.3 or written != told)


if __name__ == "__main__":
    sys.exit(main())
