"""Exports with nothing new: known by a note, which is believed only where all is as it was."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from calls import FORK, run
from lake_evidence import Copy, facts, rows

from tokenaudit.export.lake.export_state import Last, mark_of
from tokenaudit.export.lake.host import Host
from tokenaudit.export.lake.publish import publish
from tokenaudit.export.lake.storage import Folder

HOST = Host("h1", "laptop")
NOW = datetime(2026, 3, 3, tzinfo=UTC)
ONE = Copy(1, 1, 5, is_final=False, later=0)
TWO = Copy(2, 1, 70, is_final=True, later=0)
BETTER = Copy(1, 1, 400, is_final=True, later=1)


def test_the_mark_tells_facts_and_settings_apart() -> None:
    """The same of the same; another of one count, one response, one setting."""
    mark = mark_of(facts([ONE, TWO]), HOST, None)
    assert mark == mark_of(facts([ONE, TWO]), HOST, None)
    others = {
        mark_of(facts([BETTER, TWO]), HOST, None),
        mark_of(facts([ONE]), HOST, None),
        mark_of(facts([ONE, TWO]), Host("h1", "desk"), None),
        mark_of(facts([ONE, TWO]), HOST, b"of the organisation"),
    }
    assert len({mark, *others}) == 5


def noted(tmp_path: Path) -> tuple[Last, Path]:
    lake = tmp_path / "lake"
    last = Last.of(tmp_path / "data", str(lake), Folder(lake), HOST)
    assert last.responses("mark") is None
    (part,) = publish(rows([ONE, TWO]), Folder(lake), HOST, NOW).written
    last.note("mark", 2)
    return last, lake / part.part


def truncate(part: Path) -> None:
    part.write_bytes(part.read_bytes()[:-1])


def lay_beside(part: Path) -> None:
    (part.parent / "notes.txt").touch()


def add_another(part: Path) -> None:
    publish(rows([BETTER]), Folder(part.parents[2]), HOST, NOW)


@pytest.mark.parametrize("change", [truncate, lay_beside, add_another, Path.unlink])
def test_a_note_holds_while_the_parts_are_what_they_were(
    tmp_path: Path, change: Callable[[Path], None]
) -> None:
    """And no longer: one is damaged, replaced or gone, or a file beside it is foreign."""
    last, part = noted(tmp_path)
    assert last.responses("mark") == 2
    assert last.responses("another mark") is None
    publish(rows([BETTER]), last.storage, Host("h2", "desk"), NOW)
    assert last.responses("mark") == 2  # other hosts' parts are no matter
    change(part)
    assert last.responses("mark") is None


@pytest.mark.parametrize("content", [b"", b"{", b'{"mark": 1}'])
def test_a_note_that_is_none_is_no_error(tmp_path: Path, content: bytes) -> None:
    """It is as if there were none, and is written anew."""
    last, _ = noted(tmp_path)
    last.file.write_bytes(content)
    assert last.responses("mark") is None
    last.note("mark", 2)
    assert last.responses("mark") == 2


def test_no_note_while_replaced_parts_wait_for_their_end(tmp_path: Path) -> None:
    """Or nobody would remove them after the day of grace."""
    last, part = noted(tmp_path)
    add_another(part)
    last.note("another mark", 2)
    assert last.responses("another mark") is None


def test_what_was_lost_is_exported_again(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part that somebody removed is back after the next run, whatever is noted; then nothing is new."""
    monkeypatch.setenv("TOKENAUDIT_HOST_ID", "h1")
    argv = ["export", "--root", FORK, "--to", str(tmp_path), "--json"]

    def export() -> dict[str, object]:
        code, out, err = run(capfd, *argv)
        assert (code, err) == (0, "")
        line: dict[str, object] = json.loads(out)
        return line

    first = export()
    second = export()
    assert second == first | {"written": []}
    names = Folder(tmp_path).names()
    (tmp_path / names[0]).unlink()
    assert export()["written"] != []
    assert Folder(tmp_path).names() == names
    assert export() == second
