"""From options to a written report: settings, ledger, report, output. The clock and the terminal end here."""

import os
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import monotonic, time_ns
from typing import TYPE_CHECKING, TextIO
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer
from msgspec import Struct
from msgspec.structs import replace

from tokenaudit import __version__, config, transcripts
from tokenaudit.cli.days import parse_day
from tokenaudit.cli.options import Filter, Options, Order, Output, Pricing, Source
from tokenaudit.config import Settings
from tokenaudit.errors import ConfigError, NoTranscriptsError, StoreError, UsageError
from tokenaudit.render import Format, Style, format_of, render
from tokenaudit.render import target as targets
from tokenaudit.render.clean import visible
from tokenaudit.store import Store, facts_without_store
from tokenaudit.transcripts import DEMO, Discovery, Progress

if TYPE_CHECKING:
    from decimal import Decimal

    from tokenaudit.budgets import Budget
    from tokenaudit.cli.bar import Bar
    from tokenaudit.ledger import Ledger
    from tokenaudit.pricing.card import RateCard
    from tokenaudit.reports.question import Question
    from tokenaudit.reports.report import Report
    from tokenaudit.reports.selection import Selection
    from tokenaudit.store import Gathered
    from tokenaudit.store.facts import Facts

__all__ = [
    "asked",
    "built",
    "cache_folder",
    "columns_of",
    "data_folder",
    "gather",
    "has_color",
    "is_terminal",
    "load",
    "load_settings",
    "rate_card",
    "read_both_ways",
    "read_facts",
    "roots_of",
    "run",
    "spoken",
    "store_folder",
    "write",
]

_PATIENCE_S = 1.0
"""How long a user waits before a progress bar is shown."""


def run(
    name: str, options: Options, *, session: str | None = None, command: str | None = None
) -> None:
    """Make the report called *name*, or that of *session*, and write it."""

    def make(question: "Question", settings: Settings) -> "Report":
        columns = partial(columns_of, question, name) if session is None else None
        return _report(load(options, settings, columns), question, name, session)

    report = write(options, make, name=name, command=command)
    if options.gate.strict and report.meta.selected.unpriced_responses:
        raise typer.Exit(1)


def write(
    options: Options,
    make: Callable[["Question", Settings], "Report"],
    *,
    name: str,
    command: str | None = None,
) -> "Report":
    """Write, as *options* say, and return the report that *make* makes; *name* decides its period."""
    form, path = _form(options.output)
    if path is not None:
        targets.check(path)
    most = _most(options.gate.fail_over)
    question, settings = asked(options, name=name, command=command)
    report = make(question, settings)
    _write(report, form, path, options.output)
    if most is not None and report.cost_usd is not None and report.cost_usd > most:
        sys.stderr.write(f"tokenaudit: {report.cost_usd.normalize():f} USD is over {most:f} USD\n")
        raise typer.Exit(1)
    return report


def asked(
    options: Options, *, name: str, command: str | None = None
) -> "tuple[Question, Settings]":
    """Return what *options* ask, and the settings they stand on; *name* decides the period."""
    settings = load_settings()
    moment = _Moment.of(options.chosen, settings)
    question = _question(name, options, moment, command or name)
    return replace(question, budgets=_budgets(options, settings)), settings


def _most(text: str | None) -> "Decimal | None":
    from tokenaudit import budgets

    try:
        return None if text is None else budgets.amount(text)
    except ValueError as error:
        raise UsageError(f"--fail-over: {error}") from None


def _budgets(options: Options, settings: Settings) -> "tuple[Budget, ...]":
    """Return the budgets of the command line, else those of the settings."""
    from tokenaudit import budgets

    try:
        return tuple(budgets.parse(text) for text in options.gate.budget or settings.budget)
    except ValueError as error:
        raise UsageError(f"budget: {error}") from None


def load_settings() -> Settings:
    """Return the settings of the user's file and environment. Raises ConfigError."""
    return config.load(_config_folder(), os.environ)


def _config_folder() -> Path:
    from platformdirs import user_config_path

    return user_config_path("tokenaudit", appauthor=False)


def cache_folder() -> Path:
    """Return the folder of what can be made again."""
    from platformdirs import user_cache_path

    return user_cache_path("tokenaudit", appauthor=False)


def data_folder() -> Path:
    """Return the folder of what cannot be made again."""
    from platformdirs import user_data_path

    return user_data_path("tokenaudit", appauthor=False)


# options


def _form(output: Output) -> tuple[Format, str | None]:
    """Return the format, and the file to write to or None for standard output."""
    path = None if output.output in {None, "-"} else output.output
    if output.json and output.format not in {None, Format.JSON}:
        raise UsageError(f"--json and --format {output.format} exclude each other")
    if output.json:
        return Format.JSON, path
    if output.format is not None:
        return output.format, path
    if path is None:
        return Format.TABLE, path
    found = format_of(path)
    if found is None:
        raise UsageError(
            f"{path}: its ending names no format",
            hint="Add --format, or end the name in .csv, .json, .ndjson, .parquet, .xlsx or .md.",
        )
    return found, path


class _Moment(Struct, frozen=True):
    """Now, and the zone in which its day is cut."""

    now: datetime
    zone: ZoneInfo
    start_of_week: str

    @classmethod
    def of(cls, chosen: Filter, settings: Settings) -> "_Moment":
        name = chosen.timezone or settings.timezone
        where = "--timezone" if chosen.timezone else "timezone"
        start = str(chosen.start_of_week or settings.start_of_week).lower()
        return cls(datetime.now(UTC), _zone(name, where) if name else _system_zone(), start)

    def selection(self, chosen: Filter, period: str) -> "Selection":
        from tokenaudit.reports.selection import WEEKDAYS, Selection, period_start

        if self.start_of_week not in WEEKDAYS:
            raise ConfigError(f"start_of_week: not a day of the week: {self.start_of_week}")
        today = self.now.astimezone(self.zone).date()
        first = WEEKDAYS.index(self.start_of_week)
        since, until = (
            text and parse_day(text, today, first, option=option)
            for text, option in ((chosen.since, "--since"), (chosen.until, "--until"))
        )
        selection = Selection(timezone=self.zone.key, start_of_week=self.start_of_week)
        if chosen.last is not None:
            if since is not None:
                raise UsageError("--since and --last exclude each other")
            since = period_start(period, today, selection, back=chosen.last - 1)
        if since and until and since > until:
            raise UsageError(f"--since {since} is after --until {until}")
        return Selection(
            timezone=self.zone.key,
            start_of_week=self.start_of_week,
            since=since or None,
            until=until or None,
            projects=tuple(chosen.project or ()),
            models=tuple(chosen.model or ()),
            sessions=tuple(chosen.session or ()),
            agents=tuple(chosen.agent or ()),
            branches=tuple(chosen.branch or ()),
        )


def _zone(name: str, where: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UsageError(
            f"{where}: no such time zone: {name}",
            hint="Write an IANA name such as Europe/Berlin or UTC.",
        ) from None


def _system_zone() -> ZoneInfo:
    """Return the system's zone; UTC where the system does not name one that is known."""
    import tzlocal

    try:
        return ZoneInfo(tzlocal.get_localzone_name() or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


# reading


def load(
    options: Options,
    settings: Settings,
    columns: Callable[[], Collection[str] | None] | None = None,
) -> "Ledger":
    """Read the transcripts that *options* name, and price them.

    The ledger has the *columns* that are asked for once all is read, or all of them.
    """
    card = rate_card(options.pricing)  # first: a mistake in it must not wait for the reading
    facts, store = _read(options, settings)
    wanted = columns() if columns else None
    if wanted is not None and store is not None:
        from tokenaudit.merge import kept_frames

        facts = store.settled(facts, kept_frames)
    return built(facts, card, with_estimate=options.cut.estimate, columns=wanted)


def columns_of(question: "Question", name: str) -> Collection[str] | None:
    """Return the columns of the ledger that the report called *name* takes; None: all of them."""
    from tokenaudit.reports import answers

    return answers.columns_of(question, name)


def built(
    facts: "Facts",
    card: "RateCard",
    *,
    with_estimate: bool,
    columns: Collection[str] | None = None,
) -> "Ledger":
    """Build the ledger of *facts*, with estimates of lost output beside it if they are wanted.

    With *columns* it has those and no others; see `ledger.build`.
    """
    from tokenaudit import ledger

    plain = ledger.build(facts, card, columns)
    if not with_estimate:
        return plain
    from tokenaudit.audit.estimate import estimated

    return estimated(plain, facts)


def read_facts(options: Options, settings: Settings) -> "Facts":
    """Read the transcripts that *options* name: what they say, not merged and not priced."""
    return _read(options, settings)[0]


def _read(options: Options, settings: Settings) -> "tuple[Facts, Store | None]":
    """Read the transcripts that *options* name; return what they say, and the store if there is one."""
    source = options.source
    discovery = _found(source, settings)
    store = _store(source, settings)
    plan = store.plan(discovery) if store else None
    extents = transcripts.extents_of(discovery.transcripts) if plan is None else plan.extents
    jobs = _jobs(source, settings)
    with _progress_bar(sum(extent.size for extent in extents)) as progress:
        readings = transcripts.read(extents, jobs=jobs, progress=progress)
        # Only now is Polars imported: it starts threads, from which no process may be forked.
        if store is None or plan is None:
            return facts_without_store(discovery, readings), None
        facts = store.take(plan, readings, now_ns=time_ns(), only_present=source.only_present)
    for note in store.notes:
        sys.stderr.write(f"tokenaudit: {visible(note)}\n")
    return facts, store


def read_both_ways(
    options: Options, settings: Settings, store: Store
) -> "tuple[Facts, Facts, int]":
    """Read what *options* name through *store*, which keeps what is new, and once more without it.

    Only what is on disk counts. Returns both, and how many transcripts changed meanwhile and are in
    neither. Raises StoreError where the rows of the store make no sense.
    """
    source = options.source
    discovery = _discover(source, settings)
    jobs = _jobs(source, settings)
    plan = store.plan(discovery)
    readings = transcripts.read(plan.extents, jobs=jobs)
    kept = store.take(plan, readings, now_ns=time_ns(), only_present=True)
    extents = transcripts.extents_of(discovery.transcripts)
    with _progress_bar(sum(extent.size for extent in extents)) as progress:
        readings = transcripts.read(extents, jobs=jobs, progress=progress)
        fresh = facts_without_store(discovery, readings)
    changed = {
        one.path
        for one in set(discovery.transcripts).difference(_discover(source, settings).transcripts)
    }
    return kept.without(changed), fresh.without(changed), len(changed)


def _jobs(source: Source, settings: Settings) -> int:
    return source.jobs or settings.jobs or os.cpu_count() or 1


def roots_of(source: Source, settings: Settings) -> list[Path]:
    """Return the roots that *source* names, else those of the settings, else those that exist (R1)."""
    if source.demo:
        return [DEMO]
    named = source.root or [Path(root).expanduser() for root in settings.root]
    return named or [root for root in _existing_default_roots() if root.exists()]


def gather(
    source: Source, settings: Settings, discovery: Discovery, *, quietly: bool = False
) -> "tuple[Gathered, bool]":
    """Read *discovery* into rows, for who keeps them; tell whether they are those of a store.

    Shows no progress if it is to go on *quietly*.
    """
    from tokenaudit.store import gather_without_store
    from tokenaudit.store.index import Index
    from tokenaudit.store.plan import plan as plan_of

    store = _store(source, settings)
    made = store.plan(discovery) if store else plan_of(Index(), discovery)
    jobs = _jobs(source, settings)
    size = sum(extent.size for extent in made.extents)
    with nullcontext() if quietly else _progress_bar(size) as progress:
        readings = transcripts.read(made.extents, jobs=jobs, progress=progress)
        if store is None:
            return gather_without_store(made, readings, now_ns=time_ns()), False
        found = store.gather(made, readings, now_ns=time_ns(), only_present=source.only_present)
    for note in () if quietly else store.notes:
        sys.stderr.write(f"tokenaudit: {visible(note)}\n")
    return found, True


def _store(
    source: Source, settings: Settings, opened: Callable[[Path], Store] = Store.open
) -> Store | None:
    """Open the store; None where there is to be none, or none that can be used."""
    if source.no_store or (source.demo and source.store is None):
        return None
    try:
        return opened(store_folder(source, settings))
    except StoreError as error:
        sys.stderr.write(f"tokenaudit: {visible(str(error))}; going on without it\n")
        return None


def store_folder(source: Source, settings: Settings) -> Path:
    """Return where the store is, whether or not there is one yet."""
    if source.store is not None:
        return source.store
    if settings.store is not None:
        return Path(settings.store).expanduser()
    from platformdirs import user_data_path

    return user_data_path("tokenaudit", appauthor=False) / "store"


def rate_card(pricing: Pricing) -> "RateCard":
    """Return all rates in force: those named, else those beside the settings, and the card."""
    from tokenaudit.pricing.sources import rates_in_force
    from tokenaudit.pricing.user_rates import FILE_NAME

    named = os.environ.get("TOKENAUDIT_CONFIG")
    folder = Path(named).parent if named else _config_folder()
    return rates_in_force(
        rates=pricing.rates,
        default_rates=folder / FILE_NAME,
        cache=cache_folder(),
        as_model=pricing.as_model,
    )


def _discover(source: Source, settings: Settings) -> Discovery:
    if source.demo:
        if source.root:
            raise UsageError("--demo and --root exclude each other")
        return transcripts.discover([DEMO])
    named = source.root or [Path(root).expanduser() for root in settings.root]
    if named:
        return transcripts.discover(named)
    return transcripts.discover(_existing_default_roots(), must_exist=False)


def _found(source: Source, settings: Settings) -> Discovery:
    """Return the transcripts to read: none where all are gone, but the store has what they held.

    Raises NoTranscriptsError where there is nothing at all.
    """
    try:
        return _discover(source, settings)
    except NoTranscriptsError:
        nothing = transcripts.discover(roots_of(source, settings), must_find=False)
        if nothing.rejects or source.only_present:
            raise
        store = _store(source, settings, Store.look)
        if store is None or not store.plan(nothing).known:
            raise
        return nothing


def _existing_default_roots() -> list[Path]:
    roots = transcripts.default_roots(os.environ, Path.home())
    if not any(root.exists() for root in roots):
        raise NoTranscriptsError(
            f"no Claude Code history found; looked in {', '.join(str(root) for root in roots)}",
            hint="Name its folder with --root or CLAUDE_CONFIG_DIR, or see what a report looks like with --demo.",
        )
    return roots


@contextmanager
def _progress_bar(total: int) -> Iterator[Progress | None]:
    """Show how far reading is, on a terminal, once it has taken a while."""
    if not is_terminal(sys.stderr):
        yield None
        return
    patient = _PatientBar(total)
    try:
        yield patient.advance
    finally:
        patient.close()


class _PatientBar:
    """A bar that appears only when reading takes longer than a user would wait for nothing."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._started = monotonic()
        self._bar: Bar | None = None

    def advance(self, count: int) -> None:
        self._done += count
        if self._bar is None and monotonic() - self._started > _PATIENCE_S:
            from tokenaudit.cli.bar import Bar

            self._bar = Bar(self._total)
        if self._bar is not None:
            self._bar.show(self._done)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


# reporting and writing


def _question(name: str, options: Options, moment: _Moment, command: str) -> "Question":
    from tokenaudit.reports.question import Question, Shape
    from tokenaudit.reports.selection import PERIODS

    cut = options.cut
    shape = Shape(
        sort=cut.sort,
        descending=None if cut.order is None else cut.order is Order.DESC,
        limit=cut.limit,
        with_cost=not cut.no_cost,
        full=cut.full,
        with_estimate=cut.estimate,
        breakdown=cut.breakdown,
    )
    selection = moment.selection(options.chosen, PERIODS.get(name, "day"))
    return Question(command, __version__, moment.now, selection, shape)


def _report(ledger: "Ledger", question: "Question", name: str, session: str | None) -> "Report":
    from tokenaudit.reports import answers
    from tokenaudit.reports import session as sessions

    if session is not None:
        return sessions.session(ledger, question, session)
    return answers.answer(ledger, question, name)


def _write(report: "Report", form: Format, path: str | None, output: Output) -> None:
    data = render(report, form, _style(output, to_file=path is not None))
    if path is None:
        targets.write_stdout(data)
    else:
        targets.write(data, path)
    for note in spoken(report, form):
        sys.stderr.write(f"{note}\n")


def spoken(report: "Report", form: Format) -> list[str]:
    """Return what must be said on stderr because *form* has no room for it (R12)."""
    from tokenaudit.reports.report import WARNING

    if form in {Format.TABLE, Format.MARKDOWN}:
        return []
    notes = map(visible, report.notes)
    if form in {Format.JSON, Format.PARQUET, Format.XLSX}:  # their metadata say the rest
        return [note for note in notes if note.startswith(WARNING)]
    return list(notes)


def _style(output: Output, *, to_file: bool) -> Style:
    if to_file:
        return Style(width=80 if output.compact else 200, raw_csv=output.raw_csv)
    encoding = (sys.stdout.encoding or "ascii").lower()
    return Style(
        width=min(_width(), 80) if output.compact else _width(),
        color=has_color(sys.stdout),
        unicode=encoding.startswith("utf"),
        raw_csv=output.raw_csv,
    )


def _width() -> int:
    """Return the width to write for: COLUMNS, the terminal's, or a wide one where there is neither."""
    import shutil

    return max(20, shutil.get_terminal_size(fallback=(120, 24)).columns)


def is_terminal(stream: TextIO) -> bool:
    """Tell whether *stream* is a terminal on which something can move."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def has_color(stream: TextIO) -> bool:
    """Tell whether colours are wanted on *stream*."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or is_terminal(stream)
