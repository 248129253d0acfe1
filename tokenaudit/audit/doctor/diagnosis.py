"""Why is there nothing, or less than expected? Each topic looks at one cause and says the next step."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl
from msgspec import Struct

from tokenaudit.audit.check.finding import counted
from tokenaudit.ledger.frame import Ledger
from tokenaudit.model.errors import StoreError
from tokenaudit.model.terms import Quality
from tokenaudit.store import is_within
from tokenaudit.store.status import StoreStatus
from tokenaudit.store.versions import PRESENT
from tokenaudit.transcripts.survey import CLEANUP_DAYS, CLEANUP_SETTING, Survey

__all__ = ["TOPICS", "Diagnosis", "Environment", "State", "diagnoses"]

_DRIFT: Final = timedelta(hours=1)
_NEAR_CLEANUP: Final = 3
"""Days around the cleanup's limit within which a history seems to begin because of it."""
_MEGABYTE: Final = 1_000_000


class State(StrEnum):
    """Whether something is as it should be."""

    OK = "ok"
    NOTE = "note"
    """It may explain why less is seen than expected."""
    PROBLEM = "problem"
    """It does explain why nothing, or less, is seen."""


class Diagnosis(Struct, frozen=True):
    """One line of the doctor's."""

    topic: str
    state: State
    found: str
    next_step: str | None = None


class Environment(Struct, frozen=True):
    """Everything outside the ledger that decides what is seen; gathered by the command line."""

    chosen_by: str
    """Who named the roots: `--root`, `CLAUDE_CONFIG_DIR`, a settings file, nobody."""
    surveys: Sequence[Survey]
    elsewhere: Sequence[str]
    """Places with transcripts, perhaps, that are not among the roots."""
    environ: Mapping[str, str]
    now: datetime
    timezone: str
    zone_by: str
    """Who named the zone."""
    watches: int | None
    """How many folders the system lets a user watch; None where it has no such limit."""
    versions: Mapping[str, str]
    settings: str
    """The settings file, or where it would be."""
    ledger: Ledger | None
    """None where there was nothing to read."""
    rows: pl.DataFrame | None
    """The responses that the filters leave; None where there was nothing to read."""
    filters: Mapping[str, object]
    kept: StoreStatus | StoreError | None = None
    """What the store holds, or why it cannot be used; None where it is not."""


Topic = Callable[[Environment], Iterator[Diagnosis]]


def diagnoses(environment: Environment) -> list[Diagnosis]:
    """Return what was found of every topic, in the order in which one would look."""
    return [symptom for topic in TOPICS for symptom in topic(environment)]


def _roots(of: Environment) -> Iterator[Diagnosis]:
    for survey in of.surveys:
        yield _root(of, survey)
        for reject in survey.rejects:
            yield Diagnosis(
                "where",
                State.PROBLEM,
                f"{reject.path}: {reject.reason}.",
                "Give yourself the right to read it, or run as the user who owns it.",
            )
    if not any(survey.transcripts or _remembered(of, survey) for survey in of.surveys):
        yield Diagnosis(
            "where",
            State.PROBLEM,
            "There is nothing to read in any of these places.",
            "Does another user, a container or another machine run Claude Code? Name its folder with --root;"
            " --demo shows what a report looks like.",
        )
    if of.elsewhere:
        yield Diagnosis(
            "where",
            State.NOTE,
            f"Not read, though it is there: {', '.join(of.elsewhere)}.",
            "Read it too with a further --root.",
        )


def _root(of: Environment, survey: Survey) -> Diagnosis:
    named = f"{survey.root} ({of.chosen_by})"
    remembered = _remembered(of, survey)
    if remembered and not survey.transcripts:
        return Diagnosis(
            "where",
            State.NOTE,
            f"{named} {'holds no transcripts' if survey.exists else 'does not exist'} any more; what the"
            f" store knows of {counted(remembered, 'transcript')} there is counted.",
            "Nothing, if they were deleted for their age; `tokenaudit store` tells when they were missed.",
        )
    if not survey.exists:
        is_named = of.chosen_by != "by default"
        return Diagnosis(
            "where",
            State.PROBLEM if is_named else State.NOTE,
            f"{named} does not exist.",
            "Check its spelling; `echo $CLAUDE_CONFIG_DIR` where you run Claude Code shows its root."
            if is_named
            else "Nothing, if another root is there: Claude Code uses one of them.",
        )
    if not survey.transcripts:
        return Diagnosis(
            "where",
            State.PROBLEM,
            f"{named} holds no transcripts"
            + ("." if survey.has_projects else ", and no folder `projects`."),
            "Run Claude Code once as this user, or name with --root the folder that holds `projects`.",
        )
    size = f"{survey.bytes / _MEGABYTE:,.1f} MB"
    return Diagnosis(
        "where",
        State.OK,
        f"{named}: {counted(survey.transcripts, 'transcript')} in"
        f" {counted(survey.folders, 'folder')}, {size}{_last_written(of, survey)}.",
        None
        if survey.has_projects
        else "It has no folder `projects`: every .jsonl below it is taken for a transcript.",
    )


def _remembered(of: Environment, survey: Survey) -> int:
    """Return of how many transcripts below a root the store has the history."""
    if not isinstance(of.kept, StoreStatus):
        return 0
    return len({one.path for one in of.kept.versions if is_within(one.path, [survey.root])})


def _last_written(of: Environment, survey: Survey) -> str:
    if survey.newest is None:
        return ""
    moment = datetime.fromtimestamp(survey.newest, UTC)
    return f", last written {_ago(of.now - moment)}"


def _ago(age: timedelta) -> str:
    if age < timedelta(minutes=2):
        return "just now"
    if age < timedelta(hours=2):
        return f"{age // timedelta(minutes=1)} minutes ago"
    if age < timedelta(days=2):
        return f"{age // timedelta(hours=1)} hours ago"
    return f"{age.days:,} days ago"


_WHY_IGNORED: Final = {
    "empty": ("empty: a session that never had a line", None),
    "packed": ("packed", "Unpack them into a folder, and name it with a further --root."),
    "no transcript by its name": (
        "journals, audits or prompt histories: they hold no usage of their own",
        None,
    ),
    "outside of projects": (
        "outside of `projects`, where Claude Code keeps transcripts",
        "If they are transcripts, name their folder with a further --root.",
    ),
    "another name of a file that is read": ("links to files that are read already", None),
}


def _ignored(of: Environment) -> Iterator[Diagnosis]:
    for survey in of.surveys:
        for ignored in survey.ignored:
            why, step = _WHY_IGNORED[ignored.reason]
            yield Diagnosis(
                "ignored",
                State.NOTE if step else State.OK,
                f"{counted(ignored.count, 'file')} below {survey.root}: {why}; such as"
                f" {ignored.example}.",
                step,
            )


def _usage(of: Environment) -> Iterator[Diagnosis]:
    ledger, rows = of.ledger, of.rows
    if ledger is None or rows is None:
        return
    intake = ledger.intake
    if intake.rejects:
        first = ledger.rejects.row(0, named=True)
        yield Diagnosis(
            "usage",
            State.PROBLEM,
            f"{counted(intake.rejects, 'line or file', 'lines or files')} could not be read, such as"
            f" {first['path']}: {first['reason']}.",
            "`tokenaudit export rejects` lists them.",
        )
    yield from _uncounted(ledger)
    if not intake.responses:
        yield Diagnosis(
            "usage",
            State.PROBLEM,
            f"{counted(intake.lines, 'line')}, and none tells of a response.",
            "Ask Claude Code something in a session, and look again; errors and /commands use nothing.",
        )
    elif not rows.height:
        yield Diagnosis(
            "usage",
            State.PROBLEM,
            f"{counted(intake.responses, 'response')}, but none in this selection: {_said(of.filters)}.",
            "Drop a filter. Projects, models and branches are globs: '*shop*'.",
        )
    else:
        yield _selected(of, rows.height, intake.responses - rows.height)
        yield from _trust(rows)


def _selected(of: Environment, count: int, hidden: int) -> Diagnosis:
    outside = f"; {hidden:,} more are outside of this selection: {_said(of.filters)}"
    return Diagnosis(
        "usage",
        State.NOTE if hidden else State.OK,
        f"{counted(count, 'response')}{outside if hidden else ''}.",
    )


def _uncounted(ledger: Ledger) -> Iterator[Diagnosis]:
    """Say what usage stands where none is counted: it may be all that there is."""
    found = ledger.uncounted
    if found.is_empty():
        return
    first = found.row(0, named=True)
    yield Diagnosis(
        "usage",
        State.NOTE if ledger.intake.responses else State.PROBLEM,
        f"{counted(int(found['lines'].sum()), 'line')} with usage beside a message instead of in one, not counted,"
        f" such as {first['path']}:{first['line']} (type {first['type'] or 'none'}).",
        "Hooks, wrappers and `claude -p --output-format json` write such lines; Claude Code's own transcripts"
        " have none: name the root where these are.",
    )


def _said(filters: Mapping[str, object]) -> str:
    return ", ".join(
        f"--{name} {' '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in filters.items()
    )


def _trust(rows: pl.DataFrame) -> Iterator[Diagnosis]:
    unsure = [Quality.PLACEHOLDER.value, Quality.LOWER_BOUND.value]
    lost = rows.filter(pl.col("quality").is_in(unsure)).height
    if lost:
        yield Diagnosis(
            "usage",
            State.NOTE,
            f"{counted(lost, 'response')} of {rows.height:,} lack a final output count: true output and"
            " cost are higher.",
            "`tokenaudit check` says of which versions; 2.1.97 and newer write final counts.",
        )
    unpriced = rows["cost_usd"].null_count()
    if unpriced:
        yield Diagnosis(
            "usage",
            State.NOTE,
            f"{counted(unpriced, 'response')} without a price, left out of the cost.",
            "`tokenaudit models` names them; write their prices in rates.toml.",
        )


def _time(of: Environment) -> Iterator[Diagnosis]:
    local = of.now.astimezone(ZoneInfo(of.timezone))
    yield Diagnosis(
        "time",
        State.OK,
        f"It is {local:%Y-%m-%d %H:%M} in {of.timezone} (by {of.zone_by}), where days are cut.",
        "Is that not your clock? Name your zone with --timezone, or mend the clock.",
    )
    newest = max((survey.newest for survey in of.surveys if survey.newest), default=None)
    if newest is not None and datetime.fromtimestamp(newest, UTC) > of.now + _DRIFT:
        yield Diagnosis(
            "time",
            State.PROBLEM,
            "A transcript was written in the future: a clock is wrong, here or where it was written.",
            "Compare `date` with a clock that you trust.",
        )
    if of.rows is None or of.rows["time"].null_count() == of.rows.height:
        return
    start, end = of.rows.select(start=pl.col("day").min(), end=pl.col("day").max()).row(0)
    today = of.rows.filter(pl.col("day") == local.date()).height
    yield Diagnosis(
        "time",
        State.OK if today else State.NOTE,
        f"Responses from {start} to {end}; {counted(today, 'response')} today.",
        None
        if today
        else "A day begins at midnight of the zone above; look at `tokenaudit daily`.",
    )


def _history(of: Environment) -> Iterator[Diagnosis]:
    if of.environ.get("CLAUDE_CODE_SKIP_PROMPT_HISTORY"):
        yield Diagnosis(
            "history",
            State.PROBLEM,
            "CLAUDE_CODE_SKIP_PROMPT_HISTORY is set: Claude Code writes no transcripts.",
            "Unset it where you run Claude Code. What was not written cannot be counted.",
        )
    for survey in of.surveys:
        if survey.transcripts:
            yield _cleanup(of, survey)
    yield Diagnosis(
        "history",
        State.OK,
        "Not in transcripts at all: `claude -p --no-session-persistence`, other machines, claude.ai,"
        " and titles, recaps and searches that Claude Code makes on the side.",
        "`tokenaudit check` sizes what left traces; `tokenaudit reconcile FILE` compares with another"
        " total.",
    )


def _cleanup(of: Environment, survey: Survey) -> Diagnosis:
    if survey.is_cleanup_odd or survey.cleanup_days == 0:
        return Diagnosis(
            "history",
            State.PROBLEM,
            f"{CLEANUP_SETTING} of {survey.root} is no number of days from 1: Claude Code may write no"
            " transcripts, or refuse its settings.",
            "Write a large number there, such as 3650.",
        )
    days = survey.cleanup_days or CLEANUP_DAYS
    said = "" if survey.cleanup_days else ", as no setting says otherwise"
    starts = of.rows is not None and of.rows["day"].min()
    today = of.now.date()
    age = (today - starts).days if isinstance(starts, date) else None
    is_cut = age is not None and abs(age - days) <= _NEAR_CLEANUP
    return Diagnosis(
        "history",
        State.NOTE if is_cut else State.OK,
        f"Claude Code deletes transcripts of {survey.root} after {days:,} days{said}"
        + ("; your history begins just then." if is_cut else "."),
        f"Write a larger {CLEANUP_SETTING} into its settings.json to keep more; what is deleted is gone.",
    )


def _store(of: Environment) -> Iterator[Diagnosis]:
    """Say how the store between runs is."""
    kept = of.kept
    if kept is None:
        yield Diagnosis("store", State.OK, "Not used in this run: everything was read anew.")
    elif isinstance(kept, StoreError):
        yield Diagnosis("store", State.NOTE, f"{kept}.", kept.hint)
    elif kept.is_damaged:
        yield Diagnosis(
            "store",
            State.NOTE,
            f"{kept.folder}: its index is damaged; the next report sets it aside and begins a new one.",
            "What only it still knew can be had back from a backup of that folder alone.",
        )
    elif not kept.is_there:
        yield Diagnosis("store", State.OK, f"{kept.folder}: nothing is kept yet.")
    else:
        gone = sum(version.fate != PRESENT for version in kept.versions)
        yield Diagnosis(
            "store",
            State.OK,
            f"{kept.folder}: {counted(len(kept.versions), 'transcript')} kept, {gone:,} of them known from it"
            " alone.",
            "`tokenaudit store verify` compares it with what is on disk.",
        )


def _watching(of: Environment) -> Iterator[Diagnosis]:
    needed = sum(survey.folders for survey in of.surveys)
    if of.watches is not None and of.watches < needed * 2:
        yield Diagnosis(
            "watching",
            State.PROBLEM if of.watches < needed else State.NOTE,
            f"The system lets you watch {of.watches:,} folders; transcripts stand in {needed:,}.",
            "Raise it: `sudo sysctl fs.inotify.max_user_watches=524288`.",
        )
    elif of.watches is not None:
        yield Diagnosis(
            "watching",
            State.OK,
            f"The system lets you watch {of.watches:,} folders; transcripts stand in {needed:,}.",
        )


def _environment(of: Environment) -> Iterator[Diagnosis]:
    if of.environ:
        said = ", ".join(f"{name}={value}" for name, value in sorted(of.environ.items()))
        yield Diagnosis("environment", State.OK, f"Set here: {said}.")
    yield Diagnosis("environment", State.OK, f"Settings: {of.settings}.")
    said = ", ".join(f"{name} {version}" for name, version in of.versions.items())
    yield Diagnosis("environment", State.OK, f"Versions: {said}.")


TOPICS: Final[Sequence[Topic]] = (
    _roots,
    _ignored,
    _usage,
    _time,
    _history,
    _store,
    _watching,
    _environment,
)
"""The one list to which a topic is added."""
