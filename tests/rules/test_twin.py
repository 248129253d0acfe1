"""One meaning: what the rules say of single lines is what `merge` makes of whole columns, in any history."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import polars as pl
from audited import Audited
from hypothesis import given
from test_properties import World, examples, on_disk, worlds

from tokenaudit.ledger.frame import TOKENS, Ledger
from tokenaudit.ledger.lineage import gather
from tokenaudit.ledger.verdict import Observation, judge
from tokenaudit.model.terms import Kind
from tokenaudit.rules.identity import responses_of

Groups = set[frozenset[tuple[str, int]]]


@examples(60)
@given(worlds())
def test_rules_over_lines_and_merging_of_columns_are_one_meaning(world: World) -> None:
    """R3 to R8: which lines are one response, whose, when, by which line, with which counts."""
    with on_disk(world) as root:
        ledger = Audited.of(root).ledger
        lineage = gather(ledger, ledger.frame)

    assert (lineage.gone, lineage.changed) == ((), ())
    assert responses_by_rules(ledger.facts.records) == responses_by_merging(ledger.members)
    owners = {(path, record) for path, record in owning(ledger.members).iter_rows()}
    for at, row in enumerate(ledger.frame.iter_rows(named=True)):
        said = lineage.said[at]
        verdict = judge(said)
        times = [each.time for each in said if each.time]

        assert (verdict.best.path, verdict.best.line) == (row["source_path"], row["source_line"])
        assert (verdict.owner.path, verdict.owner.record) in owners
        assert verdict.owner.agent_id == row["agent_id"]
        assert min(times, default=None) == row["time"]
        if row["kind"] == Kind.MESSAGE:
            assert sum(len(each.lines) for each in said) == row["copies"] + 1
            for name in TOKENS:
                is_told = name != "output_tokens" or row["quality"] != "repaired"
                assert not is_told or getattr(verdict.best.counts, name) == row[name], name
            assert [
                tuple(getattr(part, name) for name in TOKENS) for part in verdict.best.inferences
            ] == inferences_of(ledger, row)


def responses_by_rules(records: pl.DataFrame) -> Groups:
    """Group all records that may be one response, as the rules for single ones do."""
    place = pl.format("{}:{}", "path", "line")
    rows = records.with_columns(may_share=pl.coalesce("message_id", "uuid", place))
    names = [name for name in Observation.__struct_fields__ if name != "lines"]
    found: Groups = set()
    for of_one in rows.partition_by("may_share"):
        each = [Observation(**row) for row in of_one.select(names).iter_rows(named=True)]
        found |= {
            frozenset((each[at].path, each[at].record) for at in group)
            for group in responses_of(each)
        }
    return found


def responses_by_merging(members: pl.DataFrame) -> Groups:
    groups = defaultdict(set)
    for path, record, *response in members.drop("is_owner").iter_rows():
        groups[tuple(response)].add((path, record))
    return {frozenset(group) for group in groups.values()}


def owning(members: pl.DataFrame) -> pl.DataFrame:
    return members.filter("is_owner").select("path", "record")


def inferences_of(ledger: Ledger, row: Mapping[str, Any]) -> list[tuple[int, ...]]:
    key = ("response_id", "request_id", "source_path", "source_line")
    same = (pl.col(name).eq_missing(pl.lit(row[name])) for name in key)
    return ledger.inferences.filter(*same).select(TOKENS).rows()
