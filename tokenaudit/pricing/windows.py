"""What is known of each model beside its prices: its tokenizer, and how long a context it takes.

Claude Code may run a model in a smaller window than it has, and transcripts do not say which: a window
is told with its basis, and where two are possible none is chosen.
"""

import csv
import hashlib
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Final

from msgspec import Struct

from tokenaudit.model.errors import ConfigError
from tokenaudit.pricing.models import has_long_window, is_on_cloud, normalise

__all__ = ["ModelFacts", "Window", "WindowBasis", "digest", "facts_of", "window_of"]

SHORT: Final = 200_000
LONG: Final = 1_000_000

_RUN_SHORT: Final = frozenset({"claude-opus-4-6", "claude-sonnet-4-6"})
"""Models that Claude Code runs at 200k unless `[1m]` or the plan says otherwise."""
_SHORT_ON_CLOUDS: Final = "claude-opus-"
"""Opus from 4.7 on is run at 200k on Bedrock, Vertex and Foundry unless `[1m]` is chosen."""


class WindowBasis(StrEnum):
    """Why a context window is taken to be what it is."""

    OVERRIDE = "override"
    """The user says so."""
    SUFFIX = "suffix"
    """The model's name carries `[1m]`."""
    OBSERVED = "observed"
    """A prompt of the session was longer than the short window."""
    MODEL = "model"
    """The model has only this one."""
    AMBIGUOUS = "ambiguous"
    """It may be the short or the long one."""


class ModelFacts(Struct, frozen=True):
    """What is known of a model."""

    model: str
    context_window: int
    """In tokens, on the API of Anthropic."""
    tokenizer: str
    """`old` or `new`: the new one makes about 30 % more tokens of the same text."""
    end_of_life: date | None
    """The day on which the API of Anthropic ends, or ended, the model; None where no day is named."""


class Window(Struct, frozen=True):
    """A context window in tokens, and why it is taken to be that; None if it cannot be told."""

    tokens: int | None
    basis: WindowBasis


@cache
def _table() -> bytes:
    return (files("tokenaudit.pricing") / "data" / "models.csv").read_bytes()


@cache
def _models() -> Mapping[str, ModelFacts]:
    try:
        rows = csv.DictReader(_table().decode("utf-8").splitlines())
        return {row["model"]: _facts(row) for row in rows}
    except (OSError, csv.Error, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"models.csv: what is known of models is damaged: {error!r}",
            hint="Install tokenaudit anew.",
        ) from None


def _facts(row: Mapping[str, str]) -> ModelFacts:
    end = row["end_of_life"]
    return ModelFacts(
        model=row["model"],
        context_window=int(row["context_window"]),
        tokenizer=row["tokenizer"],
        end_of_life=date.fromisoformat(end) if end else None,
    )


def digest() -> str:
    """Return the SHA-256, in hexadecimal, of all that is known of models here."""
    return hashlib.sha256(_table()).hexdigest()


def facts_of(model: str | None) -> ModelFacts | None:
    """Return what is known of *model*, in any of its names; None if nothing is."""
    return _models().get(normalise(model).key) if model else None


def window_of(
    model: str | None,
    *,
    longest_prompt: int = 0,
    override: int | None = None,
    is_long_disabled: bool = False,
) -> Window:
    """Return the context window in which *model* ran.

    *longest_prompt* is the longest of that session and model, *override* the window that the user
    states; *is_long_disabled* says that Claude Code was told never to use a window of a million.
    """
    if override is not None:
        return Window(override, WindowBasis.OVERRIDE)
    if model and has_long_window(model):
        return Window(LONG, WindowBasis.SUFFIX)
    if longest_prompt > SHORT:
        return Window(LONG, WindowBasis.OBSERVED)
    if is_long_disabled:
        return Window(SHORT, WindowBasis.OVERRIDE)
    facts = facts_of(model)
    if model is None or facts is None or _is_ambiguous(model, facts):
        return Window(None, WindowBasis.AMBIGUOUS)
    return Window(facts.context_window, WindowBasis.MODEL)


def _is_ambiguous(model: str, facts: ModelFacts) -> bool:
    if facts.context_window == SHORT:
        return False
    is_opus_elsewhere = is_on_cloud(model) and facts.model.startswith(_SHORT_ON_CLOUDS)
    return facts.model in _RUN_SHORT or is_opus_elsewhere
