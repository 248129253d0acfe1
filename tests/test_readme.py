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


def examples() -> list[tuple[str, str, int]]:
    """The commands of all console blocks, each with the output that is shown for it and its block."""
    found = []
    for number, block in enumerate(CONSOLE.findall(README.read_text("utf-8"))):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output, number))
    return found


@pytest.mark.parametrize(
    ("command", "shown", "block"), examples(), ids=lambda value: str(value).partition("\n")[0]
)
def test_console_example_writes_what_is_shown(
    command: str,
    shown: str,
    block: int,
    *,
    capfd: pytest.CaptureFixture[str],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each example runs, those of one block in one folder; where output is shown, it is that output."""
    folder = tmp_path_factory.getbasetemp() / f"readme-{block}"
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    program, *argv = shlex.split(command)
    code = main(argv)
    out, _ = capfd.readouterr()

    assert ("tokenaudit", 0) == (program, code)
    if shown.strip():
        assert shown.rstrip() == out.rstrip()
    assert out or list(folder.iterdir())


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
