"""SQL that would end the process, or never end: one line, whatever the engine does of it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from calls import FORK, refused, run
from processes import unmeasured

from tokenaudit.cli.supervisor import needs_supervision

SOURCE = ["--root", FORK, "--no-store"]
UNIONS = "SELECT 1 AS a" + " UNION ALL SELECT 1" * 6000
SUM = "1" + "+1" * 20_000
DOUBLED = (
    "WITH c0 AS (SELECT 1 AS a)"
    + "".join(f", c{n + 1} AS (SELECT * FROM c{n} UNION ALL SELECT * FROM c{n})" for n in range(40))
    + " SELECT COUNT(*) AS n FROM c40"
)
"""Of few steps, which become 2^40 when the engine unfolds them."""
PADDED = (
    "SELECT LENGTH(LPAD(model, 2000000000, 'x') || LPAD(model, 1999999999, 'x')) AS n FROM usage"
)
LIMITED = """
import sys
from tokenaudit import __main__
from tokenaudit.cli import supervisor

supervisor._MOST_S, supervisor._MOST_BYTES = int(sys.argv.pop(1)), int(sys.argv.pop(1)) << 20
__main__.run()
"""
"""Runs tokenaudit with so many seconds for the engine, and so many MiB."""


def limited(seconds: int, mebibytes: int, *argv: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", LIMITED, str(seconds), str(mebibytes), *argv, *SOURCE]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=unmeasured())


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        (UNIONS, "operators and parts; 400 are the most"),
        (f"SELECT {SUM} AS a", "operators and parts; 400 are the most"),
        ("SELECT * FROM generate_series(1, 100000000000)", "rows come from the tables alone"),
        ("SELECT * FROM RANGE (1, 100000000000)", "rows come from the tables alone"),
        (f"SELECT '{'x' * 200_000}' AS a", "longer than 200,000 characters"),
        ("SELECT " + "(" * 3000 + "1" + ")" * 3000, "recursion limit exceeded"),
        ("SELECT " + "NOT " * 3000 + "TRUE", "operators and parts"),
    ],
)
def test_a_query_that_no_engine_should_see_is_refused(
    capfd: pytest.CaptureFixture[str], sql: str, words: str
) -> None:
    """Before it could overflow a stack or fill the memory."""
    assert words in refused(capfd, "query", sql, *SOURCE)


def test_texts_and_comments_are_no_operators(capfd: pytest.CaptureFixture[str]) -> None:
    """A long list of names, a rule of dashes: both are questions like others."""
    names = ", ".join(f"'a-b-{n}'" for n in range(2000))
    sql = f"SELECT COUNT(*) AS n FROM usage WHERE model NOT IN ({names}) /* {'-' * 900} */"
    code, out, _ = run(capfd, "query", sql, *SOURCE, "--format", "csv")

    assert (code, out) == (0, "n\n5\n")


@pytest.mark.parametrize("expression", [SUM, "generate_series(1, 100000000000)"])
def test_a_rule_that_no_engine_should_see_is_refused(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, expression: str
) -> None:
    """With the place of the rule."""
    path = tmp_path / "rules.toml"
    path.write_text(f"[[rule]]\nname = 'a'\nlimit = 1\nexpression = '{expression}'")

    assert f"{path}: rule 1: expression: " in refused(capfd, "check", "--rules", str(path), *SOURCE)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked on Unix alone")
@pytest.mark.parametrize(
    ("seconds", "mebibytes", "sql", "reason"),
    [
        (1, 8192, DOUBLED, "it takes longer than 10 minutes"),
        (600, 2048, PADDED, "it takes more memory than it may, or is nested too deeply"),
    ],
)
def test_a_query_that_takes_too_much_ends_in_one_line(
    seconds: int, mebibytes: int, sql: str, reason: str
) -> None:
    """Its process ends, and the one that watches says why; the engine's last words are not shown."""
    done = limited(seconds, mebibytes, "query", sql)

    assert done.stderr == f"tokenaudit: error: query: {reason}\n"
    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.skipif(sys.platform != "linux", reason="what memory is taken is told by Linux alone")
def test_a_rule_that_takes_too_much_ends_in_one_line(tmp_path: Path) -> None:
    """As a query does."""
    path = tmp_path / "rules.toml"
    padded = PADDED.removeprefix("SELECT ").removesuffix(" AS n FROM usage").replace("'x'", '"x"')
    expression = padded.replace('"x"', "'x'")
    path.write_text(f'[[rule]]\nname = "a"\nlimit = 1\nexpression = "{expression}"')
    done = limited(600, 2048, "check", "--rules", str(path))

    assert done.stderr.startswith("tokenaudit: error: check: it takes more memory than it may")
    assert (done.stderr.count("\n"), done.returncode, done.stdout) == (1, 2, "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked on Unix alone")
def test_a_query_in_a_process_of_its_own_is_one_like_others() -> None:
    """Its report, its error and its exit code come through, and what is asked on stdin goes in."""
    command = [sys.executable, "-m", "tokenaudit", "query"]
    asked = {
        "SELECT COUNT(*) AS n FROM usage": (0, "n\n5\n", ""),
        "SELECT x": (2, "", 'tokenaudit: error: query: unable to find column "x"'),
    }
    for sql, (code, out, err) in asked.items():
        for argv, said in (([sql], ""), (["-"], sql)):
            done = subprocess.run(
                [*command, *argv, *SOURCE, "--format", "csv"],
                check=False,
                capture_output=True,
                text=True,
                input=said,
                env=unmeasured(),
            )
            assert (done.returncode, done.stdout) == (code, out)
            assert done.stderr.startswith(err)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked on Unix alone")
def test_who_ends_the_one_that_watches_ends_both() -> None:
    """A signal is passed on; no process stays behind."""
    waiting = (
        "import os; wait = os.waitpid\ndef told(*a): print('waits', flush=True); return wait(*a)"
    )
    program = f"{waiting}\nos.waitpid = told{LIMITED}"
    child = subprocess.Popen(
        [sys.executable, "-c", program, "600", "8192", "query", DOUBLED, *SOURCE],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=unmeasured(),
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"waits\n"
    child.send_signal(signal.SIGTERM)
    _, err = child.communicate()

    assert (child.returncode, err) == (128 + signal.SIGTERM, b"")


def test_only_sql_needs_supervision() -> None:
    """Other commands start no process for it."""
    asked = {
        ("query", "SELECT 1"): True,
        ("check", "--rules", "a.toml"): True,
        ("check", "--rules=a.toml"): True,
        ("check",): False,
        ("daily",): False,
        (): False,
    }
    if hasattr(os, "fork"):
        assert {words: needs_supervision(words) for words in asked} == asked
