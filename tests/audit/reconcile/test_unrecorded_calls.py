"""Shapes of calls that no transcript holds: sizes by tokenizer and version, mixtures, and what stays untold."""

from hypothesis import assume, given
from hypothesis import strategies as st

from tokenaudit.audit.reconcile.bridge import Cause
from tokenaudit.audit.reconcile.claims import ClaimCounts
from tokenaudit.audit.reconcile.signatures import HiddenKind, sizes
from tokenaudit.audit.reconcile.unrecorded_calls import Hidden, Signs, Turn, hidden_calls, mixtures

NEW = "new"


def turns(*contexts: int, output: int = 500) -> tuple[Turn, ...]:
    """Responses that left so much in the cache, each of 2 input tokens."""
    return tuple(Turn(each, each + 2, output, each // 2) for each in contexts)


def late(**more: object) -> Signs:
    """The signs of a session of Opus 5 in 2.1.231, with 100,000 tokens of context after 20 turns."""
    given_: dict[str, object] = {
        "tokenizer": NEW,
        "version": (2, 1, 231),
        "prompts": 20,
        "turns": turns(100_000, 99_000, 98_000),
    }
    return Signs(**(given_ | more))  # type: ignore[arg-type]


def only(residual: ClaimCounts, signs: Signs) -> Hidden:
    (found,) = hidden_calls("m", residual, signs)
    return found


def test_a_mixture_is_solved_to_the_token_with_the_recaps_that_are_marked() -> None:
    """3,400 are 8 x 425 of another version, and 9 x 336 + 4 x 94 of this one; four recaps are marked."""
    found = only(ClaimCounts(3400, 498, 1_200_000, 22_000), late(recaps=4))

    assert found.name == "prompt suggestions, recaps (m)"
    assert "9 x 336 (prompt suggestions) + 4 x 94 (recaps)" in found.note
    assert found.counts == ClaimCounts(3400, 498, 1_200_000, 22_000)


def test_without_the_marks_there_is_no_mixture() -> None:
    """Three marked recaps leave 3,118, which no number of suggestions is."""
    assert not list(hidden_calls("m", ClaimCounts(3400, 498, 1_200_000, 0), late(recaps=3)))
    assert not list(hidden_calls("m", ClaimCounts(3400, 498, 1_200_000, 0), late()))


def test_no_more_suggestions_than_the_user_had_turns() -> None:
    """672 are two suggestions: after two turns they may be, after one not."""
    residual = ClaimCounts(672, 30, 150_000)

    assert only(residual, late(prompts=2)).name == "prompt suggestions (m)"
    assert not list(hidden_calls("m", residual, late(prompts=1)))


def test_no_more_context_than_the_calls_could_read() -> None:
    """One suggestion reads at most the largest context, of 100,502 tokens with its reply."""
    assert only(ClaimCounts(336, 16, 100_502), late()).name == "prompt suggestions (m)"
    assert not list(hidden_calls("m", ClaimCounts(336, 16, 100_503), late()))


def test_where_several_mixtures_fit_all_are_named() -> None:
    """Between 2.1.114 and 2.1.143 a suggestion may be 425 or 510: 2,550 are six or five."""
    found = only(ClaimCounts(2550, 90, 300_000), late(version=(2, 1, 120)))

    assert "6 x 425 (prompt suggestions), or 5 x 510 (prompt suggestions)" in found.note


def test_kinds_that_both_fit_are_both_named() -> None:
    """1,700 are 4 x 425 and 17 x 100: with 20 recaps marked, neither is as the marks say."""
    found = only(ClaimCounts(1700, 400, 300_000), late(version=(2, 1, 114), recaps=20))

    assert found.name == "prompt suggestions or recaps (m)"
    assert "4 x 425 (prompt suggestions), or 17 x 100 (recaps)" in found.note


def test_a_compaction_reads_its_context() -> None:
    """1,762 input tokens each, from 2.1.111 on; one more that is not marked is not told."""
    signs = late(version=(2, 1, 114), compactions=2, turns=turns(150_000))

    assert only(ClaimCounts(3524, 8000, 300_000), signs).name == "compactions (m)"
    assert not list(hidden_calls("m", ClaimCounts(3 * 1762, 9000, 300_000), signs))


def test_a_call_that_read_a_recorded_context_is_told_without_its_kind() -> None:
    """280 are no size of any kind, but 98,000 were in the cache after the third response."""
    found = only(ClaimCounts(280, 199, 98_000, 222), late(prompts=20))

    assert found.name == "calls that sent the context once more (m)"
    assert found.is_placed
    assert not list(hidden_calls("m", ClaimCounts(280, 199, 98_001, 222), late()))


def test_a_match_that_chance_would_make_is_none() -> None:
    """Of 2,000 contexts below 100,000 some pair sums to nearly any number: pairs say nothing then."""
    many = tuple(range(1, 100_000, 50))

    assert not list(hidden_calls("m", ClaimCounts(20, 5, 77_777), late(turns=turns(*many))))


def test_a_suggestion_whose_context_was_no_longer_cached() -> None:
    """50,000 read of 100,002; the rest, 500 of the reply but its end mark of 2, and 336."""
    sent = 100_002 - 50_000 + 498 + 336

    assert only(ClaimCounts(sent, 20, 50_000), late()).name == "prompt suggestions (m)"
    assert not list(hidden_calls("m", ClaimCounts(sent + 10, 20, 50_000), late()))


def test_lost_output_is_what_such_calls_do_not_have() -> None:
    """A suggestion has 16 tokens; the rest of 516 is output of recorded responses."""
    calls, lost = hidden_calls("m", ClaimCounts(336, 516, 99_000), late(has_lost_output=True))

    assert (calls.counts.output, lost.counts) == (16, ClaimCounts(output=500))
    assert lost.cause is Cause.LOST_OUTPUT


def test_titles_and_pages_of_the_small_model() -> None:
    """One title in a session of 20 turns; what may be 40 titles may as well be pages: both are named."""
    signs = late(is_small=True)

    assert only(ClaimCounts(400, 20), signs).name == "session titles (m)"
    both = "titles, web pages, searches, command checks (m)"
    assert only(ClaimCounts(16_000, 800), signs).name == both
    assert only(ClaimCounts(9000, 700), signs).name == both
    assert not list(hidden_calls("m", ClaimCounts(400, 20, 5_000), signs))


def test_searches_are_told_where_the_total_counts_them() -> None:
    """They read no context; with a cache read the residual is something else."""
    signs = late(searches=2)

    assert only(ClaimCounts(4870, 900, 0, 28_320), signs).name == "web searches (m)"
    assert not list(hidden_calls("m", ClaimCounts(4870, 900, 7, 28_320), signs))
    assert not list(hidden_calls("m", ClaimCounts(4870, 900, 0, 28_320), late()))


def test_other_vendors_models_have_no_sizes() -> None:
    """Up to a context for each occasion (one, and two turns): 3 x 100,002; none where sessions may be missing."""
    signs = late(is_foreign=True, prompts=2)
    name = "titles, suggestions, recaps, or counts that no line holds (m)"

    assert only(ClaimCounts(6, 5, 300_000), signs).name == name
    assert not list(hidden_calls("m", ClaimCounts(7, 5, 300_000), signs))
    open_ = late(is_foreign=True, is_scope_open=True)
    assert not list(hidden_calls("m", ClaimCounts(6, 5, 10), open_))


def test_sizes_between_two_versions_are_those_of_both() -> None:
    """Measured: 425 up to 2.1.114, 510 in 2.1.143, 336 from 2.1.177 on; and after the last the last."""
    suggestion = HiddenKind.SUGGESTION

    assert list(sizes(suggestion, NEW, (2, 1, 114))) == [425]
    assert list(sizes(suggestion, NEW, (2, 1, 150))) == [336, 510]
    assert list(sizes(suggestion, NEW, (2, 1, 332))) == [336]
    assert list(sizes(suggestion, "old", (2, 1, 100))) == [295]


small = st.integers(0, 12)


@given(small, small, st.integers(0, 2), st.sampled_from([(2, 1, 114), (2, 1, 143), (2, 1, 231)]))
def test_a_mixture_that_was_made_is_found(
    suggestions: int, recaps: int, compactions: int, version: tuple[int, int, int]
) -> None:
    """It is among those that are found, and it is the only one where the marks leave no other."""
    calls = suggestions + recaps + compactions
    assume(calls)
    each = {kind: sizes(kind, NEW, version)[0] for kind in HiddenKind}
    total = (
        suggestions * each[HiddenKind.SUGGESTION]
        + recaps * each[HiddenKind.RECAP]
        + compactions * each[HiddenKind.COMPACTION]
    )
    signs = late(version=version, recaps=recaps, compactions=compactions)
    found = mixtures(ClaimCounts(total, 0, 90_000 * calls), signs)
    numbers = [tuple(map(mixture.number, HiddenKind)) for mixture in found]

    assert (suggestions, recaps, compactions) in numbers
    # the marks settle two of three; only sizes of one kind that differ leave a choice
    assert {number[1:] for number in numbers} == {(recaps, compactions)}
    for mixture in found:
        assert sum(number * size for _, number, size in mixture.parts) == total


natural = st.integers(0, 200_000)
signs_of_any_kind = st.builds(
    Signs,
    *([st.booleans()] * 5),
    tokenizer=st.sampled_from(["old", NEW]),
    version=st.none() | st.tuples(st.just(2), st.just(1), st.integers(0, 400)),
    compactions=st.integers(0, 3),
    recaps=st.integers(0, 3),
    prompts=st.none() | st.integers(0, 9),
    searches=st.integers(0, 2),
    turns=st.lists(natural, max_size=3).map(lambda contexts: turns(*contexts)),
)


@given(st.builds(ClaimCounts, natural, natural, natural, natural), signs_of_any_kind)
def test_what_is_told_of_a_residual_is_no_more_than_it(residual: ClaimCounts, signs: Signs) -> None:
    """No call is made up: the parts of each class never exceed what is left over."""
    parts = ClaimCounts()
    for hidden in hidden_calls("m", residual, signs):
        parts += hidden.counts
    rest = residual - parts

    assert min(rest.input, rest.output, rest.cache_read, rest.cache_write) >= 0
