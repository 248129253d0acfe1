"""Writes the pages of the reference that the program itself knows best: its commands, its columns."""

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import typer
from typer.main import get_command

from tokenaudit.__main__ import main
from tokenaudit.cli import app
from tokenaudit.model.fields import FIELDS, In

__all__ = ["command_names", "write_pages"]

_PAGES: Final = ("commands.md", "columns.md")


def write_pages(folder: Path) -> None:
    """Write the generated pages into *folder*, where they are not what they would be."""
    for name, text in zip(_PAGES, (_commands(), _columns()), strict=True):
        path = folder / name
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def command_names() -> Iterator[tuple[str, ...]]:
    """Yield the words of every command, groups before what is in them."""
    yield from _names(get_command(app), ())


def _names(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name, below in getattr(command, "commands", {}).items():
        yield (*words, name)
        yield from _names(below, (*words, name))


def _commands() -> str:
    parts = [
        "# Commands",
        "Every command says this of itself with `--help`.",
        *(_section(words) for words in [(), *command_names()]),
    ]
    return "\n\n".join(parts) + "\n"


def _section(words: tuple[str, ...]) -> str:
    name = " ".join(("tokenaudit", *words))
    return f"## {name}\n\n```text\n{_help(words)}\n```"


def _help(words: tuple[str, ...]) -> str:
    os.environ.update(COLUMNS="100", NO_COLOR="1", TERM="dumb")
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(typer.Exit):
        main([*words, "--help"])
    lines = (line.rstrip() for line in said.getvalue().strip("\n").splitlines())
    return "\n".join(lines).strip("\n")


def _columns() -> str:
    rows = [
        f"| `{one.name}` | {one.dtype.name.lower()} | {one.meaning} | {one.origin.value} |"
        for one in FIELDS
        if In.LEDGER in one.tables
    ]
    head = [
        "# Columns of the ledger",
        "",
        "One row per response. `tokenaudit export` writes these columns, and `ledger.frame` has them.",
        "Times are instants in UTC; dollars are exact, with 12 decimals; counts are whole numbers.",
        "",
        "| column | type | meaning | from |",
        "| --- | --- | --- | --- |",
    ]
    return "\n".join([*head, *rows]) + "\n"
