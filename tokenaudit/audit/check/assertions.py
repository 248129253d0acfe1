"""The user's own assertions: a Polars SQL expression over a table, a limit, a severity.

A rule is an expression and never a query, so that a file of rules, whoever wrote it, can read
nothing but the table that it is given, and write nothing.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from decimal import ROUND_FLOOR, Decimal, localcontext
from pathlib import Path
from typing import Any, Final

import polars as pl
from msgspec import Struct

from tokenaudit.audit.check.evidence import Evidence, at_stake, place_of
from tokenaudit.audit.check.finding import Finding, Severity
from tokenaudit.files import inputs
from tokenaudit.ledger.sql import refusal
from tokenaudit.model.errors import ConfigError

__all__ = ["Rule", "broken", "read_rules"]

_TABLES: Final = ("usage", "sessions", "agents", "rejects")
_KEYS: Final = ("name", "expression", "limit", "severity", "table", "where", "message")
_REQUIRED: Final = ("name", "expression", "limit")
_PRECISION: Final = 38
_PLACES: Final = 12
"""The digits with which values are compared, and how many of them are decimals."""
_LARGEST_LIMIT: Final = 10**24
_QUERY: Final = re.compile(r"\b(select|table|values|with)\b", re.IGNORECASE)
"""What could begin a query inside an expression, and with it a function that reads files."""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class Rule(Struct, frozen=True):
    """An assertion: no value of *expression* is above *limit*."""

    name: str
    expression: str
    limit: Decimal
    severity: Severity
    table: str
    where: str | None
    """A condition on the rows that the expression is about; None for all of them."""
    message: str | None
    place: str
    """Where it is written, for what is said about it."""


def read_rules(path: Path) -> list[Rule]:
    """Read the `[[rule]]` tables of the TOML file at *path*.

    Raises ConfigError, naming the file, the rule and the key, for what cannot be used.
    """
    try:
        content = inputs.read(path, inputs.MEBIBYTE)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        found = tomllib.loads(content.decode(), parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None
    tables = found.get("rule")
    if set(found) - {"rule"} or not isinstance(tables, list) or not tables:
        raise ConfigError(
            f"{path}: holds no [[rule]]",
            hint='[[rule]] name = "daily-budget" expression = "sum(cost_usd)" limit = 50',
        )
    rules = [_rule(table, f"{path}: rule {at}") for at, table in enumerate(tables, 1)]
    names = [rule.name for rule in rules]
    for rule in rules:
        if names.count(rule.name) > 1:
            raise ConfigError(f"{rule.place}: name: another rule is called {rule.name}")
    return rules


def _rule(table: Any, place: str) -> Rule:
    if not isinstance(table, dict):
        raise ConfigError(f"{place}: is not a [[rule]] table")
    _check_keys(table, place)
    name = _text(table, "name", place)
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{place}: name: may hold small letters, digits, - and _ only")
    return Rule(
        name,
        _expression(table, "expression", place),
        _limit(table["limit"], place),
        Severity(_one_of(table, "severity", tuple(Severity), Severity.ERROR, place)),
        _one_of(table, "table", _TABLES, _TABLES[0], place),
        _expression(table, "where", place) if "where" in table else None,
        _text(table, "message", place) if "message" in table else None,
        place,
    )


def _check_keys(table: Mapping[str, Any], place: str) -> None:
    for key in table:
        if key not in _KEYS:
            raise ConfigError(f"{place}: unknown key {key}", hint=f"There are: {', '.join(_KEYS)}.")
    for key in _REQUIRED:
        if key not in table:
            raise ConfigError(f"{place}: {key} is missing")


def _one_of(
    table: Mapping[str, Any], key: str, allowed: Sequence[str], default: str, place: str
) -> str:
    value = table.get(key, default)
    if value not in allowed:
        raise ConfigError(f"{place}: {key}: is not one of {', '.join(allowed)}")
    return str(value)


def _text(table: Mapping[str, Any], key: str, place: str) -> str:
    value = table[key]
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{place}: {key}: is not a text")
    return value


def _expression(table: Mapping[str, Any], key: str, place: str) -> str:
    value = _text(table, key, place)
    if word := _QUERY.search(value):
        raise ConfigError(
            f"{place}: {key}: holds {word[0]!r}: a rule is an expression, not a query",
            hint='Such as "sum(cost_usd)", "max(output_tokens)" or "count(*) FILTER (WHERE …)".',
        )
    if reason := refusal(value):
        raise ConfigError(f"{place}: {key}: {reason}")
    return value


def _limit(value: Any, place: str) -> Decimal:
    """Return a limit to the last of the decimals that values have: none lies between it and the next."""
    is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    if not is_number or not Decimal(value).is_finite():
        raise ConfigError(f"{place}: limit: is not a number")
    if abs(value) > _LARGEST_LIMIT:
        raise ConfigError(f"{place}: limit: is beyond {_LARGEST_LIMIT:,}")
    with localcontext(prec=_PRECISION):
        return Decimal(value).quantize(Decimal(1).scaleb(-_PLACES), ROUND_FLOOR)


def broken(evidence: Evidence, rules: Sequence[Rule]) -> Iterator[Finding]:
    """Yield a finding for each of *rules* that does not hold.

    An expression that yields one value is about the whole table; one that yields a value for each
    row is about each row. Raises ConfigError for an expression that cannot be worked out.
    """
    tables = {
        "usage": evidence.rows,
        "sessions": evidence.ledger.sessions,
        "agents": evidence.ledger.agents,
        "rejects": evidence.ledger.rejects,
    }
    for rule in rules:
        frame = tables[rule.table]
        if rule.where is not None:
            frame = frame.filter(_evaluated(frame, rule, "where", rule.where, pl.Boolean))
        values = _evaluated(
            frame, rule, "expression", rule.expression, pl.Decimal(_PRECISION, _PLACES)
        )
        above = (values > rule.limit).fill_null(value=False)
        if above.any():
            yield _finding(rule, frame, values, above)


def _evaluated(frame: pl.DataFrame, rule: Rule, key: str, text: str, wanted: Any) -> pl.Series:
    """Return the values of an expression: one, or one per row."""
    try:
        values = frame.select(pl.sql_expr(text).alias("value"))["value"]
        if key == "where" and values.dtype != wanted:
            raise ConfigError(
                f"{rule.place}: {key}: is no condition: its values are {values.dtype}"
            )
        if not (values.dtype.is_numeric() or values.dtype == pl.Boolean):
            raise ConfigError(f"{rule.place}: {key}: is no number: its values are {values.dtype}")
        return values.cast(wanted)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        said = str(error).partition("\n")[0]
        raise ConfigError(
            f"{rule.place}: {key}: cannot be worked out: {said}",
            hint=f"Columns of {rule.table}: {', '.join(frame.columns)}.",
        ) from None


def _finding(rule: Rule, frame: pl.DataFrame, values: pl.Series, above: pl.Series) -> Finding:
    is_of_rows = values.len() == frame.height and frame.height != 1
    worst = values.max()
    assert isinstance(worst, Decimal)  # noqa: S101 - some value is above the limit
    rows = frame.filter(above) if is_of_rows else frame
    is_usage = rule.table == "usage"
    count, tokens, cost = at_stake(rows) if is_usage else (rows.height, None, None)
    what = (
        f"{rows.height:,} rows of {rule.table} are above"
        if is_of_rows
        else f"{_plain(worst)} is above"
    )
    message = f"{rule.expression}: {what} the limit of {_plain(rule.limit)}."
    return Finding(
        f"rule:{rule.name}",
        rule.severity,
        None,
        count,
        tokens,
        cost,
        f"{rule.message} ({message})" if rule.message else message,
        "This is a rule of your own: see the file of rules.",
        place_of(rows, *_PLACES_OF[rule.table])
        if is_of_rows and rule.table in _PLACES_OF
        else None,
    )


_PLACES_OF: Final = {"usage": ("source_path", "source_line"), "rejects": ("path", "line")}


def _plain(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
