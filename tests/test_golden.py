"""Golden outputs: for every story, commands and the exact bytes that they write.

A story's `cases.toml` names its cases beside those that every story has, where STORY is its folder and
days are cut in UTC unless it says otherwise; `expected/` holds what each
writes to stdout, with the few things that differ from run to run replaced by words in capitals. The
figures in them are those of the story's README, which `test_stories.py` holds to `expected.json`.

A case may also say when it is (`now`), where that is told from the times of the story; and what was
called `before` it, while the root was still as the story's folder `earlier/` is. Then both happen in a
folder of their own, WORK, with one store, and the root is brought from one state to the other as Claude
Code does it: files are removed, added, written over.
"""

import re
import shutil
import tomllib
from dataclasses import dataclass
from datetime import datetime, tzinfo
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
    before: str | None = None
    now: datetime | None = None

    @property
    def file(self) -> Path:
        return self.story.folder / "expected" / f"{self.name}.txt"


def cases() -> list[Case]:
    found = []
    for story in STORIES:
        path = story.folder / "cases.toml"
        own = tomllib.loads(path.read_text("utf-8")) if path.exists() else {}
        for name, said in {**COMMON, **own}.items():
            found.append(
                Case(story, name, **(said if isinstance(said, dict) else {"command": said}))
            )
    return found


@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case.story.name}-{case.name}")
def test_command_writes_what_is_expected(
    case: Case,
    capfdbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    """The same bytes as when they were last reviewed."""
    if case.now is not None:
        monkeypatch.setattr("tokenaudit.cli.request.datetime", clock_at(case.now))
    root = case.story.root
    if case.before is not None:
        root = tmp_path / "claude"
        shutil.copytree(case.story.folder / "earlier", root)
        assert main(argv(case.before, case.story, root, tmp_path)) == 0
        capfdbinary.readouterr()
        become(root, case.story.root)
    code = main(argv(case.command, case.story, root, tmp_path))
    written = scrubbed(capfdbinary.readouterr().out.decode("utf-8"), case.story, root)
    if request.config.getoption("--update-golden"):
        case.file.parent.mkdir(exist_ok=True)
        case.file.write_text(written, "utf-8")

    assert code == 0
    assert case.file.read_text("utf-8") == written


def argv(command: str, story: Story, root: Path, work: Path) -> list[str]:
    said = command.replace("STORY", str(story.folder)).replace("WORK", str(work)).split()
    return [
        *said,
        *("--root", str(root)),
        *([] if "--timezone" in said else ["--timezone", "UTC"]),
    ]


def clock_at(now: datetime) -> type[datetime]:
    """The clock of a run at the moment *now*."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return now.astimezone(tz)

    return Clock


def become(root: Path, other: Path) -> None:
    """Give *root* the files of *other*; what is equal in both is not touched."""
    for path in [path for path in root.rglob("*") if path.is_file()]:
        if not (other / path.relative_to(root)).exists():
            path.unlink()
    for path in [path for path in other.rglob("*") if path.is_file()]:
        target = root / path.relative_to(other)
        content = path.read_bytes()
        if not target.exists() or target.read_bytes() != content:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)


def test_no_expected_output_is_without_a_case() -> None:
    """A file that no case writes proves nothing."""
    written = {case.file for case in cases()}
    present = {path for story in STORIES for path in (story.folder / "expected").glob("*")}

    assert written == present


def scrubbed(text: str, story: Story, root: Path) -> str:
    """Replace what depends on the machine, the moment and the rate card's last change."""
    text = text.replace(str(root), "ROOT").replace(str(story.folder), "STORY")
    text = text.replace(f'"version": "{__version__}"', '"version": "VERSION"')
    text = re.sub(r'"generated_at": "[^"]+"', '"generated_at": "NOW"', text)
    text = re.sub(r'"(card|sha256|verified_through)": "[^"]+"', r'"\1": "CARD"', text)
    text = re.sub(r"newer than \d{4}-\d\d-\d\d, when", "newer than CARD, when", text)
    return re.sub(
        r"Rate card \S+ \(sha256\s+\w+\), verified\s+through\s+\d{4}-\d\d-\d\d",
        "Rate card CARD",
        text,
    )
