"""How the command line starts: no more of it is made, and no more imported, than a call needs."""

import shlex
import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from processes import unmeasured

from tokenaudit.cli import app
from tokenaudit.cli.commands.prices import prices
from tokenaudit.cli.start import command_line

IMPORTS = """
import sys
from tokenaudit.__main__ import main
code = main(sys.argv[1:])
sys.stderr.write(" ".join({name.partition(".")[0] for name in sys.modules}))
sys.exit(code)
"""


@pytest.mark.parametrize(
    ("argv", "absent", "present"),
    [
        ("--version", {"typer", "rich", "pydantic", "polars", "msgspec"}, set()),
        ("-V", {"typer", "rich", "pydantic", "polars", "msgspec"}, set()),
        ("--help", {"pydantic", "polars"}, {"typer"}),
        ("daily --help", {"pydantic", "polars"}, {"typer"}),
        ("store path", {"rich", "pydantic", "polars"}, {"typer"}),
        (
            "daily --no-store --demo --json",
            {"rich", "pydantic", "filelock", "importlib.metadata"},
            {"polars"},
        ),
        (
            "daily --demo --since 2026-10-01 -p webshop -f csv --limit 3 --jobs 1",
            {"rich", "pydantic"},
            {"polars"},
        ),
        ("daily --demo", {"pydantic"}, {"polars", "rich"}),
        ("session 0cf1 --demo", {"pydantic"}, {"polars", "rich"}),
        ("by project,model --demo --json", {"rich", "pydantic"}, {"polars"}),
        ("prices", {"pydantic", "genai_prices"}, {"polars", "rich"}),
        ("prices show claude-opus-5 --json", {"rich", "pydantic", "genai_prices"}, {"polars"}),
        ("store", {"pydantic", "filelock"}, {"polars", "rich"}),
    ],
)
def test_a_call_imports_what_it_needs(argv: str, absent: set[str], present: set[str]) -> None:
    """In a process of its own, as the installed command; a format is one of a choice, so checked."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS, *shlex.split(argv)],
        capture_output=True,
        text=True,
        check=True,
        env=unmeasured(),
    )
    imported = {*done.stderr.splitlines()[-1].split()} if done.stderr else set()

    assert done.stdout
    assert "tokenaudit" in imported
    assert (set(), present) == (absent & imported, present & imported)


# which commands are made


def test_only_the_command_that_is_named_is_made() -> None:
    """With all its options."""
    line = command_line(app, ["daily", "--demo"])
    whole = command_line(app, ["--help"])

    assert {"daily"} == {*line.commands}
    assert [parameter.name for parameter in whole.commands["daily"].params] == [
        parameter.name for parameter in line.commands["daily"].params
    ]


def test_a_group_that_is_named_is_made_with_its_commands() -> None:
    """And nothing beside it."""
    line = command_line(app, ["prices", "show", "claude-opus-5"])

    assert {"prices"} == {*line.commands}
    assert {command.name for command in prices.registered_commands} == {
        *line.commands["prices"].commands
    }


@pytest.mark.parametrize(
    "argv", [[], ["--help"], ["dayly"], ["--root", "/x", "daily"], ["prcies", "show"]]
)
def test_where_no_command_comes_first_all_are_made(argv: list[str]) -> None:
    """Help lists them, and a name that is misspelt is compared with them."""
    named = {command.name for command in app.registered_commands}

    assert {*named, "prices", "store"} == {*command_line(app, argv).commands}


def test_making_a_part_leaves_the_app_whole() -> None:
    """What one call does not need, the next may."""
    before = [command.name for command in app.registered_commands]
    command_line(app, ["daily"])

    assert before == [command.name for command in app.registered_commands]
    assert "weekly" in command_line(app, ["weekly"]).commands


# how values are taken


class Size(StrEnum):
    SMALL = "small"
    LARGE = "large"


def _upper(value: str | None) -> str | None:
    return value.upper() if value else "NOTHING"


@pytest.fixture
def taken() -> dict[str, Any]:
    """What the command of `line` was called with."""
    return {}


@pytest.fixture
def line(taken: dict[str, Any]) -> Any:
    """A command with an option of every kind that there is."""
    small = typer.Typer()

    @small.callback()
    def group() -> None:
        pass

    @small.command("take")
    def take(
        *,
        name: Annotated[str, typer.Argument()],
        text: Annotated[str | None, typer.Option("--text")] = None,
        texts: Annotated[list[str] | None, typer.Option("--texts")] = None,
        place: Annotated[Path | None, typer.Option("--place")] = None,
        places: Annotated[list[Path] | None, typer.Option("--places")] = None,
        count: Annotated[int | None, typer.Option("--count", min=1)] = None,
        size: Annotated[Size | None, typer.Option("--size")] = None,
        flag: Annotated[bool, typer.Option("--flag")] = False,
        called: Annotated[str | None, typer.Option("--called", callback=_upper)] = None,
        preset: Annotated[str, typer.Option("--preset")] = "preset",
    ) -> None:
        taken.update(locals())
        del taken["taken"]

    return command_line(small, ["take"])


def call(line: Any, *argv: str) -> None:
    line.main(args=["take", *argv], prog_name="x", standalone_mode=False)


def test_what_is_not_given_is_what_it_is_by_default(line: Any, taken: dict[str, Any]) -> None:
    """And callbacks are asked all the same."""
    call(line, "me")

    assert taken == {
        "name": "me",
        "text": None,
        "texts": None,
        "place": None,
        "places": None,
        "count": None,
        "size": None,
        "flag": False,
        "called": "NOTHING",
        "preset": "preset",
    }


def test_values_have_the_types_that_were_declared(line: Any, taken: dict[str, Any]) -> None:
    """Whether this converts them, or Typer."""
    given = "--text a --texts b --texts c --place d --places e --places f --count 2 --size large"
    call(line, *given.split(), *["--flag", "--called", "g", "--preset", "h", "me"])

    assert taken == {
        "name": "me",
        "text": "a",
        "texts": ["b", "c"],
        "place": Path("d"),
        "places": [Path("e"), Path("f")],
        "count": 2,
        "size": Size.LARGE,
        "flag": True,
        "called": "G",
        "preset": "h",
    }


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["me", "--count", "0"], "'--count': Input should be greater than or equal to 1"),
        (["me", "--count", "two"], "'--count': Input should be a valid integer"),
        (["me", "--size", "huge"], "'huge' is not one of 'small', 'large'"),
        ([], "Missing argument 'name'"),
        (["me", "--text"], "'--text' requires an argument"),
        (["me", "--txt", "a"], "No such option: --txt"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_a_value_is_refused_in_typers_words(
    line: Any, taken: dict[str, Any], argv: list[str], words: str
) -> None:
    """Nothing is taken plainly that has to be checked."""
    with pytest.raises(typer.TyperException) as refused:
        call(line, *argv)

    assert words in refused.value.format_message()
    assert taken == {}


def test_plain_values_are_not_converted_by_pydantic() -> None:
    """Which would take longer to import than most reports take."""
    code = (
        "import contextlib, sys, typer; from tokenaudit.cli.options import Options, with_options;"
        "from tokenaudit.cli.start import command_line; app = typer.Typer();"
        "app.callback()(lambda: None); app.command('take')(with_options(lambda options: None));"
        "line = command_line(app, sys.argv[1:]);"
        "\nwith contextlib.suppress(typer.BadParameter):"
        " line.main(args=sys.argv[1:], prog_name='x', standalone_mode=False)"
        "\nprint('pydantic' in sys.modules)"
    )

    def imports(*argv: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code, "take", *argv], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    plain = "--root a --root b --store c --since d --project e --demo --sort cost -o x.csv"
    numbers = "--jobs 2 --limit 10 --last 3 --format csv --order asc --start-of-week sunday"
    assert "False" == imports(*plain.split(), *numbers.split())
    assert "True" == imports("--jobs", "0")  # what is wrong is said in Typer's words
