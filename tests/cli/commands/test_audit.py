"""The commands of the auditor, run as a user runs them."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from stories import FIXTURES
from transcripts_builder import reply, session_file, write

from tokenaudit.__main__ import main

DAMAGED = str(FIXTURES / "damaged-lines" / "claude")
PLAIN = str(FIXTURES / "plain-day" / "claude")
PLACEHOLDERS = str(FIXTURES / "streaming-placeholders" / "claude")


def run(capfd: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    code = main(list(argv))
    out, err = capfd.readouterr()
    return code, out, err


def document(capfd: pytest.CaptureFixture[str], *argv: str) -> Any:
    _, out, err = run(capfd, *argv)
    assert out, err
    return json.loads(out)


# check


@pytest.mark.parametrize(
    ("root", "fail_on", "code"),
    [
        (PLAIN, "info", 0),
        (DAMAGED, "error", 1),
        (DAMAGED, "never", 0),
        (PLACEHOLDERS, "error", 0),
        (PLACEHOLDERS, "warning", 1),
        (PLACEHOLDERS, "info", 1),
    ],
)
def test_check_fails_from_the_severity_on_that_is_named(
    capfd: pytest.CaptureFixture[str], root: str, fail_on: str, code: int
) -> None:
    """After the report, which is written whole."""
    found, out, err = run(capfd, "check", "--root", root, "--fail-on", fail_on)

    assert (code, "") == (found, err)
    assert out.startswith("Findings")
    assert "Output counts" in out


def test_check_says_that_all_is_well(capfd: pytest.CaptureFixture[str]) -> None:
    """In words, and as an empty list."""
    assert "Nothing was found" in run(capfd, "check", "--root", PLAIN)[1]
    assert [] == document(capfd, "check", "--root", PLAIN, "--json")["rows"]


def test_check_as_json_names_file_and_line(capfd: pytest.CaptureFixture[str]) -> None:
    """With all that a program needs to show it: two lines, 7 and 8, are JSON but no object."""
    row = document(capfd, "check", "--root", DAMAGED, "--json")["rows"][0]

    assert list(row) == [
        *("severity", "finding", "subject", "count", "tokens", "cost_usd"),
        *("message", "action", "path", "line"),
    ]
    assert ("error", "reject", 7) == (row["severity"], row["finding"], row["line"])
    assert Path(row["path"]).is_file()


def test_check_as_junit(capfd: pytest.CaptureFixture[str]) -> None:
    """One test per finding, here four kinds of reject; errors and warnings fail."""
    suite = ET.fromstring(run(capfd, "check", "--root", DAMAGED, "--format", "junit")[1])
    cases = list(suite)

    assert ("5", "4") == (suite.get("tests"), suite.get("failures"))
    assert ["failure"] * 4 + ["system-out"] == [case[0].tag for case in cases]
    assert "7" == cases[0].get("line")
    whole = ET.fromstring(run(capfd, "check", "--root", PLAIN, "--format", "junit")[1])
    assert [("no findings", 0)] == [(case.get("name"), len(case)) for case in whole]


def test_check_as_sarif(capfd: pytest.CaptureFixture[str]) -> None:
    """The level, the place and the rule of each finding."""
    found = document(capfd, "check", "--root", DAMAGED, "--format", "sarif")
    run_, rules = found["runs"][0], found["runs"][0]["tool"]["driver"]["rules"]

    assert "2.1.0" == found["version"]
    assert ["reject", "incomplete_tail"] == [rule["id"] for rule in rules]
    assert ["error"] * 4 + ["note"] == [result["level"] for result in run_["results"]]
    for result in run_["results"]:
        assert result["ruleId"] == rules[result["ruleIndex"]]["id"]
    place = run_["results"][0]["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"].startswith("file:///")
    assert {"startLine": 7} == place["region"]
    assert (
        [] == document(capfd, "check", "--root", PLAIN, "--format", "sarif")["runs"][0]["results"]
    )


@pytest.mark.parametrize("form", ["junit", "sarif"])
def test_no_name_reaches_a_terminal_from_findings(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, form: str
) -> None:
    """A model's name may hold anything; XML cannot even hold all of it."""
    write(session_file(tmp_path), reply(model="m\x1b]0;x\x07\u202e\x00]]><&\ufffe"))
    out = run(capfd, "check", "--root", str(tmp_path), "--format", form)[1]

    assert [] == [
        each for each in out if each != "\n" and (ord(each) < 32 or ord(each) in {127, 0x202E})
    ]
    if form == "junit":
        ET.fromstring(out)
    else:
        json.loads(out)


@pytest.mark.parametrize("form", ["junit", "sarif"])
def test_formats_of_findings_are_for_findings(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, form: str
) -> None:
    """Another report in them is refused, and no file is left."""
    target = tmp_path / "out"
    code, out, err = run(capfd, "daily", "--demo", "--format", form, "-o", str(target))

    assert (2, "") == (code, out)
    assert f"--format {form} is for findings alone" in err
    assert not target.exists()


def test_check_with_rules(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A broken rule is a finding of its severity; a bad file ends the command before it reads."""
    path = tmp_path / "rules.toml"
    path.write_text('[[rule]]\nname = "budget"\nexpression = "sum(cost_usd)"\nlimit = 0.001\n')
    code, out, _ = run(capfd, "check", "--root", PLAIN, "--rules", str(path))
    assert code == 1
    assert "rule:budget" in out

    path.write_text("[[rule]]")
    code, out, err = run(capfd, "check", "--root", PLAIN, "--rules", str(path))
    assert (2, "") == (code, out)
    assert "rule 1: name is missing" in err


# doctor


def test_doctor_without_any_history(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It reports where every other command ends with an error."""
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "nowhere"))
    code, out, err = run(capfd, "doctor", "--json")
    rows = json.loads(out)["rows"]

    assert (1, "") == (code, err)
    assert "problem" == rows[0]["state"]
    assert f"{tmp_path / 'nowhere'} (CLAUDE_CONFIG_DIR) does not exist." == rows[0]["found"]


def test_doctor_on_a_sound_history(capfd: pytest.CaptureFixture[str]) -> None:
    """No problem, and exit code 0; a filter that hides all is one."""
    assert run(capfd, "doctor", "--demo")[0] == 0
    assert run(capfd, "doctor", "--demo", "--model", "nothing")[0] == 1


def test_doctor_tells_who_named_the_roots(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In the order of precedence: the option, the settings, the variable, the defaults."""
    root = tmp_path / "claude"
    write(session_file(root), reply())

    def named(*argv: str) -> str:
        return str(document(capfd, "doctor", *argv, "--json")["rows"][0]["found"])

    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(root))
    assert "(CLAUDE_CONFIG_DIR)" in named()
    monkeypatch.setenv("TOKENAUDIT_ROOT", str(root))
    assert "(settings)" in named()
    assert "(--root)" in named("--root", str(root))
    monkeypatch.delenv("TOKENAUDIT_ROOT")
    monkeypatch.delenv("CLAUDE_CONFIG_DIR")
    assert "(by default)" in named()


# reconcile


def test_reconcile_writes_a_bridge_that_sums(capfd: pytest.CaptureFixture[str]) -> None:
    """Every column of the rows but the last adds up to the last."""
    rows = document(capfd, "reconcile", "--demo", "--json")["rows"]

    for name in ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"):
        assert sum(row[name] for row in rows[:-1]) == rows[-1][name]
    assert sum(Decimal(row["cost_usd"]) for row in rows[:-1]) == Decimal(rows[-1]["cost_usd"])
    assert ["theirs", "ours"] == [rows[0]["step"], rows[-1]["step"]]
    assert [0, "0.00"] == [rows[-2]["input_tokens"], rows[-2]["cost_usd"]]


def test_reconcile_an_export_of_ours(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Of each format that it can be read from: nothing lies between."""
    for form in ("json", "csv"):
        path = tmp_path / f"export.{form}"
        assert run(capfd, "daily", "--demo", "-o", str(path))[0] == 0
        rows = document(capfd, "reconcile", str(path), "--demo", "--json")["rows"]
        assert ["theirs", "unexplained", "ours"] == [row["step"] for row in rows]
        assert "0.00" == rows[1]["cost_usd"]


def test_reconcile_several_at_once(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 80 columns each step is named, with its basis below where it has no room beside the figures."""
    monkeypatch.setenv("COLUMNS", "80")
    story = FIXTURES / "bridges"
    argv = ("reconcile", str(story / "claims"), "--root", str(story / "claude"))
    _, out, _ = run(capfd, *argv)
    bridge, explained = out.split("What the steps are")
    rows = document(capfd, *argv, "--json")["rows"]

    assert max(map(len, out.splitlines())) <= 80
    files = sum(1 for _ in (story / "claims").iterdir())
    for name in (" unexplained ", " theirs  ", " ours "):
        assert files == bridge.count(name)
    assert "Basis" not in bridge
    assert "copies merged" in explained
    assert "measured" in explained
    assert {"stated", "measured", "inferred", "unexplained", "ours"} == {
        row["basis"] for row in rows
    }


def test_reconcile_without_a_file(capfd: pytest.CaptureFixture[str]) -> None:
    """Where Claude Code says nothing itself, it says what it wants."""
    code, _, err = run(capfd, "reconcile", "--root", PLAIN)

    assert (2, "nothing to reconcile with" in err) == (code, True)
