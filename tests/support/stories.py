"""The hand-made stories in `fixtures/`: where they lie, and what was worked out for each by hand."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FIXTURES = Path(__file__).parents[2] / "fixtures"


@dataclass(frozen=True)
class Story:
    name: str

    @property
    def folder(self) -> Path:
        return FIXTURES / self.name

    @property
    def root(self) -> Path:
        return self.folder / "claude"

    @property
    def expected(self) -> dict[str, Any]:
        expected: dict[str, Any] = json.loads((self.folder / "expected.json").read_text("utf-8"))
        return expected


STORIES = [Story(path.parent.name) for path in sorted(FIXTURES.glob("*/expected.json"))]
