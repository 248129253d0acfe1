"""Context windows of models, and why they are taken to be what they are."""

import csv
from importlib.resources import files

import pytest

from tokenaudit.pricing.card import shipped_card
from tokenaudit.pricing.windows import Window, WindowBasis, facts_of, window_of


@pytest.mark.parametrize(
    ("model", "window"),
    [
        ("claude-sonnet-4-5-20250929", Window(200_000, WindowBasis.MODEL)),
        ("claude-opus-4-5", Window(200_000, WindowBasis.MODEL)),
        ("claude-haiku-4-5@20251001", Window(200_000, WindowBasis.MODEL)),
        ("claude-opus-4-6", Window(None, WindowBasis.AMBIGUOUS)),
        ("claude-sonnet-4-6", Window(None, WindowBasis.AMBIGUOUS)),
        ("claude-opus-4-7", Window(1_000_000, WindowBasis.MODEL)),
        ("claude-opus-5", Window(1_000_000, WindowBasis.MODEL)),
        ("us.anthropic.claude-opus-5", Window(None, WindowBasis.AMBIGUOUS)),
        ("claude-opus-4-8@20260528", Window(None, WindowBasis.AMBIGUOUS)),
        ("us.anthropic.claude-sonnet-5", Window(1_000_000, WindowBasis.MODEL)),
        ("claude-fable-5-2", Window(1_000_000, WindowBasis.MODEL)),
        ("claude-haiku-5-5", Window(1_000_000, WindowBasis.MODEL)),
        ("claude-opus-4-6[1m]", Window(1_000_000, WindowBasis.SUFFIX)),
        ("claude-sonnet-4-5[1m]", Window(1_000_000, WindowBasis.SUFFIX)),
        ("glm-4.7", Window(None, WindowBasis.AMBIGUOUS)),
        (None, Window(None, WindowBasis.AMBIGUOUS)),
    ],
)
def test_a_window_is_told_by_the_model(model: str | None, window: Window) -> None:
    """Where Claude Code may have run it at 200k or at a million, none is chosen."""
    assert window_of(model) == window


@pytest.mark.parametrize(
    ("longest", "window"),
    [
        (200_000, Window(None, WindowBasis.AMBIGUOUS)),
        (200_001, Window(1_000_000, WindowBasis.OBSERVED)),
    ],
)
def test_a_longer_prompt_proves_the_long_window(longest: int, window: Window) -> None:
    """Only one that does not fit the short one."""
    assert window_of("claude-opus-4-6", longest_prompt=longest) == window


def test_the_user_knows_best() -> None:
    """Before all that can be seen; a million switched off holds where nothing longer was seen."""
    assert window_of("claude-opus-5[1m]", longest_prompt=300_000, override=400_000) == Window(
        400_000, WindowBasis.OVERRIDE
    )
    assert window_of("claude-opus-5", is_long_disabled=True) == Window(
        200_000, WindowBasis.OVERRIDE
    )


def test_facts_and_prices_are_of_the_same_models() -> None:
    """A model that has a price has a window, and a tokenizer that is named."""
    table = (files("tokenaudit.pricing") / "data" / "models.csv").read_text("utf-8")
    models = {row["model"] for row in csv.DictReader(table.splitlines())}

    assert models == {rate.model for rate in shipped_card().rates}
    assert {facts.tokenizer for model in models if (facts := facts_of(model))} == {"old", "new"}


@pytest.mark.parametrize(
    ("model", "tokenizer"),
    [
        ("claude-sonnet-4-6", "old"),
        ("claude-opus-4-6", "old"),
        ("claude-opus-4-7", "new"),
        ("eu.anthropic.claude-haiku-5-5", "new"),
        ("claude-mythos-preview", "new"),
    ],
)
def test_the_tokenizer_changed_with_version_4_7(model: str, tokenizer: str) -> None:
    """In any name of a model."""
    facts = facts_of(model)

    assert facts is not None
    assert facts.tokenizer == tokenizer
