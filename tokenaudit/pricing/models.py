"""Turns the ways in which a model is named into the one key by which the rate card knows it.

Look-up is exact after normalising, never by prefix: `claude-opus-45` or `claude-fable-5-3` must not
be given the price of a neighbour.
"""

import re
from typing import Final

from msgspec import Struct

__all__ = ["ModelName", "has_long_window", "is_on_cloud", "normalise"]

_PROFILE: Final = re.compile(
    r"arn:aws[a-z-]*:bedrock:[^/]*:(?:inference-profile|foundation-model)/"
)
_REGION: Final = re.compile(r"(?:(us|eu|apac|jp|au|ca|us-gov|global)\.)?anthropic\.")
_WINDOW: Final = re.compile(r"(?:\[1m\])+$")
_REVISION: Final = re.compile(r"-v\d+(?::\d+)?$", re.ASCII)
_RELEASE: Final = re.compile(r"(?:[-@]20\d{6}|@default|-latest)$", re.ASCII)
_NUMBER_FIRST: Final = re.compile(r"claude-(\d{1,2})(?:-(\d{1,2}))?-(opus|sonnet|haiku)", re.ASCII)
_FAMILY_FIRST_SINCE: Final = 4
"""The version from which ids name the family first: `claude-3-opus`, but `claude-opus-4`."""


class ModelName(Struct, frozen=True):
    """A model's name, taken apart."""

    key: str
    """The name by which the rate card may know it."""
    is_regional: bool = False
    """Whether it names a regional endpoint of Bedrock, which carries a premium."""
    is_region_unknown: bool = False
    """Whether it is a name of Vertex, which has such endpoints too, but not in the name."""


def has_long_window(model: str) -> bool:
    """Tell whether *model* says that it runs in a context window of a million tokens: `…[1m]`."""
    return bool(_WINDOW.search(model.strip(" ").lower()))


def is_on_cloud(model: str) -> bool:
    """Tell whether *model* is a name of Bedrock or Vertex."""
    return "@" in model or bool(_REGION.search(model.lower()))


def normalise(model: str) -> ModelName:
    """Take *model* apart: the forms of the API, Bedrock, Vertex, gateways and settings."""
    # Blanks are cut, control characters are not: a name that holds one is nobody's.
    name = _WINDOW.sub("", model.strip(" ").lower())
    name = _PROFILE.sub("", name).removeprefix("anthropic/")
    region = _REGION.match(name)
    if region:
        name = name[region.end() :]
    is_vertex = "@" in name
    # Bedrock writes the release before the revision, Vertex after it (`-v2@20241022`).
    name = _REVISION.sub("", _RELEASE.sub("", _REVISION.sub("", name))).replace(".", "-")
    return ModelName(
        _ordered(name),
        is_regional=bool(region and region[1] != "global"),
        is_region_unknown=is_vertex,
    )


def _ordered(name: str) -> str:
    """Write the family before the version where that is the newer habit, and no `.0`."""
    if match := _NUMBER_FIRST.fullmatch(name):
        major, minor, family = match.groups()
        if int(major) >= _FAMILY_FIRST_SINCE:
            name = "-".join(part for part in ("claude", family, major, minor) if part)
    return re.sub(r"^(claude-(?:opus|sonnet)-4)-0$", r"\1", name)
