"""Golden outputs: for every story, commands and the exact bytes that they write.

A story's `cases.toml` names its cases beside those that every story has, where STORY is its folder and
days are cut in UTC unless it says otherwise; `expected/` holds what each
writes to stdout, with the few things that differ from run to run replaced by words in capitals. The
figures in them are those of the story's README, which `test_stories.py` holds to `expected.json`.
"""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
from stories import STORIES, Story

from tokenaudit import __version__
from tokenaudit.__main__ import main

COMMON = {"daily": "daily", "sessions-json": "sessions --json"}


@dataclass(frozen=True)
class Case:
    story: Story
    name: str
    command: str

    @property
    def file(self) -> Path:
        return self.story.folder / "expected" / f"{self.name}.txt"


def cases() -> list[Case]:
    found = []
    for story in STORIES:
        path = story.folder / "cases.toml"
        own = tomllib.loads(path.read_text("utf-8")) if path.exists() else {}
        found += [Case(story, name, command) for name, command in {**COMMON, **own}.items()]
    return found


@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case.story.name}-{case.name}")
def test_command_writes_what_is_expected(
    case: Case, capfdbinary: pytest.CaptureFixture[bytes], request: pytest.FixtureRequest
) -> None:
    """The same bytes as when they were last reviewed."""
    said = case.command.replace("STORY", str(case.story.folder)).split()
    zone = [] if "--timezone" in said else ["--timezone", "UTC"]
    code = main([*said, "--root", str(case.story.root), *zone])
    written = scrubbed(capfdbinary.readouterr().out.decode("utf-8"), case.story)
    if request.config.getoption("--update-golden"):
        case.file.parent.mkdir(exist_ok=True)
        case.file.write_text(written, "utf-8")

    assert code == 0
    assert case.file.read_text("utf-8") == written


def test_no_expected_output_is_without_a_case() -> None:
    """A file that no case writes proves nothing."""
    written = {case.file for case in cases()}
    present = {path for story in STORIES for path in (story.folder / "expected").glob("*")}

    assert written == present


def scrubbed(text: str, story: Story) -> str:
    """Replace what depends on the machine, the moment and the rate card's last change."""
    text = text.replace(str(story.root), "ROOT").replace(str(story.folder), "STORY")
    text = text.replace(f'"version": "{__version__}"', '"version": "VERSION"')
    text = re.sub(r'"generated_at": "[^"]+"', '"generated_at": "NOW"', text)
    text = re.sub(r'"(card|sha256|verified_through)": "[^"]+"', r'"\1": "CARD"', text)
    return re.sub(
        r"Rate card \S+ \(sha256\s+\w+\), verified\s+through\s+\d{4}-\d\d-\d\d",
        "Rate card CARD",
        text,
    )
