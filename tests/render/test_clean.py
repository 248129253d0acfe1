"""The sanitiser: what hides or commands is shown, what people write stays."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_samples import HOSTILE

from tokenaudit.render.clean import ascii_only, defuse, escape_json, storable, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31m", r"\x1b[31m"),
        ("\x9b31m", r"\x9b31m"),
        ("\x00\x07\x7f", r"\x00\x07\x7f"),
        ("a\nb\tc\rd", r"a\nb\tc\rd"),
        ("\u202egnp", r"\u202egnp"),
        ("\u2066x\u2069", r"\u2066x\u2069"),
        ("a\u200bb\ufeff", r"a\u200bb\ufeff"),
        ("\u2028\u2029", r"\u2028\u2029"),
        ("\ud83d", r"\ud83d"),
        ("\U000e0041", r"\U000e0041"),
        ("a\u200db", r"a\u200db"),
    ],
)
def test_what_hides_or_commands_is_made_visible(text: str, shown: str) -> None:
    """Each such character stands there as an escape."""
    assert shown == visible(text)


@pytest.mark.parametrize(
    "text",
    [
        "plain text, [bold] and app/[id]/page",
        "你好 こんにちは 안녕",
        "שלום مرحبا",
        "e\u0301 n\u0303 क्षि",
        "🎉 👩\u200d💻 🏳\ufe0f\u200d🌈 👍🏽",
        "C:\\Users\\anna",
        "a\u00a0b\u3000c",
        "",
    ],
)
def test_what_people_write_stays(text: str) -> None:
    """Scripts, combining marks, emoji and their sequences are no danger."""
    assert text == visible(text)


@given(st.text(st.characters()))
def test_visible_text_is_safe_and_stays_as_it_is(text: str) -> None:
    """Whatever comes in, what comes out is printable, is UTF-8, and needs no second cleaning."""
    shown = visible(text)

    assert shown == visible(shown)
    assert all(ord(c) >= 0x20 and not 0x7F <= ord(c) < 0xA0 for c in shown)
    shown.encode()


@pytest.mark.parametrize(
    "first", ["=", "+", "-", "@", "\t", "\r", "\n", "\0", "\uff1d", "\uff0b", "\uff0d", "\uff20"]
)
def test_a_formula_is_defused(first: str) -> None:
    """A spreadsheet shows it as text."""
    assert f"'{first}1+1" == defuse(f"{first}1+1")


def test_a_formula_behind_blanks_is_defused() -> None:
    """Some spreadsheets drop the blanks and run the rest."""
    assert defuse("  =1+1") == "'  =1+1"


@pytest.mark.parametrize("text", ["", "app", "'=1", "1-1", "a=b", "/home/anna", "'"])
def test_other_text_is_not_touched(text: str) -> None:
    """Only a first character can make a formula."""
    assert text == defuse(text)


def test_ascii_keeps_the_sense_of_signs() -> None:
    """Signs that reports use have a plain form; the rest is escaped."""
    assert ascii_only("≥ $1 — 3… 你 🎉") == r">= $1 - 3... \u4f60 \U0001f389"


def test_lone_surrogates_cannot_be_stored() -> None:
    """They become question marks; all else stays."""
    assert storable("a\ud83d\x1bé") == "a?\x1bé"


@given(st.one_of(st.text(), st.sampled_from(HOSTILE)))
def test_an_escaped_json_document_says_the_same(text: str) -> None:
    """A parser reads the text as it was; nothing hidden is left bare."""
    document = escape_json(json.dumps(text, ensure_ascii=False))

    assert text == json.loads(document)
    assert not {"\x7f", "\x9b", "\u2028", "\u202e", "\u200b", "\u200d", "\U000e0041"} & set(
        document
    )
