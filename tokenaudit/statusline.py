"""One line for Claude Code's status bar: reads its JSON on stdin, never fails, never waits long.

Neither Polars nor Rich nor Typer is imported here, and what takes long (settings, rates, time zones)
only when it has changed. Whatever goes wrong, the last good line is printed and the exit code is 0.
"""

from __future__ import annotations

import json
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from tokenaudit.tally import Sum, Tally

__all__ = ["DEFAULT_FORMAT", "FIELDS", "main"]

FIELDS = (
    "model",
    "session",
    "claude",
    "today",
    "block",
    "left",
    "burn",
    "pace",
    "context",
    "limits",
    "budget",
)
"""What a template may name in braces."""

DEFAULT_FORMAT = (
    "{model} · {session} session · {today} today · {block} block {left} · {burn} · {context}"
    " · {limits} · {budget}"
)
"""What is shown without a template; a part of which nothing is known is left out."""

_SEPARATOR = " · "
_STDIN_S = 1.0
_READ_S = 1.5
_ALARM_S = 4
_MOST_BYTES = 1 << 20
_SECOND = 10**6
_HOUR_S = 3600
_BLOCK_S = 5 * _HOUR_S
_DAY_S = 24 * _HOUR_S
_WEEKDAYS = ("Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed")
"""From the first day of 1970 on."""
_PICO = 10**12
_NEAR, _FULL = 60.0, 80.0
_RED, _YELLOW, _DIM, _PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[2m", "\x1b[0m"
_UNKNOWN = "—"
_NAME = "tokenaudit"
_LAST = "statusline.txt"
_STATE = "statusline.db"
_BASIS = "statusline.json"


def main(argv: Sequence[str]) -> int:
    """Print the line; *argv* may hold `--format TEMPLATE`, `--no-color` and `--demo`. Returns 0."""
    folder = session = ""
    told: dict[str, Any] = {}
    is_sample = "--demo" in argv
    try:
        _occupy_channels()
        folder = _made(_folders()[0])
        _set_alarm(lambda: _at_worst(argv, told, folder, session))
        if not is_sample:
            told = _told(_stdin())
            session = _session(told) or ""
            _record(told)
        line = _line(argv, told, folder)
        if folder and not is_sample:
            _keep(os.path.join(folder, _LAST), f"{session}\n{line}")  # noqa: PTH118 - no pathlib here
    except BaseException:  # noqa: BLE001 - whatever it is, a status bar has no use for it
        line = _at_worst(argv, told, folder, session)
    _clear_alarm()
    _print(line)
    return 0


def _occupy_channels() -> None:
    """Let no file that is opened later become standard output because that was closed."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _clear_alarm() -> None:
    import signal

    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


def _set_alarm(last: Callable[[], str]) -> None:
    """Let nothing, not even a network folder that does not answer, keep the status bar waiting."""
    import signal

    def give_up(_number: int, _frame: object) -> None:
        _print(last())
        os._exit(0)

    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, give_up)
        signal.setitimer(signal.ITIMER_REAL, _ALARM_S)


def _print(line: str) -> None:
    try:
        os.write(1, (line + "\n").encode("utf-8", "replace"))
    except OSError:
        return


def _at_worst(argv: Sequence[str], told: Mapping[str, Any], folder: str, session: str) -> str:
    """Return the session's last line, else what Claude Code says, else the name of this."""
    try:
        return _last(folder, session) or (_line(argv, told, "") if told else _NAME)
    except Exception:  # noqa: BLE001 - as above
        return _NAME


def _last(folder: str, session: str) -> str:
    """Return the line that was printed last; nothing where there is none of *session*.

    Whoever does not know its session takes any.
    """
    if not folder:
        return ""
    try:
        with open(os.path.join(folder, _LAST), "rb") as file:  # noqa: PTH118, PTH123 - no pathlib here
            text = file.read(_MOST_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
    of, _, line = text.partition("\n")
    return line.strip("\n") if session in {"", of} else ""


def _keep(path: str, text: str) -> None:
    """Write a small file: afterwards it holds all of *text*, or what it held before."""
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        with open(temporary, "wb") as file:  # noqa: PTH123 - no pathlib here
            file.write(text.encode("utf-8", "replace"))
        os.replace(temporary, path)  # noqa: PTH105 - no pathlib here
    except OSError:
        _remove(temporary)


def _remove(path: str) -> None:
    try:
        os.remove(path)  # noqa: PTH107 - no pathlib here
    except OSError:
        return


def _folders() -> tuple[str, str]:
    """Return the folders of what can be made again and of what cannot; as platformdirs does."""
    if sys.platform == "linux":
        home = os.path.expanduser("~")  # noqa: PTH111 - no pathlib here
        cache = os.environ.get("XDG_CACHE_HOME", "").strip() or f"{home}/.cache"
        data = os.environ.get("XDG_DATA_HOME", "").strip() or f"{home}/.local/share"
        found = (f"{cache}/tokenaudit", f"{data}/tokenaudit")
    else:
        from platformdirs import user_cache_dir, user_data_dir

        found = (
            user_cache_dir("tokenaudit", appauthor=False),
            user_data_dir("tokenaudit", appauthor=False),
        )
    return found


def _made(folder: str) -> str:
    """Return *folder*, which is there now; nothing if that cannot be."""
    try:
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103 - no pathlib here
    except OSError:
        return ""
    return folder


# what Claude Code says


def _stdin() -> bytes:
    """Return what stands on stdin, but wait for it no longer than a second, and take no more than 1 MB."""
    import select

    if sys.stdin is None or os.isatty(0):
        return b""
    parts, size = [], 0
    deadline = time.monotonic() + _STDIN_S
    while size < _MOST_BYTES and (left := deadline - time.monotonic()) > 0:
        if os.name == "posix" and not select.select([0], [], [], left)[0]:
            break
        data = os.read(0, 1 << 16)
        if not data:
            break
        parts.append(data)
        size += len(data)
    return b"".join(parts)


def _told(data: bytes) -> dict[str, Any]:
    """Return what Claude Code says; nothing where that is no JSON object."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _part(told: Mapping[str, Any], *names: str) -> Any:
    """Return the value at the end of *names*; None where there is none."""
    found: Any = told
    for name in names:
        if not isinstance(found, dict):
            return None
        found = found.get(name)
    return found


def _session(told: Mapping[str, Any]) -> str | None:
    """Return the id of the session as text that any file can hold; None where there is none."""
    found = _part(told, "session_id")
    if not isinstance(found, str) or not found:
        return None
    return found.encode("utf-8", "replace").decode().replace("\n", " ")


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and 0 <= value < 10**15 else None


# the line


def _line(argv: Sequence[str], told: Mapping[str, Any], folder: str) -> str:
    """Return the line; without a *folder* in which to keep anything what Claude Code says alone."""
    template, color = _options(argv)
    fields = _of_sample() if "--demo" in argv else _fields(told, folder, int(time.time() * _SECOND))
    written = {name: _painted(*value) if color else value[0] for name, value in fields.items()}
    return _filled(template, written)


def _options(argv: Sequence[str]) -> tuple[str, bool]:
    template, color = DEFAULT_FORMAT, not os.environ.get("NO_COLOR")
    for at, word in enumerate(argv):
        if word in {"--format", "-f"} and at + 1 < len(argv):
            template = argv[at + 1]
        elif word.startswith("--format="):
            template = word.partition("=")[2]
        elif word == "--no-color":
            color = False
    return template, color


def _painted(text: str, percent: float | None = None) -> str:
    """Return *text* in the colour of how much of something is used."""
    if not text or percent is None or percent < _NEAR:
        return text
    return f"{_RED if percent >= _FULL else _YELLOW}{text}{_PLAIN}"


def _filled(template: str, fields: Mapping[str, str]) -> str:
    """Put *fields* into *template*; of parts between separators those that know nothing go."""
    parts = []
    for part in template.split(_SEPARATOR):
        names = [name for name in FIELDS if f"{{{name}}}" in part]
        if names and not any(fields.get(name) for name in names):
            continue
        for name in names:
            part = part.replace(f"{{{name}}}", fields.get(name, ""))  # noqa: PLW2901 - step by step
        parts.append(" ".join(part.split()))
    return _visible(_SEPARATOR.join(parts)) or _NAME


def _visible(text: str) -> str:
    """Return *text* with what commands a terminal taken out, but for the colours set here."""
    kept = "".join(each if each.isprintable() or each == "\x1b" else " " for each in text)
    for code in (_RED, _YELLOW, _DIM, _PLAIN):
        kept = kept.replace(code, f"\0{code[1:]}")
    return kept.replace("\x1b", " ").replace("\0", "\x1b")


def _of_sample() -> dict[str, tuple[Any, ...]]:
    """Return the fields as they were beside the last session of the sample history."""
    import tempfile

    from tokenaudit.statusline_setup import sample

    told, now, root = sample()
    with tempfile.TemporaryDirectory() as folder:
        return _fields(told, folder, now, [root])


def _fields(
    told: Mapping[str, Any], folder: str, now: int, roots: Sequence[str] | None = None
) -> dict[str, tuple[Any, ...]]:
    """Return each field as its text and, where it has one, the percentage that colours it.

    What is kept stands in *folder*; *roots*: other ones than the settings say.
    """
    fields: dict[str, tuple[Any, ...]] = {
        "model": (_plain(_part(told, "model", "display_name") or _part(told, "model", "id")),),
        "claude": (_claude(told),),
        "today": (_UNKNOWN,),
        "limits": _limits(_part(told, "rate_limits"), now, ()),
    }
    prompt = None
    if _session(told) is not None:
        fields["session"] = (_of_claude(told),)
    try:
        figures, prompt = _figures(told, folder, now, roots) if folder else ({}, None)
        fields |= figures
    except Exception:  # noqa: BLE001, S110 - without our state, what Claude Code says is still worth a line
        pass
    fields["context"] = _context(told, prompt)
    return fields


def _plain(text: Any) -> str:
    return (
        "".join(each if each.isprintable() else " " for each in text)[:80]
        if isinstance(text, str)
        else ""
    )


def _figures(
    told: Mapping[str, Any],
    folder: str,
    now: int,
    roots: Sequence[str] | None,
) -> tuple[dict[str, tuple[Any, ...]], int | None]:
    """Return what our state tells; one that is damaged is thrown away, and made again."""
    try:
        return _counted(told, folder, now, roots)
    except Exception as error:
        from tokenaudit.tally import is_damage

        if not is_damage(error):
            raise
        for name in (_BASIS, _STATE, f"{_STATE}-journal"):
            _remove(os.path.join(folder, name))  # noqa: PTH118 - no pathlib here
        return _counted(told, folder, now, roots)


def _counted(
    told: Mapping[str, Any],
    folder: str,
    now: int,
    roots: Sequence[str] | None,
) -> tuple[dict[str, tuple[Any, ...]], int | None]:
    basis = _basis(folder, now)
    if roots is not None:
        basis = {**basis, "roots": roots}
    session = _session(told)
    tally = _tally(folder, basis)
    try:
        is_all = tally.refresh(
            basis["roots"],
            _path(_part(told, "transcript_path")),
            day_start=basis["since"],
            now=now,
            deadline=time.monotonic() + _READ_S,
        )
        has_transcripts = tally.has_transcripts
        fields: dict[str, tuple[Any, ...]] = {
            "limits": _limits(_part(told, "rate_limits"), now, basis["offsets"])
        }
        if has_transcripts:
            fields["today"] = (_usd(tally.since(*basis["day"]), is_all=is_all),)
        own = None
        if session is not None:
            if tally.knows(session):
                own = tally.session(session)
            fields["session"] = (_of_claude(told) if own is None else _usd(own, is_all=is_all),)
        block = tally.block(now)
        if block is not None:
            fields |= _block(tally, block, now, is_all=is_all)
        known = {"session": own, "block": block} if has_transcripts else None
        fields["budget"] = _budgets(basis["budgets"], tally, now, known, is_all=is_all)
        return fields, tally.prompt(session) if session else None
    finally:
        tally.close()


def _path(text: Any) -> str | None:
    """Return *text* where it can be a path."""
    try:
        is_path = isinstance(text, str) and text and b"\0" not in os.fsencode(text)
    except ValueError:
        return None
    return text if is_path else None


def _block(tally: Tally, start: int, now: int, *, is_all: bool) -> dict[str, tuple[Any, ...]]:
    from tokenaudit.blocks import per

    used = tally.since(start, now + 1)
    left = (start + _BLOCK_S * _SECOND - now) // _SECOND
    elapsed = (now - (used.first or now)) // _SECOND
    hourly = per(used.cost, elapsed, _HOUR_S)
    return {
        "block": (_usd(used, is_all=is_all),),
        "left": (f"{left // _HOUR_S}h {left % _HOUR_S // 60:02}m left",),
        "burn": (f"{_usd(used, hourly, is_all=is_all)}/h",),
        "pace": (f"{_short(per(used.tokens, elapsed, 60))} tok/min",),
    }


def _budgets(
    budgets: Sequence[Sequence[Any]],
    tally: Tally,
    now: int,
    known: Mapping[str, Any] | None,
    *,
    is_all: bool,
) -> tuple[Any, ...]:
    """Return how much of each budget is used: `62 % of $25.00/day`; unknown without what is *known*."""
    texts, worst = [], 0.0
    for amount, period, since in budgets:
        if known is None:
            texts.append(f"{_UNKNOWN} of {_money(amount)}/{period}")
            continue
        start = known["block"] if period == "block" else since
        used = known["session"] if period == "session" else None
        if start is not None:
            used = tally.since(start, now + 1)
        if used is not None:
            percent = 100 * used.cost / amount
            worst = max(worst, percent)
            least = _least(used, is_all=is_all)
            texts.append(f"{least}{percent:.0f} % of {_money(amount)}/{period}")
    return (", ".join(texts), worst)


def _usd(used: Sum, amount: int | None = None, *, is_all: bool) -> str:
    """Write the cost of what was *used*, or an *amount* made of it.

    It is the least it can be where something is unpriced or could not be read yet.
    """
    if used.responses and used.unpriced == used.responses:
        return "n/a"
    least = _least(used, is_all=is_all)
    return f"{least}{_money(used.cost if amount is None else amount)}"


def _least(used: Sum, *, is_all: bool) -> str:
    return "" if is_all and not used.unpriced else "≥ "


def _money(picodollars: int) -> str:
    """Write US dollars as reports do: `$1.23`, `<$0.01`."""
    if 0 < picodollars < _PICO // 100:
        return "<$0.01"
    cents, rest = divmod(picodollars, _PICO // 100)
    twice = rest * 2
    cents += twice > _PICO // 100 or (twice == _PICO // 100 and cents % 2 == 1)
    return f"${cents // 100:,}.{cents % 100:02}"


def _claude(told: Mapping[str, Any]) -> str:
    usd = _number(_part(told, "cost", "total_cost_usd"))
    return "" if usd is None else _money(round(usd * _PICO))


def _of_claude(told: Mapping[str, Any]) -> str:
    """Write Claude Code's own total of the session, said to be that, where ours is not known."""
    own = _claude(told)
    return f"Claude's {own}" if own else _UNKNOWN


def _short(tokens: int) -> str:
    """Write a count of tokens or the size of a window: `200k`, `1M`, `1.5k`."""
    for size, sign in ((10**6, "M"), (10**3, "k")):
        if tokens >= size:
            whole, rest = divmod(tokens, size)
            tenth = rest * 10 // size
            return f"{whole}.{tenth}{sign}" if tenth else f"{whole}{sign}"
    return str(tokens)


def _context(told: Mapping[str, Any], prompt: int | None) -> tuple[Any, ...]:
    """Return the gauge: what Claude Code says of the context, else the last prompt that is known."""
    window = _part(told, "context_window")
    current = _part(window or {}, "current_usage")
    names = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    counts = [_number(_part(current or {}, name)) for name in names]
    used = int(sum(count or 0 for count in counts)) if current else prompt
    size = _number(_part(window or {}, "context_window_size"))
    if used is None:
        return ("",)
    if not size:
        return (f"{used:,}",)
    percent = 100 * used / size
    sign = "⚠ " if percent >= _FULL else ""
    return (f"{sign}{used:,} / {_short(int(size))} ({percent:.1f} %)", percent)


def _limits(found: Any, now: int, offsets: Sequence[Sequence[int]]) -> tuple[Any, ...]:
    """Return the official limits and when each is reset: `5h 23 % → 14:00, 7d 41 % → Thu 09:00`.

    *now* is in microseconds; *offsets* are those of the zone, see `statusline_setup.basis`.
    """
    texts, used = [], []
    for name, short in (("five_hour", "5h"), ("seven_day", "7d")):
        percent = _number(_part(found or {}, name, "used_percentage"))
        if percent is None:
            continue
        resets = _number(_part(found or {}, name, "resets_at"))
        at = "" if resets is None else _clock(round(resets), now // _SECOND, offsets)
        if resets is not None and resets * _SECOND <= now:
            texts.append(f"{short} reset since {at}".rstrip())
            continue
        texts.append(f"{short} {percent:.0f} %{at and f' → {at}'}")
        used.append(percent)
    return (", ".join(texts), max(used, default=None))


def _clock(at: int, now: int, offsets: Sequence[Sequence[int]]) -> str:
    """Write a time of the week around *now*, both in seconds: `14:00`, on another day `Thu 14:00`.

    Nothing where it is further away, or the zone is not known.
    """
    if abs(at - now) > 7 * _DAY_S or not offsets or at < offsets[0][0]:
        return ""
    nearest = (at + 30) // 60 * 60
    today = (now + _offset(now, offsets)) // _DAY_S
    day, second = divmod(nearest + _offset(nearest, offsets), _DAY_S)
    text = f"{second // _HOUR_S:02}:{second % _HOUR_S // 60:02}"
    return text if day == today else f"{_WEEKDAYS[day % 7]} {text}"


def _offset(at: int, offsets: Sequence[Sequence[int]]) -> int:
    """Return by how many seconds the zone is ahead of UTC at that time."""
    return next((offset for since, offset in reversed(offsets) if since <= at), 0)


# what is known from before


def _basis(folder: str, now: int) -> dict[str, Any]:
    """Return settings, roots and the bounds of today: kept, or worked out where something changed."""
    path = os.path.join(folder, _BASIS)  # noqa: PTH118 - no pathlib here
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - no pathlib here
            basis: dict[str, Any] = json.loads(file.read())
        if basis["stamp"] == _stamp(basis["files"]) and basis["day"][0] <= now < basis["day"][1]:
            return basis
    except (OSError, ValueError, TypeError, LookupError):
        pass
    from tokenaudit.statusline_setup import basis as worked_out

    basis = worked_out(now)
    basis["stamp"] = _stamp(basis["files"])
    _keep(path, json.dumps(basis))
    return basis


def _stamp(files: Iterable[str]) -> list[Any]:
    """Return what must not have changed: this program, the environment, files of settings and rates."""
    from tokenaudit import __version__

    names = ("CLAUDE_CONFIG_DIR", "HOME", "TZ", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")
    said = [os.environ.get(name) for name in names]
    own = sorted(item for item in os.environ.items() if item[0].startswith("TOKENAUDIT_"))
    found: list[Any] = [__version__, said, [list(item) for item in own]]
    for path in files:
        try:
            stat = os.stat(path)  # noqa: PTH116 - no pathlib here
            found.append([stat.st_mtime_ns, stat.st_size, stat.st_ino])
        except OSError:
            found.append(None)
    return found


def _tally(folder: str, basis: Mapping[str, Any]) -> Tally:
    from tokenaudit.tally import Tally

    def tariffs(kinds: Iterable[tuple[Any, ...]]) -> Iterable[Mapping[str, Any]]:
        from tokenaudit.statusline_setup import tariffs as looked_up

        return looked_up(kinds)

    path = os.path.join(folder, _STATE)  # noqa: PTH118 - no pathlib here
    return Tally(path, json.dumps([basis["stamp"], basis["roots"]]), tariffs)


# evidence


def _record(told: Mapping[str, Any]) -> None:
    """Keep what Claude Code says of limits and of its own total, where that has changed."""
    session, limits = _part(told, "session_id"), _part(told, "rate_limits")
    total = _number(_part(told, "cost", "total_cost_usd"))
    if not isinstance(session, str) or (total is None and not isinstance(limits, dict)):
        return
    import binascii

    from tokenaudit.limits import FOLDER, FORMAT, settle

    now = int(time.time())
    evidence = {
        "format": FORMAT,
        "session_id": session[:200],
        "recorded_at": now,
        "model": _plain(_part(told, "model", "id")),
        "version": _plain(_part(told, "version")),
        "total_cost_usd": None if total is None else repr(total),
        "rate_limits": limits if isinstance(limits, dict) else {},
    }
    name = session.encode("utf-8", "replace")
    # no path is built from an id: two checksums of it name the file
    digest = f"{binascii.crc32(name):08x}{binascii.crc32(name[::-1]):08x}"
    folder = os.path.join(_folders()[1], FOLDER)  # noqa: PTH118 - no pathlib here
    path = os.path.join(folder, f"{digest}.json")  # noqa: PTH118 - no pathlib here
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - no pathlib here
            known = json.loads(file.read(_MOST_BYTES))
        if {**known, "recorded_at": 0} == {**evidence, "recorded_at": 0}:
            return
        is_new = False
    except FileNotFoundError:
        is_new = True
    except (OSError, ValueError, TypeError):
        is_new = False
    try:
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103 - no pathlib here
    except OSError:
        return
    _keep(path, json.dumps(evidence))
    if is_new:
        settle(folder, now)
