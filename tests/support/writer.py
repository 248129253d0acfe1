"""A writer that does at random what agents do, and what happens to files."""

import random
from dataclasses import dataclass, field
from pathlib import Path

from transcripts_builder import (
    FORK,
    OTHER,
    SESSION,
    Line,
    Regime,
    agent_file,
    agent_result,
    cut_note,
    encoded,
    progress,
    prompt,
    response,
    session_file,
    sidechain,
    usage,
)


@dataclass
class Writer:
    """Does at random what agents do, and what happens to files; always the same for a seed."""

    root: Path
    rng: random.Random
    pending: dict[Path, bytes] = field(default_factory=dict)
    at: float = 0
    made: int = 0

    def lines(self, *, may_repeat: bool) -> list[Line]:
        """The lines of one response, in any way that versions of Claude Code write them.

        One that *may_repeat* has at times the id of an earlier one, as what a fork copies has.
        """
        self.at += self.rng.choice([0.5, 2, 60, 4000])
        self.made += 1
        is_repeated = may_repeat and self.rng.random() < 0.15
        name = f"msg_{self.rng.randint(1, self.made) if is_repeated else self.made}"
        return response(
            self.rng.choice(list(Regime)),
            name,
            self.rng.choice([f"req_{name}", f"req_{name}", None]),
            output=self.rng.randint(1, 900),
            lines=self.rng.randint(1, 3),
            at=self.at,
            model=self.rng.choice(["claude-opus-4-6", "claude-haiku-4-5", "nobody-knows"]),
        )

    def file(self) -> Path:
        session = self.rng.choice([SESSION, FORK, OTHER])
        project = {OTHER: "-work-other"}.get(session, "-work-app")
        if self.rng.random() < 0.3:
            agent = self.rng.choice(["a1b2c3d", "b2c3d4e"])
            return agent_file(self.root, agent, session, project)
        if self.rng.random() < 0.1:
            return self.root / "projects" / project / "notes.jsonl"
        return session_file(self.root, session, project)

    def append(self) -> Path:
        path = self.file()
        lines = self.lines(may_repeat="subagents" not in path.parts)
        if "subagents" in path.parts:
            agent = path.stem.removeprefix("agent-")
            lines = [sidechain(line, agent) for line in lines]
            parent = path.parents[2] / f"{path.parents[1].name}.jsonl"
            if self.rng.random() < 0.4:
                self.write(parent, *[progress(line, agent, at=self.at) for line in lines])
            if self.rng.random() < 0.4:
                self.write(parent, agent_result(usage(950), agent, at=self.at))
        if self.rng.random() < 0.3:
            lines.insert(0, prompt(at=self.at))
        if self.rng.random() < 0.1:
            lines.append(cut_note(at=self.at))
        self.write(path, *lines)
        return path

    def write(self, path: Path, *lines: Line) -> None:
        """Append *lines*, and sometimes only a part of the last one: the rest comes later."""
        path.parent.mkdir(parents=True, exist_ok=True)
        data = self.pending.pop(path, b"") + b"".join(encoded(line) + b"\n" for line in lines)
        cut = len(data)
        if self.rng.random() < 0.4:
            cut = self.rng.randint(max(0, len(data) - 900), len(data))
        with path.open("ab") as file:
            file.write(data[:cut])
        if cut < len(data):
            self.pending[path] = data[cut:]

    def harm(self) -> None:
        """Truncate, rewrite, delete, rename or fork one of the files."""
        files = sorted(self.root.rglob("*.jsonl"))
        if not files:
            return
        path = self.rng.choice(files)
        data = path.read_bytes()
        match self.rng.randint(0, 4):
            case 0:
                path.write_bytes(data[: self.rng.randint(0, len(data))])
            case 1:
                lines = data.splitlines(keepends=True)
                path.write_bytes(b"".join(lines[1:]))
            case 2:
                path.unlink()
            case 3:
                path.rename(path.with_name(f"renamed-{self.made}.jsonl"))
            case _:
                fork = session_file(self.root, FORK)
                fork.parent.mkdir(parents=True, exist_ok=True)
                with fork.open("ab") as file:
                    file.write(data)
        self.pending.pop(path, None)
