"""What the command takes of memory: much less than the transcripts it reads are large."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from transcripts_builder import encoded, prompt, reply, session_file

MEASURE = """
import os, sys
# from a small process, for what that has used at most is inherited
pid = os.posix_spawn(sys.executable, [sys.executable, "-m", "tokenaudit", *sys.argv[1:]], os.environ)
_, status, usage = os.wait4(pid, 0)
print(usage.ru_maxrss >> (20 if sys.platform == "darwin" else 10), file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
"""
TURNS = 4096
BLOCK = 1 << 16


@pytest.fixture(scope="module")
def long_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One transcript of more than 256 MiB: in each turn a prompt of 64 KiB and a response of 110 tokens."""
    root = tmp_path_factory.mktemp("long")
    path = session_file(root)
    path.parent.mkdir(parents=True)
    asked = encoded(prompt("x" * BLOCK)) + b"\n"
    with path.open("wb") as file:
        for turn in range(TURNS):
            file.write(asked + encoded(reply(f"msg_{turn}", f"req_{turn}", at=turn)) + b"\n")
    yield root
    path.unlink()


@pytest.mark.skipif(sys.platform == "win32", reason="memory is measured by what Unix tells")
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_long_transcript_is_not_held_in_memory(
    long_session: Path, tmp_path: Path, jobs: str
) -> None:
    """No process of a first run takes 160 MB, of which some 90 are the program and its libraries."""
    argv = ["daily", "--json", "--root", long_session, "--store", tmp_path / "store"]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *map(str, argv), "--jobs", jobs],
        capture_output=True,
        text=True,
        check=True,
    )
    totals = json.loads(done.stdout)["totals"]

    assert session_file(long_session).stat().st_size > TURNS * BLOCK
    assert (TURNS, TURNS * 110) == (totals["responses"], totals["total_tokens"])
    assert int(done.stderr.split()[-1]) < 160
