"""Whatever bytes a store holds: a run with it says what a run without one says, or what it still knows."""

import random
import shutil
import tempfile
from pathlib import Path
from time import time_ns

from hypothesis import given
from hypothesis import strategies as st
from properties import examples
from transcripts_builder import OTHER, encoded, prompt, reply, session_file, write

from tokenaudit.ledger.frame import Ledger, build
from tokenaudit.model.errors import StoreError
from tokenaudit.pricing.card import shipped_card
from tokenaudit.store import Store, facts_without_store
from tokenaudit.transcripts import discover, extents_of, read


def run(root: Path, folder: Path) -> Ledger:
    """Return the ledger of a run with the store in *folder*, or of one without where it cannot be used."""
    try:
        store = Store.open(folder)
        plan = store.plan(discover([root]))
        now = time_ns() + 10**10
        return build(store.take(plan, read(plan.extents), now_ns=now), shipped_card())
    except StoreError:
        return run_without(root)


def run_without(root: Path) -> Ledger:
    discovery = discover([root])
    extents = extents_of(discovery.transcripts)
    return build(facts_without_store(discovery, read(extents)), shipped_card())


def damage(path: Path, dice: random.Random) -> None:
    """Flip, cut, empty, lengthen or remove the file at *path*."""
    data = bytearray(path.read_bytes())
    at = dice.randrange(len(data) or 1)
    match dice.randrange(6):
        case 0:
            data[at : at + 1] = bytes([dice.randrange(256)])
        case 1:
            data[at : at + 40] = bytes(min(40, len(data) - at))
        case 2:
            del data[at:]
        case 3:
            data[at:at] = dice.randbytes(9)
        case 4:
            data.clear()
        case _:
            path.unlink()
            return
    path.write_bytes(data)


@examples(20)
@given(st.randoms(use_true_random=True), st.integers(1, 3))
def test_a_damaged_store_changes_no_figure(dice: random.Random, rounds: int) -> None:
    """All transcripts are on disk, so all that is lost of the store can be read again."""
    place = Path(tempfile.mkdtemp())
    try:
        root, folder = place / "claude", place / "store"
        write(session_file(root), *(reply(f"m{at}", f"r{at}", at=at) for at in range(9)))
        write(session_file(root, OTHER), prompt(), b"\x00broken", reply("m_9", "r_9", at=99))
        run(root, folder)
        for number in range(rounds):
            with session_file(root).open("ab") as file:
                file.write(encoded(reply(f"n{number}", f"n{number}", at=200 + number)) + b"\n")
            files = sorted(path for path in folder.iterdir() if path.is_file())
            damage(dice.choice(files), dice)
            found, expected = run(root, folder), run_without(root)

            assert expected.frame.sort("response_id").equals(found.frame.sort("response_id"))
            assert expected.rejects.equals(found.rejects)
    finally:
        shutil.rmtree(place)
