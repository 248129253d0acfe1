"""What a watch takes in the long run: agents write for as long as is asked, and the slopes are printed.

Starts `watch --json` over a small history, lets agents append lines at a steady pace, and looks at the watch at regular
times: its memory, and the CPU for each line since the last look. From these come the slopes: bytes for each response, and
by how much the CPU for a line grows with each thousand responses that were seen before. One hour by default:
`--seconds 600` for a shorter look. CPU is what it computed, whatever else the machine does.
"""

import argparse
import sys
import tempfile
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from watch import Watch, history, line, watching


class Look(NamedTuple):
    """What was seen of a watch at a time."""

    seconds: float
    responses: int
    """Written since the start."""
    memory_mb: float
    cpu_s: float
    """Computed since the start."""


class Agents:
    """Agents that write lines at a steady pace, until they are told to stop."""

    def __init__(self, paths: list[Path], rate: float) -> None:
        """Append to *paths* in turns, *rate* lines a second in all."""
        self.written = 0
        self._paths = paths
        self._rate = rate
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def _write(self) -> None:
        start = time.monotonic()
        while not self._is_over.wait(max(start + self.written / self._rate - time.monotonic(), 0)):
            path = self._paths[self.written % len(self._paths)]
            with path.open("ab") as file:
                file.write(line(path.stem, 10**6 + self.written))
            self.written += 1

    def stop(self) -> None:
        """Write no more."""
        self._is_over.set()
        self._thread.join()


def looks(watch: Watch, agents: Agents, seconds: float, every: float) -> list[Look]:
    """Look at *watch* each *every* seconds, for *seconds*, and print what is seen."""
    start, cpu = time.monotonic(), watch.cpu()
    found = [Look(0, agents.written, watch.memory(), 0)]
    print("seconds  responses  memory MB  CPU ms a line  share of a core")
    while time.monotonic() - start < seconds:
        time.sleep(every)
        drain(watch)
        last = found[-1]
        now = Look(time.monotonic() - start, agents.written, watch.memory(), watch.cpu() - cpu)
        found.append(now)
        worked = now.cpu_s - last.cpu_s
        each = 1000 * worked / max(now.responses - last.responses, 1)
        share = worked / (now.seconds - last.seconds)
        print(
            f"{now.seconds:7.0f}  {now.responses:9,}  {now.memory_mb:9.1f}  {each:13.1f}  {share:15.1%}",
            flush=True,
        )
    return found


def drain(watch: Watch) -> None:
    """Take the events that have come, so that they do not pile up here."""
    while not watch.events.empty():
        watch.events.get()


def slope(points: list[tuple[float, float]]) -> float:
    """Return the slope of the straight line through *points* by least squares."""
    middle_x = sum(x for x, _ in points) / len(points)
    middle_y = sum(y for _, y in points) / len(points)
    spread = sum((x - middle_x) ** 2 for x, _ in points)
    return sum((x - middle_x) * (y - middle_y) for x, y in points) / spread if spread else 0.0


def main() -> int:
    """Watch, write, look; print the slopes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--every", type=float, default=60, help="seconds between two looks")
    parser.add_argument("--rate", type=float, default=20, help="lines a second, of all agents")
    parser.add_argument("--agents", type=int, default=5)
    parser.add_argument("--responses", type=int, default=1000, help="of the history before")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home, root = Path(folder) / "home", Path(folder) / "claude"
        paths = history(root, max(options.agents, 10), options.responses)
        with watching(root, home) as watch:
            agents = Agents(paths[: options.agents], options.rate)
            found = looks(watch, agents, options.seconds, options.every)
            agents.stop()
    pairs = list(pairwise(found))
    cpu = [
        (
            two.responses / 1000,
            1000 * (two.cpu_s - one.cpu_s) / max(two.responses - one.responses, 1),
        )
        for one, two in pairs
    ]
    memory = [(look.responses / 1000, look.memory_mb) for look in found[1:]]
    print(f"memory: {slope(memory):+.2f} kB for each response")
    print(f"CPU: {slope(cpu):+.3f} ms a line for each thousand responses before")
    return 0


if __name__ == "__main__":
    sys.exit(main())
