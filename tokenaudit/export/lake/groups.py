"""Whose usage it is: hosts, projects and branches as persons, teams and cost centres, by a file.

The first group whose patterns all fit a response names it; what no group names stays unnamed, and is
shown so.
"""

import tomllib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

import polars as pl
from msgspec import Struct

from tokenaudit.files import inputs
from tokenaudit.model.errors import ConfigError

__all__ = ["NAMES", "Groups", "read_groups"]

PATTERNS: Final = ("host", "project", "branch")
NAMES: Final = ("person", "team", "cost_centre")
"""The dimensions that groups give."""


class Groups(Struct, frozen=True):
    """Groups in their order: patterns and names of each."""

    groups: tuple[Mapping[str, str], ...] = ()

    def named(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return *rows*, which have `host` (its label) and `host_id`, with the columns of NAMES."""
        empty = {name: pl.lit(None, pl.String) for name in NAMES}
        if not self.groups:
            return rows.with_columns(**empty)
        columns = ["host", "host_id", "project", "branch"]
        kinds = rows.select(columns).unique()
        found = [self._of(kind) for kind in kinds.iter_rows(named=True)]
        names = pl.DataFrame(found, schema=dict.fromkeys(NAMES, pl.String), orient="row")
        return rows.join(
            pl.concat([kinds, names], how="horizontal"), on=columns, how="left", nulls_equal=True
        )

    def _of(self, kind: Mapping[str, str | None]) -> dict[str, str | None]:
        """Return the names of one kind of response: each by the first group that fits and has it."""
        fitting = [group for group in self.groups if _fits(group, kind)]
        return {
            name: next((group[name] for group in fitting if name in group), None) for name in NAMES
        }


def _fits(group: Mapping[str, str], kind: Mapping[str, str | None]) -> bool:
    return all(_matches(group[name], name, kind) for name in PATTERNS if name in group)


def _matches(pattern: str, name: str, kind: Mapping[str, str | None]) -> bool:
    said = [kind[name], kind["host_id"]] if name == "host" else [kind[name]]
    if name == "project" and kind[name]:
        said.append(str(kind[name]).rpartition("/")[2])
    return any(fnmatchcase(text, pattern) for text in said if text is not None)


def read_groups(path: Path | None) -> Groups:
    """Return the groups of the file at *path*. Raises ConfigError naming file, group and key."""
    if path is None:
        return Groups()
    try:
        found = tomllib.loads(inputs.read(path, inputs.MEBIBYTE).decode())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    if set(found) - {"group"} or not isinstance(found.get("group", []), list):
        raise ConfigError(f"{path}: holds something else than groups", hint=_HINT)
    return Groups(
        tuple(
            _group(entry, f"{path}: group {number}")
            for number, entry in enumerate(found.get("group", []), 1)
        )
    )


_HINT: Final = (
    'Write [[group]], with host, project or branch = "GLOB", and person, team or cost_centre.'
)


def _group(entry: Any, place: str) -> dict[str, str]:
    if not isinstance(entry, dict):
        raise ConfigError(f"{place}: not a table", hint=_HINT)
    for key, value in entry.items():
        if key not in {*PATTERNS, *NAMES}:
            raise ConfigError(f"{place}: unknown key {key}", hint=_HINT)
        if not isinstance(value, str) or not value:
            raise ConfigError(f"{place}: {key} must be a text", hint=_HINT)
    if not any(name in entry for name in PATTERNS) or not any(name in entry for name in NAMES):
        raise ConfigError(f"{place}: fits nothing or names nobody", hint=_HINT)
    return dict(entry)
