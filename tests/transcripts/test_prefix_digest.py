"""What became of the bytes that were read of a transcript, by their digests."""

import io
import os
from pathlib import Path

from tokenaudit.transcripts.prefix_digest import DIGESTED, SHRANK, Digester, fate_of


class Emptied(io.FileIO):
    """A file that somebody empties after its size has been looked at, before it is read."""

    def seek(self, offset: int, whence: int = 0) -> int:
        os.truncate(self.name, 0)
        return super().seek(offset, whence)


def test_a_file_that_shrinks_while_it_is_read_has_shrunk(tmp_path: Path) -> None:
    """It was not rewritten: what is there is as it was, only less."""
    data = b"x" * (DIGESTED + 10)
    path = tmp_path / "a.jsonl"
    path.write_bytes(data)
    digester = Digester()
    digester.add(data)
    with Emptied(path) as file:
        assert fate_of(file, digester.digests(), len(data)) == SHRANK
