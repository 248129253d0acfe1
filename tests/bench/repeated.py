"""Measures what the store makes of repeated runs: unchanged, with a little appended, with many responses or files.

Every case is measured in turns with `python -c pass` and with the run that it is compared to, so that
whatever else the machine does hits them alike.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Final

from compare import Cost, aligned, environment, prepare_corpus, run_once
from generate import parse_size

APPENDED: Final = 1_000_000
REPORTS: Final = ("daily", "sessions", "models", "by project,model")
MODELS: Final = ("claude-opus-4-6", "claude-sonnet-4-5-20250929", "claude-haiku-4-5-20251001")

Table = list[tuple[str, ...]]


class Bench:
    """Runs commands of tokenaudit with one store and notes what they cost."""

    def __init__(self, scratch: Path, root: Path, runs: int, table: Table) -> None:
        self.root, self.store, self.runs = root, scratch / "store", runs
        self.scratch = scratch
        self.table = table

    def cost(self, *words: str) -> Cost:
        """Run once: a report of the root, with the store."""
        where = ["--root", str(self.root), "--store", str(self.store), "--json"]
        return self.run([sys.executable, "-m", "tokenaudit", *words, *where])

    def run(self, command: Sequence[str]) -> Cost:
        """Run *command* once."""
        home = self.scratch / "home"
        home.mkdir(exist_ok=True)
        return run_once(command, environment(home, self.root), self.scratch / "out.json")

    def note(self, name: str, costs: Sequence[Cost]) -> Cost:
        """Add the medians of *costs* to the table."""
        typical = Cost(*(median(figures) for figures in zip(*costs, strict=True)))
        figures = (f"{typical.cpu_s:.2f}", f"{typical.wall_s:.2f}", f"{typical.peak_mb:.0f}")
        self.table.append((name, *figures))
        return typical


def start_up(bench: Bench) -> None:
    """Compare `--version` with an interpreter that does nothing."""
    passing, version = [], []
    for _ in range(bench.runs * 4):
        passing.append(bench.run([sys.executable, "-c", "pass"]))
        version.append(bench.run([sys.executable, "-m", "tokenaudit", "--version"]))
    bench.note("python -c pass", passing)
    bench.note("--version", version)


def again(bench: Bench) -> None:
    """Compare a run with nothing new, and one with 1 MB more in one transcript."""
    bench.note("first run", [bench.cost("daily")])
    path = max(bench.root.rglob("*.jsonl"), key=lambda path: path.stat().st_size)
    block = path.read_bytes()[: APPENDED * 2]
    block = block[: block.rfind(b"\n", 0, APPENDED) + 1]
    size = path.stat().st_size
    unchanged, appended = [], []
    for _ in range(bench.runs):
        unchanged.append(bench.cost("daily"))
        with path.open("ab") as file:
            file.write(block)
        appended.append(bench.cost("daily"))
    with path.open("r+b") as file:
        file.truncate(size)
    bench.note("unchanged", unchanged)
    bench.note("1 MB appended", appended)


def small_history(root: Path, files: int, responses: int) -> None:
    """Write *files* transcripts below *root*, each with *responses* short responses."""
    start = datetime(2026, 3, 1, tzinfo=UTC)
    for number in range(files):
        folder = root / "projects" / f"-work-{number % 50}"
        folder.mkdir(parents=True, exist_ok=True)
        lines = (
            line_of(number, at, start + timedelta(milliseconds=number * 97_123 + at * 31_337))
            for at in range(responses)
        )
        (folder / f"{number:08x}-0000-4000-8000-000000000000.jsonl").write_bytes(b"".join(lines))


def line_of(number: int, at: int, time: datetime) -> bytes:
    usage = {"input_tokens": 3, "output_tokens": at + 1, "cache_read_input_tokens": number}
    message = {
        "model": MODELS[(number + at) % len(MODELS)],
        "id": f"msg_{number}_{at}",
        "stop_reason": "end_turn",
        "usage": usage,
    }
    line = {
        "sessionId": f"{number:08x}-0000-4000-8000-000000000000",
        "cwd": f"/work/{number % 50}",
        "version": "2.1.200",
        "gitBranch": "main",
        "message": message,
        "requestId": f"req_{number}_{at}",
        "type": "assistant",
        "uuid": f"{number:08x}-{at:04x}-4000-8000-000000000000",
        "timestamp": f"{time:%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03}Z",
    }
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def of_small_history(scratch: Path, files: int, responses: int, runs: int, table: Table) -> None:
    """Measure reports of a history of many small transcripts that is in the store."""
    with tempfile.TemporaryDirectory(dir=scratch) as place:
        root = Path(place) / "claude"
        small_history(root, files, responses)
        bench = Bench(Path(place), root, runs, table)
        name = f"{files:,} files, {files * responses:,} responses"
        bench.note(f"{name}: first run", [bench.cost("daily")])
        for report in REPORTS:
            costs = [bench.cost(*report.split(" ")) for _ in range(runs)]
            bench.note(f"{name}: {report}", costs)


def one_large_file(scratch: Path, size: int, table: Table) -> None:
    """Measure the memory that a first run of one large transcript takes."""
    with tempfile.TemporaryDirectory(dir=scratch) as place:
        root = Path(place) / "claude"
        prepare_corpus(root, size, 1, 1)
        bench = Bench(Path(place), root, 1, table)
        bench.note(f"one transcript of {size / 1e9:.0f} GB: first run", [bench.cost("daily")])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure all cases and print them as a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add(
        "--keep",
        type=Path,
        required=True,
        metavar="DIR",
        help="a corpus of generate.py, or where to make one",
    )
    add("--bytes", type=parse_size, default="1GB", dest="total_bytes")
    add("--files", type=int, default=2000)
    add("--large", type=parse_size, default="2GB", metavar="SIZE", help="size of the large file")
    add("--runs", type=int, default=5)
    options = parser.parse_args(arguments)
    prepare_corpus(options.keep, options.total_bytes, options.files, 1)
    table: Table = [("case", "CPU s", "wall s", "peak MB")]
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(Path(scratch), options.keep.resolve(), options.runs, table)
        start_up(bench)
        again(bench)
        of_small_history(Path(scratch), 20_000, 3, options.runs, table)
        of_small_history(Path(scratch), 2_000, 500, options.runs, table)
        one_large_file(Path(scratch), options.large, table)
    print(aligned(table))
    return 0


if __name__ == "__main__":
    sys.exit(main())
