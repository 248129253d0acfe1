"""Which tools filled contexts, and what carrying their results cost afterwards: an estimate, labelled so.

A result's tokens are its share of a measured step. From then on every prompt of the agent holds them,
until a compaction or until the prompt falls to half: they were paid for when they came in, at what new
tokens cost in that response, and again with each later prompt, at what its older tokens cost on
average. What old and new tokens of a prompt cost sums to what was paid for that prompt.
"""

from collections.abc import Sequence
from typing import Final

import polars as pl
from msgspec.structs import replace

from tokenaudit.analysis.context_growth import AGENT, growth, placed, prompts
from tokenaudit.ledger.frame import Ledger
from tokenaudit.pricing.cost import USD
from tokenaudit.reports.report import Bound, Column, Report, Section, Unit
from tokenaudit.reports.request import Layout, Request
from tokenaudit.reports.selection import select
from tokenaudit.reports.usage import assemble, column_named
from tokenaudit.transcripts import ContentCause

__all__ = ["carried", "tools"]

_ATTO: Final = 10**18
"""Shares of a cost are reckoned in whole attodollars, so that sums do not depend on their order."""
_PICO: Final = 10**12
_ATTO_PER_PICO: Final = _ATTO // _PICO
_FALLEN: Final = 2
"""A prompt of less than this part of the one before holds nothing of what was there."""
_MCP: Final = r"^mcp__(.+?)__"
_HEADINGS: Final = {"tools": "tool", "mcp_servers": "MCP server", "skills": "skill"}

_MEASURES: Final = (
    Column("calls", Unit.COUNT, "Calls"),
    Column("errors", Unit.COUNT, "Errors"),
    Column("result_tokens", Unit.TOKENS, "Tokens of results"),
    Column("mean_tokens", Unit.TOKENS, "Tokens on average"),
    Column("carried_tokens", Unit.TOKENS, "Carried tokens"),
    Column("cost_entered_usd", Unit.USD, "Cost coming in", bound=Bound.LEAST),
    Column("cost_carried_usd", Unit.USD, "Cost carried", bound=Bound.LEAST),
)
_COSTS: Final = ("cost_entered_usd", "cost_carried_usd")

_BASIS: Final = (
    "Estimate: tokens of results are their share, by characters, of measured steps between prompts;"
    " carrying them cost what older tokens of each later prompt cost on average, until a compaction."
)


def tools(ledger: Ledger, request: Request, pieces: pl.DataFrame) -> Report:
    """Return what the results of each tool, MCP server and skill put into contexts, and its cost.

    *pieces* are what the transcripts of the selected agents hold. A call counts with the response
    that made it, which *request* selects or not.
    """
    rows = select(ledger.frame, request.selection).collect()
    results = carried(ledger, pieces).join(
        rows.select("response_id", "request_id", *AGENT),
        on=["response_id", "request_id", *AGENT],
        how="semi",
        nulls_equal=True,
    )
    shape = request.shape
    plain = replace(shape, sort=None, descending=None, limit=None)
    sections = [_section(results, Column("tool", Unit.TEXT, "Tool"), shape, name="tools")]
    for column, name in (
        (Column("mcp_server", Unit.TEXT, "MCP server"), "mcp_servers"),
        (Column("skill", Unit.TEXT, "Skill"), "skills"),
    ):
        said = results.filter(pl.col(column.name).is_not_null())
        if not said.is_empty():
            sections.append(_section(said, column, plain, name=name))
    report = assemble(ledger, request, rows, tuple(sections), title=sections[0].title)
    return replace(report, notes=(_BASIS, *_doubts(results), *report.notes))


def _doubts(results: pl.DataFrame) -> Sequence[str]:
    unpriced = results.filter(pl.col("is_unpriced")).height
    if not unpriced:
        return ()
    return (
        f"Of {unpriced:,} results the cost is not, or not all, known: some prompts are unpriced.",
    )


def carried(ledger: Ledger, pieces: pl.DataFrame) -> pl.DataFrame:
    """Return every call of a tool with what its result put into the context, and what that cost.

    `session_id, agent_id, response_id, request_id, skill` (of the response that called it), `tool,
    mcp_server, is_error, characters, result_tokens` (null where its step is not a measure of it:
    it shrank, was compacted, or has not come yet), `carried_tokens` (tokens times later prompts),
    `cost_entered_usd, cost_carried_usd` (null where nothing of it is priced), `is_unpriced`
    (whether a prompt that held it has no price).
    """
    responses = _epochs(prompts(ledger.frame, ledger.compactions))
    is_result = pl.col("cause") == ContentCause.RESULT
    tokens_of = growth(responses, pieces).filter(is_result).select(*AGENT, "position", "tokens")
    key = [*AGENT, "number"]
    called_by = responses.select(
        *AGENT, "response_id", "request_id", "skill", number=pl.col("number") + 1
    )
    found = (
        placed(responses, pieces)
        .filter(is_result)
        .join(called_by, on=key, nulls_equal=True)
        .join(tokens_of, on=[*AGENT, "position"], how="left", nulls_equal=True)
        .join(_unit_costs(responses), on=key, how="left", nulls_equal=True)
    )
    tokens = pl.col("tokens").cast(pl.Int128)
    is_priced = pl.col("fresh_cost").is_not_null()
    later = pl.col("epoch_old_cost") - pl.col("old_cost_so_far")
    return found.select(
        *AGENT,
        "response_id",
        "request_id",
        "tool",
        "skill",
        "is_error",
        "characters",
        mcp_server=pl.col("tool").str.extract(_MCP),
        result_tokens="tokens",
        carried_tokens=tokens * (pl.col("epoch_prompts") - pl.col("prompts_so_far")),
        cost_entered_usd=pl.when(is_priced).then(_usd(tokens * pl.col("fresh_cost"))),
        cost_carried_usd=pl.when(is_priced | (later > 0)).then(_usd(tokens * later)),
        is_unpriced=pl.col("tokens").is_not_null()
        & (~is_priced | (pl.col("epoch_unpriced") > pl.col("unpriced_so_far"))),
    )


def _usd(atto: pl.Expr) -> pl.Expr:
    """Return whole attodollars as dollars, cut at the twelfth decimal."""
    pico = atto.floordiv(_ATTO_PER_PICO)
    return (pico.cast(pl.Decimal(38, 0)) * pl.lit("0.000000000001").cast(USD)).cast(USD)


def _epochs(responses: pl.DataFrame) -> pl.DataFrame:
    """Return *responses* with `epoch`, the stretch in which a context grows: a compaction or a fall to half ends it."""
    before = pl.col("prompt_tokens") - pl.col("step_tokens")
    is_fresh = pl.col("is_compacted") | (pl.col("prompt_tokens") * _FALLEN < before)
    return responses.with_columns(
        epoch=is_fresh.fill_null(value=False).cast(pl.Int64).cum_sum().over(AGENT)
    )


def _unit_costs(responses: pl.DataFrame) -> pl.DataFrame:
    """Return what a new and an old token of each prompt cost, in attodollars, and sums of the latter.

    New are the tokens by which the prompt grew, as far as they were not read from the cache; what
    was sent or written beyond them are old tokens that the cache had lost.
    """
    fresh_tokens = (pl.col("prompt_tokens") - pl.col("cache_read_tokens")).cast(pl.Int128)
    new = pl.col("step_tokens").clip(lower_bound=0).cast(pl.Int128)
    paid_fresh = _atto(pl.col("cost_input_usd") + pl.col("cost_cache_write_usd"))
    paid = paid_fresh + _atto(pl.col("cost_cache_read_usd"))
    priced = responses.with_columns(
        fresh_cost=_each(paid_fresh, fresh_tokens, otherwise=_each(paid, pl.col("prompt_tokens"))),
        paid=paid,
        new=pl.min_horizontal(new, fresh_tokens),
    ).with_columns(
        old_cost=_each(
            pl.col("paid") - pl.col("new") * pl.col("fresh_cost"),
            pl.col("prompt_tokens").cast(pl.Int128) - pl.col("new"),
        )
    )
    old = pl.col("old_cost").fill_null(0)
    is_unpriced = pl.col("paid").is_null().cast(pl.Int64)
    stretch = [*AGENT, "epoch"]
    return priced.select(
        *AGENT,
        "number",
        "fresh_cost",
        old_cost_so_far=old.cum_sum().over(stretch),
        epoch_old_cost=old.sum().over(stretch),
        prompts_so_far=pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over(stretch),
        epoch_prompts=pl.len().over(stretch).cast(pl.Int64),
        unpriced_so_far=is_unpriced.cum_sum().over(stretch),
        epoch_unpriced=is_unpriced.sum().over(stretch),
    )


def _atto(usd: pl.Expr) -> pl.Expr:
    pico = (usd * pl.lit(_PICO).cast(pl.Decimal(38, 0))).cast(pl.Int128)
    return pico * pl.lit(_ATTO_PER_PICO, pl.Int128)


def _each(amount: pl.Expr, tokens: pl.Expr, otherwise: pl.Expr | None = None) -> pl.Expr:
    """Return *amount* per token; without tokens *otherwise*, or nothing."""
    whole = tokens.cast(pl.Int128)
    return (
        pl.when(whole > 0)
        .then(amount.floordiv(whole))
        .otherwise(pl.lit(0, pl.Int128) if otherwise is None else otherwise)
    )


def _section(results: pl.DataFrame, column: Column, shape: Layout, *, name: str) -> Section:
    columns = (column, *(each for each in _MEASURES if shape.with_cost or each.unit != Unit.USD))
    grouped = results.group_by(column.name).agg(_measures())
    sort = column_named(shape.sort, columns) if shape.sort else columns[-1].name
    is_text = sort == column.name
    falling = (not is_text) if shape.descending is None else shape.descending
    ordered = grouped.sort(sort, column.name, descending=[falling, False], nulls_last=True)
    shown = ordered if shape.limit is None else ordered.head(shape.limit)
    totals = results.select(_measures()).drop("mean_tokens").row(0, named=True)
    return Section(
        name=name,
        title=f"Results in contexts by {_HEADINGS[name]}",
        columns=columns,
        rows=shown.select(each.name for each in columns),
        totals={each.name: totals[each.name] for each in columns if each.name in totals},
        dimensions=(column.name,),
        cut_rows=ordered.height - shown.height,
    )


def _measures() -> list[pl.Expr]:
    tokens = pl.col("result_tokens")
    is_measured = tokens.count() > 0
    return [
        pl.len().cast(pl.Int64).alias("calls"),
        pl.col("is_error").sum().cast(pl.Int64).alias("errors"),
        *(
            pl.when(is_measured).then(pl.col(name).sum()).cast(pl.Int64).alias(name)
            for name in ("result_tokens", "carried_tokens")
        ),
        pl.when(is_measured).then(tokens.sum() // tokens.count()).alias("mean_tokens"),
        *(
            pl.when((pl.col(name).count() > 0) | (pl.len() == 0))
            .then(pl.col(name).sum())
            .alias(name)
            for name in _COSTS
        ),
    ]
