"""Verification: what was exported is made anew; any flipped byte of anything beneath it shows."""

import json
import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from stories import FIXTURES
from transcripts_builder import facts_of, reply, session_file, write

from tokenaudit.__main__ import main
from tokenaudit.audit.verify.export_file import read_export
from tokenaudit.audit.verify.provenance import ChangeVerdict, changes_of_inputs, inputs_of
from tokenaudit.files.seal import UNSEALED, is_intact, sealed
from tokenaudit.model.errors import ConfigError, TokenauditError
from tokenaudit.pricing import card, windows
from tokenaudit.transcripts import discover

FORMS = ["json", "parquet"]


def run(capfd: pytest.CaptureFixture[str], *argv: str | Path) -> tuple[int, str, str]:
    code = main([str(each) for each in argv])
    out, err = capfd.readouterr()
    return code, out, err


def verdicts(capfd: pytest.CaptureFixture[str], path: Path, *argv: str | Path) -> dict[str, str]:
    """The gravest verdict on each part, and that the exit code agrees."""
    code, out, err = run(capfd, "verify", path, *argv, "--json")
    assert out, err
    found: dict[str, str] = {}
    for row in json.loads(out)["rows"]:
        found.setdefault(row["part"], row["verdict"])
    assert code == (1 if "changed" in found.values() else 0)
    return found


@pytest.fixture(params=FORMS)
def exported(
    request: pytest.FixtureRequest, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> Path:
    """An export of a history of one response, in each format."""
    write(session_file(tmp_path / "claude"), reply())
    path = tmp_path / f"export.{request.param}"
    assert run(capfd, "export", "--root", tmp_path / "claude", "-o", path)[0] == 0
    return path


ALL_SAME = dict.fromkeys(("export", "rules", "pricing", "input", "rows"), "same")


def test_an_export_is_identical(capfd: pytest.CaptureFixture[str], exported: Path) -> None:
    """Without naming its roots again."""
    assert ALL_SAME == verdicts(capfd, exported)


@pytest.mark.parametrize(
    "argv",
    [
        "daily --breakdown --project webshop --since 2026-10-08 --timezone Asia/Tokyo",
        "weekly --start-of-week sunday --last 3000",
        "sessions --sort cost --order asc --limit 2 --full",
        "project,model --no-cost --model claude-*",
        "rejects",
        "overview",
        "ledger --as-model claude-sonnet-5",
    ],
)
@pytest.mark.parametrize("form", FORMS)
def test_every_question_can_be_asked_again(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, argv: str, form: str
) -> None:
    """Filters, zone, start of the week, shape and pricing are all in the export."""
    path = tmp_path / f"export.{form}"
    code, _, err = run(capfd, "export", *argv.split(), "--demo", "-o", path)
    assert code == 0, err

    assert ALL_SAME == verdicts(capfd, path)


def test_any_flipped_byte_of_the_export_shows(
    capfd: pytest.CaptureFixture[str], exported: Path
) -> None:
    """In its rows, its metadata, its seal: each is refused, or its seal is broken."""
    whole = exported.read_bytes()
    last = exported.suffix == ".parquet"
    places = range(0, len(whole), max(1, len(whole) // 60))
    seal = whole.find(b"sha256:")
    for at in (*places, seal + 9, len(whole) - 1):
        exported.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        code, _, err = run(capfd, "verify", exported)
        assert code in {1, 2}, (at, last)
        assert "Traceback" not in err


def test_any_flipped_byte_of_an_input_shows(
    capfd: pytest.CaptureFixture[str], exported: Path, tmp_path: Path
) -> None:
    """Even where no figure depends on it."""
    source = session_file(tmp_path / "claude")
    whole = source.read_bytes()
    for at in range(0, len(whole) - 1, max(1, len(whole) // 25)):
        source.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert "changed" == verdicts(capfd, exported)["input"], at


def flipped(data: bytes, at: int, bit: int = 1) -> bytes:
    return data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]


def test_every_byte_of_an_export_is_sealed(exported: Path) -> None:
    """Not one place is left out; and what can still be read has a seal that no longer fits."""
    whole = exported.read_bytes()
    is_last = exported.suffix == ".parquet"
    seal = str(read_export(exported).meta["seal"])
    assert is_intact(whole, seal, is_last=is_last)

    for at in range(len(whole)):
        assert not is_intact(flipped(whole, at), seal, is_last=is_last), at
        if at % 11 == 0:
            exported.write_bytes(flipped(whole, at, 4))
            try:
                found = read_export(exported)
            except TokenauditError:
                continue
            assert not found.is_intact, at


def test_every_byte_of_an_input_is_in_its_digest(tmp_path: Path) -> None:
    """The end of the last line too."""
    source = write(session_file(tmp_path), reply(), reply("msg_2", "req_2", at=1))
    facts = facts_of(discover([tmp_path]))
    then, whole = inputs_of(facts), source.read_bytes()
    assert [ChangeVerdict.SAME] == [change.verdict for change in changes_of_inputs(then, facts)]

    for at in range(len(whole)):
        source.write_bytes(flipped(whole, at))
        (change,) = changes_of_inputs(then, facts)
        assert ChangeVerdict.CHANGED is change.verdict, at


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The data of a package that may be damaged."""
    package = tmp_path / "package"
    shutil.copytree(str(files("tokenaudit.pricing") / "data"), package / "data")
    monkeypatch.setattr(card, "files", lambda _: package)
    monkeypatch.setattr(windows, "files", lambda _: package)
    forget()
    yield package / "data"
    forget()


def forget() -> None:
    """Let the data of the package be read again."""
    for known in (card.shipped_card, windows._table, windows._models):
        known.cache_clear()


@pytest.mark.parametrize("name", ["card.json", "prices.csv"])
def test_every_byte_of_the_rate_card_is_in_its_digest(package: Path, name: str) -> None:
    """What can still be read as a card is another one (of the long table, every seventh place)."""
    file = package / name
    whole, sha256 = file.read_bytes(), card.shipped_card().sha256
    for at in range(0, len(whole), 1 if len(whole) < 1000 else 7):
        file.write_bytes(flipped(whole, at))
        card.shipped_card.cache_clear()
        try:
            assert sha256 != card.shipped_card().sha256, at
        except ConfigError as error:
            assert "the rate card is damaged" in str(error)  # noqa: PT017


@pytest.mark.parametrize("name", ["card.json", "prices.csv"])
def test_a_flipped_byte_of_the_rate_card_fails(
    capfd: pytest.CaptureFixture[str], exported: Path, package: Path, name: str
) -> None:
    """As a change of the pricing, or in one line where it can no longer be read as a card."""
    file = package / name
    whole = file.read_bytes()
    codes = set()
    for at in range(5, len(whole), len(whole) // 15):
        file.write_bytes(flipped(whole, at))
        card.shipped_card.cache_clear()
        code, out, err = run(capfd, "verify", exported, "--json")
        codes.add(code)
        if code == 1:
            assert "changed" in {
                row["verdict"] for row in json.loads(out)["rows"] if row["part"] == "pricing"
            }
        else:
            assert (2, "", 1) == (code, out, err.count("the rate card is damaged"))
            assert "Traceback" not in err
    assert codes == {1, 2}


def test_changed_rates_of_the_user_show(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The file that was used is read again, and named with its digest."""
    write(session_file(tmp_path / "claude"), reply())
    rates, path = tmp_path / "rates.toml", tmp_path / "export.json"
    text = '[[discount]]\nmodels = ["claude-*"]\nmultiplier = 0.5\n'
    rates.write_text(text)
    run(capfd, "export", "--root", tmp_path / "claude", "--rates", rates, "-o", path)
    assert ALL_SAME == verdicts(capfd, path)

    rates.write_text(text.replace("0.5", "0.6"))
    found = verdicts(capfd, path)
    assert ("changed", "changed", "same") == (found["pricing"], found["rows"], found["input"])


@pytest.mark.parametrize("form", FORMS)
def test_a_flipped_byte_of_what_is_known_of_models_fails(
    capfd: pytest.CaptureFixture[str], package: Path, tmp_path: Path, form: str
) -> None:
    """Where a column depends on it: the fill of contexts, against their windows; days do not."""
    contexts, days = tmp_path / f"context.{form}", tmp_path / f"daily.{form}"
    for path in (contexts, days):
        assert run(capfd, "export", path.stem, "--demo", "-o", path)[0] == 0
    assert {**ALL_SAME, "models": "same"} == verdicts(capfd, contexts)
    assert ALL_SAME == verdicts(capfd, days)

    file = package / "models.csv"
    whole = file.read_bytes()
    file.write_bytes(whole.replace(b"1000000", b"2000000"))
    forget()
    found = verdicts(capfd, contexts)
    assert ("changed", "changed", "same") == (found["models"], found["rows"], found["pricing"])
    assert ALL_SAME == verdicts(capfd, days)

    for at in range(0, len(whole), len(whole) // 12):
        file.write_bytes(flipped(whole, at))
        forget()
        code, out, err = run(capfd, "verify", contexts, "--json")
        if out:
            assert (1, "changed") == (code, json.loads(out)["rows"][0]["verdict"]), at
        else:
            assert code == 2, at
            assert "is damaged" in err.splitlines()[0], at


def test_inputs_that_grew_are_told_apart(
    capfd: pytest.CaptureFixture[str], exported: Path, tmp_path: Path
) -> None:
    """A line without usage behind the others changes no row; one with usage does."""
    source = session_file(tmp_path / "claude")
    whole = source.read_bytes()
    source.write_bytes(whole + b'{"type":"user"}\n')
    assert {**ALL_SAME, "input": "grown"} == verdicts(capfd, exported)

    write(session_file(tmp_path / "claude"), reply(), reply("msg_2", "req_2", at=1))
    assert {**ALL_SAME, "input": "grown", "rows": "changed"} == verdicts(capfd, exported)

    source.write_bytes(whole[:-20])
    _, out, _ = run(capfd, "verify", exported)
    assert "is 20 bytes shorter" in " ".join(out.split())


def test_inputs_that_are_gone_or_new(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Each is named."""
    root = tmp_path / "claude"
    shutil.copytree(FIXTURES / "fork-copies" / "claude", root)
    path = tmp_path / "export.json"
    run(capfd, "export", "--root", root, "-o", path)
    files = sorted(root.rglob("*.jsonl"))
    files[0].rename(files[0].with_name("renamed.jsonl"))
    _, out, _ = run(capfd, "verify", path, "--json")
    said = [row["said"] for row in json.loads(out)["rows"] if row["part"] == "input"]

    assert f"{files[0]}: is gone." in said
    assert f"{files[0].with_name('renamed.jsonl')}: is new." in said


def test_other_rules_show(capfd: pytest.CaptureFixture[str], exported: Path) -> None:
    """Of another version of tokenaudit, which counted otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tokenaudit.ledger.frame.RULES", 99)
        assert "changed" == verdicts(capfd, exported)["rules"]


def plain(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Path:
    path = tmp_path / "daily.json"
    run(capfd, "daily", "--demo", "-o", path)
    return path


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file"),
        (b"", "is empty"),
        (b"day,responses\n", "is neither Parquet nor JSON"),
        (b"[]", "is no export of tokenaudit"),
        (b'{"meta": {"tool": "other"}}', "is no export of tokenaudit"),
        (b'{"meta": {"tool": "tokenaudit"}}', "carries no digests"),
        (
            b'{"meta": {"tool": "tokenaudit", "seal": 1, "provenance": {}}}',
            "metadata cannot be used",
        ),
        (
            b'{"meta": {"tool": "tokenaudit", "seal": 1, "provenance": []}}',
            "metadata cannot be used",
        ),
        (b"PAR1 and no more", "is Parquet, but carries no seal of tokenaudit"),
    ],
)
def test_what_cannot_be_verified_is_told(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, content: bytes | None, words: str
) -> None:
    """In one line."""
    path = tmp_path / "export.json"
    if content is not None:
        path.write_bytes(content)
    code, out, err = run(capfd, "verify", path, "--demo")

    assert (2, "") == (code, out)
    assert words in err.splitlines()[0]


def test_a_report_carries_no_digests(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Only exports do: a report must not wait for them."""
    path = plain(tmp_path, capfd)
    document: Any = json.loads(path.read_text())

    assert "provenance" not in document["meta"]
    assert run(capfd, "verify", path)[0] == 2


def test_a_seal_among_texts_that_look_like_one() -> None:
    """The first place counts, or the last: what a transcript says cannot take it."""
    data = f"{UNSEALED} and {UNSEALED}".encode()
    for is_last in (False, True):
        done = sealed(data, is_last=is_last)
        at = len(UNSEALED) + 5 if is_last else 0
        seal = done[at : at + len(UNSEALED)].decode()
        assert seal != UNSEALED
        assert is_intact(done, seal, is_last=is_last)
        assert not is_intact(done + b"x", seal, is_last=is_last)
