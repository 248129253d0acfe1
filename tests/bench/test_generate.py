"""The generator is deterministic, writes what Claude Code writes, and tells the truth about it."""

import argparse
import json
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from generate import Truth, generate, parse_size

SIZE, FILES = 2_000_000, 12

Line = dict[str, Any]
Group = list[Line]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    generate(folder, total_bytes=SIZE, files=FILES, seed=7)
    return folder


@pytest.fixture(scope="module")
def truth(corpus: Path) -> Truth:
    written: Truth = json.loads((corpus / "truth.json").read_bytes())
    return written


@pytest.fixture(scope="module")
def transcripts(corpus: Path) -> dict[Path, list[Line]]:
    return {path: list(read(path)) for path in sorted(corpus.rglob("*.jsonl"))}


@pytest.fixture(scope="module")
def responses(transcripts: dict[Path, list[Line]]) -> dict[tuple[str, str], Group]:
    groups: dict[tuple[str, str], Group] = defaultdict(list)
    for line in every_line(transcripts):
        if line["type"] == "assistant":
            groups[line["message"]["id"], line["requestId"]].append(line)
    return groups


def read(path: Path) -> Iterator[Line]:
    data = path.read_bytes()
    assert data.endswith(b"\n")
    return map(json.loads, data.splitlines())


def every_line(transcripts: dict[Path, list[Line]]) -> Iterator[Line]:
    return (line for lines in transcripts.values() for line in lines)


def value(group: Group) -> Line:
    """The line that tells a response's usage: the last finished one, else the largest."""
    finished = [line for line in group if line["message"]["stop_reason"]]
    if finished:
        return finished[-1]
    return max(group, key=lambda line: int(line["message"]["usage"]["output_tokens"]))


def tokens(line: Line) -> dict[str, int]:
    usage = line["message"]["usage"]
    split = usage["cache_creation"]
    return {
        "input": usage["input_tokens"],
        "output": usage["output_tokens"],
        "cache_read": usage["cache_read_input_tokens"],
        "cache_write_5m": split["ephemeral_5m_input_tokens"],
        "cache_write_1h": split["ephemeral_1h_input_tokens"],
    }


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_the_same_seed_gives_the_same_bytes(corpus: Path, tmp_path: Path) -> None:
    generate(tmp_path, total_bytes=SIZE, files=FILES, seed=7)

    assert contents(corpus) == contents(tmp_path)


def test_another_seed_gives_other_bytes(corpus: Path, tmp_path: Path) -> None:
    generate(tmp_path, total_bytes=SIZE, files=FILES, seed=8)

    assert not contents(corpus).keys() & contents(tmp_path).keys() - {"truth.json"}


def test_size_and_number_of_files_are_as_asked(transcripts: dict[Path, list[Line]]) -> None:
    size = sum(path.stat().st_size for path in transcripts)

    assert len(transcripts) == FILES
    assert size == pytest.approx(SIZE, rel=0.2)


def test_an_existing_corpus_is_left_alone(corpus: Path) -> None:
    with pytest.raises(FileExistsError):
        generate(corpus, total_bytes=SIZE, files=FILES, seed=7)


def test_truth_is_what_a_naive_reader_counts(
    truth: Truth,
    transcripts: dict[Path, list[Line]],
    responses: dict[tuple[str, str], Group],
) -> None:
    total: Counter[str] = Counter()
    models: dict[str, Counter[str]] = defaultdict(Counter)
    for line in map(value, responses.values()):
        total.update(tokens(line))
        models[line["message"]["model"]].update(tokens(line))

    assert truth["files"] == FILES
    assert len(list(every_line(transcripts))) == truth["lines"]
    assert sum(map(len, responses.values())) == truth["usage_lines"]
    assert len(responses) == truth["responses"]
    assert total | {"total": total.total()} == truth["tokens"]
    assert models == truth["models"]


def test_progress_repeats_only_what_an_agent_said_itself(
    truth: Truth,
    transcripts: dict[Path, list[Line]],
    responses: dict[tuple[str, str], Group],
) -> None:
    shared = [
        line["data"]["message"]
        for line in every_line(transcripts)
        if line["type"] == "progress" and line["data"]["type"] == "agent_progress"
    ]
    said = [message for message in shared if message["type"] == "assistant"]
    own = {line["uuid"]: line for group in responses.values() for line in group}

    assert 0 < len(said) == truth["progress_usage_lines"]
    assert all(message["message"] == own[message["uuid"]]["message"] for message in said)


def test_lines_of_a_response_agree_but_for_output(
    responses: dict[tuple[str, str], Group],
) -> None:
    for group in responses.values():
        prompts = {tuple({**tokens(line), "output": 0}.values()) for line in group}
        outputs = [tokens(line)["output"] for line in group]

        assert len(prompts) == 1
        assert max(outputs) == tokens(value(group))["output"]


def test_share_of_usage_lines_and_of_user_bytes(
    truth: Truth, transcripts: dict[Path, list[Line]]
) -> None:
    sizes: Counter[str] = Counter()
    for path in transcripts:
        for data in path.read_bytes().splitlines():
            sizes[json.loads(data)["type"]] += len(data)

    assert 0.30 < truth["usage_lines"] / truth["lines"] < 0.46
    assert 0.50 < sizes["user"] / sizes.total() < 0.80
    assert 1_300 < sizes["assistant"] / truth["usage_lines"] < 2_500


def test_half_of_the_lines_are_about_a_kilobyte(transcripts: dict[Path, list[Line]]) -> None:
    sizes = [len(data) for path in transcripts for data in path.read_bytes().splitlines()]

    assert 700 < statistics.median(sizes) < 1_600


def test_a_response_has_one_to_four_lines_in_a_file(
    transcripts: dict[Path, list[Line]],
) -> None:
    counts = Counter(
        (path, line["message"]["id"])
        for path, lines in transcripts.items()
        for line in lines
        if line["type"] == "assistant"
    )

    assert set(counts.values()) == {1, 2, 3, 4}
    assert 1.7 < statistics.mean(counts.values()) < 2.3


@pytest.mark.parametrize(
    ("version", "finals"), [("2.1.1|2.1.2.$", "none"), ("2.1.[678]", "last"), ("2.1.2..", "all")]
)
def test_each_era_marks_final_lines_in_its_own_way(
    responses: dict[tuple[str, str], Group], version: str, finals: str
) -> None:
    marks = [
        [line["message"]["stop_reason"] is not None for line in group]
        for group in responses.values()
        if re.match(version, group[0]["version"])
    ]
    expected = {
        "none": lambda group: not any(group),
        "last": lambda group: not any(group[:-1]),
        "all": all,
    }[finals]

    assert len(marks) > 5
    assert sum(map(bool, map(expected, marks))) > 0.8 * len(marks)


def test_a_fork_repeats_lines_of_another_session(
    responses: dict[tuple[str, str], Group],
) -> None:
    copied = [group for group in responses.values() if len({at["sessionId"] for at in group}) > 1]

    assert 0 < len(copied) < 0.15 * len(responses)
    for group in copied:
        assert len({line["uuid"] for line in group}) < len(group)


def test_places_follow_from_the_lines(transcripts: dict[Path, list[Line]]) -> None:
    for path, lines in transcripts.items():
        chained = [line for line in lines if "uuid" in line]
        is_agent = path.parent.name == "subagents"
        session = path.parents[1] if is_agent else path.with_suffix("")

        assert {session.name} == {line["sessionId"] for line in chained}
        assert {is_agent} == {line["isSidechain"] for line in chained}
        assert {session.parent.name} == {
            re.sub("[^A-Za-z0-9]", "-", line["cwd"]) for line in chained
        }


def test_lines_of_a_file_are_chained(transcripts: dict[Path, list[Line]]) -> None:
    for lines in transcripts.values():
        chained = [line for line in lines if "uuid" in line]

        assert chained[0]["parentUuid"] is None
        assert all(
            after["parentUuid"] == before["uuid"]
            for before, after in pairwise(chained)
            if after.get("subtype") != "compact_boundary"
        )


@pytest.mark.parametrize(
    ("text", "size"), [("1GB", 10**9), ("1.5 mb", 1_500_000), ("20KB", 20_000), ("77", 77)]
)
def test_sizes_are_read_with_their_units(text: str, size: int) -> None:
    assert parse_size(text) == size


def test_a_size_that_is_none_is_refused() -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="not a size: 'big'"):
        parse_size("big")
