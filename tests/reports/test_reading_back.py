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
CUTTING = LOOKING | {"replace", "replace_all", "rsplit", "splitn", "split_exact"}
DECIDING = CUTTING - {"removeprefix", "removesuffix", "replace"}
"""A heading is made of a name: nothing is decided by it."""
HOME_OF_IDS = "merge/iterations.py"
"""Here an iteration is called what it is called, and nowhere else."""


def places() -> Iterator[str]:
    """Where a text for people is looked into."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.relative_to(PACKAGE).as_posix() in OF_OTHERS:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if looked_into(node):
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}"  # type: ignore[attr-defined]


def places_of_names() -> Iterator[str]:
    """Where an id of a response is taken apart, or the name of a column decides something."""
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if is_cut_apart(node) and name != HOME_OF_IDS:
                yield f"{name}:{node.lineno}"  # type: ignore[attr-defined]


def is_cut_apart(node: ast.AST) -> bool:
    """Tell whether *node* calls a method that seeks a fixed text in an id, or in the name of a column.

    To seek what a user typed is another thing: that is a variable.
    """
    match node:
        case ast.Call(func=ast.Attribute(attr=method, value=of), args=[ast.Constant(), *_]):
            is_deciding = method in DECIDING and is_name_of_column(of)
            return (method in CUTTING and is_id(of)) or is_deciding
        case ast.Call(func=ast.Attribute(attr=method, value=of), args=[ast.Name() | ast.Tuple()]):
            return method in DECIDING and is_name_of_column(of)
        case _:
            return False


def is_id(node: ast.AST) -> bool:
    """Tell whether *node* stands for the id of a response."""
    match node:
        case ast.Attribute(attr="str", value=inner):
            return is_id(inner)
        case ast.Call(func=ast.Attribute(attr="col"), args=[ast.Constant(value="response_id")]):
            return True
        case ast.Subscript(slice=ast.Constant(value="response_id")):
            return True
        case ast.Name(id="response_id") | ast.Attribute(attr="response_id" | "id"):
            return True
        case _:
            return False


def is_name_of_column(node: ast.AST) -> bool:
    """Tell whether *node* is `column.name`, or a name that is called `column`."""
    match node:
        case ast.Attribute(attr="name", value=ast.Name(id="column" | "field")):
            return True
        case ast.Name(id="column" | "field"):
            return True
        case _:
            return False


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


def test_no_code_takes_ids_or_names_of_columns_apart() -> None:
    """What iteration it is, and what a column's values are, stands in a field of its own."""
    assert [] == list(places_of_names())


def test_taking_apart_is_seen() -> None:
    """The check itself: each way in which it was done once."""
    ways = (
        r'pl.col("response_id").str.replace(r"#\\d+$", "")',
        'name.id.rpartition("#")',
        'row["response_id"].partition("#")',
        'column.endswith("_tokens")',
        'column.startswith(("cost_", "list_cost"))',
        "column.name.startswith(_LEAST)",
    )
    for way in ways:
        assert any(map(is_cut_apart, ast.walk(ast.parse(way)))), way
    for other in ('pl.col("response_id").str.starts_with(start)', 'path.endswith(".py")'):
        assert not any(map(is_cut_apart, ast.walk(ast.parse(other)))), other
