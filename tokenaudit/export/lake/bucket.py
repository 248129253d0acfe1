"""A lake in a bucket of S3, or of a store that speaks its protocol: puts that only ever create.

Where the store is, and who we are, boto3 finds in the usual places (`AWS_ENDPOINT_URL`,
`AWS_ACCESS_KEY_ID`, `AWS_PROFILE`, `~/.aws`, the role of a machine); no message repeats any of it.
"""

import base64
import errno
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cache
from hashlib import sha256
from typing import Any, Final

from msgspec import Struct

from tokenaudit.model.errors import ConfigError, OutputError, UsageError

__all__ = ["SCHEME", "Bucket", "open_bucket"]

SCHEME: Final = "s3://"

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_AT_ONCE: Final = 16
"""Requests under way at once: a part is small, and most of its time is spent waiting."""
_MOST_TRIES: Final = 3
_EXISTS: Final = frozenset({"PreconditionFailed", "412"})
_CONFLICT: Final = frozenset({"ConditionalRequestConflict", "409"})
"""Another put of the same name is under way: to be tried again."""
_REASONS: Final = {
    "NoSuchBucket": "no such bucket",
    "NoSuchKey": "no such file",
    "404": "no such file",
    "AccessDenied": "access is denied",
    "403": "access is denied",
    "InvalidAccessKeyId": "the credentials are refused",
    "SignatureDoesNotMatch": "the credentials are refused",
    "ExpiredToken": "the credentials have expired",
    "NotImplemented": "the store has no create-only puts",
}


class Bucket(Struct, frozen=True):
    """A lake below *prefix*, which is empty or ends in `/`."""

    client: Any
    bucket: str
    prefix: str

    @property
    def place(self) -> str:
        """The address, as it was named."""
        return f"{SCHEME}{self.bucket}/{self.prefix}"

    def names(self, under: str = "") -> list[str]:
        """Return the names of all files below *under*, sorted. Raises ConfigError."""
        from botocore.exceptions import BotoCoreError, ClientError

        folder = under and f"{under}/"
        top = self.prefix + folder
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=top
        )
        try:
            keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
        except (BotoCoreError, ClientError) as error:
            raise self._cannot_list(error) from None
        return sorted(folder + name for key in keys if _is_shown(name := key[len(top) :]))

    def read(self, name: str) -> bytes:
        """Return what *name* holds; raises OSError."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            found = self.client.get_object(Bucket=self.bucket, Key=self.prefix + name)
            return bytes(found["Body"].read())
        except (BotoCoreError, ClientError) as error:
            raise OSError(errno.EIO, _reason(error)) from None

    def read_all(self, names: Sequence[str]) -> Iterator[bytes | OSError]:
        """Yield what each of *names* holds, in their order; an error is a value."""
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            yield from pool.map(self._content, names)

    def _content(self, name: str) -> bytes | OSError:
        try:
            return self.read(name)
        except OSError as error:
            return error

    def modified(self, name: str) -> datetime:
        """Return when *name* was written; raises OSError."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            found = self.client.head_object(Bucket=self.bucket, Key=self.prefix + name)
        except (BotoCoreError, ClientError) as error:
            raise OSError(errno.EIO, _reason(error)) from None
        written: datetime = found["LastModified"]
        return written

    def create(self, name: str, data: bytes) -> None:
        """Put *data* as *name* if there is none; the store holds all of them or nothing.

        Raises OutputError, also where something else has the name.
        """
        if not self._put(name, data) and self._content(name) != data:
            raise OutputError(
                f"{self.place}{name}: is there already, and holds something else",
                hint="Remove it, and export again.",
            )

    def _put(self, name: str, data: bytes) -> bool:
        """Put *data*; False where *name* is there already, perhaps by a try that was not answered."""
        from botocore.exceptions import BotoCoreError, ClientError

        for tries in range(1, _MOST_TRIES + 1):
            try:
                self.client.put_object(
                    Bucket=self.bucket,
                    Key=self.prefix + name,
                    Body=data,
                    IfNoneMatch="*",
                    ChecksumSHA256=base64.b64encode(sha256(data).digest()).decode(),
                )
            except (BotoCoreError, ClientError) as error:
                if _code(error) in _EXISTS:
                    return False
                if _code(error) in _CONFLICT and tries < _MOST_TRIES:
                    continue
                raise OutputError(
                    f"{self.place}{name}: cannot be written: {_reason(error)}"
                ) from None
            return True
        return False

    def remove(self, name: str) -> None:
        """Remove *name*; that it is gone already is no error."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self.client.delete_object(Bucket=self.bucket, Key=self.prefix + name)
        except (BotoCoreError, ClientError) as error:
            raise OutputError(f"{self.place}{name}: cannot be removed: {_reason(error)}") from None

    def is_empty(self) -> bool:
        """Tell whether nothing lies there. Raises ConfigError where that cannot be seen."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            found = self.client.list_objects_v2(Bucket=self.bucket, Prefix=self.prefix, MaxKeys=1)
        except (BotoCoreError, ClientError) as error:
            raise self._cannot_list(error) from None
        return not found.get("Contents")

    def _cannot_list(self, error: Exception) -> ConfigError:
        return ConfigError(f"{self.place}: cannot be listed: {_reason(error)}")


def open_bucket(lake: str, *, must_exist: bool) -> Bucket:
    """Return the lake at `s3://BUCKET[/FOLDER]`; the bucket must be there.

    Raises UsageError where *lake* is no such address, or there is nothing and *must_exist*;
    ConfigError where the store or the credentials cannot be used, or boto3 is not installed.
    """
    bucket, _, folder = lake.removeprefix(SCHEME).partition("/")
    folder = folder.strip("/")
    if not _NAME.fullmatch(bucket) or not {".", ".."}.isdisjoint(folder.split("/")):
        raise UsageError(
            f"{SCHEME}: not the address of a bucket",  # what stands there may be a secret
            hint="Write s3://BUCKET or s3://BUCKET/FOLDER; credentials come from the environment.",
        )
    found = Bucket(_client(), bucket, folder and f"{folder}/")
    if found.is_empty() and must_exist:
        raise UsageError(
            f"{lake}: no such lake",
            hint="Make one with: tokenaudit export --to s3://BUCKET/FOLDER.",
        )
    return found


def _client() -> Any:
    try:
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
        from botocore.session import Session
    except ImportError:
        raise ConfigError(
            f"{SCHEME}: boto3 is not installed", hint="pip install 'tokenaudit-cli[s3]'"
        ) from None
    config = Config(connect_timeout=10, max_pool_connections=_AT_ONCE)
    try:
        session = Session()  # credentials as they are now
        # Only what S3 is is read once: that is most of the work, and a roll-up asks for each day.
        session.register_component(
            "data_loader", _loader(session.get_config_variable("data_path") or "")
        )
        return session.create_client("s3", config=config)
    except (BotoCoreError, ValueError) as error:
        raise ConfigError(f"{SCHEME}: {_reason(error)}") from None


@cache
def _loader(path: str) -> Any:
    from botocore.loaders import create_loader

    return create_loader(path or None)


def _is_shown(name: str) -> bool:
    """Tell whether *name* is a file that is not hidden; some stores show folders as empty files."""
    *folders, last = name.split("/")
    return bool(last) and not any(part.startswith((".", "_")) for part in (*folders, last))


def _code(error: Exception) -> str:
    answer = getattr(error, "response", None) or {}
    return str(answer.get("Error", {}).get("Code", ""))


def _reason(error: Exception) -> str:
    """Say what went wrong, never in the words of *error*: they may repeat an address or a key."""
    from botocore import exceptions as known

    if code := _code(error):
        return _REASONS.get(code, code)
    if isinstance(error, (known.NoCredentialsError, known.PartialCredentialsError)):
        return "no credentials were found"
    if isinstance(error, (known.ConnectionError, known.HTTPClientError)):
        return "the store does not answer"
    return f"boto3 cannot: {type(error).__name__}"
