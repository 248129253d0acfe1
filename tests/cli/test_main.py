"""What a user meets: exit codes, messages, streams; run through `main` as the installed command does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from stories import FIXTURES

from tokenaudit.__main__ import main

PLAIN = str(FIXTURES / "plain-day" / "claude")


def run(capfd: pytest.CaptureFixture[str], *argv: str) -> tuple[int, str, str]:
    code = main(argv)
    out, err = capfd.readouterr()
    return code, out, err


def test_bare_command_is_the_overview(capfd: pytest.CaptureFixture[str]) -> None:
    """Without a command the useful thing is done."""
    code, out, err = run(capfd, "--root", PLAIN)

    assert (0, "") == (code, err)
    for words in (
        "Overview",
        "today",
        "this week",
        "all time",
        "Top sessions",
        "Top models",
        "Read 1 transcript",
    ):
        assert words in out


def test_options_before_the_command_hold_for_it(capfd: pytest.CaptureFixture[str]) -> None:
    """`--root X daily` is `daily --root X`, and the nearer one wins."""
    before = run(capfd, "--root", PLAIN, "--order", "desc", "-n", "1", "daily", "-n", "5")
    after = run(capfd, "daily", "--root", PLAIN, "--order", "desc", "-n", "5")

    assert after == before


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--root", "/does/not/exist"], "/does/not/exist: no such root"),
        (["dayly", "--demo"], "No such command 'dayly'. Did you mean 'daily'?"),
        (["daily", "--demo", "--since", "soon"], "--since: not a day: soon"),
        (["daily", "--demo", "--since", "2026-10-09", "--until", "2026-10-01"], "is after --until"),
        (
            ["daily", "--demo", "--since", "today", "--last", "2"],
            "--since and --last exclude each other",
        ),
        (
            ["daily", "--demo", "--timezone", "Mars/Base"],
            "--timezone: no such time zone: Mars/Base",
        ),
        (["daily", "--demo", "--start-of-week", "someday"], "--start-of-week"),
        (["daily", "--demo", "--sort", "colour"], "cannot sort by colour"),
        (["by", "colour", "--demo"], "no such dimension: colour"),
        (["by", ",", "--demo"], "nothing to group by"),
        (["export", "colours", "--demo"], "no such report: colours"),
        (["session", "zzz", "--demo"], "no session begins with 'zzz'"),
        (["session", "3", "--demo"], "2 sessions begin with '3'"),
        (["daily", "--demo", "--json", "--format", "csv"], "exclude each other"),
        (["daily", "--demo", "-o", "report.docx"], "its ending names no format"),
        (["daily", "--demo", "-o", "/no/such/folder/report.csv"], "its folder does not exist"),
        (["daily", "--demo", "--root", PLAIN], "--demo and --root exclude each other"),
        (["daily", "--demo", "--jobs", "0"], "--jobs"),
        (["daily", "--nonsense"], "No such option: --nonsense"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_said_in_one_line(
    capfd: pytest.CaptureFixture[str], argv: list[str], words: str
) -> None:
    """Exit code 2, nothing on stdout, one line that says what is wrong, no traceback."""
    code, out, err = run(capfd, *argv)

    assert (2, "") == (code, out)
    assert err.startswith("tokenaudit: error: ")
    assert words in err.splitlines()[0]
    assert "Traceback" not in err


def test_without_history_it_says_where_it_looked(capfd: pytest.CaptureFixture[str]) -> None:
    """A machine without transcripts: the places, and the way to a sample."""
    code, out, err = run(capfd, "daily")

    assert (2, "") == (code, out)
    assert f"{os.environ['HOME']}/.claude" in err
    assert "--demo" in err


def test_a_root_without_transcripts_is_an_error(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """An empty root is a mistake in the command; a root without usage is not."""
    (tmp_path / "projects").mkdir()

    assert run(capfd, "daily", "--root", str(tmp_path))[0] == 2
    assert run(capfd, "daily", "--root", str(FIXTURES / "empty-root" / "claude"))[0] == 0


def test_markup_and_escapes_in_an_error_are_shown_not_obeyed(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """What a user pastes may hold anything."""
    _, _, err = run(capfd, "session", "\x1b[31m[bold]x", "--demo")

    assert "\x1b" not in err
    assert "[bold]x" in err


@pytest.mark.parametrize("name", ["a.csv", "a.json", "a.ndjson", "a.md", "a.parquet", "a.txt"])
def test_output_goes_to_the_file_in_the_format_of_its_ending(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    """Nothing on stdout, a whole file, nothing beside it."""
    target = tmp_path / name
    code, out, _ = run(capfd, "daily", "--root", PLAIN, "-o", str(target))

    assert (0, "") == (code, out)
    assert target.stat().st_size > 0
    assert [target] == list(tmp_path.iterdir())


def test_json_carries_what_the_figures_stand_on(capfd: pytest.CaptureFixture[str]) -> None:
    """Intake and pricing basis are in meta (R12)."""
    _, out, err = run(capfd, "daily", "--root", PLAIN, "--json")
    meta = json.loads(out)["meta"]

    assert (1, "tokenaudit", "daily") == (meta["format"], meta["tool"], meta["command"])
    assert {"card", "sha256", "verified_through"} <= set(meta["pricing"])
    assert meta["intake"]["usage_lines"] == meta["intake"]["responses"] + meta["intake"]["copies"]
    assert err == ""


def test_csv_says_on_stderr_what_it_stands_on(capfd: pytest.CaptureFixture[str]) -> None:
    """CSV has no room for it (R12)."""
    _, _, err = run(capfd, "daily", "--root", PLAIN, "--format", "csv")

    assert "Read 1 transcript" in err
    assert "Rate card" in err


def test_parquet_says_nothing_on_stderr(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """It carries all that in its metadata: a nightly job stays silent."""
    said = run(capfd, "export", "--root", PLAIN, "-o", str(tmp_path / "ledger.parquet"))

    assert (0, "", "") == said


def test_an_interruption_is_silent_and_130() -> None:
    """Ctrl-C while reading: no traceback, the shell's own exit code."""
    code = (
        "import signal, sys; from tokenaudit.__main__ import main; from tokenaudit import transcripts;"
        "discover = transcripts.discover;"
        "transcripts.discover = lambda *a, **k: signal.raise_signal(signal.SIGINT) or discover(*a, **k);"
        "sys.exit(main(['daily', '--demo']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (130, "", "") == (done.returncode, done.stdout, done.stderr)


def test_a_slow_reading_shows_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """On stderr, gone at the end, and the report on stdout is free of it."""
    master, slave = os.openpty()
    monkeypatch.setenv("TERM", "xterm")
    code = (
        "import sys; from tokenaudit.cli import progress; from tokenaudit.__main__ import main;"
        "progress._PATIENCE_S = 0.0; sys.exit(main(['daily', '--demo', '--json']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=slave, text=True, check=False
    )
    os.close(slave)
    shown = os.read(master, 1 << 16).decode()
    os.close(master)

    assert 0 == done.returncode
    assert "Reading transcripts" in shown
    assert 92 == json.loads(done.stdout)["totals"]["responses"]


def test_colour_only_where_it_is_wanted(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not into a pipe; FORCE_COLOR asks for it, NO_COLOR wins."""
    assert "\x1b[" not in run(capfd, "daily", "--root", PLAIN)[1]
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in run(capfd, "daily", "--root", PLAIN)[1]
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[" not in run(capfd, "daily", "--root", PLAIN)[1]


def test_session_without_an_id_lists_sessions(capfd: pytest.CaptureFixture[str]) -> None:
    """As the fingers of other tools' users expect; `--id` names one."""
    listed = run(capfd, "session", "--demo", "--format", "csv")[1]
    single = run(capfd, "session", "--id", "0cf1", "--demo", "--json")[1]

    assert listed.startswith("session_id,title,")
    assert {"models", "timeline", "session"} == set(json.loads(single)["sections"])


@pytest.mark.parametrize("width", ["80", "120", "200"])
def test_tables_fit_the_terminal(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    """No line is wider, and no class of tokens is lost."""
    monkeypatch.setenv("COLUMNS", width)
    for name in ("daily", "sessions", "agents", "models", "branches"):
        _, out, _ = run(capfd, name, "--demo")

        assert max(map(len, out.splitlines())) <= int(width)
        for words in ("Input", "Output", "read", "5m", "1h", "Total", "Cost"):
            assert words in out


def test_a_closed_pipe_ends_quietly() -> None:
    """`tokenaudit … | head` leaves no traceback."""
    done = subprocess.run(
        f"{sys.executable} -m tokenaudit export --demo --format ndjson | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )

    assert len(done.stdout.splitlines()) == 1
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words", [["daily"], ["export", "-f", "csv"], ["watch", "--once", "--json"]]
)
def test_a_reader_that_is_gone_has_a_code_of_its_own(words: list[str]) -> None:
    """141, as of a program that the signal of a closed pipe ends; never that of findings."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "tokenaudit", *words, "--demo"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)

    assert 141 == done.returncode
    assert "Traceback" not in done.stderr


def test_last_counts_periods_of_the_report(capfd: pytest.CaptureFixture[str]) -> None:
    """`weekly --last 2` is this week and the one before, so old usage is not in it."""
    _, out, _ = run(capfd, "weekly", "--demo", "--last", "2", "--json")
    filters = json.loads(out)["meta"]["filters"]

    assert ["since"] == list(filters)


@pytest.mark.parametrize("flags", [["--version"], ["--help"], ["daily", "--help"]])
def test_asking_for_help_does_not_import_polars(flags: list[str]) -> None:
    """Start-up stays quick: slow modules are imported where they are used."""
    code = (
        "import sys; from tokenaudit.__main__ import main; code = main(sys.argv[1:]);"
        "assert 'polars' not in sys.modules, 'polars'; sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *flags], capture_output=True, text=True, check=False
    )

    assert (0, "") == (done.returncode, done.stderr)


@pytest.mark.skipif(sys.platform != "linux", reason="only there is forking safe, and used")
def test_processes_start_before_polars_does() -> None:
    """Polars has threads, from which no process may be forked, and a spawned one starts slowly."""
    code = (
        "import sys; from importlib import import_module; from tokenaudit.__main__ import main;"
        "read = import_module('tokenaudit.transcripts.read'); read._MUCH = 0; pool = read._pool;"
        "told = lambda n: (sys.stderr.write(read._start_method()), pool(n))[1]; read._pool = told;"
        "sys.exit(main(['daily', '--demo', '--json', '--since', '2026-10-01', '--jobs', '2']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (0, "fork") == (done.returncode, done.stderr)
    assert 92 == json.loads(done.stdout)["totals"]["responses"]


def test_reading_over_processes_gives_the_same(capfd: pytest.CaptureFixture[str]) -> None:
    """However many processes read, the figures are the same."""
    one = run(capfd, "sessions", "--demo", "--jobs", "1", "--format", "csv")
    two = run(capfd, "sessions", "--demo", "--jobs", "2", "--format", "csv")

    assert one == two
