"""Runs tokenaudit beside its native-code peers on one generated corpus, and prints what each took.

The tools take turns within one run, so that whatever else the machine does hits them alike.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

from generate import Truth, parse_size

KEPT_VARIABLES: Final = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL")
SUBJECT: Final = "tokenaudit"
RATIOS: Final = ("cpu_s", "wall_s", "peak_mb")


class Cost(NamedTuple):
    """What one run took, of the process and of all its children that it waited for."""

    cpu_s: float
    wall_s: float
    peak_mb: float
    """Of the largest single process."""


@dataclass(slots=True)
class Tool:
    """A command to measure, and what is known about it so far."""

    name: str
    command: list[str]
    read_total: Callable[[Any], int]
    keeps_home: bool = False
    """Whether it finds what its earlier runs have stored."""
    costs: list[Cost] = field(default_factory=list)
    total_tokens: int | None = None
    error: str | None = None

    def typical(self) -> Cost | None:
        """Give the median of each figure."""
        if self.error or not self.costs:
            return None
        return Cost(*(median(figures) for figures in zip(*self.costs, strict=True)))


class ToolError(Exception):
    """A tool could not do its work; the message is one line."""


def find_tools(root: Path, ccusage: str | None) -> list[Tool]:
    """List the tools with their commands; one that is not installed says so."""
    audit = [sys.executable, "-m", "tokenaudit", "daily", "--json", "--root", str(root)]
    beside = Path(sys.executable).parent
    tools = [
        Tool(SUBJECT, audit, total_of_tokenaudit),
        Tool(f"{SUBJECT}, again", audit, total_of_tokenaudit, keeps_home=True),
        Tool(
            "aiburn",
            [find_program("aiburn", beside), "daily", "--json", "--claude"],
            total_of_aiburn,
        ),
        Tool(
            "ccusage",
            [ccusage or find_program("ccusage", beside), "daily", "--json", "--offline"],
            total_of_ccusage,
        ),
    ]
    for tool in tools:
        tool.error = None if tool.command[0] else "missing: not on PATH"
    return tools


def find_program(name: str, beside: Path) -> str:
    """Find a program on the PATH or beside the interpreter."""
    return shutil.which(name) or shutil.which(name, path=str(beside)) or ""


def total_of_tokenaudit(report: Any) -> int:
    """Read the sum of all tokens from tokenaudit's report."""
    return int(report["totals"]["total_tokens"])


def total_of_aiburn(report: Any) -> int:
    """Sum up aiburn's rows; it gives no total."""
    return sum(row["input"] + row["output"] + row["cache"] for row in report["groups"])


def total_of_ccusage(report: Any) -> int:
    """Read the sum of all tokens from ccusage's report."""
    return int(report["totals"]["totalTokens"])


def run_once(command: Sequence[str], env: Mapping[str, str], output: Path) -> Cost:
    """Run a command to its end, with its output in a file."""
    errors = output.with_suffix(".err")
    start = time.perf_counter()
    with output.open("wb") as out, errors.open("wb") as err:
        # Popen's own wait would take the usage of resources away from wait4.
        process = subprocess.Popen(
            command, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=err
        )
        _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise ToolError(failure(process.returncode, errors.read_text(errors="replace")))
    # macOS counts bytes, others KiB.
    peak_bytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Cost(usage.ru_utime + usage.ru_stime, wall_s, peak_bytes / 1e6)


def failure(code: int, errors: str) -> str:
    """Put a failed run into one line."""
    said = [line.strip() for line in errors.splitlines() if line.strip()]
    return f"failed: exit code {code}: {said[-1] if said else 'it said nothing'}"


def environment(home: Path, root: Path) -> dict[str, str]:
    """Make an environment in which a tool finds the corpus and nothing else."""
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    homes = {name: str(home) for name in ("HOME", "CODEX_HOME", "USERPROFILE")}
    return kept | homes | {"CLAUDE_CONFIG_DIR": str(root), "TZ": "UTC", "NO_COLOR": "1"}


def measure(tool: Tool, root: Path, scratch: Path, *, warm_up: bool = False) -> None:
    """Run a tool once; a failure is noted and ends its part in the comparison."""
    if tool.error:
        return
    home = scratch / f"home of {tool.name}"
    home.mkdir(exist_ok=True)
    output = scratch / "report.json"
    try:
        cost = run_once(tool.command, environment(home, root), output)
        tool.total_tokens = tool.read_total(json.loads(output.read_bytes()))
    except (ToolError, OSError) as error:
        tool.error = str(error)
    except (ValueError, LookupError, TypeError) as error:
        tool.error = f"unreadable report: {error!r}"
    else:
        tool.costs.extend([] if warm_up else [cost])
    if not tool.keeps_home:
        shutil.rmtree(home)


def measure_all(tools: Sequence[Tool], root: Path, runs: int) -> None:
    """Warm each tool up, then let them take turns."""
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(runs + 1):
            for tool in tools:
                measure(tool, root, Path(scratch), warm_up=number == 0)


def prepare_corpus(folder: Path, total_bytes: int, files: int, seed: int) -> None:
    """Generate a corpus unless the folder holds it already."""
    truth = read_truth(folder)
    wanted = (total_bytes, seed, files)
    if truth and (truth["total_bytes"], truth["seed"], truth["files"]) == wanted:
        return
    # In a process of its own: a child's peak memory begins with that of its parent.
    script = Path(__file__).with_name("generate.py")
    sizes = (f"--bytes={total_bytes}", f"--files={files}", f"--seed={seed}")
    command = [sys.executable, str(script), str(folder), *sizes]
    if subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode:
        sys.exit(2)


def read_truth(folder: Path) -> Truth | None:
    """Read what a reader must find, if the folder is a generated corpus."""
    path = folder / "truth.json"
    if not path.exists():
        return None
    truth: Truth = json.loads(path.read_bytes())
    return truth


def result(tools: Sequence[Tool], root: Path, runs: int) -> dict[str, Any]:
    """Put the figures into a value that can be shown or written as JSON."""
    subject = tools[0].typical()
    truth = read_truth(root)
    return {
        "root": str(root),
        "runs": runs,
        "true_total_tokens": truth["tokens"]["total"] if truth else None,
        "tools": [row(tool) for tool in tools],
        "ratios": {
            f"{SUBJECT} / {tool.name}": ratios(subject, peer)
            for tool in tools[1:]
            if subject and (peer := tool.typical())
        },
    }


def row(tool: Tool) -> dict[str, Any]:
    """Give the figures of one tool."""
    cost = tool.typical()
    figures = cost._asdict() if cost else dict.fromkeys(Cost._fields)
    return {"tool": tool.name, **figures, "total_tokens": tool.total_tokens, "error": tool.error}


def ratios(subject: Cost, peer: Cost) -> dict[str, float]:
    """Divide the subject's figures by a peer's: below 1 the subject is better."""
    return {name: round(getattr(subject, name) / getattr(peer, name), 3) for name in RATIOS}


def as_text(found: Mapping[str, Any]) -> str:
    """Lay the figures out for reading."""
    head = ("tool", "CPU s", "wall s", "peak MB", "total tokens", "against truth")
    table = [head, *(text_row(tool, found["true_total_tokens"]) for tool in found["tools"])]
    parts = [f"median of {found['runs']} runs over {found['root']}", aligned(table)]
    errors = [f"{tool['tool']}: {tool['error']}" for tool in found["tools"] if tool["error"]]
    parts += ["\n".join(errors)] if errors else []
    if found["ratios"]:
        quotients = [
            (name, *(f"{figures[key]:.2f}" for key in RATIOS))
            for name, figures in found["ratios"].items()
        ]
        parts.append(aligned([("ratio", "CPU", "wall", "peak"), *quotients]))
    return "\n\n".join(parts)


def text_row(tool: Mapping[str, Any], truth: int | None) -> tuple[str, ...]:
    """Write one tool's figures as cells."""
    if tool["error"]:
        return (tool["tool"], *"-----")
    difference = f"{tool['total_tokens'] - truth:+,}" if truth is not None else "unknown"
    figures = (f"{tool['cpu_s']:.2f}", f"{tool['wall_s']:.2f}", f"{tool['peak_mb']:.0f}")
    return (tool["tool"], *figures, f"{tool['total_tokens']:,}", difference)


def aligned(table: Sequence[Sequence[str]]) -> str:
    """Align cells: names to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join(
        "  ".join(
            [cells[0].ljust(widths[0]), *map(str.rjust, cells[1:], widths[1:])],
        )
        for cells in table
    )


def parse_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--bytes", type=parse_size, default="1GB", dest="total_bytes", help="size of the corpus")
    add("--files", type=int, default=2000, help="number of transcripts in it")
    add("--seed", type=int, default=1)
    add("--keep", type=Path, metavar="DIR", help="generate into DIR, or use what is there")
    add("--root", type=Path, metavar="DIR", help="use this configuration root instead")
    add("--runs", type=int, default=5, choices=range(1, 101), metavar="N", help="after a warm-up")
    add("--ccusage", metavar="PATH", help="the ccusage program; best the native one")
    add("--json", action="store_true", dest="as_json")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare; 1 tells that tokenaudit itself could not be measured."""
    options = parse_options(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        root = options.root or options.keep or Path(scratch) / "corpus"
        if options.root is None:
            prepare_corpus(root, options.total_bytes, options.files, options.seed)
        tools = find_tools(root.resolve(), options.ccusage)
        measure_all(tools, root.resolve(), options.runs)
        found = result(tools, root, options.runs)
    print(json.dumps(found, indent=2) if options.as_json else as_text(found))
    return 1 if tools[0].error else 0


if __name__ == "__main__":
    sys.exit(main())
