"""What is read: regular files, of a size that makes sense, and never a wait for one that does not come."""

import os
import socket
from pathlib import Path

import pytest

from tokenaudit.files import inputs

DEVICE = Path("/dev/zero")


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    """Also an empty one, one that is exactly as large as it may be, and by a link."""
    for content in (b"", b"x", b"x" * 1000):
        path = tmp_path / "file"
        path.write_bytes(content)
        link = tmp_path / "link"
        link.unlink(missing_ok=True)
        link.symlink_to(path)

        assert content == inputs.read(path, 1000) == inputs.read(str(link), 1000)


def test_what_is_too_large_is_refused(tmp_path: Path) -> None:
    """Without reading it: a hole of a terabyte takes no time."""
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(1 << 40)

    with pytest.raises(OSError, match="it is larger than 2 GiB") as caught:
        inputs.read(path, 2 * inputs.GIBIBYTE)
    assert caught.value.strerror == "it is larger than 2 GiB"
    with pytest.raises(OSError, match="it is larger than 1 MiB"):
        inputs.read(path, inputs.MEBIBYTE)


@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="files of the kernel are Linux's"
)
def test_a_file_that_hides_its_size_is_read_whole_or_refused() -> None:
    """Files of the kernel say that they are empty."""
    path = Path("/proc/self/mounts")
    assert path.stat().st_size == 0

    assert path.read_bytes() == inputs.read(path, inputs.MEBIBYTE)
    with pytest.raises(OSError, match="larger"):
        inputs.read(path, 10)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    """Nobody writes to it, and nobody has to."""
    path = tmp_path / "pipe"
    os.mkfifo(path)

    with pytest.raises(OSError, match="it is a pipe, not a file"):
        inputs.read(path, 1000)


@pytest.mark.skipif(not DEVICE.exists(), reason="devices are Unix's")
def test_a_device_is_refused() -> None:
    """One that never ends; but the null device says that there is nothing."""
    with pytest.raises(OSError, match="it is a device, not a file"):
        inputs.read(DEVICE, 1000)
    assert inputs.read(os.devnull, 1000) == b""


def test_other_kinds_are_refused(tmp_path: Path) -> None:
    """Each in its own words."""
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        with pytest.raises(OSError, match="it is a socket, not a file"):
            inputs.read(path, 1000)
    with pytest.raises(IsADirectoryError):
        inputs.read(tmp_path, 1000)
    with pytest.raises(FileNotFoundError):
        inputs.read(tmp_path / "missing", 1000)


def test_a_link_is_not_followed_where_it_must_not_be(tmp_path: Path) -> None:
    """Wherever it leads."""
    (tmp_path / "file").write_bytes(b"secret")
    link = tmp_path / "link"
    link.symlink_to("file")

    with pytest.raises(OSError, match="it is a link, which is not followed here"):
        inputs.read(link, 1000, follow_links=False)
    assert inputs.read(tmp_path / "file", 1000, follow_links=False) == b"secret"
