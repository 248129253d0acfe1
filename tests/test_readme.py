"""The README is a promise: its commands run and write what it shows, its Python says what it shows."""

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

README = Path(__file__).parent.parent / "README.md"
CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)


SIZE = re.compile(r"\b\d+(\.\d)? [kM]?B\b")


def blocks() -> list[list[tuple[str, str]]]:
    """The commands of each console block, each with the output that is shown for it."""
    found = []
    for block in CONSOLE.findall(README.read_text("utf-8")):
        parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
        found.append(
            [(command, output) for command, _, output in (p.partition("\n") for p in parts)]
        )
    return found


@pytest.mark.parametrize("block", blocks(), ids=lambda block: block[0][0])
def test_console_examples_write_what_is_shown(
    block: list[tuple[str, str]],
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each runs, after those above it; where the README shows its output, it is that output.

    But for sizes on disk, which depend on where the files lie whose paths are kept.
    """
    monkeypatch.chdir(tmp_path)
    for command, shown in block:
        program, *argv = shlex.split(command)
        code = main(argv)
        out, err = capfd.readouterr()

        assert ("tokenaudit", 0) == (program, code), (command, err)
        if shown.strip():
            assert SIZE.sub("SIZE", shown).rstrip() == SIZE.sub("SIZE", out).rstrip(), command
        assert out or any(tmp_path.iterdir()), command


def test_python_examples_say_what_is_shown() -> None:
    """The block of Python is a session that can be repeated."""
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        failures, tried = doctest.testfile(
            str(README), module_relative=False, globs={}, optionflags=doctest.REPORT_NDIFF
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
