"""The command `watch`: from its options to a loop that ends when it is interrupted."""

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from tokenaudit.cli.app import BESIDE_AN_AGENT, command
from tokenaudit.cli.options import Filter, Options, Pricing, SourceOptions, Thresholds

if TYPE_CHECKING:
    from tokenaudit.config.settings import Settings
    from tokenaudit.live.event_builder import EventBuilder
    from tokenaudit.live.watch.loop import Beginning, Screen
    from tokenaudit.pricing.card import RateCard
    from tokenaudit.reports.request import Request
    from tokenaudit.transcripts import Discovery

__all__: list[str] = []


@command(
    "watch",
    "watch --once",
    "watch --once --json",
    "watch --once --project webshop --budget 25/day",
    panel=BESIDE_AN_AGENT,
    groups=(SourceOptions, Filter, Pricing),
)
def watch(
    options: Options,
    *,
    once: Annotated[bool, typer.Option("--once", help="Show how things stand, and end.")] = False,
    json: Annotated[
        bool | None,
        typer.Option(
            "--json/--no-json",
            "-j",
            help="Events as JSON, one a line, or a picture.",
            show_default="a picture on a terminal",
        ),
    ] = None,
    poll: Annotated[
        bool,
        typer.Option(
            "--poll", help="Look every second instead of waiting for the system's events."
        ),
    ] = False,
    budget: Annotated[
        list[str] | None,
        typer.Option(
            "--budget",
            metavar="AMOUNT/PERIOD",
            help="Budget to watch: 25/day, webshop=100/month; day, week, month, block, session. Repeatable.",
        ),
    ] = None,
    near_limit: Annotated[
        float,
        typer.Option(
            "--near-limit", min=0, metavar="PERCENT", help="From where a context is nearly full."
        ),
    ] = 80.0,
    on_alert: Annotated[
        str | None,
        typer.Option(
            "--on-alert",
            metavar="CMD",
            help="Run CMD when a budget or a context comes near its limit: the event is on its stdin.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Watch agents at work: what each has used, what it costs, how full its context is; or as events."""
    import gc

    from msgspec.structs import replace

    from tokenaudit.cli.request import parse_request
    from tokenaudit.cli.terminal import is_terminal

    gc.enable()  # this run is a long one
    # Frames are small after the first: a second thread would take memory and wait for the first.
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
    options = replace(options, thresholds=Thresholds(budget=budget))
    request, settings = parse_request(options, name="watch")
    is_stream = not is_terminal(sys.stdout) if json is None else json
    _Watch(options, settings, request, near_limit, on_alert).run(
        is_stream=is_stream, once=once, poll=poll
    )


class _Watch:
    """What the options of a watch come to."""

    def __init__(
        self,
        options: Options,
        settings: "Settings",
        request: "Request",
        near_limit: float,
        on_alert: str | None,
    ) -> None:
        from tokenaudit.cli.reading import roots_of
        from tokenaudit.cli.settings import rate_card
        from tokenaudit.live.alerts import Alerts

        self._source = options.source
        self._settings = settings
        self._question = request
        self._near_limit = near_limit
        self._alerts = Alerts(on_alert)
        self._card: RateCard = rate_card(options.pricing)
        self._roots = roots_of(options.source, settings)
        self._has_begun = False

    def run(self, *, is_stream: bool, once: bool, poll: bool) -> None:
        """Show how things stand *once*, or watch until the user ends it."""
        missing = [root for root in self._roots if not root.exists()]
        if missing:
            self._found()  # says what is wrong with it
        with self._alerts:
            if once:
                self._once(is_stream=is_stream)
            else:
                self._go_on(is_stream=is_stream, poll=poll)

    def _once(self, *, is_stream: bool) -> None:
        from datetime import UTC, datetime

        beginning = self._begin()
        builder = self._builder("nothing")
        snapshot = builder.snapshot(
            beginning.live, datetime.now(UTC), transcripts=beginning.sources.transcripts
        )
        self._alerts(builder.know(snapshot))
        self._screen(is_stream=is_stream).end(snapshot, beginning.live)

    def _go_on(self, *, is_stream: bool, poll: bool) -> None:
        beginning = (
            self._begin()
        )  # before any import of Polars, which keeps processes from being forked
        from datetime import UTC, datetime
        from time import time_ns

        from tokenaudit.cli.signals import until_signalled
        from tokenaudit.live.watch.keys import Keys
        from tokenaudit.live.watch.loop import Clock, Loop
        from tokenaudit.live.watcher import Watcher

        clock = Clock(lambda: datetime.now(UTC), time_ns)
        with Watcher([str(root) for root in self._roots], poll=poll) as watcher:
            if watcher.is_polling and not poll:
                sys.stderr.write(f"tokenaudit: looking every second: {watcher.why}\n")
            builder = self._builder("polling" if watcher.is_polling else "events")
            screen = self._screen(is_stream=is_stream)
            loop = Loop(beginning, self._begin, builder, screen, clock=clock, alert=self._alerts)
            with until_signalled() as told:
                if is_stream:
                    loop.run(watcher, told)
                    raise typer.Exit(130)
                with Keys(told) as keys:
                    loop.run(watcher, keys)
        if not keys.is_left:
            raise typer.Exit(130)

    def _builder(self, watching: str) -> "EventBuilder":
        from tokenaudit.live.event_builder import EventBuilder

        return EventBuilder(self._question, near_limit=self._near_limit, watching=watching)

    def _screen(self, *, is_stream: bool) -> "Screen":
        from tokenaudit.live.watch.stream import Stream

        if is_stream:
            return Stream()
        from tokenaudit.cli.terminal import has_color
        from tokenaudit.live.watch.dashboard import Dashboard

        return Dashboard(self._question, has_color=has_color(sys.stdout))

    def _begin(self) -> "Beginning":
        """Read what is new as every command does, and keep it if there is a store."""
        from tokenaudit.cli.reading import gather
        from tokenaudit.live.discovery import discovered

        roots = [str(root) for root in self._roots]
        discovery = discovered(self._found, roots)
        known, is_kept = gather(self._source, self._settings, discovery, quietly=self._has_begun)
        self._has_begun = True
        from tokenaudit.live.incremental_ledger import IncrementalLedger
        from tokenaudit.live.sources import Sources
        from tokenaudit.live.watch.loop import Beginning

        with_former = is_kept and not self._source.only_present
        sources = Sources(self._found, discovery, known, with_former=with_former)
        return Beginning(sources, IncrementalLedger(known.rows, self._card), is_kept)

    def _found(self) -> "Discovery":
        from tokenaudit import transcripts

        there = [root for root in self._roots if not self._has_begun or root.exists()]
        return transcripts.discover(there)
