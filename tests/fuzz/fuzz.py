"""Fuzzes by hand for as long as one likes: the properties that CI tries with few examples, with new ones in each round.

Lines that are glued, torn, holed and edited, whose oracle is an independent reckoning; files that change anywhere between
runs, and bytes of the store, whose oracle is a run without one. Ends at the first finding, which Hypothesis has made
small and keeps: the same test, run again, tries it first.
"""

import argparse
import random
import subprocess
import sys
import time
from pathlib import Path

TESTS = Path(__file__).parent.parent
PROPERTIES = (
    "transcripts/test_rejects.py::test_reading_finds_what_an_independent_reckoning_finds",
    "store/test_changes.py::test_whatever_changes_in_a_file_is_found",
    "fuzz/test_store_bytes.py::test_a_damaged_store_changes_no_figure",
    "test_properties.py::test_any_damage_is_survived",
)


def main() -> int:
    """Run all properties in rounds, each with a seed that is printed, until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600)
    options = parser.parse_args()
    end, rounds = time.monotonic() + options.seconds, 0
    names = [str(TESTS / name) for name in PROPERTIES]
    while time.monotonic() < end:
        seed = random.SystemRandom().randrange(2**32)
        command = [sys.executable, "-m", "pytest", "-q", "-x", f"--hypothesis-seed={seed}", *names]
        if subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode:
            print(f"round {rounds + 1}: a finding; again with --hypothesis-seed={seed}")
            return 1
        rounds += 1
        print(f"round {rounds}: nothing (seed {seed})", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
