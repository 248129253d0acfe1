"""R1: which files are transcripts, wherever a root points, however many links lead to them."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from processes import unmeasured
from transcripts_builder import OTHER, SESSION, agent_file, reply, session_file, write

from tokenaudit import load
from tokenaudit.model.errors import NoTranscriptsError
from tokenaudit.transcripts import Discovery, default_roots, discover, extents_of, read

needs_pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes here")
NESTED = f"{SESSION}/subagents/workflows/wf_1/{OTHER}/subagents"


def touch(path: Path) -> Path:
    return write(path, reply())


def found(discovery: Discovery, below: Path) -> list[str]:
    return [str(Path(one.path).relative_to(below)) for one in discovery.transcripts]


# what a place says


@pytest.mark.parametrize(
    ("path", "project", "session", "agent"),
    [
        pytest.param(f"projects/-w/{SESSION}.jsonl", "-w", SESSION, "main", id="session"),
        pytest.param("projects/-w/plan.jsonl", "-w", None, "main", id="session of another name"),
        pytest.param("projects/-w/agent-1f2e3d4c.jsonl", "-w", None, "1f2e3d4c", id="flat agent"),
        pytest.param(
            f"projects/-w/{SESSION}/subagents/agent-a1b2c3d.jsonl",
            "-w",
            SESSION,
            "a1b2c3d",
            id="agent",
        ),
        pytest.param(
            f"projects/-w/{SESSION}/subagents/workflows/wf_1/agent-7.jsonl",
            "-w",
            SESSION,
            "7",
            id="workflow agent",
        ),
        pytest.param(
            f"projects/-w/{NESTED}/agent-8.jsonl", "-w", SESSION, "8", id="agent of an agent"
        ),
        pytest.param(
            f"projects/-w/{SESSION}/subagents/agent-acompact-9.jsonl",
            "-w",
            SESSION,
            "acompact-9",
            id="helper",
        ),
        pytest.param(
            "projects/-w/night run/subagents/agent-1.jsonl",
            "-w",
            "night run",
            "1",
            id="agent of a session of another name",
        ),
        pytest.param(f"projects/-w/.trash/{SESSION}.jsonl", "-w", SESSION, "main", id="hidden"),
        pytest.param(f"projects/.w/a/b/{SESSION}.jsonl", ".w", SESSION, "main", id="deep"),
        pytest.param(
            f"org/local_1/.claude/projects/-s/{SESSION}.jsonl", "-s", SESSION, "main", id="desktop"
        ),
        pytest.param(
            f"projects/subagents/{SESSION}.jsonl", "subagents", SESSION, "main", id="odd project"
        ),
        pytest.param(
            f"projects/projects/{SESSION}.jsonl", "projects", SESSION, "main", id="odder project"
        ),
        pytest.param(
            f"subagents/projects/-w/{SESSION}.jsonl", "-w", SESSION, "main", id="odd root"
        ),
        pytest.param(
            f"export/subagents/{SESSION}.jsonl", "subagents", SESSION, "main", id="odd folder"
        ),
    ],
)
def test_r1_place_tells_project_session_and_agent(
    tmp_path: Path, path: str, project: str, session: str | None, agent: str
) -> None:
    """Every layout of every era is understood, whatever the folders above are called."""
    file = touch(tmp_path / path)

    transcript = discover([tmp_path]).transcripts[0]

    assert (str(file), str(tmp_path)) == (transcript.path, transcript.root)
    assert (project, session, agent) == (
        transcript.project_folder,
        transcript.session_id,
        transcript.agent_id,
    )
    assert file.stat().st_size == transcript.size


# which files count


@pytest.mark.parametrize("name", ["journal.jsonl", "audit.jsonl", "history.jsonl"])
def test_r1_logs_of_other_kinds_are_skipped(tmp_path: Path, name: str) -> None:
    """They repeat responses, or hold none, and stand among the transcripts."""
    touch(session_file(tmp_path))
    touch(tmp_path / "projects" / name)
    touch(agent_file(tmp_path).with_name(name))

    assert [f"projects/-work-app/{SESSION}.jsonl"] == found(discover([tmp_path]), tmp_path)


@needs_pipes
def test_r1_only_files_that_end_in_jsonl_count(tmp_path: Path) -> None:
    """Sidecars, archives and pipes are no transcripts; a folder may have such a name."""
    folder = tmp_path / "projects" / "odd.jsonl"
    touch(folder / "a.jsonl")
    for name in ("a.json", "b.jsonl.gz", "c.jsonl~", "d.JSONL.bak", "agent-1.meta.json"):
        touch(folder / name)
    os.mkfifo(folder / "pipe.jsonl")

    discovery = discover([tmp_path])

    assert ["projects/odd.jsonl/a.jsonl"] == found(discovery, tmp_path)
    assert [] == discovery.rejects


def test_r1_transcripts_come_sorted_by_path(tmp_path: Path) -> None:
    """The order of reading is the same on every machine."""
    for name in ("b/2.jsonl", "a/3.jsonl", "b.jsonl", "a/1.jsonl"):
        touch(tmp_path / name)

    assert ["a/1.jsonl", "a/3.jsonl", "b.jsonl", "b/2.jsonl"] == found(
        discover([tmp_path]), tmp_path
    )


# where a root points


@pytest.fixture
def claude(tmp_path: Path) -> Path:
    """A configuration folder with two sessions of one project, one of another, and an agent."""
    claude = tmp_path / ".claude"
    touch(session_file(claude))
    touch(agent_file(claude))
    touch(session_file(claude, OTHER))
    touch(session_file(claude, "f" * 8, "-work-other"))
    touch(claude / "elsewhere.jsonl")
    return claude


MAIN = f"projects/-work-app/{SESSION}.jsonl"
AGENT = f"projects/-work-app/{SESSION}/subagents/agent-a1b2c3d.jsonl"
SECOND = f"projects/-work-app/{OTHER}.jsonl"
THIRD = "projects/-work-other/ffffffff.jsonl"


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        pytest.param(".", [MAIN, AGENT, SECOND, THIRD], id="configuration folder"),
        pytest.param("projects", [MAIN, AGENT, SECOND, THIRD], id="projects folder"),
        pytest.param("projects/-work-app", [MAIN, AGENT, SECOND], id="project"),
        pytest.param(f"projects/-work-app/{SESSION}", [MAIN, AGENT], id="session"),
        pytest.param(f"projects/-work-app/{SESSION}/subagents", [AGENT], id="agents of a session"),
        pytest.param(MAIN, [MAIN], id="main transcript"),
        pytest.param(AGENT, [AGENT], id="agent's transcript"),
    ],
)
def test_r1_root_is_any_folder_or_file(claude: Path, root: str, expected: list[str]) -> None:
    """From a whole configuration down to one file; a session's folder stands for the session."""
    assert expected == found(discover([claude / root]), claude)


def test_r1_session_folder_without_main_transcript_has_its_agents(claude: Path) -> None:
    """What is deleted beside the folder does not hide what is in it."""
    (claude / MAIN).unlink()

    discovery = discover([claude / "projects" / "-work-app" / SESSION])

    assert [AGENT] == found(discovery, claude)
    assert SESSION == discovery.transcripts[0].session_id


def test_r1_root_may_be_relative(claude: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths are absolute all the same, so that every folder above says its part."""
    monkeypatch.chdir(claude / "projects" / "-work-app" / SESSION / "subagents")

    transcript = discover([Path()]).transcripts[0]

    assert (str(claude / AGENT), SESSION) == (transcript.path, transcript.session_id)


def test_r1_one_file_counts_whatever_its_name(tmp_path: Path) -> None:
    """Who names a file means it."""
    file = touch(tmp_path / "saved.txt")

    assert ["saved.txt"] == found(discover([file]), tmp_path)


@pytest.mark.parametrize(
    "roots", [("projects/-work-app", "."), (".", "projects/-work-app"), (".", ".", MAIN)]
)
def test_r1_overlapping_roots_count_once(claude: Path, roots: tuple[str, ...]) -> None:
    """A file below two roots is one file, in whatever order they are named."""
    discovery = discover([claude / root for root in roots])

    assert [MAIN, AGENT, SECOND, THIRD] == found(discovery, claude)
    assert [str(claude / root) for root in roots] == discovery.roots


@pytest.mark.skipif(sys.platform != "linux", reason="names are texts here")
def test_r1_names_may_be_any_bytes(tmp_path: Path) -> None:
    """A folder copied from an old disk has a name that is no UTF-8; its usage counts all the same."""
    folder = os.fsencode(tmp_path) + b"/projects/caf\xe9"
    touch(Path(os.fsdecode(folder)) / "a.jsonl")
    touch(tmp_path / "projects" / "plain" / "b.jsonl")

    ledger = load(tmp_path)

    assert (2, 1, 1) == (ledger.intake.files, ledger.totals().responses, ledger.intake.copies)
    assert f"{tmp_path}/projects/caf\\udce9/a.jsonl" == ledger.frame["source_path"].item()


# links


def test_r1_linked_project_counts_once_by_its_real_name(tmp_path: Path) -> None:
    """A link that sorts before the folder does not rename the project."""
    touch(tmp_path / "projects" / "-z" / "a.jsonl")
    (tmp_path / "projects" / "-a").symlink_to("-z")

    discovery = discover([tmp_path])

    assert ["projects/-z/a.jsonl"] == found(discovery, tmp_path)
    assert "-z" == discovery.transcripts[0].project_folder


def test_r1_links_from_outside_are_followed(tmp_path: Path) -> None:
    """Projects and transcripts may be kept elsewhere, and the root itself be a link."""
    touch(tmp_path / "disk" / "a.jsonl")
    touch(tmp_path / "b.jsonl")
    projects = tmp_path / "claude" / "projects"
    projects.mkdir(parents=True)
    (projects / "-kept").symlink_to(tmp_path / "disk")
    (projects / "c.jsonl").symlink_to(tmp_path / "b.jsonl")
    (tmp_path / "link").symlink_to("claude")

    discovery = discover([tmp_path / "link"])

    assert ["link/projects/-kept/a.jsonl", "link/projects/c.jsonl"] == found(discovery, tmp_path)


@pytest.mark.parametrize("name", ["a.jsonl", "z.jsonl"])
def test_r1_linked_file_counts_once(tmp_path: Path, name: str) -> None:
    """A link to a file beside it is the file, and the file keeps its name."""
    touch(tmp_path / "real.jsonl")
    (tmp_path / name).symlink_to("real.jsonl")

    assert ["real.jsonl"] == found(discover([tmp_path]), tmp_path)


def test_r1_hard_link_counts_once(tmp_path: Path) -> None:
    """Two names of one file are one file, by whichever name it is found first."""
    real = touch(tmp_path / "real.jsonl")
    (tmp_path / "again.jsonl").hardlink_to(real)

    assert ["again.jsonl"] == found(discover([tmp_path]), tmp_path)


def test_r1_equal_files_are_two(tmp_path: Path) -> None:
    """A copy is a file of its own: that its responses count once is for merging to see."""
    touch(tmp_path / "a.jsonl")
    touch(tmp_path / "b.jsonl")

    assert ["a.jsonl", "b.jsonl"] == found(discover([tmp_path]), tmp_path)


def test_r1_link_loops_end(tmp_path: Path) -> None:
    """Links to the folder itself, to one above and to each other are walked once."""
    touch(tmp_path / "projects" / "-w" / "a.jsonl")
    (tmp_path / "projects" / "-w" / "here").symlink_to(".")
    (tmp_path / "projects" / "-w" / "up").symlink_to(tmp_path)
    (tmp_path / "projects" / "-w" / "to").symlink_to("fro")
    (tmp_path / "projects" / "-w" / "fro").symlink_to("to")

    discovery = discover([tmp_path])

    assert ["projects/-w/a.jsonl"] == found(discovery, tmp_path)
    assert ["fro", "to"] == [Path(reject.path).name for reject in discovery.rejects]


def test_r1_dangling_link_is_nothing(tmp_path: Path) -> None:
    """Where a transcript is gone there is nothing to read, nor to report."""
    touch(tmp_path / "a.jsonl")
    (tmp_path / "gone.jsonl").symlink_to("nowhere")
    (tmp_path / "gone").symlink_to("nowhere")

    discovery = discover([tmp_path])

    assert ["a.jsonl"] == found(discovery, tmp_path)
    assert [] == discovery.rejects


# roots that nobody names

HOME = Path("/home/ada")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        pytest.param({}, ["/home/ada/.claude", "/home/ada/.config/claude"], id="nothing set"),
        pytest.param({"CLAUDE_CONFIG_DIR": "/one"}, ["/one"], id="one"),
        pytest.param({"CLAUDE_CONFIG_DIR": "/one, /two ,,"}, ["/one", "/two"], id="several"),
        pytest.param({"CLAUDE_CONFIG_DIR": "~/c,~"}, ["/home/ada/c", "/home/ada"], id="tilde"),
        pytest.param({"CLAUDE_CONFIG_DIR": "~bob/c"}, ["~bob/c"], id="another's home"),
        pytest.param(
            {"CLAUDE_CONFIG_DIR": " , "},
            ["/home/ada/.claude", "/home/ada/.config/claude"],
            id="empty",
        ),
        pytest.param(
            {"XDG_CONFIG_HOME": "/etc/xdg"}, ["/home/ada/.claude", "/etc/xdg/claude"], id="xdg"
        ),
        pytest.param(
            {"XDG_CONFIG_HOME": ""}, ["/home/ada/.claude", "/home/ada/.config/claude"], id="no xdg"
        ),
        pytest.param(
            {"CLAUDE_CONFIG_DIR": "/one", "XDG_CONFIG_HOME": "/etc/xdg"}, ["/one"], id="both"
        ),
    ],
)
def test_r1_default_roots(environ: dict[str, str], expected: list[str]) -> None:
    """`CLAUDE_CONFIG_DIR` goes before the two places of every installation."""
    assert [Path(path) for path in expected] == default_roots(environ, HOME)


def test_r1_default_roots_need_not_exist(claude: Path, tmp_path: Path) -> None:
    """Of roots that nobody named, those count that exist."""
    discovery = discover([tmp_path / "nowhere", claude], must_exist=False)

    assert [str(claude)] == discovery.roots
    assert [MAIN, AGENT, SECOND, THIRD] == found(discovery, claude)


# nothing to read


def test_r1_named_root_must_exist(claude: Path) -> None:
    """A slip in a name is an error that names it, even beside a good root."""
    with pytest.raises(NoTranscriptsError) as caught:
        discover([claude, claude / "typo", claude / "other"])

    assert f"{claude / 'typo'}: no such root" == str(caught.value)
    assert caught.value.hint is not None


@pytest.mark.parametrize("name", ["gone", "file.jsonl/below", "nul\0byte"])
def test_r1_root_that_cannot_be_is_missing(tmp_path: Path, name: str) -> None:
    """A dangling link, a path through a file and an impossible name are all no roots."""
    (tmp_path / "gone").symlink_to("nowhere")
    touch(tmp_path / "file.jsonl")

    with pytest.raises(NoTranscriptsError, match="no such root"):
        discover([tmp_path / name])


def test_r1_empty_roots_are_named(tmp_path: Path) -> None:
    """Where nothing is found, the message says where it was looked for, and what to do."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()

    with pytest.raises(NoTranscriptsError) as caught:
        discover([first, second], must_exist=False)

    assert f"no transcripts found; looked in {first}, {second}" == str(caught.value)
    assert "--demo" in str(caught.value.hint)


@needs_pipes
def test_r1_root_that_is_no_folder_says_so(tmp_path: Path) -> None:
    """A pipe is neither read nor waited for."""
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(NoTranscriptsError, match="pipe: cannot be read: Not a directory"):
        discover([tmp_path / "pipe"])


# what may not be read

LOOK = """
import json, os, sys
from pathlib import Path
from tokenaudit.model.errors import NoTranscriptsError
from tokenaudit.transcripts import discover, extents_of, read

root, locked = map(Path, sys.argv[1:])
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    os.stat(locked / "x") if locked.name == "unsearchable" else os.listdir(locked)
    denied = False
except NotADirectoryError:
    denied = not os.access(locked, os.R_OK)
except PermissionError:
    denied = True
said = {"denied": denied}
try:
    found = discover([root])
    readings = read(extents_of(found.transcripts))
    said["paths"] = [one.path for one in found.transcripts]
    said["rejects"] = [[one.path, one.reason] for one in found.rejects]
    for reading in readings:
        columns = reading.rejects
        said["rejects"] += zip(columns.get("path", ()), columns.get("reason", ()))
except NoTranscriptsError as error:
    said["error"] = str(error)
print(json.dumps(said))
"""


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that every user of the machine can look into, unlike the one that pytest gives."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755)
    shutil.rmtree(folder)


def look(root: Path, locked: Path, mode: int = 0) -> dict[str, Any]:
    """Discover and read *root* as a user from whom *locked* is kept; tests may run as root."""
    if not hasattr(os, "setuid"):
        pytest.skip("there are no users here")
    locked.chmod(mode)
    # Another user may not write to where coverage keeps its data.
    plain = unmeasured()
    run = subprocess.run(
        [sys.executable, "-c", LOOK, str(root), str(locked)],
        capture_output=True,
        text=True,
        check=False,
        env=plain,
    )
    if "os.setuid(65534)" in run.stderr and "PermissionError" in run.stderr:
        pytest.skip("this user cannot become another")
    assert "" == run.stderr
    said: dict[str, Any] = json.loads(run.stdout)
    assert said.pop("denied"), "the test means nothing: access was not denied"
    return said


def test_r1_locked_folder_is_a_reject_and_the_rest_is_read(shared: Path) -> None:
    """A folder that cannot be listed is reported, and hides nothing but itself."""
    file = touch(session_file(shared))
    locked = touch(session_file(shared, OTHER, "-locked")).parent

    said = look(shared, locked)

    assert {
        "paths": [str(file)],
        "rejects": [[str(locked), "cannot be read: Permission denied"]],
    } == said


def test_r1_unsearchable_folder_rejects_what_it_lists(shared: Path) -> None:
    """Names without the right to follow them are reported one by one."""
    file = touch(session_file(shared))
    hidden = touch(shared / "projects" / "unsearchable" / "a.jsonl")

    said = look(shared, hidden.parent, 0o444)

    assert {
        "paths": [str(file)],
        "rejects": [[str(hidden), "cannot be read: Permission denied"]],
    } == said


def test_r1_locked_file_is_a_reject_and_the_rest_is_read(shared: Path) -> None:
    """A transcript that cannot be opened is found, and reported when it is read."""
    file = touch(session_file(shared))
    locked = touch(session_file(shared, OTHER))

    said = look(shared, locked)

    assert {
        "paths": [str(file), str(locked)],
        "rejects": [[str(locked), "cannot be read: Permission denied"]],
    } == said


@pytest.mark.parametrize("below", [".", "claude"])
def test_r1_locked_root_says_why_nothing_is_found(shared: Path, below: str) -> None:
    """A root that must not be looked at is no missing root, and no traceback."""
    locked = shared / "home"
    root = locked / below
    touch(session_file(root))

    said = look(root, locked)

    assert {
        "error": f"no transcripts found; looked in {root} "
        f"({root}: cannot be read: Permission denied)"
    } == said


def test_r1_root_of_the_desktop_app_is_walked_when_it_is_given(tmp_path: Path) -> None:
    """Its sessions lie in hidden folders of their own, beside an audit log of the same responses."""
    own = tmp_path / "local-agent-mode-sessions" / "org" / "account" / "local_1"
    folder = own / ".claude" / "projects" / "-work-app"
    main = touch(folder / f"{OTHER}.jsonl")
    agent = touch(folder / OTHER / "subagents" / "agent-a1.jsonl")
    touch(own / "audit.jsonl")

    found = discover([tmp_path / "local-agent-mode-sessions"]).transcripts

    assert {str(main), str(agent)} == {one.path for one in found}
    assert {("-work-app", OTHER)} == {(one.project_folder, one.session_id) for one in found}
    assert {"main", "a1"} == {one.agent_id for one in found}


def test_r1_file_that_vanishes_before_it_is_read_is_a_reject(tmp_path: Path) -> None:
    """Claude Code deletes old transcripts at any time; the others are read."""
    touch(session_file(tmp_path))
    gone = touch(session_file(tmp_path, OTHER))
    discovery = discover([tmp_path])
    gone.unlink()

    readings = list(read(extents_of(discovery.transcripts)))

    assert [1] == [len(reading.records["extent"]) for reading in readings]
    assert [[str(gone)]] == [reading.rejects["path"] for reading in readings]
    assert [["cannot be read: No such file or directory"]] == [
        reading.rejects["reason"] for reading in readings
    ]
