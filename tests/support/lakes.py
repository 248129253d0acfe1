"""What tests of lakes share in one process of pytest: a lake of many hosts, a cluster, a store of buckets.

They are made once, when the first test asks for them. No test may change the lake: copy it.
"""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

import pytest
from processes import unmeasured

__all__ = ["Cluster", "a_cluster"]

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@dataclass
class Cluster:
    """A scheduler of Dask at *address*, and its workers."""

    address: str
    environ: Mapping[str, str]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def add_worker(self) -> None:
        command = [sys.executable, "-m", "distributed.cli.dask_worker", self.address]
        command += ["--no-dashboard", "--nthreads", "1", "--nworkers", "1", "--no-nanny"]
        command += ["--host", "127.0.0.1"]
        silent = subprocess.DEVNULL
        self.workers.append(
            subprocess.Popen(command, env=self.environ, stdout=silent, stderr=silent)
        )

    def kill_worker(self) -> None:
        """Kill one as `kill -9` does."""
        worker = self.workers.pop(0)
        worker.kill()
        worker.communicate()


@contextmanager
def a_cluster(home: Path, protocol: str = "tcp", **environ: str) -> Iterator[Cluster]:
    """A `dask scheduler` and two `dask worker`s on loopback; *home* is theirs."""
    # Who ends by being killed writes down no coverage.
    all_environ = {**unmeasured(), "HOME": str(home), "PYTHONUNBUFFERED": "1", **environ}
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--protocol", protocol]
    command += ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show"]
    scheduler = subprocess.Popen(command, env=all_environ, stderr=subprocess.PIPE, text=True)
    assert scheduler.stderr is not None
    lines = re.compile(rf"Scheduler at:\s+({protocol}://\S+)")
    address = next(found[1] for line in scheduler.stderr if (found := lines.search(line)))
    rest = Thread(target=scheduler.stderr.read, daemon=True)
    rest.start()
    cluster = Cluster(address, all_environ)
    try:
        cluster.add_worker()
        cluster.add_worker()
        yield cluster
    finally:
        while cluster.workers:
            cluster.kill_worker()
        scheduler.kill()
        scheduler.wait()
        rest.join()
        scheduler.stderr.close()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster that stands for as long as the tests run; two workers are to be left."""
    with a_cluster(tmp_path_factory.mktemp("home-of-dask")) as found:
        yield found


@pytest.fixture(scope="session")
def bucket_store() -> Iterator[str]:
    """The address of a store that speaks S3."""
    from bucket_store import running

    with running() as address:
        yield address


@pytest.fixture(scope="session")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake of the stories and the sample, each of a host; neighbours hold worse copies of some."""
    from lake_evidence import facts_below, worse
    from polars import col
    from stories import STORIES

    from tokenaudit import transcripts
    from tokenaudit.export.lake.host import Host
    from tokenaudit.export.lake.publish import publish
    from tokenaudit.export.lake.rows import rows_of
    from tokenaudit.export.lake.storage import Folder

    top = tmp_path_factory.mktemp("lake")
    stories = [story for story in STORIES if any(story.root.rglob("*.jsonl"))]
    for number, root in enumerate([*(story.root for story in stories), transcripts.DEMO]):
        rows = rows_of(facts_below(root), host=f"h{number}", label=None)
        with_ids = rows.filter(col("message_id").is_not_null())
        for host, known in (
            (f"h{number}", rows),
            (f"h{number + 1}", worse(with_ids)),
            (f"x{number % 3}", with_ids.head(2)),
        ):
            publish(known, Folder(top), Host(host, f"label of {host}"), NOW)
    return top
