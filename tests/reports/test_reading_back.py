"""Nothing is read back from text: no code looks into what was written for people."""

import ast
from collections.abc import Iterator
from pathlib import Path

import tokenaudit

PACKAGE = Path(tokenaudit.__file__).parent
FOR_PEOPLE = frozenset(
    {"reason", "message", "action", "note", "notes", "title", "decision", "next_step"}
    | {"price_modifiers", "price_source"}
)
"""Columns and attributes whose text is for people to read."""
OF_OTHERS = frozenset({"reports/query.py", "live/watcher.py"})
"""Here a library says in its message alone which column is missing, and which limit was met."""
LOOKING = frozenset(
    {
        "startswith",
        "endswith",
        "removeprefix",
        "removesuffix",
        "find",
        "index",
        "split",
        "partition",
    }
    | {"rpartition", "match", "search", "fullmatch", "contains", "starts_with", "ends_with"}
    | {"extract", "extract_groups", "strip_prefix", "strip_suffix"}
)


def places() -> Iterator[str]:
    """Where a text for people is looked into."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.relative_to(PACKAGE).as_posix() in OF_OTHERS:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if looked_into(node):
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}"  # type: ignore[attr-defined]


def looked_into(node: ast.AST) -> bool:
    """Tell whether *node* calls a method that searches such a text, or asks what is in it."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr in LOOKING and any(map(is_for_people, [node.func.value, *node.args]))
    if isinstance(node, ast.Compare) and isinstance(node.left, ast.Constant):
        is_in = isinstance(node.ops[0], ast.In | ast.NotIn) and isinstance(node.left.value, str)
        return is_in and is_for_people(node.comparators[0])
    return False


def is_for_people(node: ast.AST) -> bool:
    """Tell whether *node* stands for a text that is for people: by its name, or its column's."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) if name in FOR_PEOPLE:
            return True
        case ast.Subscript(slice=ast.Constant(value=str(name))):
            return name in FOR_PEOPLE
        case ast.BoolOp(values=values):
            return any(map(is_for_people, values))
        case ast.Attribute(attr="str", value=inner):
            return is_for_people(inner)
        case ast.Call(func=ast.Attribute(attr="col"), args=[ast.Constant(value=str(name))]):
            return name in FOR_PEOPLE
        case _:
            return False


def test_no_code_looks_into_what_is_written_for_people() -> None:
    """What a decision needs travels as a value beside the text."""
    assert [] == list(places())


def test_looking_into_such_a_text_is_seen() -> None:
    """The check itself: each way in which it was done once."""
    ways = (
        'note.startswith("Warning: ")',
        '"unbilled_refusal" in row["price_modifiers"]',
        '"unbilled" in (row["price_modifiers"] or "")',
        'pl.col("price_modifiers").str.contains("unbilled_refusal")',
        're.search("at character", reject.reason)',
    )
    for way in ways:
        assert any(map(looked_into, ast.walk(ast.parse(way)))), way
    for other in ('path.startswith("/")', '"a" in names', 'pl.col("path").str.contains("a")'):
        assert not any(map(looked_into, ast.walk(ast.parse(other)))), other
