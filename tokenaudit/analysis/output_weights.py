"""Output tokens per character of what a response wrote: fitted by least squares, or as they ship.

Knows neither ledgers nor prices. The least squares are written out here, because no library that this
package stands on solves any: Polars has no linear algebra, and NumPy would be a large dependency for six
equations with six unknowns.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Final

import msgspec
import polars as pl
from msgspec import Struct

from tokenaudit.model.errors import ConfigError
from tokenaudit.pricing.windows import facts_of

__all__ = [
    "FEATURES",
    "LEAST_FINALS",
    "ShippedWeights",
    "digest",
    "family_of",
    "fitted",
    "prediction",
    "shipped_weights",
    "size",
    "untold",
]

FEATURES: Final[Mapping[str, str]] = {
    "thinking": "tokens_per_thinking",
    "signature": "tokens_per_signature",
    "text": "tokens_per_text",
    "tool_input": "tokens_per_tool_input",
    "tool_calls": "tokens_per_tool_call",
    "responses": "tokens_per_response",
}
"""What of a response is counted, and the weight of each: tokens per character, per call, per response."""

LEAST_FINALS: Final = 40
"""Fewer finals than this that hold a feature do not tell its weight."""

_CALL: Final = 150
"""A call of a tool weighs as much as so many characters, where a fit asks how large a response is."""
_TINY: Final = 1e-9


class ShippedWeights(Struct, frozen=True, forbid_unknown_fields=True):
    """Weights of a family of models, and how wrong they were on histories that the fit had not seen."""

    tokens_per_thinking: float
    tokens_per_signature: float
    tokens_per_text: float
    tokens_per_tool_input: float
    tokens_per_tool_call: float
    tokens_per_response: float
    reach: float
    """How many times their estimate of a session 19 of 20 held-out sessions do not exceed."""
    total_error: float
    """Of the sum of held-out finals: 0.05 is five per cent too much."""
    median_error: float
    """Of single held-out finals, without its sign."""
    finals: int
    histories: int
    """Of how many roots the finals were; each was estimated by the others."""
    note: str
    """What should be known of them."""

    @property
    def weights(self) -> dict[str, float]:
        """The weights of FEATURES."""
        return {feature: getattr(self, name) for feature, name in FEATURES.items()}


class _Document(Struct, frozen=True, forbid_unknown_fields=True):
    fitted: str
    command: str
    sources: list[str]
    families: dict[str, ShippedWeights]


def digest() -> str:
    """Return the SHA-256, in hexadecimal, of the weights that ship."""
    return hashlib.sha256(_data()).hexdigest()


@cache
def _data() -> bytes:
    return (files("tokenaudit.analysis") / "data" / "output_weights.json").read_bytes()


@cache
def shipped_weights() -> Mapping[str, ShippedWeights]:
    """Return the weights that ship with this package, by family of models."""
    try:
        return msgspec.json.decode(_data(), type=_Document).families
    except (OSError, msgspec.MsgspecError, UnicodeError) as error:
        raise ConfigError(
            f"output_weights.json: the weights of estimates are damaged: {error}",
            hint="Install tokenaudit anew.",
        ) from None


def family_of(model: str | None) -> str | None:
    """Return the family of *model*, those that share its tokenizer; None where that is not known."""
    facts = facts_of(model)
    return facts.tokenizer if facts else None


def size() -> pl.Expr:
    """Return how much a response wrote, in characters: 0 where nothing is known of it."""
    return pl.sum_horizontal("thinking", "signature", "text", "tool_input")


def prediction(weights: Mapping[str, float]) -> pl.Expr:
    """Return the output tokens of a response by *weights* of its FEATURES."""
    return pl.sum_horizontal(pl.col(feature) * weight for feature, weight in weights.items())


def untold(finals: pl.DataFrame, known: Mapping[str, float]) -> dict[str, float]:
    """Return the *known* weights of those FEATURES that too few of *finals* hold to tell it."""
    counts = finals.select((pl.col(feature) > 0).sum() for feature in FEATURES).row(0, named=True)
    return {name: weight for name, weight in known.items() if counts[name] < LEAST_FINALS}


def fitted(finals: pl.DataFrame, fixed: Mapping[str, float]) -> dict[str, float]:
    """Return the weights of FEATURES that fit `output_tokens` of *finals* best, those *fixed* as they are.

    A response of twice the size may be twice as far off: it counts half. Weights that would be negative
    are 0, and what fits best is scaled so that *finals* add up to their true total.
    """
    rest = pl.col("output_tokens") - prediction({**dict.fromkeys(FEATURES, 0.0), **fixed})
    aimed = finals.with_columns(target=rest)
    found = _least_squares(aimed, [feature for feature in FEATURES if feature not in fixed])
    scaled = _scaled(aimed, found)
    return {feature: fixed.get(feature, scaled.get(feature, 0.0)) for feature in FEATURES}


def _scaled(aimed: pl.DataFrame, found: Mapping[str, float]) -> dict[str, float]:
    """Return the weights *found*, all multiplied by what makes the sum of the `target` true."""
    if not any(found.values()):
        return dict(found)
    target, fit = aimed.select(pl.col("target").sum(), fit=prediction(found).sum()).row(0)
    scale = max(target, 0.0) / fit if fit else 1.0
    return {feature: weight * scale for feature, weight in found.items()}


def _least_squares(finals: pl.DataFrame, features: Sequence[str]) -> dict[str, float]:
    """Return the weights of *features* that come nearest to the `target` of *finals*."""
    weight = 1 / (size() + _CALL * pl.col("tool_calls")).clip(1)
    products = finals.select(
        *(
            (weight * pl.col(one) * pl.col(other)).sum().alias(f"{one} {other}")
            for one in features
            for other in [*features, "target"]
        )
    ).row(0, named=True)
    used = list(features)
    while used:
        matrix = [[products[f"{one} {other}"] for other in used] for one in used]
        right = [products[f"{one} target"] for one in used]
        found = dict(zip(used, _solved(matrix, right), strict=True))
        lowest = min(used, key=lambda name: found[name])
        if found[lowest] >= 0:
            return {name: found.get(name, 0.0) for name in features}
        used.remove(lowest)
    return dict.fromkeys(features, 0.0)


def _solved(matrix: Sequence[Sequence[float]], right: Sequence[float]) -> list[float]:
    """Solve a small system by elimination; an unknown that nothing bears on is 0."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    size_ = len(rows)
    for at in range(size_):
        best = max(range(at, size_), key=lambda row: abs(rows[row][at]))
        rows[at], rows[best] = rows[best], rows[at]
        if abs(rows[at][at]) < _TINY:
            continue
        for other in range(size_):
            if other != at:
                factor = rows[other][at] / rows[at][at]
                rows[other] = [a - factor * b for a, b in zip(rows[other], rows[at], strict=True)]
    return [row[size_] / row[at] if abs(row[at]) >= _TINY else 0.0 for at, row in enumerate(rows)]
