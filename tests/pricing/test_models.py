"""The ways in which a model is named, and the names that are no model's."""

import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tokenaudit.pricing.card import shipped_card
from tokenaudit.pricing.models import ModelName, normalise

PROFILE = "arn:aws:bedrock:us-east-1:123456789012:inference-profile"
APPLICATION = "arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile"
GOV_PROFILE = "arn:aws-us-gov:bedrock:us-gov-west-1:123456789012:inference-profile"
REGIONS = ("us", "eu", "apac", "jp", "au", "ca", "us-gov")


def knows(model: str) -> bool:
    return normalise(model).key in {rate.model for rate in shipped_card().rates}


@pytest.mark.parametrize(
    ("model", "key"),
    [
        # releases
        ("claude-opus-4-6", "claude-opus-4-6"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("claude-opus-4-5-20251101", "claude-opus-4-5"),
        ("claude-3-7-sonnet-20250219", "claude-3-7-sonnet"),
        ("claude-3-5-sonnet-20240620", "claude-3-5-sonnet"),
        ("claude-3-5-haiku-latest", "claude-3-5-haiku"),
        # what settings and users write
        ("Claude-Opus-5", "claude-opus-5"),
        (" claude-opus-5 ", "claude-opus-5"),
        ("claude-fable-5-1[1m]", "claude-fable-5-1"),
        ("claude-sonnet-4-20250514[1m]", "claude-sonnet-4"),
        ("claude-sonnet-4-6[1M]", "claude-sonnet-4-6"),
        ("claude-opus-4-6[1m][1m]", "claude-opus-4-6"),
        # `.0`, which ids leave out
        ("claude-sonnet-4-0", "claude-sonnet-4"),
        ("claude-opus-4-0", "claude-opus-4"),
        # gateways
        ("anthropic/claude-opus-4-6", "claude-opus-4-6"),
        ("anthropic/claude-opus-4.6", "claude-opus-4-6"),
        ("claude-sonnet-4.5", "claude-sonnet-4-5"),
        ("claude-3.7-sonnet", "claude-3-7-sonnet"),
        # the version before the family
        ("claude-4-sonnet", "claude-sonnet-4"),
        ("claude-4-opus", "claude-opus-4"),
        ("claude-4-sonnet-20250514", "claude-sonnet-4"),
        ("claude-4-0-opus", "claude-opus-4"),
        ("claude-4.5-haiku", "claude-haiku-4-5"),
        ("anthropic/claude-4.5-sonnet", "claude-sonnet-4-5"),
    ],
)
def test_the_forms_of_the_api_and_of_gateways(model: str, key: str) -> None:
    """They name a model of the card, and no platform."""
    assert ModelName(key) == normalise(model)
    assert knows(model)


@pytest.mark.parametrize(
    ("model", "key", "is_regional"),
    [
        ("global.anthropic.claude-opus-4-6-v1", "claude-opus-4-6", False),
        ("anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5", True),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0[1m]", "claude-sonnet-4-5", True),
        ("anthropic.claude-3-5-sonnet-20241022-v2:0", "claude-3-5-sonnet", True),
        (
            f"{PROFILE}/us.anthropic.claude-opus-4-1-20250805-v1:0",
            "claude-opus-4-1",
            True,
        ),
        (f"{PROFILE}/global.anthropic.claude-opus-5-5", "claude-opus-5-5", False),
        (
            "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-3-haiku-20240307-v1:0",
            "claude-3-haiku",
            True,
        ),
        (f"{GOV_PROFILE}/us-gov.anthropic.claude-opus-4-5-v1:0", "claude-opus-4-5", True),
        *((f"{region}.anthropic.claude-opus-5", "claude-opus-5", True) for region in REGIONS),
    ],
)
def test_the_forms_of_bedrock(model: str, key: str, *, is_regional: bool) -> None:
    """All endpoints but the global one are regional, also those that name no region."""
    assert ModelName(key, is_regional=is_regional) == normalise(model)
    assert knows(model)


@pytest.mark.parametrize(
    ("model", "key"),
    [
        ("claude-haiku-4-5@20251001", "claude-haiku-4-5"),
        ("claude-sonnet-4@20250514", "claude-sonnet-4"),
        ("claude-opus-4-6@default", "claude-opus-4-6"),
        ("claude-3-5-sonnet-v2@20241022", "claude-3-5-sonnet"),
        ("claude-sonnet-4-5@20250929[1m]", "claude-sonnet-4-5"),
    ],
)
def test_the_forms_of_vertex(model: str, key: str) -> None:
    """Whether the endpoint was a regional one cannot be told from the name."""
    assert ModelName(key, is_region_unknown=True) == normalise(model)
    assert knows(model)


@pytest.mark.parametrize(
    "model",
    [
        # versions that are not, beside versions that are
        "claude-opus-5-6",
        "claude-fable-5-3",
        "claude-opus-45",
        "claude-opus-4-10",
        "claude-opus-6",
        "claude-haiku-5",
        "claude-3-opus-4",
        "claude-opus-4-5-fast",
        "claude-opus-4-5-2025110",
        "claude-opus-4-5-202511011",
        "claude-opus-4-5-19991101",
        "my-claude-opus-5",
        "claude-opus",
        # aliases, which cannot be resolved after the fact
        "opus",
        "sonnet",
        "haiku",
        "opusplan",
        "default",
        # other makers behind a gateway
        "glm-4.7",
        "kimi-k2",
        "deepseek-chat",
        "gpt-5",
        "openai/claude-opus-5",
        # what only the user's account can resolve
        f"{APPLICATION}/abcd1234",
        f"{APPLICATION}/us.anthropic.claude-opus-5",
        "arn:aws:sagemaker:us-east-1:123456789012:inference-profile/claude-opus-5",
        "xx.anthropic.claude-opus-5",
        # no names at all
        "",
        " ",
        "<synthetic>",
        "[1m]",
        "anthropic/",
        "us.anthropic.",
        # control characters, and digits of other scripts
        "claude-opus-5\n",
        "\tclaude-opus-5",
        "claude-opus-5\x1f",
        "claude-opus-5\x00",
        "claude-\x1b[31mopus-5",
        "claude-opus-5[1m]\n",
        "claude-opus-4-5-20251101\n",
        "claude-opus-\u0665",
        "claude-\u0664-opus",
        "claude-opus-4-5-20\u0662\u0665\u0661\u0661\u0660\u0661",
        "claude-opus-4-5-v\u0661",
        "claude-4-sonnet\ud83d",
        pytest.param(f"claude-{'9' * 5000}-opus", id="5,000 digits"),
    ],
    ids=ascii,
)
def test_a_near_miss_is_no_model(model: str) -> None:
    """A name that is not exactly known gets no neighbour's price."""
    assert not knows(model)


def test_every_model_of_the_card_is_known_by_its_own_name() -> None:
    """Normalising a key changes nothing."""
    keys = {rate.model for rate in shipped_card().rates}

    assert keys == {normalise(key).key for key in keys}


@given(st.sampled_from(sorted({rate.model for rate in shipped_card().rates})), st.data())
def test_one_more_letter_or_digit_is_another_model(key: str, data: st.DataObject) -> None:
    """No look-up goes by a prefix or by what a name holds."""
    letters = string.ascii_lowercase + string.digits
    at = data.draw(st.integers(0, len(key)))
    model = key[:at] + data.draw(st.sampled_from(letters)) + key[at:]

    assert key != normalise(model).key


@given(st.text(st.characters()))
@example("arn:aws:bedrock:")
@example("claude-²-opus")
def test_any_text_can_be_taken_apart(model: str) -> None:
    """Whatever a transcript names, it is a name."""
    assert isinstance(normalise(model).key, str)
