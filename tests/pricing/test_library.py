"""The adapter to genai-prices: a contract with what the library says today, and its cache.

The installed library runs; a test fails when it, or the shipped card, comes to say something else.
"""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace

from tokenaudit.model.errors import UsageError
from tokenaudit.pricing import library as libraries
from tokenaudit.pricing.card import shipped_card
from tokenaudit.pricing.compare import cells, differences
from tokenaudit.pricing.library import Library
from tokenaudit.pricing.rates import Rate
from tokenaudit.pricing.sources import rates_in_force
from tokenaudit.pricing.windows import facts_of

pytest.importorskip("genai_prices")

RECORDED = Path(__file__).parent / "library_differences.json"
NOW = datetime(2026, 12, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def library() -> Library:
    return libraries.bundled()


def changed(library: Library, of: str, /, **changes: object) -> Library:
    """The library with other facts about the standard rate of one model."""
    rates = tuple(
        replace(rate, **changes) if rate.id.startswith(f"{of}|standard") else rate
        for rate in library.rates
    )
    return replace(library, rates=rates)


# the contract


def test_the_differences_to_the_card_are_those_that_are_recorded(library: Library) -> None:
    """41 of 222 prices differ or are missing, each for a reason that is known."""
    shipped = shipped_card().rates
    found = [
        f"{each.rate_id} {each.cell}: {each.one:f}, {each.other or 'missing'}"
        for each in differences(shipped, library.rates)
    ]

    assert json.loads(RECORDED.read_text("utf-8")) == found
    assert (len(found), sum(1 for rate in shipped for _ in cells(rate))) == (41, 222)


def test_the_card_was_checked_against_the_installed_version(library: Library) -> None:
    """A newer library wants a new look at the card."""
    assert shipped_card().checked_against == library.version


def rate_of(library: Library, rate_id: str) -> Rate:
    return next(rate for rate in library.rates if rate.id == f"{rate_id}|genai-prices")


def test_rows_have_days_tiers_and_speeds(library: Library) -> None:
    """Opus 4.6 lost its tier on 2026-03-13; Haiku 5.5 has one; Opus 5 has a fast mode."""
    first = rate_of(library, "claude-opus-4-6|standard|always")
    flat = rate_of(library, "claude-opus-4-6|standard|2026-03-13")
    haiku = rate_of(library, "claude-haiku-5-5|standard|always")
    fast = rate_of(library, "claude-opus-5|fast|always")

    assert (first.valid_to, first.long_prompt) == (date(2026, 3, 13), 200_000)
    assert (flat.valid_to, flat.long_prompt) == (None, None)
    assert haiku.long_prices is not None
    assert Decimal("0.0000025") == haiku.long_prices.output
    assert Decimal("0.00005") == fast.prices.output
    assert not any(rate.model == "claude" for rate in library.rates)


def test_windows_are_those_of_the_library() -> None:
    """Where it has one for a model that is known here."""
    from genai_prices.data_snapshot import get_snapshot

    models = next(each.models for each in get_snapshot().providers if each.id == "anthropic")
    both = [
        (facts.context_window, model.context_window)
        for model in models
        if (facts := facts_of(model.id)) is not None
    ]

    assert len(both) >= 20
    assert [ours for ours, _ in both] == [theirs for _, theirs in both]


# the cache


def test_what_is_kept_is_read_again(library: Library, tmp_path: Path) -> None:
    """To the digit."""
    libraries.keep(library, tmp_path / "new")

    assert libraries.cached(tmp_path / "new") == library


def test_without_a_cache_there_are_no_rows(tmp_path: Path) -> None:
    """Reports do not import the library to make one."""
    assert libraries.cached(tmp_path) is None
    assert "library" not in rates_in_force(cache=tmp_path).basis


@pytest.mark.parametrize(
    "text", ["", "[]", '{"adapter": 1}', "\0", '{"adapter":0,"version":"0.2.3","fetched_at":null,"rows":[]}']
)  # fmt: skip
def test_a_cache_that_cannot_be_used_is_none(library: Library, tmp_path: Path, text: str) -> None:
    """Damaged, or of another adapter."""
    libraries.keep(library, tmp_path).write_text(text)

    assert libraries.cached(tmp_path) is None


def test_the_rows_before_are_kept_beside(library: Library, tmp_path: Path) -> None:
    """One step back stays possible."""
    path = libraries.keep(library, tmp_path)
    before = path.read_bytes()
    libraries.keep(replace(library, fetched_at=NOW), tmp_path)

    assert path.with_suffix(".previous.json").read_bytes() == before
    assert path.read_bytes() != before


# its place behind the card


def test_the_library_prices_what_the_card_lacks(library: Library, tmp_path: Path) -> None:
    """And is named in the basis only then."""
    libraries.keep(changed(library, "claude-opus-5", model="claude-opus-6"), tmp_path)
    card = rates_in_force(cache=tmp_path)
    found = card.tariff("claude-opus-6", None, date(2026, 11, 1), "us", None)

    assert found is not None
    assert found.rate.source == "genai-prices 0.2.3"
    assert found.modifiers == ("us1.1",)
    assert card.basis["library"].startswith("genai-prices 0.2.3 (sha256 ")


def test_history_stays_with_the_card(library: Library, tmp_path: Path) -> None:
    """The library has one price of Sonnet 5.5 for all days; the card knows of the change."""
    libraries.keep(library, tmp_path)
    found = rates_in_force(cache=tmp_path).tariff(
        "claude-sonnet-5-5", None, date(2026, 10, 1), None, None
    )

    assert found is not None
    assert Decimal("0.0000002") == found.prices.cache_read


@pytest.mark.parametrize(
    ("day", "source", "doubts"),
    [
        ("2026-11-30", "platform pricing page", ()),
        ("2026-12-01", "genai-prices 0.2.3", ()),
    ],
)
def test_newer_rows_hold_after_the_cards_last_check(
    library: Library, tmp_path: Path, day: str, source: str, doubts: tuple[str, ...]
) -> None:
    """Up to that day the card is the authority."""
    libraries.keep(replace(library, fetched_at=NOW), tmp_path)
    found = rates_in_force(cache=tmp_path).tariff(
        "claude-opus-5", None, date.fromisoformat(day), None, None
    )

    assert found is not None
    assert (found.rate.source, found.modifiers) == (source, doubts)


def test_without_newer_rows_the_card_is_carried_forward(library: Library, tmp_path: Path) -> None:
    """And says so."""
    libraries.keep(library, tmp_path)
    found = rates_in_force(cache=tmp_path).tariff(
        "claude-opus-5", None, date(2026, 12, 1), None, None
    )

    assert found is not None
    assert (found.rate.source, found.modifiers) == ("platform pricing page", ("carried_forward",))


# what may be taken


@pytest.mark.parametrize(
    ("name", "price", "message"),
    [
        ("input", "-1", "a price is not above zero"),
        ("input", "0.00003", "output does not cost more than input"),
        ("cache_read", "0.000006", "a read from the cache must cost less"),
        ("output", "0.0003", "ten times what it was"),
    ],
)
def test_rows_that_cannot_be_prices_are_refused(
    library: Library, name: str, price: str, message: str
) -> None:
    """Named, and nothing is changed."""
    prices = replace(
        rate_of(library, "claude-opus-5|standard|always").prices, **{name: Decimal(price)}
    )
    new = changed(library, "claude-opus-5", prices=prices)

    with pytest.raises(UsageError, match=f"claude-opus-5.standard.*{message}"):
        libraries.validate(new, library, may_leap=False)


def test_a_leap_can_be_allowed(library: Library) -> None:
    """A price may really be ten times what it was."""
    prices = rate_of(library, "claude-opus-5|standard|always").prices.times(Decimal(11))
    new = changed(library, "claude-opus-5", prices=prices)

    libraries.validate(new, library, may_leap=True)
    with pytest.raises(UsageError):
        libraries.validate(new, library, may_leap=False)


@pytest.mark.parametrize("text", ["", "{}", "[]", "[1]", '[{"id": "anthropic"}]'])
def test_a_file_that_is_no_feed_is_refused(tmp_path: Path, text: str) -> None:
    """In one line."""
    path = tmp_path / "data.json"
    path.write_text(text)
    with pytest.raises(UsageError) as refused:
        libraries.from_file(path, NOW)

    assert "\n" not in str(refused.value)
