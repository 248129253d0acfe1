"""Measures nightly exports: to a lake and to PostgreSQL, the first one and those with nothing new.

    python tests/bench/exports.py
    python tests/bench/exports.py --responses 100000 --days 30 --runs 5

Each case is measured beside an interpreter that does nothing.
"""

import argparse
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from compare import aligned
from postgresql import running
from repeated import Bench, Table, line_of

START = datetime(2026, 3, 1, tzinfo=UTC)
PER_FILE = 100


def history(root: Path, responses: int, days: int) -> None:
    """Write transcripts with *responses* below *root*, spread over some *days*."""
    files = responses // PER_FILE
    for number in range(files):
        folder = root / "projects" / f"-work-{number % 50}"
        folder.mkdir(parents=True, exist_ok=True)
        start = START + number * timedelta(days=days) / files
        lines = (
            line_of(number, at, start + timedelta(milliseconds=at * 31_337))
            for at in range(PER_FILE)
        )
        (folder / f"{number:08x}-0000-4000-8000-000000000000.jsonl").write_bytes(b"".join(lines))


def measure(bench: Bench, name: str, place: str) -> None:
    """Note what exports to *place* cost."""
    command = [sys.executable, "-m", "tokenaudit", "export", "--root", str(bench.root)]
    command += ["--store", str(bench.store), "--to", place]
    bench.note(f"{name}: first", [bench.run(command)])
    bench.note(f"{name}: nothing new", [bench.run(command) for _ in range(bench.runs)])


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, default in (("responses", 100_000), ("days", 30), ("runs", 5)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    table: Table = [("run", "CPU s", "wall s", "peak MB")]
    with tempfile.TemporaryDirectory() as scratch, running() as postgresql:
        root = Path(scratch) / "root"
        history(root, options.responses, options.days)
        bench = Bench(Path(scratch), root, options.runs, table)
        bench.note("python -c pass", [bench.run([sys.executable, "-c", "pass"])])
        measure(bench, "lake", str(Path(scratch) / "lake"))
        measure(bench, "PostgreSQL", postgresql)
        measure(bench, "SQLite", f"sqlite:///{scratch}/usage.db")
    print(aligned(table))


if __name__ == "__main__":
    main()
