"""Fields of frozen dataclasses that hold a frame which is made when it is asked for, and then once."""

from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

import polars as pl

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

__all__ = ["LazyFrame", "is_made", "replaced"]

Holder = TypeVar("Holder", bound="DataclassInstance")


class LazyFrame:
    """Such a field: it is given a frame, or what makes it, and is read as the frame."""

    def __set_name__(self, owner: type, name: str) -> None:
        """Know under which name a holder has the frame, or what makes it."""
        self.name = f"_{name}"

    def __get__(self, holder: Any, owner: type) -> pl.DataFrame:
        """Return the frame."""
        if holder is None:
            raise AttributeError(self.name)  # a field without a default
        made: _Once = getattr(holder, self.name)
        return made.frame()

    def __set__(
        self, holder: Any, frame: "pl.DataFrame | Callable[[], pl.DataFrame] | _Once"
    ) -> None:
        """Give the frame to a holder that is being made itself."""
        object.__setattr__(holder, self.name, frame if isinstance(frame, _Once) else _Once(frame))


class _Once:
    """A frame, or what makes it until it has been asked for."""

    __slots__ = ("_frame",)

    def __init__(self, frame: pl.DataFrame | Callable[[], pl.DataFrame]) -> None:
        self._frame = frame

    def is_made(self) -> bool:
        return isinstance(self._frame, pl.DataFrame)

    def frame(self) -> pl.DataFrame:
        if not isinstance(self._frame, pl.DataFrame):
            self._frame = self._frame()
        return self._frame


def is_made(holder: Any, name: str) -> bool:
    """Tell whether the lazy frame *name* of *holder* is there already."""
    once: _Once = getattr(holder, f"_{name}")
    return once.is_made()


def replaced(holder: Holder, **changes: Any) -> Holder:
    """Return *holder* with *changes*; frames that no one has asked for stay unmade."""
    kind = type(holder)
    same = {
        each.name: getattr(holder, _name_of(kind, each.name))
        for each in fields(holder)
        if each.name not in changes
    }
    return kind(**same, **changes)


def _name_of(kind: type, field: str) -> str:
    """Return the name under which an instance of *kind* has a *field*."""
    found = vars(kind).get(field)
    return found.name if isinstance(found, LazyFrame) else field
