"""The tar file of a base backup, unpacked into a folder."""

import errno
import re
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, cast

from attrs import define, field, frozen

from adapters.embedded_postgres.account import Account, EmbeddedPostgresError

DISK_RESERVE_BYTES = 256 * 1024**2
"""The free space that a backup or a restore leaves on a disk."""

_LABEL = "backup_label"
_LABEL_BYTES_MAX = 4096
_NEEDED = (_LABEL, "PG_VERSION", "backup_manifest")
_STARTED_AT = re.compile(r"^START TIME: (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC$", re.MULTILINE)
_WAL_FILE = re.compile(r"^START WAL LOCATION: \S+ \(file ([0-9A-F]{24})\)$", re.MULTILINE)
_TEXT = re.compile(r"^LABEL: (.*?)(?:, (\d{1,18}) bytes)?$", re.MULTILINE)


@frozen
class BackupLabel:
    """What a backup says of itself: when it began, the first WAL file that it needs, its label, the size it needs."""

    started_at: datetime
    wal_file: str
    text: str
    size_bytes: int

    @classmethod
    def parse(cls, text: str) -> "BackupLabel":
        """Read the file backup_label; raises EmbeddedPostgresError."""
        started, wal_file, label = (each.search(text) for each in (_STARTED_AT, _WAL_FILE, _TEXT))
        if started is None or wal_file is None or label is None:
            raise _damaged("its backup_label is not that of a base backup")
        at = datetime.fromisoformat(started[1]).replace(tzinfo=UTC)
        return cls(at, wal_file[1], label[1], int(label[2] or 0))


@define
class CountedStream:
    """A stream that reports how many bytes were read of it."""

    _stream: IO[bytes]
    _advance: Callable[[int], None] = field(default=lambda _: None)

    def read(self, size: int = -1) -> bytes:
        """Read up to `size` bytes."""
        chunk = self._stream.read(size)
        self._advance(len(chunk))
        return chunk


def unpack(stream: CountedStream, folder: Path, account: Account) -> BackupLabel:
    """Unpack a tar file, plain or compressed by gzip, into a new folder of the account; raises EmbeddedPostgresError.

    Only files and folders below `folder` are accepted. The disk keeps DISK_RESERVE_BYTES.
    """
    folder.mkdir(mode=0o700)
    account.adopt(folder)
    label = None
    with _failures_named(folder), tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|*") as archive:
        for member in archive:
            _require_space(folder, member.size)
            archive.extract(member, folder, numeric_owner=True, filter=_owned_by(account))
            archive.members.clear()  # type: ignore[attr-defined]  # a list of all members, which tarfile keeps
            if member.name == _LABEL:
                label = _read_label(folder)
                _require_space(folder, label.size_bytes)
    if label is None or not all((folder / name).is_file() for name in _NEEDED):
        raise _damaged("it ends early, or is not a base backup of PostgreSQL")
    return label


def _read_label(folder: Path) -> BackupLabel:
    with (folder / _LABEL).open("rb") as file:
        return BackupLabel.parse(file.read(_LABEL_BYTES_MAX).decode(errors="replace"))


def _owned_by(account: Account) -> Callable[[tarfile.TarInfo, str], tarfile.TarInfo]:
    def filtered(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo:
        if not (member.isreg() or member.isdir()):
            raise _damaged(f"{member.name!r} is neither a file nor a folder")
        safe = tarfile.data_filter(member, path)
        mode = 0o700 if member.isdir() else 0o600
        return safe.replace(mode=mode, uid=account.uid, gid=account.gid, deep=False)

    return filtered


def _require_space(folder: Path, size_bytes: int) -> None:
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < size_bytes + DISK_RESERVE_BYTES:
        raise disk_full(folder, size_bytes)


def disk_full(folder: Path, size_bytes: int) -> EmbeddedPostgresError:
    """Return the error of a disk that is too small; nothing of what exists was changed."""
    free_bytes = shutil.disk_usage(folder).free
    return EmbeddedPostgresError(
        f"The disk of {folder} has {free_bytes:,} free bytes, and {size_bytes + DISK_RESERVE_BYTES:,} are needed. "
        "Nothing was changed. Make room, or use another disk."
    )


@contextmanager
def _failures_named(folder: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, zlib.error, EOFError) as error:
        raise _damaged(str(error)) from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise disk_full(folder, 0) from error
        raise EmbeddedPostgresError(f"The backup cannot be unpacked: {error}. Nothing was changed.") from error


def _damaged(reason: str) -> EmbeddedPostgresError:
    return EmbeddedPostgresError(
        f"The file is not a backup, or it is damaged: {reason}. Nothing was changed. Use another backup; decrypt an "
        "encrypted one first."
    )
