"""How the package is built: one name for one thing, functions that fit on a screen, rooms that say what they hold."""

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path

import tokenaudit

PACKAGE = Path(tokenaudit.__file__).parent
LONGEST_BODY = 40

# Names that stand for two things as yet. Each goes from here when one of the two is called otherwise.
STILL_DOUBLED = {"Ledger"}

SAYS_NOTHING = {"utils", "util", "helpers", "helper", "misc", "common", "manager", "managers"}

# What modules were called by those who wrote them, and no newcomer would look for.
RETIRED = {
    *("teller", "underway", "told", "glance", "tally", "kept", "basis", "places", "amounts"),
    *("figures", "again", "unite", "merging", "sums", "work", "asking", "circumstances", "ending"),
    *("contents", "questions", "spans", "holdings", "advance", "storeless", "when_asked", "take"),
    *("settled", "voice", "note", "said", "written", "digest", "digests", "ways", "hidden"),
    *("earlier", "formula", "symptom", "answers", "foot", "caching", "steps", "decisions"),
    *("verified", "question", "shape", "asked", "chosen", "cut", "gate"),
}

# Words that are a module's right name in another room.
RETIRED_IN_A_ROOM = {
    "live": {"picture", "live", "reader", "found"},
    "reports": {"rows"},
    "cli": {"live"},
}


@cache
def trees() -> list[tuple[str, ast.Module]]:
    """Return each module of the package, with its path in it."""
    return [
        (path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_bytes()))
        for path in sorted(PACKAGE.rglob("*.py"))
    ]


def body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Return how many lines the body of *function* has, without its docstring."""
    body = function.body[ast.get_docstring(function, clean=False) is not None :]
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_no_class_name_stands_for_two_things() -> None:
    homes = defaultdict(set)
    for module, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                homes[node.name].add(f"{module}:{node.lineno}")
    doubled = {name: places for name, places in homes.items() if len(places) > 1}

    assert STILL_DOUBLED == doubled.keys(), doubled


def test_every_function_fits_on_a_screen() -> None:
    long = {
        f"{module}:{node.lineno} {node.name}": body_lines(node)
        for module, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and body_lines(node) > LONGEST_BODY
    }

    assert {} == long


def test_a_module_is_called_after_what_it_holds() -> None:
    misnamed = [
        module
        for module, _ in trees()
        for room, *inner in [module.removesuffix(".py").split("/")]
        if {room, *inner} & (RETIRED | SAYS_NOTHING)
        or set(inner) & RETIRED_IN_A_ROOM.get(room, set())
    ]

    assert [] == misnamed
