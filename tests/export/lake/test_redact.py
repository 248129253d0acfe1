"""Redaction: the same on every host with the secret, and once and for all."""

import hmac
from hashlib import sha256

from lake_evidence import Copy, rows
from polars.testing import assert_frame_equal

from tokenaudit.export.lake.redact import redact

SECRET = b"of the organisation"
ONE = Copy(1, 1, 5, is_final=False, later=0)


def test_names_become_hmacs_that_any_host_can_repeat() -> None:
    """HMAC-SHA-256 of the text, 32 hex digits; a path keeps the file's name."""
    plain = rows([ONE]).row(0, named=True)
    found = redact(rows([ONE]), SECRET).row(0, named=True)

    expected = hmac.new(SECRET, b"/work/1", sha256).hexdigest()[:32]
    assert (plain["project"], found["project"]) == ("/work/1", f"hmac:{expected}")
    assert found["branch"].startswith("hmac:")
    assert found["cwd"] is None
    assert found["owner_path"].endswith("/t1")
    kept = [
        name for name in plain if name not in {"project", "branch", "owner_path", "source_path"}
    ]
    assert {name: found[name] for name in kept} == {name: plain[name] for name in kept}


def test_redacting_again_changes_nothing() -> None:
    """What was published redacted stays as it is."""
    once = redact(rows([ONE]), SECRET)
    assert_frame_equal(redact(once, b"of somebody else, later"), once)
