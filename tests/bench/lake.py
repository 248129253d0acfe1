"""Makes a lake of many hosts with a known number of responses, and times its roll-up.

    python tests/bench/lake.py LAKE --hosts 500 --days 30 --rows 2000
    python tests/bench/lake.py LAKE --hosts 500 --days 30 --rows 2000 --jobs 2

Of each part a twentieth is copies of what the neighbour holds, with a worse count.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from tokenaudit.export.lake.parts import encode, place
from tokenaudit.export.lake.schema import SCHEMA, conform

START = datetime(2026, 9, 1, tzinfo=UTC)
COPIED = 20
MODELS = ["claude-opus-4-6", "claude-sonnet-4-6", "claude-haiku-4-5"]


def part(host: int, day: int, rows: int) -> pl.DataFrame:
    """Return the rows of *host* for *day*: its own, and copies of the first of its neighbour's."""
    own = responses(host, day, rows)
    copies = responses(host - 1, day, rows).head(rows // COPIED) if host else own.clear()
    worse = copies.with_columns(
        stop_reason=pl.lit(None, pl.String),
        output_tokens=pl.lit(5, pl.Int64),
        said_output_tokens=pl.lit(5, pl.Int64),
        quality=pl.lit("placeholder"),
        owner_path=pl.lit("/zz/copy.jsonl"),
        source_path=pl.lit("/zz/copy.jsonl"),
    )
    name = f"{host:016x}"
    return conform(
        pl.concat([own, worse]).with_columns(host=pl.lit(name), host_label=pl.lit(f"laptop-{host}"))
    )


def responses(host: int, day: int, rows: int) -> pl.DataFrame:
    """Return *rows* responses that *host* alone had on *day*, the same whenever they are asked for."""
    number = pl.int_range(rows, eager=True)
    seed = number + (host * 1_000_003 + day * 7919) * 1_000_000
    time_ = START + timedelta(days=day)
    session = seed // 400
    frame = pl.DataFrame(
        {
            "message_id": "msg_01" + hexed(seed.hash(1)) + hexed(seed.hash(2)).str.slice(0, 6),
            "request_id": "req_011" + hexed(seed.hash(3)) + hexed(seed.hash(4)).str.slice(0, 5),
            "session_id": hexed(session.hash(5)),
            "project": "/home/dev/project-" + (seed.hash(6) % 8).cast(pl.String),
            "model": pl.Series(MODELS).gather((seed.hash(7) % 3).cast(pl.Int64)),
            "output_tokens": (seed.hash(8) % 3000).cast(pl.Int64),
            "cache_read_tokens": (seed.hash(9) % 90_000).cast(pl.Int64),
            "cache_write_5m_tokens": (seed.hash(10) % 4000).cast(pl.Int64),
        }
    )
    step = 86_000_000_000 // max(rows, 1)
    path = pl.concat_str(pl.lit("/home/dev/.claude/projects/p/"), "session_id", pl.lit(".jsonl"))
    frame = frame.with_columns(
        time=pl.lit(time_) + pl.duration(microseconds=pl.int_range(pl.len()) * step + 100_000_000),
        agent_id=pl.lit("main"),
        agent_type=pl.lit("main"),
        branch=pl.lit("main"),
        version=pl.lit("2.1.200"),
        entrypoint=pl.lit("cli"),
        service_tier=pl.lit("standard"),
        stop_reason=pl.lit("tool_use"),
        quality=pl.lit("final"),
        input_tokens=pl.lit(5, pl.Int64),
        cache_write_1h_tokens=pl.lit(0, pl.Int64),
        copies=pl.lit(2, pl.Int64),
        web_searches=pl.lit(0, pl.Int64),
        web_fetches=pl.lit(0, pl.Int64),
        is_progress=pl.lit(False),
        is_sidechain=pl.lit(False),
        is_split_assumed=pl.lit(False),
        first_time=pl.lit(time_),
        owner_path=path,
        source_path=path,
        owner_line=number * 3,
        source_line=number * 3 + 2,
        source_record=number,
        said_output_tokens="output_tokens",
    ).with_columns(value_time=pl.col("time") + pl.duration(seconds=2))
    return frame.with_columns(
        pl.lit(None, dtype).alias(name)
        for name, dtype in SCHEMA.items()
        if name not in frame.columns
    ).select(SCHEMA.keys())


def hexed(numbers: pl.Series) -> pl.Series:
    """Return *numbers* as texts of one length, which do not compress."""
    return numbers.cast(pl.String).str.zfill(20)


def make(lake: Path, hosts: int, days: int, rows: int) -> None:
    for day in range(days):
        for host in range(hosts):
            name, data = encode(part(host, day, rows))
            folder = lake / place((START + timedelta(days=day)).date(), f"{host:016x}")
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{name}.parquet").write_bytes(data)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("lake", type=Path)
    for name, default in (("hosts", 50), ("days", 3), ("rows", 2000), ("jobs", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    if not options.lake.exists():
        make(options.lake, options.hosts, options.days, options.rows)
    command = ["rollup", str(options.lake), "--json", "--jobs", str(options.jobs)]
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "tokenaudit", *command], stdout=subprocess.PIPE, check=True
    )
    took, used = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    found = json.loads(done.stdout)["meta"]["lake"]
    expected = options.hosts * options.days * options.rows
    print(f"responses {found['responses']} of {expected}, rows {found['rows']}")
    print(f"{took:.1f} s, {used.ru_utime + used.ru_stime:.1f} CPU-s, digest {found['digest'][:8]}")
    print(f"peak {used.ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
