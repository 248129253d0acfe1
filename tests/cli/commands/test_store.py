"""The command `store` and the options about it, run as a user runs them."""

import errno
import io
import json
import os
import pty
import subprocess
import sys
import zipfile
from pathlib import Path
from time import time_ns
from typing import Any

import polars as pl
import pytest
from filelock import FileLock
from msgspec.structs import replace
from opened import opened_by
from transcripts_builder import (
    FORK,
    OTHER,
    SESSION,
    encoded,
    prompt,
    reply,
    session_file,
    write,
)

from tokenaudit.__main__ import main
from tokenaudit.files import atomic as files
from tokenaudit.store import Store, facts_without_store
from tokenaudit.store import index as indexes
from tokenaudit.store.index import FORMAT

FORGET_ALL = ["store", "forget", "--root", "/"]
FORGET_BEFORE = ["store", "forget", "--before"]
DAY = 86400
"""Lines of the builder begin on 2026-03-02; a day later is 2026-03-03."""


def run(capfd: pytest.CaptureFixture[str], *argv: str | Path) -> tuple[int, str, str]:
    code = main([str(arg) for arg in argv])
    out, err = capfd.readouterr()
    return code, " ".join(out.split()), err


def document(capfd: pytest.CaptureFixture[str], *argv: str | Path) -> dict[str, Any]:
    code = main([*(str(arg) for arg in argv), "--json"])
    out, err = capfd.readouterr()
    assert (code, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    return found


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "kept"
    monkeypatch.setenv("TOKENAUDIT_STORE", str(folder))
    monkeypatch.setenv("COLUMNS", "300")  # no path is folded
    return folder


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs happen a minute after what they read was written: times of files then tell of any change."""
    monkeypatch.setattr("tokenaudit.cli.reading.time_ns", lambda: time_ns() + 60 * 10**9)


@pytest.fixture
def root(kept: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], later: None) -> Path:  # noqa: ARG001
    """Three sessions that a report has read: of 2, 1 and 1 responses, on March 2nd, 3rd and 4th."""
    root = tmp_path / "claude"
    write(session_file(root), reply("msg_1", "req_1"), reply("msg_2", "req_2", at=5))
    write(session_file(root, FORK), prompt(at=DAY), reply("msg_3", "req_3", 70, at=DAY + 1))
    write(session_file(root, OTHER), reply("msg_4", "req_4", 90, at=2 * DAY))
    assert 3 == report(capfd, root)["meta"]["intake"]["files"]
    assert kept.is_dir()
    return root


def report(capfd: pytest.CaptureFixture[str], root: Path, *argv: str) -> dict[str, Any]:
    return document(capfd, "sessions", "--root", root, *argv)


def test_days_that_are_known_are_not_opened(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Nor are others: only what has grown, though `--since` leaves out most of what is known.

    March 3rd and 4th are of 80 and 100 tokens; then 60 of the 4th come, and 110 of the 1st elsewhere.
    """

    def days(*argv: str) -> dict[str, int]:
        rows = document(capfd, "daily", "--root", root, *argv)["rows"]
        return {row["day"]: row["total_tokens"] for row in rows}

    since = ("--since", "2026-03-03")
    found: list[dict[str, int]] = []
    everything = {session_file(root, session).name for session in (SESSION, FORK, OTHER)}
    assert everything == opened_by(lambda: found.append(days(*since, "--no-store")))
    assert set() == opened_by(lambda: found.append(days(*since)))
    grown, old = session_file(root, OTHER), session_file(root, "old")
    with grown.open("ab") as file:
        file.write(encoded(reply("msg_5", "req_5", 50, at=2 * DAY + 9)) + b"\n")
    write(old, reply("msg_6", "req_6", at=-DAY))
    assert {grown.name, old.name} == opened_by(lambda: found.append(days(*since)))
    assert set() == opened_by(lambda: found.append(days("--since", "2026-03-04")))

    before = {"2026-03-03": 80, "2026-03-04": 100}
    after = {**before, "2026-03-04": 160}
    assert [before, before, after, {"2026-03-04": 160}] == found


def test_history_outlives_the_last_transcript(
    root: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Of 110, 110, 80 and 100 tokens nothing is lost when all is deleted, now and the next time."""
    for session in (SESSION, FORK, OTHER):
        session_file(root, session).unlink()
    found = [report(capfd, root) for _ in range(2)]

    assert [(3, 3)] * 2 == [
        (each["meta"]["intake"]["files"], each["meta"]["intake"]["gone"]) for each in found
    ]
    assert [400, 400] == [each["totals"]["total_tokens"] for each in found]
    snapshot = json.loads(run(capfd, "watch", "--once", "--root", root)[1])
    assert 400 == snapshot["totals"]["total_tokens"]


@pytest.mark.parametrize("option", ["--only-present", "--no-store"])
def test_without_history_nothing_found_is_an_error(
    root: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], option: str
) -> None:
    """Nor is the history of one root that of another, or of one that is not there."""
    other = tmp_path / "other"
    other.mkdir()
    for session in (SESSION, FORK, OTHER):
        session_file(root, session).unlink()

    assert "no transcripts found" in run(capfd, "daily", "--root", root, option)[2]
    assert "no transcripts found" in run(capfd, "daily", "--root", other)[2]
    missing = run(capfd, "daily", "--root", root, "--root", tmp_path / "nowhere")
    assert (2, "nowhere: no such root") == (missing[0], missing[2].split("/")[-1].split("\n")[0])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_not_gone(root: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A folder that is shut is no history: it is an error, and nothing is said to be gone."""
    folder = root / "projects"
    folder.chmod(0)
    shut = run(capfd, "daily", "--root", root)
    folder.chmod(0o755)

    assert (2, True) == (shut[0], "Permission denied" in shut[2])
    assert 0 == report(capfd, root)["meta"]["intake"]["gone"]


def status(capfd: pytest.CaptureFixture[str]) -> dict[str, Any]:
    row: dict[str, Any] = document(capfd, "store")["rows"][0]
    return row


def kept_paths(kept: Path) -> set[str]:
    """The transcripts that the bytes of the store still name, in rows or in the index."""
    found = {path["path"] for path in json.loads(index_of(kept))["files"]}
    for segment in kept.glob("rows-*.zip"):
        with zipfile.ZipFile(segment) as archive:
            found |= {*pl.read_parquet(io.BytesIO(archive.read("parts.parquet")))["path"]}
    return found


def index_of(kept: Path) -> bytes:
    return (kept / "index.json").read_bytes().partition(b"\n")[2]


# what reports say


def test_history_outlives_its_transcripts(capfd: pytest.CaptureFixture[str], root: Path) -> None:
    """It counts, is counted apart, and can be left out."""
    session_file(root, FORK).unlink()
    found = report(capfd, root)
    left = report(capfd, root, "--only-present")
    anew = report(capfd, root, "--no-store")

    assert (3, 1, 4) == tuple(
        found["meta"]["intake"][key] for key in ("files", "gone", "responses")
    )
    assert (2, 0, 3) == tuple(left["meta"]["intake"][key] for key in ("files", "gone", "responses"))
    assert 360 == found["totals"]["output_tokens"]  # 100 + 100 + 70 + 90
    assert 290 == left["totals"]["output_tokens"] == anew["totals"]["output_tokens"]
    assert left["rows"] == anew["rows"]


def test_the_foot_says_what_is_gone(capfd: pytest.CaptureFixture[str], root: Path) -> None:
    """Only where something is."""
    _, before, _ = run(capfd, "daily", "--root", root)
    session_file(root, FORK).unlink()
    _, one, _ = run(capfd, "daily", "--root", root)
    session_file(root, OTHER).unlink()
    _, two, _ = run(capfd, "daily", "--root", root)
    _, left, _ = run(capfd, "daily", "--root", root, "--only-present")

    assert "no longer on disk" not in before + left
    assert "1 of 3 transcripts is no longer on disk; --only-present leaves it out." in one
    assert "2 of 3 transcripts are no longer on disk; --only-present leaves them out." in two


# store


def test_no_store_yet_is_said(capfd: pytest.CaptureFixture[str], kept: Path) -> None:
    """And none is made by asking."""
    code, out, err = run(capfd, "store")

    assert (0, "") == (code, err)
    assert "There is no store yet: the first report makes it." in out
    assert not kept.exists()


def test_status_says_what_is_kept(
    capfd: pytest.CaptureFixture[str], kept: Path, root: Path
) -> None:
    """Files, size, days; a copy of a response is a record, but no response of its own."""
    write(session_file(root, OTHER, "-work-copy"), reply("msg_4", "req_4", 90, at=2 * DAY))
    report(capfd, root)
    row = status(capfd)

    assert sum(path.stat().st_size for path in kept.iterdir()) == row.pop("bytes")
    assert row.pop("segments") == len([*kept.glob("rows-*.zip")])
    assert row == {
        "folder": str(kept),
        "format": FORMAT,
        "transcripts": 4,
        "records": 5,
        "responses": 4,
        "first_day": "2026-03-02",
        "last_day": "2026-03-04",
        "gone": 0,
        "rewritten": 0,
        "shrank": 0,
    }


def test_status_lists_what_only_the_store_knows(
    capfd: pytest.CaptureFixture[str], root: Path
) -> None:
    """Each with its fate and with what it held."""
    session_file(root, FORK).unlink()
    sizes = {path: session_file(root, path).stat().st_size for path in (SESSION, OTHER)}
    write(session_file(root), reply("msg_1", "req_1"))
    write(session_file(root, OTHER), reply("msg_9", "req_9", at=3 * DAY), *[prompt()] * 9)
    report(capfd, root)
    found = document(capfd, "store")
    versions = {row["path"]: row for row in found["sections"]["versions"]["rows"]}

    assert (1, 1, 1) == tuple(found["rows"][0][fate] for fate in ("gone", "rewritten", "shrank"))
    assert {
        str(session_file(root, session)): what
        for session, what in {
            SESSION: ("shrank", "2026-03-02", 2),
            FORK: ("gone", "2026-03-03", 1),
            OTHER: ("rewritten", "2026-03-04", 1),
        }.items()
    } == {path: (row["fate"], row["last_day"], row["records"]) for path, row in versions.items()}
    assert sizes == {one: versions[str(session_file(root, one))]["bytes"] for one in sizes}
    # what was rewritten counts as long as it is not left out: msg_4, and msg_2 that was cut off
    assert 5 == report(capfd, root)["meta"]["intake"]["responses"]
    assert 2 == report(capfd, root, "--only-present")["meta"]["intake"]["responses"]


def test_a_screen_lists_twenty_unless_asked_for_all(
    capfd: pytest.CaptureFixture[str], kept: Path, tmp_path: Path
) -> None:
    """A program gets all."""
    root = tmp_path / "claude"
    ids = [f"{number:08}{SESSION[8:]}" for number in range(23)]
    for number, one in enumerate([*ids, OTHER]):
        write(session_file(root, one), reply(f"msg_{number}", f"req_{number}"))
    report(capfd, root)
    for one in ids:
        session_file(root, one).unlink()
    report(capfd, root)

    assert kept.exists()
    assert "… 3 more rows" in run(capfd, "store")[1]
    assert "more rows" not in run(capfd, "store", "--all")[1]
    assert 23 == len(document(capfd, "store")["sections"]["versions"]["rows"])


@pytest.mark.parametrize("form", ["json", "ndjson", "csv", "markdown", "parquet", "table"])
def test_status_in_all_formats(
    capfdbinary: pytest.CaptureFixture[bytes], kept: Path, form: str, tmp_path: Path
) -> None:
    """Of a store that has something to say."""
    assert 0 == main(["daily", "--demo", "--store", str(kept)])
    capfdbinary.readouterr()
    target = tmp_path / "status"

    assert 0 == main(["store", "--format", form, "-o", str(target)])
    assert target.stat().st_size > 100


def test_days_are_cut_in_the_users_zone(
    capfd: pytest.CaptureFixture[str], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is 9 o'clock in UTC is the same day or the day before."""
    monkeypatch.setenv("TOKENAUDIT_TIMEZONE", "Pacific/Kiritimati")  # 14 hours ahead: 23:00
    assert ("2026-03-02", "2026-03-04") == days(capfd)
    monkeypatch.setenv("TOKENAUDIT_TIMEZONE", "Pacific/Honolulu")  # 10 hours behind: 23:00 before
    assert ("2026-03-01", "2026-03-03") == days(capfd)
    assert root.exists()


def days(capfd: pytest.CaptureFixture[str]) -> tuple[str, str]:
    row = status(capfd)
    return row["first_day"], row["last_day"]


# a store that is not right


def test_a_newer_store_is_an_error(
    capfd: pytest.CaptureFixture[str], kept: Path, root: Path
) -> None:
    """In one line with a hint; nothing of it is touched."""
    index = kept / "index.json"
    index.write_bytes(
        index.read_bytes().replace(
            b'"tokenaudit_store": %d' % FORMAT, b'"tokenaudit_store": %d' % (FORMAT + 1)
        )
    )
    before = {path: path.read_bytes() for path in kept.iterdir()}
    for argv in (["store"], ["store", "verify", "--root", str(root)], [*FORGET_ALL, "--yes"]):
        code, out, err = run(capfd, *argv)
        first, hint = err.splitlines()

        assert (2, "") == (code, out)
        what = f"has format {FORMAT + 1}, and this tokenaudit knows {FORMAT}"
        assert f"tokenaudit: error: {index}: {what}" == first
        assert "--store DIR" in hint
    assert before == {path: path.read_bytes() for path in kept.iterdir()}


@pytest.mark.parametrize("content", [b"", b"nonsense", b'{"tokenaudit_store": 1, "crc32": 1}\n{}'])
def test_a_damaged_index_is_said_and_left_alone(
    capfd: pytest.CaptureFixture[str], kept: Path, root: Path, content: bytes
) -> None:
    """What cannot be known is null; the next report, not the status, sets it aside."""
    (kept / "index.json").write_bytes(content)
    code, out, err = run(capfd, "store")
    main(["store", "--json"])
    told = capfd.readouterr()
    row = json.loads(told.out)["rows"][0]

    assert (0, "") == (code, err)
    assert f"Warning: {kept}/index.json: is " in out
    assert "The next report sets it aside" in out
    assert told.err.startswith("Warning: ")
    assert (str(kept), None, None) == (row["folder"], row["transcripts"], row["gone"])
    assert content == (kept / "index.json").read_bytes()

    code, _, err = run(capfd, "daily", "--root", root)
    assert (0, True) == (code, "set aside as" in err)
    assert 3 == status(capfd)["transcripts"]


def test_a_damaged_segment_is_said_and_left_alone(
    capfd: pytest.CaptureFixture[str], kept: Path, root: Path
) -> None:
    """A bit that was flipped."""
    (segment,) = kept.glob("rows-*.zip")
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    code, out, err = run(capfd, "store")

    assert (0, "") == (code, err)
    assert f"Warning: {segment}: is damaged" in out
    assert bytes(data) == segment.read_bytes()
    assert root.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="names are not any bytes elsewhere")
def test_a_folder_may_be_called_anything(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Also what is no UTF-8."""
    folder = os.fsdecode(bytes(tmp_path) + b"/\xff")
    argv = ["--store", folder, "--json"]
    before = document(capfd, "store", *argv[:2])["rows"][0]
    read = main(["daily", "--demo", *argv])
    capfd.readouterr()
    after = document(capfd, "store", *argv[:2])["rows"][0]

    assert 0 == read
    assert (0, 10) == (before["transcripts"], after["transcripts"])
    assert f"{tmp_path}/\\udcff" == after["folder"]


# store path


def test_path_is_the_folder_and_nothing_else(
    capfd: pytest.CaptureFixture[str], kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By option, by setting, or where the platform keeps data."""
    before = run(capfd, "store", "--store", "/some/where", "path")
    nearer = run(capfd, "store", "path", "--store", "/else/where")
    setting = run(capfd, "store", "path")
    monkeypatch.delenv("TOKENAUDIT_STORE")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")

    assert (0, "/some/where", "") == before
    assert (0, "/else/where", "") == nearer
    assert (0, str(kept), "") == setting
    if sys.platform == "linux":
        assert (0, "/data/tokenaudit/store", "") == run(capfd, "store", "path")


# store verify


def test_verify_finds_nothing_where_nothing_is_wrong(
    capfd: pytest.CaptureFixture[str], root: Path
) -> None:
    """In steps or at once, with what is gone and what was rewritten left out."""
    with session_file(root).open("ab") as file:
        file.write(json.dumps(reply("msg_5", "req_5", at=9)).encode() + b"\n")
    report(capfd, root)
    session_file(root, FORK).unlink()
    write(session_file(root, OTHER), reply("msg_6", "req_6", at=9))
    code, out, err = run(capfd, "store", "verify", "--root", root)
    row = document(capfd, "store", "verify", "--root", root)["rows"]

    assert (0, "") == (code, err)
    assert out.startswith("Identical: 2 transcripts, 4 responses ")
    assert "1 transcript that is gone, and 1 former version, cannot be compared" in out
    assert row == [
        {
            "result": "identical",
            "transcripts": 2,
            "responses": 4,
            "differences": 0,
            "gone": 1,
            "former_versions": 1,
            "growing": 0,
        }
    ]


def changed_unseen(kept: Path, path: Path, old: bytes, new: bytes) -> None:
    """Change *path* and let the store take it for what was read: so it would be if the store were wrong."""
    data = path.read_bytes()
    assert len(old) == len(new)
    assert old in data
    path.write_bytes(data.replace(old, new))
    stat = path.stat()
    index = indexes.load(kept)
    assert index is not None
    files = [
        replace(state, mtime_ns=stat.st_mtime_ns, ctime_ns=stat.st_ctime_ns)
        if state.path == str(path)
        else state
        for state in index.files
    ]
    indexes.save(replace(index, files=files), kept)


def test_verify_names_the_values_that_differ(
    capfd: pytest.CaptureFixture[str], kept: Path, root: Path
) -> None:
    """Opus 4.6 costs $25 per million tokens of output: 90 cost $0.00225, 91 cost $0.002275."""
    changed_unseen(kept, session_file(root, OTHER), b'"output_tokens":90', b'"output_tokens":91')
    code = main(["store", "verify", "--root", str(root), "--json"])
    out, _ = capfd.readouterr()
    found = json.loads(out)
    rows = {row["column"]: row for row in found["sections"]["differences"]["rows"]}
    cost = rows["cost_output_usd"]

    assert 1 == code
    assert ("different", len(rows)) == (
        found["rows"][0]["result"],
        found["rows"][0]["differences"],
    )
    assert {
        "output_tokens",
        "total_tokens",
        "cost_output_usd",
        "cost_usd",
        "list_cost_usd",
    } == set(rows)
    assert rows["output_tokens"] == {
        "part": "responses",
        "key": f"msg_4 req_4 {session_file(root, OTHER)} 1",
        "column": "output_tokens",
        "in_store": "90",
        "on_disk": "91",
    }
    assert ("0.002250000000", "0.002275000000") == (cost["in_store"], cost["on_disk"])


def test_verify_names_rows_that_one_side_lacks(
    capfd: pytest.CaptureFixture[str], kept: Path, root: Path
) -> None:
    """Another response in the place of the one that was read."""
    changed_unseen(kept, session_file(root, OTHER), b"msg_4", b"msg_x")
    code = main(["store", "verify", "--root", str(root), "--json"])
    rows = json.loads(capfd.readouterr().out)["sections"]["differences"]["rows"]

    assert 1 == code
    assert {("msg_4", "present", "missing"), ("msg_x", "missing", "present")} == {
        (row["key"].split()[0], row["in_store"], row["on_disk"]) for row in rows
    }


def test_verify_compares_what_was_read_too(
    capfd: pytest.CaptureFixture[str], kept: Path, root: Path
) -> None:
    """What was a response of its own is now a copy of the one before."""
    changed_unseen(kept, session_file(root), b"msg_2", b"msg_1")
    changed_unseen(kept, session_file(root), b"req_2", b"req_1")
    code = main(["store", "verify", "--root", str(root), "--json"])
    rows = json.loads(capfd.readouterr().out)["sections"]["differences"]["rows"]
    intake = {row["column"]: row for row in rows if row["part"] == "intake"}

    assert 1 == code
    assert ("4", "3") == (intake["responses"]["in_store"], intake["responses"]["on_disk"])
    assert ("0", "1") == (intake["copies"]["in_store"], intake["copies"]["on_disk"])


def test_verify_says_what_of_the_store_was_damaged(
    capfd: pytest.CaptureFixture[str], kept: Path, root: Path
) -> None:
    """Read again, it is as right as ever."""
    (segment,) = kept.glob("rows-*.zip")
    segment.write_bytes(b"")
    code, out, err = run(capfd, "store", "verify", "--root", root)

    assert (0, True) == (code, out.startswith("Identical: 3 transcripts, 4 responses"))
    assert err.startswith(f"tokenaudit: {segment}: is damaged")


def test_verify_leaves_out_what_changes_meanwhile(
    capfd: pytest.CaptureFixture[str], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent that goes on writing is no difference."""

    def written_meanwhile(*args: Any) -> Any:
        with session_file(root, OTHER).open("ab") as file:
            file.write(json.dumps(reply("msg_7", "req_7", at=9)).encode() + b"\n")
        return facts_without_store(*args)

    monkeypatch.setattr("tokenaudit.cli.reading.facts_without_store", written_meanwhile)
    code, out, _ = run(capfd, "store", "verify", "--root", root)

    assert (0, True) == (code, out.startswith("Identical: 2 transcripts, 3 responses"))
    assert "1 transcript changed meanwhile: not compared." in out


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["verify", "--no-store"], "--no-store leaves nothing to verify"),
        (["verify", "--demo"], "--demo is kept nowhere"),
        (["verify", "--root", "/does/not/exist"], "/does/not/exist: no such root"),
        (["forget"], "either --before DAY or --root PATH"),
        (["forget", "--before", "3m", "--root", "/x"], "either --before DAY or --root PATH"),
        (["forget", "--before", "soon"], "--before: not a day: soon"),
        (["forgte"], "No such command 'forgte'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
@pytest.mark.usefixtures("kept")
def test_what_cannot_be_done_is_said(
    capfd: pytest.CaptureFixture[str], argv: list[str], words: str
) -> None:
    """On stderr, in a line, with exit code 2."""
    code, out, err = run(capfd, "store", *argv)

    assert (2, "") == (code, out)
    assert words in err.splitlines()[0]


# store forget


def test_forget_lets_go_of_what_is_gone_and_older(
    capfd: pytest.CaptureFixture[str], kept: Path, root: Path
) -> None:
    """What is on disk stays, however old; rows leave the files; other history stays."""
    session_file(root, FORK).unlink()  # 2026-03-03
    session_file(root, OTHER).unlink()  # 2026-03-04
    report(capfd, root)
    code, out, err = run(capfd, "store", "forget", "--before", "2026-03-04", "--yes")

    assert (0, "") == (code, err)
    assert "Forgotten: 1 transcript that is gone; 1 record of " in out
    assert {str(session_file(root)), str(session_file(root, OTHER))} == kept_paths(kept)
    assert (2, 1, 3) == tuple(status(capfd)[key] for key in ("transcripts", "gone", "responses"))
    assert 3 == report(capfd, root)["meta"]["intake"]["responses"]
    assert [] == document(capfd, "store", "forget", "--before", "2026-03-04", "--yes")["rows"]


def test_forget_lets_go_of_former_versions(capfd: pytest.CaptureFixture[str], root: Path) -> None:
    """The present one stays."""
    write(session_file(root), reply("msg_8", "req_8"))
    report(capfd, root)
    before = report(capfd, root)["meta"]["intake"]["responses"]
    rows = document(capfd, "store", "forget", "--before", "2026-03-03", "--yes")["rows"]

    assert [(str(session_file(root)), "shrank", 2)] == [
        (row["path"], row["fate"], row["records"]) for row in rows
    ]
    assert (5, 3) == (before, report(capfd, root)["meta"]["intake"]["responses"])
    assert 0 == status(capfd)["shrank"]
    assert 0 == main(["store", "verify", "--root", str(root)])


def test_a_forgotten_transcript_that_comes_back_is_read_whole(
    capfd: pytest.CaptureFixture[str], root: Path
) -> None:
    """Also where a former version of it, which is younger, is still known."""
    path = session_file(root, OTHER)
    back = write(path, reply("msg_8", "req_8", at=-DAY), *[prompt(at=-DAY)] * 9).read_bytes()
    report(capfd, root)
    path.unlink()
    report(capfd, root)
    rows = document(capfd, "store", "forget", "--before", "2026-03-03", "--yes")["rows"]
    without = responses(capfd, root)
    path.write_bytes(back)

    assert [("gone", "2026-03-01", 1)] == [
        (row["fate"], row["last_day"], row["records"]) for row in rows
    ]
    assert {"msg_1", "msg_2", "msg_3", "msg_4"} == without
    assert {"msg_1", "msg_2", "msg_3", "msg_4", "msg_8"} == responses(capfd, root)
    assert {"msg_1", "msg_2", "msg_3", "msg_8"} == responses(capfd, root, "--only-present")
    assert 0 == main(["store", "verify", "--root", str(root)])


def responses(capfd: pytest.CaptureFixture[str], root: Path, *argv: str) -> set[str]:
    rows = document(capfd, "export", "--root", root, *argv)["rows"]
    return {row["response_id"] for row in rows}


def test_what_has_no_time_is_as_old_as_its_file(
    capfd: pytest.CaptureFixture[str], root: Path
) -> None:
    """No line of it says when it was."""
    path = write(session_file(root, OTHER, "-work-undated"), {"type": "summary", "summary": "Old"})
    os.utime(path, (1767225600, 1767225600))  # 2026-01-01
    report(capfd, root)
    path.unlink()
    report(capfd, root)
    forgotten = [
        [row["path"] for row in document(capfd, *FORGET_BEFORE, day, "--yes")["rows"]]
        for day in ("2026-01-01", "2026-01-02")
    ]

    assert [[], [str(path)]] == forgotten


def test_forget_waits_for_no_other_run_for_ever(
    capfd: pytest.CaptureFixture[str], kept: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so, and forgets nothing."""
    monkeypatch.setattr("tokenaudit.store.store._PATIENCE_S", 0.01)
    with FileLock(kept / "lock"):
        code, out, err = run(capfd, *FORGET_ALL, "--yes")

    assert (2, "") == (code, out)
    assert err == f"tokenaudit: error: {kept}: is in use; nothing was forgotten\n"
    assert 3 == status(capfd)["transcripts"]
    assert root.exists()


def test_a_full_disk_leaves_all_as_it_was(
    capfd: pytest.CaptureFixture[str], kept: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new rows are written before the index that would make the old ones unknown."""
    session_file(root, FORK).unlink()
    report(capfd, root)
    real = files.replace

    def full(target: Path, data: bytes) -> None:
        if target.name == "index.json":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(target, data)

    with monkeypatch.context() as patched:
        patched.setattr(files, "replace", full)
        code, out, err = run(capfd, *FORGET_BEFORE, "2026-12-31", "--yes")

    assert (2, "") == (code, out)
    assert err == f"tokenaudit: error: {kept}: nothing was forgotten: No space left on device\n"
    assert 4 == report(capfd, root)["meta"]["intake"]["responses"]
    assert 1 == len(document(capfd, *FORGET_BEFORE, "2026-12-31", "--yes")["rows"])
    assert {segment["name"] for segment in json.loads(index_of(kept))["segments"]} == {
        path.name for path in kept.glob("rows-*")
    }


def test_forget_in_a_store_with_a_damaged_segment(
    capfd: pytest.CaptureFixture[str], kept: Path, root: Path
) -> None:
    """All that is chosen goes; the segment is set aside, as a report would."""
    (damaged,) = kept.glob("rows-*.zip")
    damaged.write_bytes(damaged.read_bytes()[:-30])
    code, out, err = run(capfd, *FORGET_ALL, "--yes")

    assert (0, "") == (code, err)
    assert f"Warning: {damaged}: is damaged" in out
    assert set() == kept_paths(kept)
    assert damaged.with_name(f"{damaged.name}.damaged").exists()
    assert 3 == report(capfd, root)["meta"]["intake"]["files"]


def test_forget_lets_go_of_all_below_a_root(
    capfd: pytest.CaptureFixture[str], kept: Path, root: Path, tmp_path: Path
) -> None:
    """What is still on disk is read again; another root stays."""
    other = tmp_path / "claude-other"  # whose name begins with the name of the first
    write(session_file(other), reply("msg_7", "req_7"))
    report(capfd, other)
    session_file(root, FORK).unlink()
    report(capfd, root)
    code, out, _ = run(capfd, "store", "forget", "--root", root, "--yes")

    assert 0 == code
    assert "Forgotten: 2 transcripts on disk, 1 transcript that is gone; 4 records of" in out
    assert {str(session_file(other))} == kept_paths(kept)
    assert 3 == report(capfd, root)["meta"]["intake"]["responses"]
    assert 1 == report(capfd, other)["meta"]["intake"]["responses"]


def test_a_root_said_before_the_command_is_not_to_be_forgotten(
    capfd: pytest.CaptureFixture[str], root: Path
) -> None:
    """It says what to read; the option of the command says what to forget."""
    code, _, err = run(capfd, "--root", root, "store", "forget", "--yes")

    assert (2, True) == (code, "either --before DAY or --root PATH" in err)


def test_forget_does_nothing_where_it_cannot_ask(
    capfd: pytest.CaptureFixture[str], kept: Path, root: Path
) -> None:
    """Without a terminal nobody can say yes."""
    before = {path: path.read_bytes() for path in kept.iterdir()}
    done = subprocess.run(
        [sys.executable, "-m", "tokenaudit", *FORGET_ALL],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (2, "") == (done.returncode, done.stdout)
    assert "there is no terminal to ask on" in done.stderr.splitlines()[0]
    assert "3 transcripts on disk" in done.stderr
    assert before == {path: path.read_bytes() for path in kept.iterdir()}
    assert (root, "") == (root, capfd.readouterr().err)


@pytest.mark.parametrize(("answer", "left"), [("n", 3), ("", 3), ("y", 0)])
def test_forget_asks(
    capfd: pytest.CaptureFixture[str], kept: Path, root: Path, answer: str, left: int
) -> None:
    """On a terminal; no is the answer that an empty line gives."""
    leader, follower = pty.openpty()
    os.write(leader, f"{answer}\n".encode())
    done = subprocess.run(
        [sys.executable, "-m", "tokenaudit", *FORGET_ALL],
        stdin=follower,
        capture_output=True,
        text=True,
        check=False,
    )
    os.close(follower)
    os.close(leader)

    assert 0 == done.returncode
    assert "Forget 3 transcripts on disk; 4 records of " in done.stderr
    assert ("nothing was forgotten" in done.stderr, "Forgotten" in done.stdout) == (
        bool(left),
        not left,
    )
    assert left == status(capfd)["transcripts"]
    assert left == len(kept_paths(kept))
    assert root.exists()


def test_forget_leaves_what_another_run_has_changed(
    capfd: pytest.CaptureFixture[str], kept: Path, root: Path
) -> None:
    """What was chosen is forgotten only as it was when it was chosen."""
    chosen = Store.look(kept).holdings().versions
    with session_file(root).open("ab") as file:
        file.write(json.dumps(reply("msg_5", "req_5", at=9)).encode() + b"\n")
    report(capfd, root)
    done = Store.look(kept).forget(chosen)

    assert {str(session_file(root, one)) for one in (FORK, OTHER)} == {one.path for one in done}
    assert {str(session_file(root))} == kept_paths(kept)
    assert 5 == report(capfd, root)["meta"]["intake"]["responses"]
