"""One meaning: what the rules say of single lines is what `merge` makes of whole columns, in any history."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import polars as pl
from audited import Audited
from hypothesis import given
from hypothesis import strategies as st
from lake_evidence import facts
from properties import examples
from test_properties import World, on_disk, worlds
from transcripts_builder import START

from tokenaudit.ledger.frame import TOKENS, Ledger
from tokenaudit.ledger.lineage import gather
from tokenaudit.ledger.verdict import Observation, judge
from tokenaudit.merge import merge
from tokenaudit.model.terms import Kind
from tokenaudit.rules.identity import claim_of, responses_of
from tokenaudit.store.facts import RECORDS, TRANSCRIPTS, Facts
from tokenaudit.store.lazy_frame import replaced
from tokenaudit.store.rows import COUNTS

Groups = set[frozenset[tuple[str, int]]]


@examples(40)
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


ANY_RECORDS = st.lists(
    st.fixed_dictionaries(
        {
            "at": st.integers(0, 2),
            "is_progress": st.booleans(),
            "is_sidechain": st.booleans(),
            "agent_id": st.sampled_from(["main", "a1"]),
            "message_id": st.sampled_from(["m", "m", "n", None]),
            "request_id": st.sampled_from(["q", "r", None]),
            "uuid": st.sampled_from(["u", "v", None]),
            "time": st.sampled_from([START, START + timedelta(seconds=1), None]),
        }
    ),
    max_size=6,
)
BEGINNINGS = st.lists(st.sampled_from([START, START - timedelta(1), None]), min_size=3, max_size=3)


@examples(150)
@given(ANY_RECORDS, BEGINNINGS)
def test_records_of_any_ids_and_times_become_the_same_responses(
    said: list[dict[str, Any]], begins: list[datetime | None]
) -> None:
    """R3, R5, R8: with few ids and times, so that nearly all that can be alike is."""
    known = facts_of_records(said, begins)
    found = merge(known)
    members = found.members()
    records = {(each.path, each.record): each for each in observations(known.records)}
    groups = responses_by_rules(known.records)

    assert groups == responses_by_merging(members)
    assert {*owning(members).iter_rows()} == {
        min(group, key=lambda place: claim_of(records[place])) for group in groups
    }
    times = [[records[place].time for place in group] for group in groups]
    earliest = [min((time for time in each if time), default=None) for each in times]
    assert sorted(map(str, found.responses["time"])) == sorted(map(str, earliest))


def facts_of_records(said: list[dict[str, Any]], begins: list[datetime | None]) -> Facts:
    rows = [
        {
            **{name: each[name] for name in each if name != "at"},
            **dict.fromkeys(("record", "line", "value_line"), number),
            "path": f"/t{each['at']}.jsonl",
            "file_time": begins[each["at"]],
            "value_time": each["time"],
            "lines": 1,
            "revision": 0,
            **dict.fromkeys(COUNTS, 0),
        }
        for number, each in enumerate(said, 1)
    ]
    paths = [{"path": f"/t{at}.jsonl", "session_id": "s", "agent_id": "main"} for at in range(3)]
    nothing = facts([])
    return replaced(
        nothing,
        records=pl.DataFrame(rows, schema=dict(RECORDS), orient="row"),
        transcripts=pl.DataFrame(paths, schema=dict(TRANSCRIPTS), orient="row"),
    )


def observations(records: pl.DataFrame) -> list[Observation]:
    names = [name for name in Observation.__struct_fields__ if name != "lines"]
    return [Observation(**row) for row in records.select(names).iter_rows(named=True)]


def responses_by_rules(records: pl.DataFrame) -> Groups:
    """Group all records that may be one response, as the rules for single ones do."""
    place = pl.format("{}:{}", "path", "line")
    rows = records.with_columns(may_share=pl.coalesce("message_id", "uuid", place))
    found: Groups = set()
    for of_one in rows.partition_by("may_share"):
        each = observations(of_one)
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
