"""The documentation is a promise: its commands run and write what it shows, its Python says what it shows."""

import contextlib
import doctest
import io
import re
import shlex
from pathlib import Path

import pytest
import typer

from tokenaudit.__main__ import main
from tokenaudit.cli import app

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
GENERATED = {"commands.md", "columns.md"}
PAGES = [
    README,
    *sorted(page for page in (ROOT / "docs").rglob("*.md") if page.name not in GENERATED),
]
CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)")
SIZE = re.compile(r"\b\d+(\.\d)? [kM]?B\b")
LONGEST = 250


def examples() -> list[tuple[str, list[tuple[str, str]]]]:
    """The console blocks of all pages: the page, and the commands with the output that is shown for each."""
    found = []
    for page in PAGES:
        for block in CONSOLE.findall(page.read_text("utf-8")):
            parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
            commands = [(one, output) for one, _, output in (p.partition("\n") for p in parts)]
            found.append((str(page.relative_to(ROOT)), commands))
    return found


@pytest.mark.parametrize(
    ("page", "block"), examples(), ids=lambda part: part if isinstance(part, str) else part[0][0]
)
def test_console_examples_write_what_is_shown(
    page: str,
    block: list[tuple[str, str]],
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each runs, after those above it; where a page shows its output, it is that output.

    But for sizes on disk, which depend on where the files lie whose paths are kept.
    """
    monkeypatch.chdir(tmp_path)
    for command, shown in block:
        program, *argv = shlex.split(command)
        code = main(argv)
        out, err = capfd.readouterr()

        assert ("tokenaudit", 0) == (program, code), (page, command, err)
        if shown.strip():
            assert SIZE.sub("SIZE", shown).rstrip() == SIZE.sub("SIZE", out).rstrip(), command
        assert out or any(tmp_path.iterdir()), command


def test_python_examples_say_what_is_shown() -> None:
    """The block of Python is a session that can be repeated."""
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        failures, tried = doctest.testfile(
            str(ROOT / "docs" / "how-to" / "python.md"),
            module_relative=False,
            globs={},
            optionflags=doctest.REPORT_NDIFF,
        )

    assert tried > 10
    assert failures == 0, told.getvalue()


def test_every_command_is_in_the_readme() -> None:
    """A command that the README does not name does not exist for a reader."""
    commands = {command.name for command in app.registered_commands}
    text = README.read_text("utf-8")

    assert commands == {
        name for name in commands if name and (f"`{name}" in text or f"tokenaudit {name}" in text)
    }


def test_the_readme_fits_a_sitting() -> None:
    """What is longer has a page of its own."""
    assert len(README.read_text("utf-8").splitlines()) <= LONGEST


def test_links_between_pages_lead_somewhere() -> None:
    """As they are read on a code host; the site checks its own."""
    links = [(page, link) for page in PAGES for link in LINK.findall(page.read_text("utf-8"))]

    assert links
    assert [] == [(page, link) for page, link in links if not (page.parent / link).exists()]


def test_every_command_has_examples_that_run(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The examples at the foot of each command's help work on the sample."""
    monkeypatch.chdir(tmp_path)
    ran = 0
    for command in app.registered_commands:
        assert command.epilog, command.name
        for example in command.epilog.removeprefix("Examples: ").split("; "):
            code = main([*shlex.split(example)[1:], "--demo"])
            ran += 1
            assert code == 0, (example, capfd.readouterr().err)

    assert ran >= 3 * len(app.registered_commands)


def test_the_app_is_typer() -> None:
    """The commands above are those that users get."""
    assert isinstance(app, typer.Typer)
