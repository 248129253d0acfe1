"""Estimates between two measured prompts: from characters, by the agent's own steps."""

from tokenaudit.live.context_estimate import Steps
from tokenaudit.transcripts import ContentCause, Piece

ONE, TWO, THREE = (("msg_1", "req_1"), ("msg_2", "req_2"), ("msg_3", "req_3"))


def begins(key: tuple[str, str]) -> Piece:
    return Piece(ContentCause.RESPONSE, 0, *key)


def test_what_was_given_since_is_taken_at_the_rate_of_measured_steps() -> None:
    """400 characters were 100 tokens; 1,000 + 200 more are taken for 300."""
    steps = Steps()
    steps.add(
        [
            begins(ONE),
            Piece(ContentCause.ASSISTANT, 100),
            Piece(ContentCause.RESULT, 300),
            begins(TWO),
        ]
    )
    steps.add([Piece(ContentCause.ASSISTANT, 200), Piece(ContentCause.RESULT, 1000)])

    assert 5100 + 300 == steps.estimate({ONE: 5000, TWO: 5100})


def test_steps_that_shrank_teach_nothing() -> None:
    """A compaction lies in the first; the second is 40 tokens for 80 characters."""
    steps = Steps()
    steps.add(
        [begins(ONE), Piece(ContentCause.USER, 900), begins(TWO), Piece(ContentCause.USER, 80)]
    )
    steps.add([begins(THREE), Piece(ContentCause.USER, 10)])

    assert 1040 + 5 == steps.estimate({ONE: 9000, TWO: 1000, THREE: 1040})


def test_without_a_measured_step_or_anything_given_nothing_is_said() -> None:
    """Not a guess; and the assistant's own words alone begin no response."""
    steps = Steps()
    steps.add([begins(ONE), Piece(ContentCause.USER, 100)])
    assert steps.estimate({ONE: 9000}) is None

    steps.add([begins(TWO), Piece(ContentCause.ASSISTANT, 100)])
    assert steps.estimate({ONE: 9000, TWO: 9100}) is None
