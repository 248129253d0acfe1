"""Tables on terminals of any width."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import examples
from report_samples import (
    DAY,
    DURATION,
    MEASURES,
    PROJECT,
    RESPONSES,
    SESSION,
    START,
    TITLE,
    by_model,
    daily,
    measures,
    report,
    section,
    total,
)

from tokenaudit.render import Style
from tokenaudit.render.table import render
from tokenaudit.render.texts import cell_width
from tokenaudit.reports.report import Bound, Column, Report, Section, Unit


def shown(report_: Report, width: int = 80, *, color: bool = False, unicode: bool = True) -> str:
    return render(report_, Style(width=width, color=color, unicode=unicode)).decode()


def sessions(**more: object) -> Section:
    start = datetime(2026, 3, 2, 13, 5, tzinfo=UTC)
    title = (
        "Refactor the payment service so that refunds are idempotent, and write tests for all of it"
    )
    big = measures(812, 84_120, 2_411_950, 1_843_120_455, 0, 61_004_312, cost="1355.82", unpriced=3)
    rows = [
        (
            "5e0c1b2a-1111-4222-8333-abcdefabcdef",
            "/home/anna/work/acme/backend",
            title,
            start,
            3605,
            *big,
        ),
        ("main", None, "日本語のとても長いタイトルがここにあります 🎉", None, None, *big),
    ]
    columns = (SESSION, PROJECT, TITLE, START, DURATION, *MEASURES)
    return section(columns, rows, total(responses=1624), title="Sessions", **more)


def broken_down() -> Section:
    parts = [
        (
            date(2026, 3, 1),
            "claude-opus-4-5-20251101",
            *measures(9, 1, 2, 900_000_000, 4, 5, cost="1200.5"),
        ),
        (date(2026, 3, 1), "internal-x", *measures(4, 1, 2, 3, 4, 5, cost=None, unpriced=4)),
    ]
    return by_model(daily(1), parts)


SECTIONS = (daily(), broken_down(), sessions(cut_rows=7), section((DAY, *MEASURES), []))


@pytest.mark.parametrize("width", [20, 33, 40, 47, 60, 80, 120, 200, 300])
@pytest.mark.parametrize("unicode", [True, False])
def test_no_line_is_wider_than_the_terminal(width: int, unicode: bool) -> None:  # noqa: FBT001
    """Not with long titles, wide characters, parts, or notes."""
    lines = shown(report(*SECTIONS), width, unicode=unicode).splitlines()

    assert [line for line in lines if cell_width(line) > width] == []


@pytest.mark.parametrize(
    ("width", "figures"),
    [
        (60, "1,205 84.1K 2.4M 1.8B 0 61.0M 1.9B $1,355.82"),
        (80, "2026-03-01 1,205 84.1K 2.4M 1.8B 0 61.0M 1.9B $1,355.82"),
        (
            120,
            "2026-03-01 1,205 84,120 2,411,950 1,843,120,455 0 61,004,312 1,906,620,837 $1,355.82 0",
        ),
        (
            200,
            "2026-03-01 1,205 84,120 2,411,950 1,843,120,455 0 61,004,312 1,906,620,837 $1,355.82 0",
        ),
    ],
)
def test_no_token_class_is_lost(width: int, figures: str) -> None:
    """All six columns of tokens, the responses and the cost are there at any usual width."""
    rows = shown(report(daily(1), notes=()), width).splitlines()

    assert figures.split() in [row.split() for row in rows]


def test_a_table_at_80_columns() -> None:
    """Figures in short, headings on two lines, the column that is not essential left out."""
    assert shown(report(broken_down(), notes=("A note.",))) == (
        "Usage by day\n"
        "\n"
        "                                     Cache  Write  Write\n"
        "Day           Resp.  Input  Output    read     5m     1h   Total       Cost\n"
        "───────────────────────────────────────────────────────────────────────────\n"
        "2026-03-01    1,205  84.1K    2.4M    1.8B      0  61.0M    1.9B  $1,355.82\n"
        "└ opus-4-5        9      1       2  900.0M      4      5  900.0M  $1,200.50\n"
        "└ internal-x      4      1       2       3      4      5      15          —\n"
        "───────────────────────────────────────────────────────────────────────────\n"
        "Total         1,205  84.1K    2.4M    1.8B      0  61.0M    1.9B  $1,355.82\n"
        "\n"
        "A note.\n"
    )


def test_a_table_on_a_wide_terminal_is_exact() -> None:
    """Nothing is shortened where all of it fits, and the table is no wider than it must be."""
    text = shown(report(sessions(), notes=()), 300)

    assert "5e0c1b2a-1111-4222-8333-abcdefabcdef  /home/anna/work/acme/backend  " in text
    assert "1,843,120,455" in text
    assert "Cache read  Write 5m" in text
    assert max(map(len, text.splitlines())) < 300


def test_exact_figures_are_preferred_to_long_texts() -> None:
    """Ids and texts give way first, but stay readable."""
    text = shown(report(sessions(), notes=()), 200)

    assert "\n5e0c1b2a  /home/anna/work/acme/backend  Refactor the " in text
    assert "1,843,120,455" in text


def test_a_narrow_terminal_has_names_above_figures() -> None:
    """Where not even the essentials fit side by side, texts stand whole on lines of their own."""
    assert shown(report(daily(1), notes=()), 60) == (
        "Usage by day\n"
        "\n"
        "                      Cache  Write  Write\n"
        "Resp.  Input  Output   read     5m     1h  Total       Cost\n"
        "───────────────────────────────────────────────────────────\n"
        "2026-03-01\n"
        "1,205  84.1K    2.4M   1.8B      0  61.0M   1.9B  $1,355.82\n"
        "───────────────────────────────────────────────────────────\n"
        "Total\n"
        "1,205  84.1K    2.4M   1.8B      0  61.0M   1.9B  $1,355.82\n"
    )


def test_a_tiny_terminal_has_labels_beside_figures() -> None:
    """No figure is lost on any terminal."""
    assert shown(report(daily(1, cut_rows=3), notes=()), 40).splitlines()[2:14] == [
        "2026-03-01",
        "  Resp.              1,205",
        "  Input             84,120",
        "  Output         2,411,950",
        "  Cache read 1,843,120,455",
        "  Write 5m               0",
        "  Write 1h      61,004,312",
        "  Total      1,906,620,837",
        "  Cost           $1,355.82",
        "… 3 more rows, counted in the totals",
        "────────────────────────────────────────",
        "Total",
    ]


def test_a_column_that_is_not_essential_goes_only_when_it_must() -> None:
    """At 100 columns there is room for it, at 80 there is not."""
    assert "Unpriced" in shown(report(daily()), 100)
    assert "Unpriced" not in shown(report(daily()), 80)


def test_the_columns_that_go_first_are_the_last() -> None:
    """One by one, and never the first of all."""
    columns = [Column(name, Unit.TEXT, name, essential=False) for name in ("one", "two", "three")]
    cost = Column("cost_usd", Unit.USD, "Cost", bound=Bound.LEAST)
    one = section((*columns, cost), [("x" * 8, "y" * 8, "z" * 8, Decimal(1))])

    assert "one       two        Cost" in shown(report(one, notes=()), 30)
    assert "one        Cost" in shown(report(one, notes=()), 20)


def test_texts_without_figures_are_folded() -> None:
    """A finding is there to be read: none of its words is lost."""
    columns = [Column(name, Unit.TEXT, name.title()) for name in ("severity", "place", "what")]
    what = "the usage object has an output count that is not a whole number; the line was rejected"
    one = section(columns, [("warning", "/home/anna/.claude/projects/app/5e0c1b2a.jsonl:12", what)])

    text = shown(report(one, notes=()), 60)

    assert "…" not in text
    column = [line[35:] if len(line) > 35 else "" for line in text.splitlines()[4:]]
    assert what.split() == " ".join(column).split()


def test_many_texts_stand_below_each_other() -> None:
    """Where they do not fit side by side: each beside its label, and folded."""
    columns = [Column(name.lower(), Unit.TEXT, name) for name in ("Severity", "Place", "What")]
    rows = [
        ("warning", "a.jsonl:12", "the line was rejected because of it"),
        ("note", "rates", None),
    ]

    assert shown(report(section(columns, rows, cut_rows=1, title="Findings"), notes=()), 30) == (
        "Findings\n"
        "\n"
        "Severity  warning\n"
        "Place     a.jsonl:12\n"
        "What      the line was\n"
        "          rejected because of\n"
        "          it\n"
        "\n"
        "Severity  note\n"
        "Place     rates\n"
        "What      —\n"
        "… 1 more row\n"
    )


def test_a_narrow_terminal_leaves_out_what_is_not_essential() -> None:
    """Texts as well as figures."""
    owner = Column("owner", Unit.TEXT, "Owner", essential=False)
    one = section(
        (PROJECT, owner, *MEASURES), [("app", "anna", *measures(1, 1, 1, 1, 1, 1, cost="1"))]
    )

    assert "app\n  Resp. " in shown(report(one), 45)


def test_a_long_remark_on_rows_that_were_cut_is_folded() -> None:
    """A narrow table keeps to the terminal too."""
    one = section((PROJECT, RESPONSES), [("app", 1)], {"responses": 5}, cut_rows=4)

    assert "\n… 4 more rows,\ncounted in the\ntotals\n" in shown(report(one), 20)


def test_a_section_without_rows_says_so() -> None:
    """An empty table would say nothing."""
    assert (
        shown(report(section((DAY, *MEASURES), [], total()), notes=()))
        == "Usage by day\n\nnothing in this selection\n"
    )


def test_sections_stand_below_each_other() -> None:
    """Under the title of the report, where that is another."""
    text = shown(report(daily(1), sessions(), title="Overview", notes=("One.", "Two.")), 200)

    titles = [text.index(f"{title}\n\n") for title in ("Overview", "Usage by day", "Sessions")]
    assert sorted(titles) == titles
    assert text.endswith("\n\nOne.\nTwo.\n")


def test_the_title_of_the_only_section_is_not_repeated() -> None:
    """It is the title of the report."""
    assert shown(report(daily())).count("Usage by day") == 1


def test_a_long_path_in_a_note_is_broken_without_blanks() -> None:
    """Only its own lines are put together again, whatever is indented."""
    path = "/" + "0123456789" * 20
    lines = shown(report(daily(), notes=(f"Read {path} and no more.",))).splitlines()
    told = lines[lines.index("Read") :]

    assert f"Read{path} and no more." == "".join(line.removeprefix("  ") for line in told)
    assert all(len(line) <= 80 for line in told)


def test_a_long_note_is_folded_and_indented() -> None:
    """One sees where the next begins."""
    text = shown(report(daily(), notes=("word " * 20 + "end", "next")), 60)

    assert text.endswith("\n  word word word word word word word word end\nnext\n")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("[bold]x[/bold]", "[bold]x[/bold]"),
        ("[/bold]", "[/bold]"),
        ("app/[id]/page", "app/[id]/page"),
        (":smile: `x` *y*", ":smile: `x` *y*"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b31mred", r"\x9b31mred"),
        ("user\u202egnp.exe", r"user\u202egnp.exe"),
        ("two\nlines", r"two\nlines"),
    ],
)
@pytest.mark.parametrize("color", [False, True])
def test_a_name_is_shown_as_it_is_or_escaped(name: str, words: str, color: bool) -> None:  # noqa: FBT001
    """It is never interpreted: not by the terminal, not as markup."""
    one = section((PROJECT, *MEASURES), [(name, *measures(1, 1, 1, 1, 1, 1, cost="1"))], title=name)

    text = shown(report(one, notes=(name,)), 200, color=color)

    assert text.count(words) == 3


def test_without_colour_there_is_no_escape_sequence() -> None:
    """A file or a pipe holds text alone."""
    assert "\x1b" not in shown(report(*SECTIONS))


def test_with_colour_the_text_is_the_same() -> None:
    """Colour says nothing that the text does not say."""
    plain, colored = (shown(report(*SECTIONS), color=color) for color in (False, True))

    assert "\x1b[1mTotal\x1b[0m" in colored
    stripped = re.sub("\x1b\\[[0-9;]*m", "", colored)
    assert plain == stripped


def test_an_ascii_terminal_gets_ascii() -> None:
    """Rules, dots, signs and names have a plain form."""
    text = shown(report(sessions(cut_rows=2)), 100, unicode=False)

    assert text.isascii()
    assert ">= $1,355.82" in text
    assert "----" in text
    assert "... 2 more rows" in text


@examples(60)
@given(
    st.lists(st.tuples(st.text(), st.text()), min_size=1, max_size=4),
    st.integers(1, 250),
    st.booleans(),
    st.booleans(),
)
def test_any_names_fit_any_terminal(
    names: list[tuple[str, str]],
    width: int,
    unicode: bool,  # noqa: FBT001
    figures: bool,  # noqa: FBT001
) -> None:
    """No name breaks the frame, whatever the width."""
    figures_of = measures(10**12, 1, 10**15, 10**9, 0, 5, cost="123456789.5", unpriced=1)
    columns = (PROJECT, TITLE, *(MEASURES if figures else (RESPONSES,)))
    rows = [(*name, *figures_of[: len(columns) - 2]) for name in names]
    one = section(columns, rows, title="Usage")

    lines = shown(report(one), width, unicode=unicode).splitlines()

    assert [line for line in lines if cell_width(line) > max(width, 20)] == []
