"""The fields of a response: what is made of the one list is what there is."""

from pathlib import Path

from transcripts_builder import parsed, reply, session_file, write

from tokenaudit.ledger.frame import SCHEMA
from tokenaudit.merge.copies import OF_OWNER
from tokenaudit.model.fields import DIMENSIONS, FIELDS, TOKENS, In, names
from tokenaudit.transcripts import Reading


def test_a_field_is_written_down_once() -> None:
    """Under a name of its own."""
    assert len({field.name for field in FIELDS}) == len(FIELDS)


def test_reading_yields_the_fields_of_records(tmp_path: Path) -> None:
    """All of them, and nothing else: a field that is read and not written down would be lost."""
    reading = Reading.of([parsed(write(session_file(tmp_path), reply()))])

    assert {"extent", *names(In.RECORDS)} == {*reading.records}


def test_r5_what_a_response_has_from_its_owner() -> None:
    """As the rule says: whose it is and where that stood; no count and no time."""
    whose, where = {"agent_id", "is_sidechain", "is_progress"}, {"cwd", "branch", "version"}

    assert {*whose, *where, "entrypoint"} == {*OF_OWNER}


def test_counts_of_the_five_classes_are_in_the_ledger_in_their_order() -> None:
    """Their sum is the total."""
    assert TOKENS == tuple(name for name in SCHEMA if name in TOKENS)


def test_dimensions_are_columns_of_the_ledger() -> None:
    """By which responses can be grouped."""
    assert {field.name for field in DIMENSIONS} <= {*SCHEMA}
