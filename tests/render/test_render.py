"""The seam: formats, their endings, and that each is imported only when it is asked for."""

import subprocess
import sys
from pathlib import Path

import pytest
from report_samples import HOSTILE, MEASURES, PROJECT, daily, measures, report, section

from tokenaudit.render import Format, Style, format_of, render

ROOT = Path(__file__).parents[2]
OF_ANY_REPORT = [each for each in Format if each not in {Format.JUNIT, Format.SARIF}]


@pytest.mark.parametrize("format_", OF_ANY_REPORT)
def test_every_format_writes_a_report(format_: Format) -> None:
    """No format is declared without a renderer behind it."""
    assert render(report(daily()), format_, Style())


@pytest.mark.parametrize("format_", OF_ANY_REPORT)
def test_every_format_writes_a_report_without_rows(format_: Format) -> None:
    """An empty selection is an answer, not an error; as lines of rows it is no line at all."""
    written = render(report(section((PROJECT, *MEASURES), [])), format_, Style())

    assert (format_ is Format.NDJSON) == (written == b"")


@pytest.mark.parametrize("format_", sorted(set(OF_ANY_REPORT) - {Format.PARQUET, Format.XLSX}))
def test_no_name_reaches_a_terminal_as_a_command(format_: Format) -> None:
    """Whatever a project is called, text formats hold no control character but the line feed."""
    for name in HOSTILE:
        hostile = section(
            (PROJECT, *MEASURES), [(name, *measures(1, 2, 3, 4, 5, 6, cost="1"))], title=name
        )

        text = render(report(hostile, notes=(name,)), format_, Style(width=200)).decode()

        assert [c for c in text if c != "\n" and (ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0)] == [], (
            name
        )
        assert set() == set(text) & set("\u2028\u202e\u200b\ufeff\U000e0041"), name


@pytest.mark.parametrize(
    ("path", "format_"),
    [
        ("usage.json", Format.JSON),
        ("usage.ndjson", Format.NDJSON),
        ("usage.jsonl", Format.NDJSON),
        ("out/usage.CSV", Format.CSV),
        ("usage.v2.parquet", Format.PARQUET),
        ("usage.md", Format.MARKDOWN),
        ("usage.markdown", Format.MARKDOWN),
        ("usage.txt", Format.TABLE),
        ("findings.sarif", Format.SARIF),
        ("usage", None),
        ("usage.xlsx", Format.XLSX),
        ("usage.xls", None),
        ("-", None),
        ("", None),
        ("folder.json/usage", None),
    ],
)
def test_the_ending_of_a_path_says_the_format(path: str, format_: Format | None) -> None:
    """Only an ending that is known says anything."""
    assert format_ == format_of(path)


def test_asking_for_formats_imports_nothing_slow() -> None:
    """A command line can name its formats without waiting for Polars, Rich or msgspec."""
    code = (
        "import sys, tokenaudit.render, tokenaudit.render.target;"
        "print({'polars', 'rich', 'msgspec'} & set(sys.modules))"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT, check=True)

    assert done.stdout.strip() == b"set()"
