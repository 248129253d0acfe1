"""The id of a host: made once, kept, replaced by the environment."""

from pathlib import Path

import pytest

from tokenaudit.export.lake.host import Host, this_host
from tokenaudit.model.errors import ConfigError


def test_made_once_and_kept(tmp_path: Path) -> None:
    """The id stays; the label is the last that was said."""
    first = this_host(tmp_path / "new", {}, "build-7")
    again = this_host(tmp_path / "new", {}, None)
    renamed = this_host(tmp_path / "new", {}, "build-8")

    assert first == again
    assert renamed == Host(first.id, "build-8")
    assert this_host(tmp_path / "new", {}, None) == renamed
    assert this_host(tmp_path / "other", {}, None).id != first.id
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["host.json"]


def test_the_environment_decides(tmp_path: Path) -> None:
    """Nothing is written where the environment names the host."""
    host = this_host(tmp_path, {"TOKENAUDIT_HOST_ID": "ci-1"}, None)
    assert host == Host("ci-1", "ci-1")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../up", "a b", "", "x" * 65, ".hidden"])
def test_an_id_that_is_no_name_of_a_folder_is_refused(tmp_path: Path, name: str) -> None:
    """No path is built from it; an empty one is none."""
    environ = {"TOKENAUDIT_HOST_ID": name}
    if not name:
        assert this_host(tmp_path, environ, None).id
        return
    with pytest.raises(ConfigError, match="TOKENAUDIT_HOST_ID: not an id"):
        this_host(tmp_path, environ, None)


@pytest.mark.parametrize("kept", [b"", b"{", b'{"id": "../up", "label": "x"}', b"[]"])
def test_a_kept_id_that_cannot_be_used_is_an_error(tmp_path: Path, kept: bytes) -> None:
    """It is never replaced in silence: the host would count twice."""
    (tmp_path / "host.json").write_bytes(kept)
    with pytest.raises(ConfigError, match=r"host\.json: not the id of a host"):
        this_host(tmp_path, {}, None)
    assert (tmp_path / "host.json").read_bytes() == kept
