"""What the dashboard shows, as lines of styled text that fit a width and a height; no terminal.

All texts from transcripts are made visible here before anyone sees them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final, assert_never
from zoneinfo import ZoneInfo

from msgspec import Struct
from rich.text import Text

from tokenaudit.live import events as ev
from tokenaudit.live.event_builder import Key
from tokenaudit.live.events import Event, Figures, Gauge, Snapshot
from tokenaudit.model.terms import MAIN_AGENT
from tokenaudit.model.units import format_cost, format_count, format_percent, format_tokens
from tokenaudit.render.clean import ascii_only, visible
from tokenaudit.reports.context import NEAR_LIMIT

__all__ = ["DashboardStyle", "Sketch", "drawn", "summary"]

_BARS: Final = "▁▂▃▄▅▆▇█"
_PLAIN_BARS: Final = "_.:-=+*#"
_WIDE: Final = 110
_FEWEST_EVENTS: Final = 4
_MOST_BUDGETS: Final = 4
_NAMED: Final = 60
_FULL: Final = 80
_HALF: Final = 60
_NAME: Final = 24
_FEWEST_AGENTS: Final = 3
_VERY_WIDE: Final = 160
_AT_WORK: Final = timedelta(minutes=5)
_LATELY: Final = timedelta(hours=5)
"""As long as a block: an agent that has been silent for longer is history."""
_BELOW: Final = "└ "


class DashboardStyle(Struct, frozen=True):
    """How much room there is, and what can be shown in it."""

    width: int
    height: int | None
    """None: as many lines as it takes."""
    zone: ZoneInfo
    is_unicode: bool = True


class Sketch(Struct, frozen=True):
    """All that is to be drawn."""

    snapshot: Snapshot
    pace: Sequence[int]
    """Tokens in each of the last minutes."""
    told: Sequence[tuple[datetime, Event]]
    """The latest events, the latest last, each with when it was told."""


def drawn(sketch: Sketch, style: DashboardStyle) -> list[Text]:
    """Return the lines of the dashboard: no more than fit, and none wider."""
    head = [*_head(sketch, style)]
    room = None if style.height is None else max(style.height - len(head) - 1, 0)
    body = [*_body(sketch, style, room)]
    lines = [*head, *body]
    if room is not None:
        lines += [Text()] * (room - len(body))
        lines.append(_line(style, (" q or Ctrl-C ends the watch", "dim")))
        lines = lines[: style.height]
    for line in lines:
        line.truncate(style.width, overflow="ellipsis" if style.is_unicode else "crop")
        if style.height is None:
            line.rstrip()
    return lines


def _line(style: DashboardStyle, *parts: tuple[str, str]) -> Text:
    """Return parts of a line, each with its look; what cannot be seen is made visible."""
    text = Text(no_wrap=True, end="")
    for part, look in parts:
        clean = visible(part)
        text.append(clean if style.is_unicode else ascii_only(clean), look)
    return text


def _cut(text: str, width: int, style: DashboardStyle, *, right: bool = False) -> str:
    """Return *text* in exactly *width* cells."""
    clean = visible(text)
    found = Text(clean if style.is_unicode else ascii_only(clean))
    found.truncate(width, overflow="ellipsis" if style.is_unicode else "crop")
    pad = " " * (width - found.cell_len)
    return f"{pad}{found.plain}" if right else f"{found.plain}{pad}"


# how things stand


def _head(sketch: Sketch, style: DashboardStyle) -> Iterator[Text]:
    shot = sketch.snapshot
    if style.height is not None:
        yield _title(shot, style)
    yield _line(style, *_row("Today", *_used(shot.today)))
    yield _line(style, *_row("Total", *_used(shot.totals)))
    if shot.block is None:
        yield _line(style, *_row("Block", ("none is open", "dim")))
    else:
        yield from _block(shot.block, sketch.pace, style)
    budgets = shot.budgets[:_MOST_BUDGETS]
    width = max((len(_budget_name(each)) for each in budgets), default=0)
    for each in budgets:
        yield _budget(each, width, style)


def _title(shot: Snapshot, style: DashboardStyle) -> Text:
    left = " tokenaudit watch"
    filters = ", ".join(f"{name} {_said(value)}" for name, value in shot.filters.items())
    if filters:
        left += f" · {filters}"
    watching = "looking every second" if shot.watching == "polling" else "live"
    right = (
        f"{watching} · {format_count(shot.transcripts)} transcripts · {_clock(shot.time, style)} "
    )
    room = max(style.width - len(right), len(" tokenaudit watch"))
    return _line(style, (_cut(left, room, style), "bold reverse"), (right, "reverse"))


def _said(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _row(name: str, *parts: tuple[str, str]) -> Iterator[tuple[str, str]]:
    yield f" {name:<7}", "bold cyan"
    yield from parts


def _used(usage: Figures) -> Iterator[tuple[str, str]]:
    yield f"{format_tokens(usage.total_tokens):>7} tokens  ", ""
    yield f"{_money(usage):>9}", "bold green"
    yield f"  {_count(usage.responses, 'response')}", ""
    if usage.unpriced_responses:
        yield f", {format_count(usage.unpriced_responses)} unpriced", "yellow"


def _money(usage: Figures, amount: Decimal | None = None) -> str:
    """Write the cost of *usage*, or an *amount* made of it: the least it can be if some of it is unpriced."""
    if usage.cost_usd is None:
        return format_cost(None)
    cost = format_cost(usage.cost_usd if amount is None else amount)
    return f"{_least(usage.unpriced_responses)}{cost}"


def _least(unpriced: int) -> str:
    return "≥ " if unpriced else ""


def _count(number: int, one: str) -> str:
    return f"{format_count(number)} {one}{'' if number == 1 else 's'}"


def _block(block: ev.BlockState, pace: Sequence[int], style: DashboardStyle) -> Iterator[Text]:
    span = f"  {_clock(block.start, style)[:5]}-{_clock(block.end, style)[:5]}"
    left = f"{span}, {_duration(block.remaining_s)} left"
    parts = [*_used(block.usage)][:2]
    yield _line(style, *_row("Block", *parts, (left, ""), *_projected(block)))
    rate = f"{format_tokens(block.tokens_per_minute):>7} tok/min "
    cost = f"{_money(block.usage, block.cost_usd_per_hour):>9}/h  "
    room = max(min(style.width - 8 - len(rate) - len(cost) - 8, len(pace)), 0)
    shown = pace[len(pace) - room :]
    yield _line(
        style,
        *_row("Pace", (rate, ""), (cost, "bold green")),
        (_sparkline(shown, style), "cyan"),
        (f" {len(shown)} min", "dim"),
    )


def _projected(block: ev.BlockState) -> Iterator[tuple[str, str]]:
    yield f", {_money(block.usage, block.projected_cost_usd)} at its end", "dim"


def _sparkline(values: Sequence[int], style: DashboardStyle) -> str:
    signs = _BARS if style.is_unicode else _PLAIN_BARS
    top = max(*values, 1) if values else 1
    return "".join(
        signs[min(value * len(signs) // top, len(signs) - 1)] if value else " " for value in values
    )


def _budget_name(each: ev.BudgetState) -> str:
    return f"{each.project}={each.budget}" if each.project else each.budget


def _budget(each: ev.BudgetState, width: int, style: DashboardStyle) -> Text:
    name = _budget_name(each).ljust(width)
    look = {"over": "bold red", "near": "bold yellow"}.get(each.state, "green")
    least = _least(each.unpriced_responses)
    used = f"{least}{format_cost(each.cost_usd)}"
    amount = f"{used:>9} of {format_cost(each.amount_usd)}"
    room = min(max(style.width - 60, 6), 20 if style.width < _WIDE else 40)
    bar = _bar(each.used_percent, room, style)
    return _line(
        style,
        *_row("Budget", (f"{name}  ", "")),
        (bar, look),
        (f" {least}{format_percent(each.used_percent)}", look),
        (f"  {amount}", ""),
        (f"  {each.state}" if each.state != "within" else "", look),
    )


def _bar(percent: float, width: int, style: DashboardStyle) -> str:
    filled = min(round(percent * width / 100), width)
    full, empty = ("█", "░") if style.is_unicode else ("#", ".")
    return full * filled + empty * (width - filled)


# agents and events


def _body(sketch: Sketch, style: DashboardStyle, room: int | None) -> Iterator[Text]:
    agents = sketch.snapshot.agents
    names = {(each.session_id, each.agent_id): _name(each) for each in agents}
    events = [*_lines_of(sketch.told, names, style)]
    shown = len(agents)
    if room is not None:
        shown, kept = _shared(room, shown, len(events))
        events = events[len(events) - kept :]
    yield Text()
    columns = _columns(style)
    yield _line(
        style,
        *(
            (_cut(each.label, each.width, style, right=each.right) + " ", "bold")
            for each in columns
        ),
    )
    for agent in agents[:shown]:
        yield _agent(agent, columns, style, sketch.snapshot)
    if not agents:
        yield _line(style, (" No responses yet.", "dim"))
    if events:
        yield Text()
        yield _line(style, (" Events", "bold"))
        yield from events


def _shared(room: int, agents: int, events: int) -> tuple[int, int]:
    """Return how many agents and how many events *room* lines hold, with two lines above each.

    First come a few agents, then a few events, then all agents; the rest is for events.
    """
    left = max(room - 2, 0)
    shown = min(agents, _FEWEST_AGENTS, left)
    kept = max(min(events, _FEWEST_EVENTS, left - shown - 2), 0)
    shown = min(agents, left - (kept + 2 if kept else 0))
    return shown, max(min(events, left - shown - 2), 0)


class _Place(Struct, frozen=True):
    label: str
    width: int
    right: bool = False


def _columns(style: DashboardStyle) -> list[_Place]:
    """Return the columns of the agents' table: what room is left goes to names."""
    is_wide = style.width >= _WIDE
    more = [_Place("Resp.", 6, right=True), _Place("Output", 7, right=True)]
    fixed = [
        *(more if style.width >= _VERY_WIDE else []),
        _Place("Tokens", 7, right=True),
        _Place("Cost", 8, right=True),
        _Place("Context", 30 if is_wide else 14),
        _Place("Last", 8),
    ]
    room = style.width - 1 - sum(each.width + 1 for each in fixed) - 3
    project, model = (min(max(room * 5 // 20, 8), 24), min(max(room * 6 // 20, 8), 24))
    name = max(room - project - model, 8)
    return [_Place(" Agent", name), _Place("Project", project), _Place("Model", model), *fixed]


def _agent(
    agent: ev.AgentState, columns: Sequence[_Place], style: DashboardStyle, shot: Snapshot
) -> Text:
    name, project, model, *figures, _ = columns
    usage, time = agent.usage, ""
    look = "dim"
    if agent.last_time is not None:
        time = _when(agent.last_time, shot.day, style)
        age = shot.time - agent.last_time
        look = "bold" if age <= _AT_WORK else "" if age <= _LATELY else "dim"
    said = {
        "Resp.": (format_count(usage.responses), ""),
        "Output": (format_tokens(usage.output_tokens), ""),
        "Tokens": (format_tokens(usage.total_tokens), ""),
        "Cost": (_money(usage), "green"),
    }
    context = figures.pop()
    return _line(
        style,
        (_cut(f" {_name(agent)}", name.width, style) + " ", look),
        (_cut(_end(_last_part(agent.project), project.width), project.width, style) + " ", "dim"),
        (_cut((agent.model or "").removeprefix("claude-"), model.width, style) + " ", "dim"),
        *(
            (_cut(said[each.label][0], each.width, style, right=True) + " ", said[each.label][1])
            for each in figures
        ),
        *_gauge(agent.context, context.width, style),
        (f" {time}", "dim"),
    )


def _name(agent: ev.AgentState) -> str:
    title = agent.title or (agent.session_id or "no session")[:8]
    if agent.agent_id == MAIN_AGENT:
        return title
    return f"{_BELOW}{agent.agent_type or 'agent'} {(agent.agent_id or '')[:7]}, {title}"


def _last_part(project: str | None) -> str:
    return (project or "").replace("\\", "/").rstrip("/").rpartition("/")[2]


def _end(text: str, width: int) -> str:
    """Return the end of *text*: what tells names of folders apart."""
    return text if len(text) <= width else f"…{text[1 - width :]}"


def _gauge(gauge: Gauge, width: int, style: DashboardStyle) -> Iterator[tuple[str, str]]:
    """Yield how full a context is; an estimate is marked so."""
    percent, window = gauge.used_percent, gauge.window_tokens
    tokens, about = gauge.prompt_tokens, ""
    if gauge.estimated_tokens is not None:
        tokens, about = gauge.estimated_tokens, "≈"
        percent = 100 * tokens / window if window else None
    if tokens is None:
        yield _cut("unknown", width, style), "dim"
        return
    if percent is None:
        yield _cut(f"{about}{format_tokens(tokens)}", width, style), "dim"
        return
    look = "red" if percent >= _FULL else "yellow" if percent >= _HALF else "green"
    is_near = gauge.state == NEAR_LIMIT
    said = f"{about}{percent:.0f}%{'!' if is_near else ''}"
    if width >= 2 * 14 and window:
        said += f" {format_tokens(tokens)}/{format_tokens(window)}"
    bar = _bar(percent, 8, style)
    yield f"{bar} ", look
    yield _cut(said, width - len(bar) - 1, style), "bold red" if is_near else ""


def _lines_of(
    told: Iterable[tuple[datetime, Event]], names: Mapping[Key, str], style: DashboardStyle
) -> Iterator[Text]:
    for moment, event in told:
        if isinstance(event, Snapshot | ev.Estimated):  # the picture itself tells it
            continue
        word, text, look = _described(event, names, style)
        yield _line(
            style, (f" {_clock(moment, style)}  ", "dim"), (f"{word:<11} ", look), (text, "")
        )


def _described(
    event: Event, names: Mapping[Key, str], style: DashboardStyle
) -> tuple[str, str, str]:
    """Return what happened: a word, the rest, and how the word looks."""
    match event:
        case ev.Used():
            return "usage", _of_usage(event, names, style), "cyan"
        case ev.AgentStarted() | ev.CompactionEvent():
            return _of_agent(event, names, style)
        case ev.NearLimit():
            percent = format_percent(event.context.used_percent or 0)
            who = _who(event.session_id, event.agent_id, names, style)
            told = ("near limit", f"{who}: context {percent} full", "bold red")
        case ev.BudgetEvent():
            each = event.budget
            text = f"{each.budget} is {each.state}: {format_percent(each.used_percent)}"
            told = ("budget", text, "bold red")
        case ev.Rejected():
            place = event.path if event.line is None else f"{event.path}:{event.line}"
            told = ("reject", f"{place[-_NAMED:]}: {event.reason}", "yellow")
        case ev.Rewritten():
            told = (event.fate, event.path[-_NAMED:], "yellow")
        case Snapshot() | ev.Estimated():
            told = ("state", "", "dim")
        case _:
            assert_never(event)
    return told


def _of_usage(event: ev.Used, names: Mapping[Key, str], style: DashboardStyle) -> str:
    who = _who(event.session_id, event.agent_id, names, style)
    tokens, output = (
        format_tokens(each) for each in (event.usage.total_tokens, event.usage.output_tokens)
    )
    cost = format_cost(event.usage.cost_usd, places=4)
    model = (event.model or "no model").removeprefix("claude-")
    quality = event.quality.replace("_", " ")
    return (
        f"{who}: {tokens} tokens, {output} out, {cost} ({model}, {quality}"
        f"{'' if event.is_new else ', grown'})"
    )


def _of_agent(
    event: ev.AgentStarted | ev.CompactionEvent, names: Mapping[Key, str], style: DashboardStyle
) -> tuple[str, str, str]:
    who = _who(event.session_id, event.agent_id, names, style)
    if isinstance(event, ev.AgentStarted):
        if event.agent_id == MAIN_AGENT:
            where = f" in {_last_part(event.project)}" if event.project else ""
            return "session", f"{who} started{where}", "magenta"
        what = f": {event.description}" if event.description else ""
        return "agent", f"{who} started{what}", "magenta"
    before, after = (
        "?" if each is None else format_tokens(each)
        for each in (event.pre_tokens, event.post_tokens)
    )
    arrow = "→" if style.is_unicode else "to"
    return (
        "compaction",
        f"{who}: {before} {arrow} {after} ({event.trigger or event.kind})",
        "yellow",
    )


def _who(
    session_id: str | None, agent_id: str | None, names: Mapping[Key, str], style: DashboardStyle
) -> str:
    """Return the name of an agent that is shown, else its ids."""
    if (name := names.get((session_id, agent_id))) is not None:
        return _cut(name.removeprefix(_BELOW), max(_NAME, style.width // 3), style).rstrip()
    session = (session_id or "no session")[:8]
    return session if agent_id == MAIN_AGENT else f"{session}/{(agent_id or '')[:7]}"


# at the end


def summary(first: Snapshot, last: Snapshot, style: DashboardStyle) -> list[Text]:
    """Return what was used while the watch went on, and how things stand at its end."""
    more = last.totals.responses - first.totals.responses
    tokens = last.totals.total_tokens - first.totals.total_tokens
    cost = (last.totals.cost_usd or Decimal(0)) - (first.totals.cost_usd or Decimal(0))
    unpriced = last.totals.unpriced_responses - first.totals.unpriced_responses
    lasted = max(int((last.time - first.time).total_seconds()), 0)
    least = _least(max(unpriced, 0))
    return [
        _line(
            style,
            (f"Watched for {_duration(lasted)}: ", ""),
            (f"{_count(more, 'response')}", "bold"),
            (f", {format_tokens(tokens)} tokens, ", ""),
            (f"{least}{format_cost(cost)}", "bold green"),
            (".", ""),
        ),
        _line(
            style,
            ("Today: ", ""),
            *((text.strip() + " ", look) for text, look in _used(last.today)),
        ),
    ]


def _clock(moment: datetime, style: DashboardStyle) -> str:
    return moment.astimezone(style.zone).strftime("%H:%M:%S")


def _when(moment: datetime, today: date, style: DashboardStyle) -> str:
    """Return when it was: the time of *today*, the day of any other."""
    local = moment.astimezone(style.zone)
    return local.strftime("%H:%M:%S" if local.date() == today else "%b %d")


def _duration(seconds: int) -> str:
    hours, minutes = divmod(seconds // 60, 60)
    if hours:
        return f"{hours}h {minutes:02}m"
    return f"{minutes}m" if minutes else f"{seconds}s"
