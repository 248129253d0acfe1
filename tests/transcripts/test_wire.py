"""One module knows what Claude Code calls its fields: no other spells such a name, or renames to it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import tokenaudit
from tokenaudit.transcripts import wire
from tokenaudit.transcripts.wire import keys_of

PACKAGE = Path(tokenaudit.__file__).parent
NAME = re.compile(r"(?<!\w)[a-z][a-z0-9]+(?:[A-Z][A-Za-z0-9]*)+(?!\w)")
EXEMPT = {
    "transcripts/wire.py": "the one that knows",
    "statusline/line_reader.py": "the status line has no time to import msgspec",
    "render/sarif.py": "the names of SARIF",
    **{
        f"audit/reconcile/claims/{name}.py": "the formats of other tools, and of Claude Code's results"
        for name in ("ccusage", "claude_code", "telemetry")
    },
}


def spelled(tree: ast.Module) -> Iterator[str]:
    """Yield the camelCase words in the constants of a module, but for its docstrings, and its renamings."""
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in prose:
            text = node.value.decode("latin-1") if isinstance(node.value, bytes) else node.value
            yield from NAME.findall(text) if isinstance(text, str) else ()
        elif isinstance(node, ast.ClassDef):
            yield from (f"rename in {node.name}" for key in node.keywords if key.arg == "rename")


def test_no_other_module_spells_a_wire_name() -> None:
    """In texts, bytes and the parts of texts; what is exempt has a reason, and needs it."""
    found = {
        path.relative_to(PACKAGE).as_posix(): sorted(
            set(spelled(ast.parse(path.read_text("utf-8"))))
        )
        for path in PACKAGE.rglob("*.py")
    }

    assert {path: names for path, names in found.items() if names and path not in EXEMPT} == {}
    assert [path for path in EXEMPT if not found[path]] == []


def test_what_is_looked_for_is_found() -> None:
    """The check sees what it is for, and passes by what it is not for."""
    source = '''
"""A docstring may say sessionId."""
CLASS, WORD, LOUD = "ClassName", "word", "TOKENAUDIT_DEMO"
needle, key, said = b'"requestId":', {"agentId": 1}["agentId"], f"{key} of gitBranch"
class Line(Struct, rename="camel"): ...
'''

    assert sorted(spelled(ast.parse(source))) == [
        *("agentId", "agentId", "gitBranch", "rename in Line", "requestId")
    ]


def test_keys_are_those_that_are_decoded() -> None:
    """Names and keys come from the types themselves."""
    assert keys_of(wire.ForkedFrom, wire.ClaudeSettings) == {
        "session_id": "sessionId",
        "cleanup_period_days": "cleanupPeriodDays",
        "status_line": "statusLine",
    }
    assert wire.LINE_KEYS["cost_usd"] == "costUSD"
