"""A seeded generator of Claude Code transcripts, and of the totals that a reader must find in them.

The same seed, size and number of files give the same bytes.
"""

import argparse
import json
import random
import re
import sys
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Final, TypedDict

from lines import ERAS, Era, Origin, Text, Usage, new_uuid
from transcript import Line, Transcript, Workshop, answer, begin, respond, step, subagent, take_back

PROJECTS: Final = (
    *("/home/dev/shop-api", "/home/dev/web_client", "/home/dev/.config/dotfiles"),
    *("/home/dev/src/parser.rs", "/srv/build/ledger", "/home/dev/work/data-pipeline"),
    *("/home/dev/work/data-pipeline/.worktrees/fix-retry", "/Users/dev/Notes and plans"),
    *("/home/dev/infra/terraform", "/home/dev/games/tiny.engine"),
)
BRANCHES: Final = ("main", "main", "fix/retry", "feature/export", "HEAD")

ERA_PATTERN: Final = (0, 1, 2, 0, 2, 0, 0, 2, 0, 1, 2, 0, 2, 0, 2, 1, 0, 0, 2, 1)
"""The eras of successive sessions; the first three differ, so that a small corpus has all."""

SUBAGENT_SHARE: Final = 0.4
FORK_EVERY: Final = 12
FORKED_SHARE: Final = 0.6
SHORTEST_LIMIT: Final = 20_000
LONGEST_RESULT: Final = 1_000_000

UNITS: Final = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}


class Truth(TypedDict):
    """What a reader of the corpus must find."""

    seed: int
    total_bytes: int
    """The size asked for; the corpus is within a file of it."""
    files: int
    lines: int
    usage_lines: int
    """Assistant lines with usage, copies included."""
    progress_usage_lines: int
    """Progress lines that repeat a subagent's usage."""
    responses: int
    tokens: dict[str, int]
    models: dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class Plan:
    """The sizes of a session's files."""

    index: int
    size: int
    agents: tuple[int, ...]

    @property
    def is_fork(self) -> bool:
        """Tell whether the session begins with a copy of the one before it."""
        return self.index % FORK_EVERY == FORK_EVERY // 2 - 1

    def agents_due(self, size: int) -> int:
        """Tell how many agents have been started when the session has a given size."""
        return min(len(self.agents), size * (len(self.agents) + 1) // self.size)


def make_plans(rng: random.Random, total_bytes: int, files: int) -> list[Plan]:
    """Share out the bytes over sessions and their agents."""
    agent_count = int(files * SUBAGENT_SHARE)
    session_count = files - agent_count
    sizes = [rng.lognormvariate(0, 1.0) for _ in range(session_count)]
    agents: list[list[float]] = [[] for _ in sizes]
    hosts = [index for index in range(session_count) if not Plan(index, 0, ()).is_fork]
    for _ in range(agent_count):
        agents[rng.choice(hosts)].append(0.35 * rng.lognormvariate(0, 0.8))
    unit = total_bytes / (sum(sizes) + sum(map(sum, agents)))
    return [
        Plan(index, int(size * unit) + 1, tuple(int(part * unit) for part in agents[index]))
        for index, size in enumerate(sizes)
    ]


@dataclass(slots=True)
class Corpus:
    """The files written so far, and what is in them."""

    projects: Path
    shop: Workshop
    planned: int = 0
    written: int = 0
    files: int = 0
    kinds: Counter[str] = field(default_factory=Counter)

    def add(self, plan: Plan, before: Transcript | None) -> Transcript:
        """Write a session and its agents."""
        self.planned += plan.size + sum(plan.agents)
        main = new_session(self.shop, plan)
        if before and plan.is_fork:
            fork(main, before, int(plan.size * FORKED_SHARE))
        else:
            begin(main)
        self._fill(main, plan)
        self._save(main, self._folder(main).with_suffix(".jsonl"))
        return main

    def _fill(self, main: Transcript, plan: Plan) -> None:
        started = 0
        step(main)
        # Against what is planned up to here: a session makes up for what others exceeded.
        while started < len(plan.agents) or self.written + main.size < self.planned:
            if started < plan.agents_due(main.size):
                self._delegate(main, plan.agents[started])
                started += 1
            else:
                step(main)

    def _delegate(self, main: Transcript, size: int) -> None:
        tool = "Agent" if main.origin.era.modern else "Task"
        *others, call = respond(main, ends=False, tool=tool)
        agent = subagent(main, result_limit(size))
        step(agent)
        while agent.size < size:
            step(agent)
        respond(agent, ends=True)
        for other in others:
            answer(main, other)
        take_back(main, agent, call)
        self._save_agent(agent, self._folder(main) / "subagents")

    def _folder(self, main: Transcript) -> Path:
        project = re.sub(r"[^A-Za-z0-9]", "-", main.origin.cwd)
        return self.projects / project / main.origin.session_id

    def _save_agent(self, agent: Transcript, folder: Path) -> None:
        path = folder / f"agent-{agent.origin.agent_id}.jsonl"
        self._save(agent, path)
        if agent.origin.era.modern:
            meta = {"agentType": "general-purpose", "description": self.shop.text.title()}
            path.with_suffix(".meta.json").write_text(json.dumps(meta), encoding="utf-8")

    def _save(self, transcript: Transcript, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(line.data for line in transcript.lines))
        self.files += 1
        self.written += transcript.size
        self.kinds.update(line.kind for line in transcript.lines)


def new_session(shop: Workshop, plan: Plan) -> Transcript:
    """Start the transcript of a session."""
    # A fork belongs to the project and the era of the session that it copies.
    place = plan.index - 1 if plan.is_fork else plan.index
    era = ERAS[ERA_PATTERN[place % len(ERA_PATTERN)]]
    age = int(shop.rng.random() * era.days)
    origin = Origin(
        era=era,
        version=era.versions[age * len(era.versions) // era.days],
        cwd=PROJECTS[place * 7 // 3 % len(PROJECTS)],
        session_id=new_uuid(shop.rng),
        branch=shop.rng.choice(BRANCHES),
        slug=shop.text.title().lower().replace(" ", "-"),
    )
    return Transcript(
        shop,
        origin,
        model=choose_model(shop.rng, era, age),
        clock_ms=morning_ms(shop.rng, era, age),
        limit=result_limit(plan.size),
        context=shop.rng.randrange(12_000, 26_000),
        hour_cache=shop.rng.random() < 0.85,
    )


def choose_model(rng: random.Random, era: Era, age: int) -> str:
    """Choose among the models that were out on a day of an era."""
    today = era.first_day + timedelta(days=age)
    out = [model for model in era.models if model.since <= today]
    return rng.choices([model.name for model in out], [model.weight for model in out])[0]


def morning_ms(rng: random.Random, era: Era, age: int) -> int:
    """Choose a moment of a day of an era."""
    midnight = datetime.combine(era.first_day + timedelta(days=age), time(), UTC)
    return int(midnight.timestamp()) * 1000 + rng.randrange(6 * 3_600_000, 20 * 3_600_000)


def result_limit(size: int) -> int:
    """Keep one tool result from outgrowing its file by far."""
    return min(LONGEST_RESULT, max(SHORTEST_LIMIT, size))


def fork(main: Transcript, before: Transcript, size: int) -> None:
    """Copy the first lines of a session, as a fork does: all but the session's id stays."""
    old, new = before.origin.session_id.encode(), main.origin.session_id.encode()
    main.origin = replace(before.origin, session_id=main.origin.session_id)
    main.model, main.clock_ms = before.model, max(main.clock_ms, before.clock_ms)
    # Lines without a uuid are not copied.
    for line in before.lines:
        if main.size >= size:
            break
        if line.uuid is not None:
            main.write(Line(line.data.replace(old, new), line.kind, line.uuid))
            main.parent = line.uuid


def count_up(corpus: Corpus, seed: int, total_bytes: int) -> Truth:
    """Sum up what was written."""
    models: dict[str, Counter[str]] = {}
    for model, usage in corpus.shop.replies:
        models.setdefault(model, Counter()).update(usage._asdict())
    tokens = {name: sum(model[name] for model in models.values()) for name in Usage._fields}
    return {
        "seed": seed,
        "total_bytes": total_bytes,
        "files": corpus.files,
        "lines": corpus.kinds.total(),
        "usage_lines": corpus.kinds["usage"],
        "progress_usage_lines": corpus.kinds["progress usage"],
        "responses": len(corpus.shop.replies),
        "tokens": tokens | {"total": sum(tokens.values())},
        "models": {name: dict(models[name]) for name in sorted(models)},
    }


def generate(target: Path, *, total_bytes: int, files: int, seed: int) -> Truth:
    """Write a configuration root into a folder, and beside its projects the truth about it."""
    projects = target / "projects"
    # A mixture of two corpora would have no known truth.
    projects.mkdir(parents=True)
    rng = random.Random(seed)
    corpus = Corpus(projects, Workshop(rng, Text(rng)))
    session = None
    for plan in make_plans(rng, total_bytes, files):
        session = corpus.add(plan, session)
    truth = count_up(corpus, seed, total_bytes)
    (target / "truth.json").write_text(json.dumps(truth, indent=2) + "\n", encoding="utf-8")
    return truth


def parse_size(text: str) -> int:
    """Read a number of bytes such as `1GB`, `500MB` or `2000000`."""
    match = re.fullmatch(r"([0-9.]+) *([KMG]?B|)", text.strip().upper())
    if match is None:
        message = f"not a size: {text!r}"
        raise argparse.ArgumentTypeError(message)
    return int(float(match[1]) * UNITS[match[2]])


def main() -> int:
    """Write a corpus where the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=Path, metavar="DIR")
    parser.add_argument("--bytes", type=parse_size, default="1GB", dest="total_bytes")
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    try:
        truth = generate(**vars(options))
    except FileExistsError as error:
        parser.error(f"there is a corpus already: {error.filename}")
    json.dump(truth, sys.stdout, indent=2)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
