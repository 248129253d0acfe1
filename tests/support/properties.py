"""How many examples a property takes: its share of the profile's, so that a longer run is longer everywhere."""

from hypothesis import Phase, settings

__all__ = ["examples"]


def examples(count: int, *, makes_smaller: bool = True) -> settings:
    """Take *count* examples where the profile has 100; what fails is made smaller unless each takes too long."""
    phases = tuple(Phase) if makes_smaller else (Phase.explicit, Phase.generate)
    return settings(max_examples=max(count * settings().max_examples // 100, 1), phases=phases)
