"""Files are written whole or not at all, and faults are real ones."""

import os
import random
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tokenaudit.model.errors import OutputError
from tokenaudit.render.target import check, write

ROOT = Path(__file__).parents[2]
OLD, NEW = b"old\n", b"new\n" * 100_000


def python(code: str, *arguments: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, check=False, cwd=ROOT, stderr=subprocess.PIPE, **options)  # type: ignore[call-overload,no-any-return]


WRITE = (
    "import sys\n"
    "from tokenaudit.model.errors import OutputError\n"
    "from tokenaudit.render.target import check, write, write_stdout\n"
)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "usage.json"
    path.write_bytes(OLD)
    return path


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tokenaudit-test", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a file system of its own can be mounted by root alone")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_new_file_is_written(tmp_path: Path) -> None:
    """It holds the data, for the user alone; nothing else is left in the folder."""
    path = tmp_path / "usage.json"

    check(str(path))
    write(NEW, str(path))

    assert path.read_bytes() == NEW
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert names(tmp_path) == ["usage.json"]


def test_a_file_is_replaced_and_keeps_its_mode(target: Path) -> None:
    """Who could read it before can read it after."""
    target.chmod(0o640)

    check(str(target))
    write(NEW, str(target))

    assert target.read_bytes() == NEW
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_a_reader_of_the_old_file_keeps_it(target: Path) -> None:
    """It is another file that gets the name."""
    with target.open("rb") as reader:
        write(NEW, str(target))

        assert reader.read() == OLD


def test_a_link_stays_a_link(target: Path, tmp_path: Path) -> None:
    """What it leads to is written, also in another folder, also where nothing is yet."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for name, aim in (("link", target), ("dangling", tmp_path / "new.json")):
        link = elsewhere / name
        link.symlink_to(aim)

        check(str(link))
        write(NEW, str(link))

        assert link.is_symlink()
        assert aim.read_bytes() == NEW
    assert names(elsewhere) == ["dangling", "link"]


def test_a_relative_path_is_one_of_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bare name needs no folder."""
    monkeypatch.chdir(tmp_path)

    check("usage.json")
    write(NEW, "usage.json")

    assert (tmp_path / "usage.json").read_bytes() == NEW


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("folder", "is a folder"),
        ("", "is a folder"),
        ("missing/usage.json", "its folder does not exist"),
        ("file/usage.json", "not a folder"),
        ("loop", "symbolic links"),
        ("nul\0", "embedded null"),
        ("x" * 300, "name too long"),
    ],
)
def test_what_cannot_be_written_is_refused_before_the_work(
    path: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And again when it is written; each time with the path and the reason."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    before = names(tmp_path)

    with pytest.raises(OutputError) as checked:
        check(path)
    with pytest.raises(OutputError) as tried:
        write(NEW, path)

    assert str(checked.value).startswith(f"{path}: ")
    assert problem in str(checked.value).lower()
    assert str(tried.value).startswith(f"{path}: cannot be written: ")
    assert before == names(tmp_path)


def test_a_folder_or_file_without_permission_is_refused() -> None:
    """Root may write anywhere, so someone else asks."""
    code = (
        f"{WRITE}\n"
        "import os\n"
        "if os.geteuid() == 0:\n"
        "    os.setresuid(65534, 65534, 65534)\n"
        "for path in sys.argv[1:]:\n"
        "    for act in (check, lambda path: write(b'new', path)):\n"
        "        try:\n"
        "            act(path)\n"
        "        except OutputError as error:\n"
        "            print(error)\n"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "file").write_bytes(OLD)
        (folder / "file").chmod(0o444)
        (folder / "locked").mkdir(0o000)
        (folder / "unlisted").mkdir()
        (folder / "unlisted").chmod(0o333)
        folder.chmod(0o555)

        done = python(
            code,
            f"{name}/file",
            f"{name}/new",
            f"{name}/locked/new",
            f"{name}/unlisted/new",
            stdout=subprocess.PIPE,
        )

        folder.chmod(0o755)
        (folder / "locked").chmod(0o755)
        assert (folder / "file").read_bytes() == OLD
        assert (folder / "unlisted" / "new").read_bytes() == b"new"
    said = done.stdout.decode().splitlines()
    assert len(said) == 6, done.stderr
    assert f"{name}/file: is not writable" == said[0]
    assert f"{name}/new: its folder is not writable: {name}" == said[2]
    assert f"{name}/new: cannot be written: Permission denied" == said[3]


def test_a_full_disk_leaves_the_old_file(small_disk: Path) -> None:
    """The reason is named in words, and nothing half-written stays."""
    path = small_disk / "usage.json"
    path.write_bytes(OLD)

    with pytest.raises(OutputError, match=r"usage\.json: cannot be written: the disk is full"):
        write(NEW, str(path))

    assert path.read_bytes() == OLD
    assert names(small_disk) == ["usage.json"]


def test_a_file_too_large_leaves_the_old_file(target: Path) -> None:
    """A limit of the system is met in the middle of the write."""
    code = (
        f"{WRITE}\n"
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "try:\n"
        "    write(b'new' * 100_000, sys.argv[1])\n"
        "except OutputError as error:\n"
        "    print(error)\n"
    )

    done = python(code, str(target), stdout=subprocess.PIPE)

    assert f"{target}: cannot be written: larger than a file may be here\n" == done.stdout.decode()
    assert target.read_bytes() == OLD
    assert names(target.parent) == ["usage.json"]


def test_an_interrupt_leaves_the_old_file(target: Path) -> None:
    """Ctrl-C is no error, but it too cleans up."""
    code = (
        f"{WRITE}\n"
        "import os, signal, threading\n"
        "threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()\n"
        "data = b'new' * 1_000_000\n"
        "while True:\n"
        "    write(data, sys.argv[1])\n"
    )

    done = python(code, str(target))

    assert b"KeyboardInterrupt" in done.stderr
    assert names(target.parent) == ["usage.json"]
    assert target.read_bytes() in {OLD, b"new" * 1_000_000}


def test_a_kill_leaves_the_old_file_or_the_new(target: Path) -> None:
    """At whatever moment it comes: never a part of one, never a mixture."""
    versions = {letter * 3_000_000 for letter in (b"a", b"b")}
    code = (
        f"{WRITE}\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    for letter in (b'a', b'b'):\n"
        "        write(letter * 3_000_000, sys.argv[1])\n"
    )
    moments = random.Random(20260302)
    for _ in range(12):
        with subprocess.Popen(
            [sys.executable, "-c", code, str(target)], cwd=ROOT, env={}, stdout=subprocess.PIPE
        ) as child:
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(moments.uniform(0, 0.05))
            child.send_signal(signal.SIGKILL)

        assert target.read_bytes() in {OLD, *versions}


def test_devices_are_written_directly(tmp_path: Path) -> None:
    """They stay devices."""
    check(os.devnull)
    write(NEW, os.devnull)

    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)
    (tmp_path / "null").symlink_to(os.devnull)
    write(NEW, str(tmp_path / "null"))
    assert names(tmp_path) == ["null"]


def test_a_full_device_is_named() -> None:
    """The reason is the same as for a file."""
    with pytest.raises(OutputError, match=r"/dev/full: cannot be written: the disk is full"):
        write(NEW, "/dev/full")


def test_a_pipe_is_written_directly(tmp_path: Path) -> None:
    """Whoever reads it gets all of it."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()

    check(str(pipe))
    write(NEW, str(pipe))

    reader.join()
    assert read == [NEW]
    assert names(tmp_path) == ["pipe"]


def test_what_the_shell_appends_to_is_not_replaced(tmp_path: Path) -> None:
    """`-o /dev/stdout >> log` adds to the log."""
    log = tmp_path / "log"
    log.write_bytes(OLD)
    with log.open("ab") as stdout:
        done = python(f"{WRITE}\ncheck('/dev/stdout')\nwrite(b'new', '/dev/stdout')", stdout=stdout)

    assert done.returncode == 0, done.stderr
    assert log.read_bytes() == OLD + b"new"


def test_stdout_gets_the_report_after_what_was_printed() -> None:
    """In the order of writing."""
    done = python(f"{WRITE}\nprint('first')\nwrite_stdout(b'then\\n')", stdout=subprocess.PIPE)

    assert done.stdout == b"first\nthen\n"


STDOUT = (
    f"{WRITE}\n"
    "try:\n"
    "    write_stdout(b'new' * 100_000)\n"
    "except (BrokenPipeError, OutputError) as error:\n"
    "    print(type(error).__name__, error, file=sys.stderr)\n"
)


def test_a_closed_pipe_is_for_the_caller_to_end_on() -> None:
    """It is no error of ours, and nothing is said when Python ends."""
    reader, writer = os.pipe()
    os.close(reader)

    done = python(STDOUT, stdout=writer)

    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"BrokenPipeError [Errno 32] Broken pipe\n")


def test_a_full_device_behind_stdout_is_named() -> None:
    """In one line, and nothing is said when Python ends."""
    with Path("/dev/full").open("wb") as full:
        done = python(STDOUT, stdout=full)

    assert (
        done.returncode,
        done.stderr,
    ) == (0, b"OutputError standard output: cannot be written: the disk is full\n")


def test_a_closed_stdout_is_named() -> None:
    """Some daemons start programs without one."""
    done = python(STDOUT, preexec_fn=lambda: os.close(1))

    assert done.stderr == b"OutputError standard output: is closed\n"
