"""Parquet that tokenaudit wrote: what its footer says that it stands on, and its rows.

The one place below the store that knows frames: only they read this format.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from tokenaudit.audit.reconcile.claims import own
from tokenaudit.audit.reconcile.claims.claim import Claim, ClaimError
from tokenaudit.files.seal import is_intact, last_seal

if TYPE_CHECKING:
    import polars as pl

__all__ = ["claim_of", "is_parquet", "opened"]

_MAGIC: Final = b"PAR1"
_PREFIX: Final = "tokenaudit."
_TEXTS: Final = frozenset(
    {"seal", "version", "generated_at", "command", "timezone", "cost_meaning"}
)
"""What of the footer is text; the rest is JSON."""


def is_parquet(data: bytes) -> bool:
    """Tell Parquet by how it begins or ends: one of the two may be damaged."""
    return data.startswith(_MAGIC) or data.endswith(_MAGIC)


def claim_of(data: bytes, source: str) -> Claim:
    """Read a report as Parquet. Raises ClaimError for what is damaged, not ours, or without usage."""
    meta, frame = opened(data, source)
    names = [name for name in frame.columns if name in own.COLUMNS]
    return own.whole(names, frame.select(names).to_dicts(), meta, source)


def opened(data: bytes, source: str) -> "tuple[Mapping[str, Any], pl.DataFrame]":
    """Return what the footer says, in the shape of JSON's `meta`, and the rows.

    Raises ClaimError for what cannot be read, and for what is none of ours. Nothing is read whose seal
    does not fit: of a damaged page Polars may ask for more memory than there is, and end the process.
    """
    import io

    import polars as pl

    seal = last_seal(data)
    if seal is None:
        raise ClaimError(f"{source}: is Parquet, but carries no seal of tokenaudit")
    if not is_intact(data, seal, is_last=True):
        raise ClaimError(
            f"{source}: its seal is broken: it is damaged, or was changed after it was written"
        )
    try:
        footer = pl.read_parquet_metadata(io.BytesIO(data))
        frame = pl.read_parquet(io.BytesIO(data))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        said = next(iter(str(error).splitlines()), "it is damaged")
        raise ClaimError(f"{source}: cannot be read as Parquet: {said}") from None
    own_part = {
        name.removeprefix(_PREFIX): value
        for name, value in footer.items()
        if name.startswith(_PREFIX)
    }
    if not own_part:
        raise ClaimError(f"{source}: is Parquet, but no export of tokenaudit")
    try:
        return {
            name: value if name in _TEXTS else msgspec.json.decode(value)
            for name, value in own_part.items()
        }, frame
    except msgspec.DecodeError as error:
        raise ClaimError(f"{source}: its metadata cannot be read: {error}") from None
