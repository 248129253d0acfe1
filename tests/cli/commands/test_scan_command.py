"""`scan`: what a person meets."""

import json
from pathlib import Path

import pytest
from calls import FORK, refused, run


def test_silent_on_success_and_one_line_of_json(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """And the lake has the digest of an export."""
    lakes = [str(tmp_path / name) for name in ("exported", "scanned")]
    assert run(capfd, "export", "--root", FORK, "--to", lakes[0]) == (0, "", "")
    assert run(capfd, "scan", FORK, "--to", lakes[1], "--host", "desk") == (0, "", "")
    code, out, err = run(capfd, "scan", FORK, "--to", lakes[1], "--jobs", "2", "--json")

    assert (code, err, out.count("\n")) == (0, "", 1)
    line = json.loads(out)
    assert (line["host_label"], line["responses"], line["rejects"]) == ("desk", 5, 0)
    assert line["written"] == []
    hosts = [json.loads(run(capfd, "rollup", lake, "--json")[1])["totals"] for lake in lakes]
    assert hosts[0] == hosts[1]
    assert hosts[0]["responses"] == 5


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--to", "lake"], "no root named"),
        (["nowhere", "--to", "lake"], "nowhere: no such root"),
        ([FORK, "--to", "sqlite:///x"], "a scan goes to a lake"),
        ([FORK, "--to", "x.prom"], "a scan goes to a lake"),
        ([FORK, "--to", "gs://bucket"], "gs://: not a place that is known"),
        ([FORK, "--to", "lake", "--cluster", "tcp://10.0.0.1:8786"], "another machine"),
        ([FORK, "--to", "lake", "--redact"], "a secret of at least 16 characters"),
        ([FORK, "--to", "a-file"], "a-file: not a folder"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    argv: list[str],
    words: str,
) -> None:
    """Nothing is written, and the reason is said."""
    monkeypatch.chdir(tmp_path)
    Path("a-file").touch()
    assert words in refused(capfd, "scan", *argv)
    assert [path.name for path in tmp_path.iterdir()] == ["a-file"]
