"""What each field of the line says, and the percentage that colours it: our figures beside Claude Code's."""

from __future__ import annotations

import json
import os
import time

from tokenaudit.statusline.files import BASIS, STATE, basis_of, remove
from tokenaudit.statusline.format import clock, least, money, short, usd
from tokenaudit.statusline.input import number, part, path_of, plain, session_id
from tokenaudit.statusline.line import FULL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from tokenaudit.statusline.usage_cache import UsageCache

__all__ = ["fields_of", "fields_of_sample", "official"]

_READ_S = 1.5
_SECOND = 10**6
_HOUR_S = 3600
_BLOCK_S = 5 * _HOUR_S
_PICO = 10**12
_UNKNOWN = "—"


def fields_of_sample() -> dict[str, tuple[Any, ...]]:
    """Return the fields as they were beside the last session of the sample history."""
    import tempfile

    from tokenaudit.statusline.sample import sample

    given, now, root = sample()
    with tempfile.TemporaryDirectory() as folder:
        return fields_of(given, folder, now, [root])


def fields_of(
    given: Mapping[str, Any], folder: str, now: int, roots: Sequence[str] | None = None
) -> dict[str, tuple[Any, ...]]:
    """Return each field as its text and, where it has one, the percentage that colours it.

    What is kept stands in *folder*; *roots*: other ones than the settings say.
    """
    fields: dict[str, tuple[Any, ...]] = {
        "model": (plain(part(given, "model", "display_name") or part(given, "model", "id")),),
        "claude": (_claude(given),),
        "today": (_UNKNOWN,),
        "limits": official(part(given, "rate_limits"), now, ()),
    }
    prompt = None
    if session_id(given) is not None:
        fields["session"] = (_of_claude(given),)
    try:
        figures, prompt = _figures(given, folder, now, roots) if folder else ({}, None)
        fields |= figures
    except Exception:  # noqa: BLE001, S110 - without our state, what Claude Code says is still worth a line
        pass
    fields["context"] = _context(given, prompt)
    return fields


def _figures(
    given: Mapping[str, Any],
    folder: str,
    now: int,
    roots: Sequence[str] | None,
) -> tuple[dict[str, tuple[Any, ...]], int | None]:
    """Return what our state tells; one that is damaged is thrown away, and made again."""
    try:
        return _counted(given, folder, now, roots)
    except Exception as error:
        from tokenaudit.statusline.state import is_damage

        if not is_damage(error):
            raise
        for name in (BASIS, STATE, f"{STATE}-journal"):
            remove(os.path.join(folder, name))  # noqa: PTH118 - no pathlib here
        return _counted(given, folder, now, roots)


def _counted(
    given: Mapping[str, Any],
    folder: str,
    now: int,
    roots: Sequence[str] | None,
) -> tuple[dict[str, tuple[Any, ...]], int | None]:
    basis = basis_of(folder, now)
    if roots is not None:
        basis = {**basis, "roots": roots}
    session = session_id(given)
    cache = _tally(folder, basis)
    try:
        is_all = cache.refresh(
            basis["roots"],
            path_of(part(given, "transcript_path")),
            day_start=basis["since"],
            now=now,
            deadline=time.monotonic() + _READ_S,
        )
        has_transcripts = cache.has_transcripts
        fields: dict[str, tuple[Any, ...]] = {
            "limits": official(part(given, "rate_limits"), now, basis["offsets"])
        }
        if has_transcripts:
            fields["today"] = (usd(cache.since(*basis["day"]), is_all=is_all),)
        own = None
        if session is not None:
            if cache.knows(session):
                own = cache.session(session)
            fields["session"] = (_of_claude(given) if own is None else usd(own, is_all=is_all),)
        block = cache.block(now)
        if block is not None:
            fields |= _block(cache, block, now, is_all=is_all)
        known = {"session": own, "block": block} if has_transcripts else None
        fields["budget"] = _budgets(basis["budgets"], cache, now, known, is_all=is_all)
        return fields, cache.prompt(session) if session else None
    finally:
        cache.close()


def _tally(folder: str, basis: Mapping[str, Any]) -> UsageCache:
    from tokenaudit.statusline.usage_cache import UsageCache

    def tariffs(kinds: Iterable[tuple[Any, ...]]) -> Iterable[Mapping[str, Any]]:
        from tokenaudit.statusline.settings_cache import tariffs as looked_up

        return looked_up(kinds)

    path = os.path.join(folder, STATE)  # noqa: PTH118 - no pathlib here
    return UsageCache(path, json.dumps([basis["stamp"], basis["roots"]]), tariffs)


def _block(cache: UsageCache, start: int, now: int, *, is_all: bool) -> dict[str, tuple[Any, ...]]:
    from tokenaudit.model.blocks import per

    used = cache.since(start, now + 1)
    left = (start + _BLOCK_S * _SECOND - now) // _SECOND
    elapsed = (now - (used.first or now)) // _SECOND
    hourly = per(used.cost, elapsed, _HOUR_S)
    return {
        "block": (usd(used, is_all=is_all),),
        "left": (f"{left // _HOUR_S}h {left % _HOUR_S // 60:02}m left",),
        "burn": (f"{usd(used, hourly, is_all=is_all)}/h",),
        "pace": (f"{short(per(used.tokens, elapsed, 60))} tok/min",),
    }


def _budgets(
    budgets: Sequence[Sequence[Any]],
    cache: UsageCache,
    now: int,
    known: Mapping[str, Any] | None,
    *,
    is_all: bool,
) -> tuple[Any, ...]:
    """Return how much of each budget is used: `62 % of $25.00/day`; unknown without what is *known*."""
    texts, worst = [], 0.0
    for amount, period, since in budgets:
        if known is None:
            texts.append(f"{_UNKNOWN} of {money(amount)}/{period}")
            continue
        start = known["block"] if period == "block" else since
        used = known["session"] if period == "session" else None
        if start is not None:
            used = cache.since(start, now + 1)
        if used is not None:
            percent = 100 * used.cost / amount
            worst = max(worst, percent)
            sign = least(used, is_all=is_all)
            texts.append(f"{sign}{percent:.0f} % of {money(amount)}/{period}")
    return (", ".join(texts), worst)


def _claude(given: Mapping[str, Any]) -> str:
    total = number(part(given, "cost", "total_cost_usd"))
    return "" if total is None else money(round(total * _PICO))


def _of_claude(given: Mapping[str, Any]) -> str:
    """Write Claude Code's own total of the session, said to be that, where ours is not known."""
    own = _claude(given)
    return f"Claude's {own}" if own else _UNKNOWN


def _context(given: Mapping[str, Any], prompt: int | None) -> tuple[Any, ...]:
    """Return the gauge: what Claude Code says of the context, else the last prompt that is known."""
    window = part(given, "context_window")
    current = part(window or {}, "current_usage")
    names = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    counts = [number(part(current or {}, name)) for name in names]
    used = int(sum(count or 0 for count in counts)) if current else prompt
    size = number(part(window or {}, "context_window_size"))
    if used is None:
        return ("",)
    if not size:
        return (f"{used:,}",)
    percent = 100 * used / size
    sign = "⚠ " if percent >= FULL else ""
    return (f"{sign}{used:,} / {short(int(size))} ({percent:.1f} %)", percent)


def official(found: Any, now: int, offsets: Sequence[Sequence[int]]) -> tuple[Any, ...]:
    """Return the official limits and when each is reset: `5h 23 % → 14:00, 7d 41 % → Thu 09:00`.

    *now* is in microseconds; *offsets* are those of the zone, see `basis.worked_out`.
    """
    texts, used = [], []
    for name, window in (("five_hour", "5h"), ("seven_day", "7d")):
        percent = number(part(found or {}, name, "used_percentage"))
        if percent is None:
            continue
        resets = number(part(found or {}, name, "resets_at"))
        at = "" if resets is None else clock(round(resets), now // _SECOND, offsets)
        if resets is not None and resets * _SECOND <= now:
            texts.append(f"{window} reset since {at}".rstrip())
            continue
        texts.append(f"{window} {percent:.0f} %{at and f' → {at}'}")
        used.append(percent)
    return (", ".join(texts), max(used, default=None))
