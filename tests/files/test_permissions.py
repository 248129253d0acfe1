"""Folders in which any user could put something else in the place of what is kept."""

import os
from pathlib import Path

import pytest

from tokenaudit.files.permissions import exposed

OTHER = 65534


@pytest.mark.parametrize(
    ("above", "own", "is_exposed"),
    [
        (0o755, 0o755, None),
        (0o755, 0o700, None),
        (0o775, 0o775, None),  # groups are trusted
        (0o777, 0o700, "above"),
        (0o1777, 0o700, None),  # as /tmp is
        (0o755, 0o777, "own"),
        (0o755, 0o1777, "own"),
    ],
)
def test_a_folder_that_any_user_may_write_to(
    tmp_path: Path, above: int, own: int, is_exposed: str | None
) -> None:
    """Is told, be it the folder itself or one above; also where what is asked for is not there yet."""
    folder = tmp_path / "above" / "own"
    folder.mkdir(parents=True)
    folder.chmod(own)
    folder.parent.chmod(above)
    expected = {None: None, "above": folder.parent, "own": folder}[is_exposed]

    assert exposed(folder) == expected
    assert exposed(folder / "missing" / "store") == expected or own == 0o1777
    (tmp_path / "link").symlink_to(folder)
    assert exposed(tmp_path / "link") == expected


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a folder away")
def test_a_folder_of_another_user_in_a_sticky_one(tmp_path: Path) -> None:
    """Whoever made it there first may replace what it holds."""
    sticky = tmp_path / "tmp"
    (sticky / "store").mkdir(parents=True)
    sticky.chmod(0o1777)
    assert exposed(sticky / "store") is None
    os.chown(sticky / "store", OTHER, OTHER)

    assert exposed(sticky / "store") == sticky
    assert exposed(sticky / "store" / "below") == sticky
