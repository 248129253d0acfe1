"""`rollup`: what a person meets."""

import json
from pathlib import Path

import pytest
from calls import FORK, refused, run


def test_damage_is_said_and_gates_with_strict(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The report is written all the same; `--strict` makes it exit with 1."""
    lake = tmp_path / "lake"
    argv = ["--root", FORK, "--to", str(lake), "--host", "desk"]
    assert run(capfd, "export", *argv) == (0, "", "")
    assert run(capfd, "rollup", str(lake), "--strict")[0] == 0
    (lake / "stray.csv").touch()

    code, out, _ = run(capfd, "rollup", str(lake))
    assert code == 0
    assert "Warning: 1 file is not counted." in out
    assert "stray.csv: foreign" in out
    code, out, _ = run(capfd, "rollup", str(lake), "--strict", "--json")
    assert code == 1
    meta = json.loads(out)["meta"]
    assert [damage["name"] for damage in meta["lake"]["damages"]] == ["stray.csv"]
    assert [row["host"] for row in json.loads(out)["rows"]] == ["desk"]


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], "no lake named"),
        (["nowhere"], "nowhere: no such lake"),
        ([".", "dayly"], "no such report of a lake: dayly"),
        ([".", "--cluster", "tcp://10.0.0.1:8786"], "another machine"),
        ([".", "--groups", "nowhere.toml"], "nowhere.toml: cannot be read"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    argv: list[str],
    words: str,
) -> None:
    """With its reason, and no report."""
    monkeypatch.chdir(tmp_path)
    assert words in refused(capfd, "rollup", *argv)


def test_an_empty_lake_is_an_empty_report(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Nothing was exported yet: no rows, and totals of nothing."""
    code, out, _ = run(capfd, "rollup", str(tmp_path), "daily", "--json")
    assert code == 0
    assert json.loads(out)["rows"] == []
    assert json.loads(out)["totals"]["responses"] == 0
