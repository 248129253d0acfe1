"""The user's own rates: what a file of them may say, and how it is refused."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenaudit.model.errors import ConfigError, TokenauditError
from tokenaudit.pricing.card import RateCard, shipped_card
from tokenaudit.pricing.rates import Prices, Tariff
from tokenaudit.pricing.sources import rates_in_force
from tokenaudit.pricing.user_rates import _DISCOUNT_KEYS, _PRICE_KEYS, read_user_rates

PRICE = """\
[[price]]
model = "glm-4.7"
input = 0.6
output = 2.2
cache_read = 0.11
cache_write_5m = 0.6
cache_write_1h = 0.6
"""

Card = Callable[[str], RateCard]


@pytest.fixture
def card(tmp_path: Path) -> Card:
    """The rates in force with a file of rates that holds a text."""

    def made(text: str) -> RateCard:
        path = tmp_path / "rates.toml"
        path.write_text(text, "utf-8")
        return rates_in_force(rates=path)

    return made


def tariff(card: RateCard, model: str, day: str | None = "2026-10-20", **more: str) -> Tariff:
    found = card.tariff(
        model,
        more.get("speed"),
        date.fromisoformat(day) if day else None,
        more.get("geo"),
        more.get("tier"),
    )
    assert found is not None
    return found


def per_million(prices: Prices) -> str:
    return " ".join(
        f"{(10**6 * price).normalize():f}"
        for price in (prices.input, prices.output, prices.cache_read)
    )


# what a file may say


def test_a_custom_model_has_the_price_that_is_written(card: Card) -> None:
    """To the digit, with its source, and without a multiplier of the list but that of batches."""
    rates = card(PRICE + 'source = "contract 4711"\n')
    found = tariff(rates, "GLM-4.7", geo="us")

    assert per_million(found.prices) == "0.6 2.2 0.11"
    assert (found.rate.source, found.rate.confidence) == ("user rates: contract 4711", "user")
    assert found.modifiers == ()
    assert found.rate.id == "glm-4-7|standard|always|user rates"
    assert per_million(tariff(rates, "glm-4.7", tier="batch").prices) == "0.3 1.1 0.055"


def test_a_custom_price_holds_without_a_day_only_if_it_always_holds(card: Card) -> None:
    """Without a day no dated price can be chosen."""
    assert tariff(card(PRICE), "glm-4.7", None).modifiers == ("undated",)
    assert (
        card(PRICE + "valid_from = 2026-10-01\n").tariff("glm-4.7", None, None, None, None) is None
    )


@pytest.mark.parametrize(
    ("day", "price"), [("2026-09-30", "5 25 0.5"), ("2026-10-01", "4 20 0.4"),
                       ("2026-10-31", "4 20 0.4"), ("2026-11-01", "5 25 0.5")],
)  # fmt: skip
def test_the_users_price_stands_before_the_card_in_its_days(
    card: Card, day: str, price: str
) -> None:
    """The day it ends is the first on which the card's price holds again."""
    rates = card(
        '[[price]]\nmodel = "claude-opus-5"\ninput = 4\noutput = 20\ncache_read = 0.4\n'
        "cache_write_5m = 5\ncache_write_1h = 8\nvalid_from = 2026-10-01\nvalid_to = 2026-11-01\n"
    )

    assert per_million(tariff(rates, "claude-opus-5", day).prices) == price
    assert tariff(rates, "claude-opus-5", day, geo="us").modifiers == ("us1.1",)


def test_no_price_holds_before_the_first_day_of_a_contract(card: Card) -> None:
    """What a contract does not say is not known."""
    rates = card(PRICE + "valid_from = 2026-10-01\n")

    assert rates.tariff("glm-4.7", None, date(2026, 9, 30), None, None) is None
    assert rates.tariff("glm-4.7", None, date(2026, 10, 1), None, None) is not None


def test_free_is_the_one_way_to_a_price_of_zero(card: Card) -> None:
    """And it is said of each response."""
    found = tariff(card('[[price]]\nmodel = "llama-local"\nfree = true\n'), "llama-local")

    assert per_million(found.prices) == "0 0 0"
    assert found.modifiers == ("free",)


def test_a_long_prompt_may_cost_more(card: Card) -> None:
    """Above the threshold other prices hold, all of which are written."""
    long = "".join(
        f"long_{name} = 1.5\n"
        for name in ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")
    )
    found = tariff(card(f"{PRICE}long_prompt = 100_000\n{long}"), "glm-4.7")

    assert found.rate.long_prompt == 100_000
    assert found.long_prices is not None
    assert per_million(found.long_prices) == "1.5 1.5 1.5"


def test_an_alias_gives_a_name_the_price_of_a_model(card: Card) -> None:
    """In any case, with `[1m]` too, and for ARNs of a company's own profiles."""
    arn = "arn:aws:bedrock:eu-central-1:1234:application-inference-profile/abcd"
    rates = card(
        f'[aliases]\nopus = "claude-opus-5-5"\n"{arn}" = "eu.anthropic.claude-sonnet-5-5"\n'
    )

    assert tariff(rates, "opus").rate.id == "claude-opus-5-5|standard|2026-09-22"
    assert tariff(rates, "Opus[1m]").rate.model == "claude-opus-5-5"
    assert tariff(rates, arn).modifiers == ("regional1.1",)


@pytest.mark.parametrize(
    ("region", "price", "modifiers"),
    [("regional", "1.1 5.5 0.11", ("regional1.1",)), ("global", "1 5 0.1", ())],
)
def test_the_region_of_vertex_can_be_told(
    card: Card, region: str, price: str, modifiers: tuple[str, ...]
) -> None:
    """Names of Vertex do not say it."""
    rates = card(f'[platform]\nvertex_region = "{region}"\n')
    found = tariff(rates, "claude-haiku-4-5@20251001")

    assert (per_million(found.prices), found.modifiers) == (price, modifiers)


def test_the_example_of_the_readme_can_be_used(card: Card) -> None:
    """As it stands there."""
    readme = (Path(__file__).parents[2] / "docs" / "how-to" / "prices.md").read_text("utf-8")
    rates = card(readme.partition("```toml\n")[2].partition("```")[0])

    assert per_million(tariff(rates, "glm-4.7").prices) == "0.6 2.2 0.11"
    assert tariff(rates, "opus").discount == Decimal("0.85")
    assert tariff(rates, "claude-haiku-4-5@20251001").modifiers == ("regional1.1",)


# discounts


@pytest.mark.parametrize(
    ("model", "day", "discount"),
    [
        ("claude-opus-5", "2026-07-31", "1"),
        ("claude-opus-5", "2026-08-01", "0.85"),
        ("us.anthropic.claude-opus-5", "2026-08-31", "0.85"),
        ("claude-opus-5", "2026-09-01", "1"),
        ("claude-sonnet-5", "2026-08-15", "1"),
        ("claude-opus-5", None, "1"),
    ],
)
def test_a_discount_holds_for_its_models_and_days(
    card: Card, model: str, day: str | None, discount: str
) -> None:
    """The day it ends is the first without it; without a day, a dated one does not hold."""
    rates = card(
        '[[discount]]\nmodels = ["claude-opus-*"]\nmultiplier = 0.85\n'
        "valid_from = 2026-08-01\nvalid_to = 2026-09-01\n"
    )
    found = tariff(rates, model, day)

    assert found.discount == Decimal(discount)
    assert ("discount0.85" in found.modifiers) == (discount == "0.85")


# how it is refused

REFUSED = {
    "price without cache": (
        PRICE.replace("cache_read = 0.11\n", ""),
        "rates.toml:1: [[price]] #1: cache_read: missing (never derived)",
    ),
    "second price": (
        f'{PRICE}\n[[price]]\nmodel = "kimi"\n',
        "rates.toml:9: [[price]] #2: input: missing (never derived)",
    ),
    "unknown key": (
        PRICE + "cache_raed = 1\n",
        "rates.toml:8: [[price]] #1: cache_raed: unknown key",
    ),
    "unknown table": ("[[prices]]\n", "rates.toml:1: prices: unknown key"),
    "price as one table": ('[price]\nmodel = "x"\n', "rates.toml:1: [price]: must be written [[price]]"),
    "text for a price": (
        PRICE.replace("2.2", '"2.2"'),
        "rates.toml:4: [[price]] #1: output: must be a number",
    ),
    "true for a price": (PRICE.replace("2.2", "true"), "rates.toml:4: [[price]] #1: output: must be a number"),
    "no number": (PRICE.replace("2.2", "nan"), "output: must be above zero"),
    "infinite": (PRICE.replace("2.2", "inf"), "output: must be above zero"),
    "zero": (PRICE.replace("2.2", "0.0"), "output: must be above zero"),
    "below zero": (PRICE.replace("2.2", "-1"), "output: must be above zero"),
    "too many decimals": (
        PRICE.replace("2.2", "2.20001"),
        "rates.toml:4: [[price]] #1: output: 2.20001 has more than 4 decimals",
    ),
    "absurd": (PRICE.replace("2.2", "1e9"), "output: must not be above 1,000,000"),
    "free and priced": (PRICE + "free = true\n", "input: stands beside free = true"),
    "text for a day": (PRICE + 'valid_from = "2026-10-01"\n', "rates.toml:8: [[price]] #1: valid_from: must be a day"),
    "an hour": (PRICE + "valid_from = 2026-10-01T00:00:00\n", "valid_from: must be a day"),
    "end before start": (
        PRICE + "valid_from = 2026-10-01\nvalid_to = 2026-10-01\n",
        "rates.toml:9: [[price]] #1: valid_to: 2026-10-01 is not after valid_from 2026-10-01",
    ),
    "overlap": (
        f"{PRICE}valid_from = 2026-01-01\n{PRICE}valid_from = 2026-02-01\n",
        "rates.toml:16: [[price]] #2: valid_from: overlaps with another price of glm-4-7, standard",
    ),
    "long without threshold": (PRICE + "long_input = 1\n", "long_input: needs long_prompt"),
    "long without prices": (PRICE + "long_prompt = 5\n", "long_input: missing (never derived)"),
    "speed": (PRICE + 'speed = "turbo"\n', "speed: must be standard or fast, not 'turbo'"),
    "no model": ("[[price]]\nfree = true\n", "rates.toml:1: [[price]] #1: model: missing"),
    "discount without models": ("[[discount]]\nmultiplier = 0.5\n", "[[discount]] #1: models: missing"),
    "discount of nothing": ("[[discount]]\nmodels = []\nmultiplier = 0.5\n", "models: must be a list of texts"),
    "odd pattern": ('[[discount]]\nmodels = ["a[b"]\nmultiplier = 0.5\n', "models: not a name or a pattern"),
    "discount of zero": ('[[discount]]\nmodels = ["*"]\nmultiplier = 0\n', "multiplier: must be above zero"),
    "contradictory discounts": (
        '[[discount]]\nmodels = ["claude-opus-*"]\nmultiplier = 0.5\n[[discount]]\nmodels = ["claude-*-5"]\nmultiplier = 0.6\n',
        "rates.toml:4: [[discount]] #2: models: claude-opus-4-5 has another discount on the same days",
    ),
    "alias of nothing": ('[aliases]\nopus = "claude-opuss"\n', "rates.toml:2: [aliases]: opus: stands for claude-opuss, which has no price"),
    "alias of an alias": ('[aliases]\na = "b"\nb = "claude-opus-5"\n', "a: stands for b, which is an alias itself"),
    "alias of a priced name": (PRICE + '[aliases]\n"glm-4.7" = "claude-opus-5"\n', "rates.toml:9: [aliases]: glm-4.7: is an alias and has a [[price]]"),
    "alias of a number": ("[aliases]\nopus = 5\n", "rates.toml:2: [aliases]: opus: must be a text"),
    "platform": ('[platform]\nvertex_region = "eu"\n', "rates.toml:2: [platform]: vertex_region: must be global or regional, not 'eu'"),
    "unknown platform": ('[platform]\nvertex = "eu"\n', "rates.toml:2: [platform]: vertex: unknown key"),
    "no TOML": ("[[price]\n", "not TOML"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_used_is_refused_with_its_place(card: Card, text: str, message: str) -> None:
    """File, line, table, key, and what is wrong; nothing is priced with half of it."""
    with pytest.raises(ConfigError) as refused:
        card(text)

    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_nearest_key_is_named(card: Card) -> None:
    """A slip of the finger costs no search."""
    with pytest.raises(ConfigError) as refused:
        card(PRICE + "cache_raed = 1\n")

    assert refused.value.hint == "Did you mean cache_read?"


def test_discounts_that_follow_each_other_do_not_contradict(card: Card) -> None:
    """One ends on the day on which the next begins."""
    rates = card(
        '[[discount]]\nmodels = ["*"]\nmultiplier = 0.9\nvalid_to = 2026-09-01\n'
        '[[discount]]\nmodels = ["*"]\nmultiplier = 0.8\nvalid_from = 2026-09-01\n'
    )

    assert tariff(rates, "claude-opus-5", "2026-08-31").discount == Decimal("0.9")
    assert tariff(rates, "claude-opus-5", "2026-09-01").discount == Decimal("0.8")


def test_a_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    """One that merely may be there need not."""
    with pytest.raises(ConfigError, match="cannot be read"):
        rates_in_force(rates=tmp_path / "none.toml")

    assert rates_in_force(default_rates=tmp_path / "none.toml").basis == shipped_card().basis


def test_the_basis_names_the_file_and_its_digest(card: Card) -> None:
    """Costs can be told apart by what they stand on; `printf '' | sha256sum` begins with e3b0."""
    basis = card("").basis

    assert basis["user_rates"].endswith("rates.toml")
    assert basis["user_rates_sha256"].startswith("e3b0c44298fc1c149afb")


TEXTS = st.text(max_size=12)
VALUES = st.recursive(
    st.one_of(
        TEXTS.map(lambda text: f"'''{text}'''"),
        st.sampled_from(
            ['"claude-opus-5"', "0.85", "1", "-1", "nan", "1e400", "true", "2026-10-01"]
        ),
        st.sampled_from(['["*"]', "{}", "[]", "[[]]", "2026-10-01T00:00:00Z", "9" * 5000]),
    ),
    lambda inner: st.lists(inner, max_size=2).map(lambda parts: f"[{', '.join(parts)}]"),
    max_leaves=3,
)
KEYS = st.sampled_from(
    [*_PRICE_KEYS, *_DISCOUNT_KEYS, "vertex_region", "opus", "price", "aliases", "platform", "x"]
)
LINES = st.one_of(
    st.sampled_from(["[[price]]", "[[discount]]", "[aliases]", "[platform]", "[price]", "", "[x"]),
    st.tuples(KEYS, VALUES).map(" = ".join),
    TEXTS,
)


@given(st.lists(LINES, max_size=12).map("\n".join))
def test_any_file_is_used_or_refused(tmp_path: Path, text: str) -> None:
    """No file of rates, however odd, leads to anything but rates or an error that names it."""
    path = tmp_path / "hostile.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    said = ""
    try:
        rates_in_force(rates=path)
    except TokenauditError as error:
        said = str(error)

    assert not said or "hostile.toml" in said


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(tmp_path: Path, data: bytes) -> None:
    """What is no text is refused too."""
    path = tmp_path / "hostile.toml"
    path.write_bytes(data)
    said = ""
    try:
        read_user_rates(path, must_exist=True)
    except ConfigError as error:
        said = str(error)

    assert not said or "hostile.toml" in said
