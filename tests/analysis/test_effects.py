"""The effects of a difference: worked out by hand, and exact whatever the periods hold."""

from decimal import Decimal, localcontext

from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from tokenaudit.analysis.effects import PROMPT, Effect, Spent, effects_of

NAMES = (*PROMPT, "output")


def spent(
    responses: int = 1,
    session: str = "s",
    model: str = "opus",
    searches: str = "0",
    **used: tuple[int, str],
) -> Spent:
    """*used* maps classes to their tokens and what these cost."""
    return Spent(
        session_id=session,
        group=(model, "standard"),
        responses=responses,
        tokens={name: used.get(name, (0, "0"))[0] for name in NAMES},
        costs={name: Decimal(used.get(name, (0, "0"))[1]) for name in NAMES},
        searches=Decimal(searches),
    )


def told(before: list[Spent], after: list[Spent]) -> dict[str, Decimal]:
    return {effect: total for effect, total in effects_of(before, after).totals.items() if total}


def test_volume_context_and_cache() -> None:
    """2 x (1,000 in, 100 out) at $5 and $25 is $0.015; then 3 x (1,000 in, 1,000 read, 100 out).

    One response more: 0.0075. 1,000 tokens more in each prompt, at $5: 0.015. Half of the prompt read
    at $0.50 instead: 3,000 x -4.5 = -0.0135. Together 0.009: 3 x (0.005 + 0.0005 + 0.0025) = 0.024.
    """
    before = [spent(2, input=(2_000, "0.01"), output=(200, "0.005"))]
    after = [spent(3, input=(3_000, "0.015"), cache_read=(3_000, "0.0015"), output=(300, "0.0075"))]

    assert told(before, after) == {
        Effect.VOLUME: Decimal("0.0075"),
        Effect.CONTEXT_SIZE: Decimal("0.015"),
        Effect.CACHE: Decimal("-0.0135"),
    }
    assert effects_of(before, after).difference == Decimal("0.009")


def test_price_reply_length_and_searches() -> None:
    """The same prompt at half the price; replies twice as long, at half the price; one search.

    Reply length at the old price: 100 x $25 = 0.0025; price: -1,000 x 2.5 - 200 x 12.5 = -0.005.
    """
    before = [spent(1, input=(1_000, "0.005"), output=(100, "0.0025"))]
    after = [spent(1, input=(1_000, "0.0025"), output=(200, "0.0025"), searches="0.01")]

    assert told(before, after) == {
        Effect.REPLY_LENGTH: Decimal("0.0025"),
        Effect.WEB_SEARCHES: Decimal("0.01"),
        Effect.PRICE: Decimal("-0.005"),
    }


def test_model_mix() -> None:
    """One dear and one cheap response, $0.01 and $0.002; then two dear ones: 2 x (0.01 - 0.006)."""
    dear, cheap = (1_000, "0.01"), (1_000, "0.002")
    before = [spent(1, input=dear), spent(1, model="haiku", input=cheap)]

    for after in (
        [spent(1, "a", input=dear), spent(1, "b", input=dear)],
        [spent(1, input=dear), spent(1, model="new", input=dear)],
    ):
        assert told(before, after) == {Effect.MODEL_MIX: Decimal("0.008")}


def test_a_period_without_responses_is_all_volume() -> None:
    one = [spent(2, input=(10, "0.5"))]

    assert told([], one) == {Effect.VOLUME: Decimal("0.5")}
    assert told(one, []) == {Effect.VOLUME: Decimal("-0.5")}
    assert told([], []) == {}


counts = st.integers(0, 10**7)
money = st.integers(0, 10**15).map(lambda picodollars: Decimal(picodollars).scaleb(-12))
spents = st.lists(
    st.builds(
        Spent,
        session_id=st.sampled_from(["s1", "s2", "s3", None]),
        group=st.tuples(st.sampled_from(["opus", "haiku", None]), st.just("standard")),
        responses=st.integers(1, 1000),
        tokens=st.fixed_dictionaries(dict.fromkeys(NAMES, counts)),
        costs=st.fixed_dictionaries(dict.fromkeys(NAMES, money)),
        searches=money,
    ),
    max_size=6,
)


@given(spents, spents)
@example([], [])
def test_effects_sum_exactly_to_the_difference_and_parts_to_effects(
    before: list[Spent], after: list[Spent]
) -> None:
    """To the last digit, in both directions of the table."""
    effects = effects_of(before, after)
    with localcontext(prec=60):
        costs = [
            sum((*each.costs.values(), each.searches), Decimal(0)) for each in (*before, *after)
        ]
        first = sum(costs[: len(before)], Decimal(0))
        second = sum(costs[len(before) :], Decimal(0))

        assert effects.difference == second - first
        assert sum(effects.totals.values(), Decimal(0)) == second - first
        assert [each for each, _ in effects.parts] == [*before, *after]
        for effect in Effect:
            parts = sum((part[effect] for _, part in effects.parts), Decimal(0))
            assert parts == effects.totals[effect]
        assert all(each.as_tuple().exponent == -12 for each in effects.totals.values())


@given(spents)
def test_a_period_against_itself_is_no_difference(period: list[Spent]) -> None:
    """No effect moves anything, where only tokens cost something."""
    period = [
        replace(each, costs={name: each.costs[name] * bool(each.tokens[name]) for name in NAMES})
        for each in period
    ]
    effects = effects_of(period, period)

    assert effects.difference == 0
    assert not any(effects.totals.values())
