"""The archive of write-ahead log (WAL): a folder to which the server copies each finished segment."""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from adapters.embedded_postgres.account import Account, EmbeddedPostgresError

_SEGMENT_TIMEOUT = "300s"
"""A segment is archived after this time at the latest, so this much can be lost with the disk of the server."""


def archive_of(archives: Path, data_folder: Path) -> Path:
    """Return the folder below `archives` for one database: names of segments are unique in one database only.

    PostgreSQL identifies a database from its creation on, also after a restore, by the first 8 bytes of pg_control.
    """
    with (data_folder / "global/pg_control").open("rb") as control:
        return archives / str(int.from_bytes(control.read(8), sys.byteorder))


def prepare_archive(folder: Path, account: Account) -> None:
    """Create the folder if it does not exist; raises EmbeddedPostgresError if the server cannot write it."""
    try:
        for each in (folder.parent, folder):
            if not each.exists():
                each.mkdir(parents=True, mode=0o700)
                account.adopt(each)
        writable = account.can_enter(folder) and account.can_write(folder)
    except OSError as error:
        raise EmbeddedPostgresError(
            f"WAL_ARCHIVE_DIR: {folder} cannot be used: {error.strerror}. Set it to a folder that this user may write."
        ) from None
    if not writable:
        raise EmbeddedPostgresError(
            f"PostgreSQL runs as user id {account.uid}, which may not write {folder} in WAL_ARCHIVE_DIR. Make that "
            "user the owner (chown -R), and let it enter the folders above (chmod o+x)."
        )


def archive_timelines(archive: Path, data_folder: Path, account: Account) -> None:
    """Let the server archive the history of each timeline that the archive does not have.

    A restore without the archive notes no history there, and may take the number of a timeline that the archive has.
    Without this, WAL would follow that no restore finds, or that continues another timeline. With it, the archive gets
    the history, or archiving fails before the first segment because the archive has another one.
    """
    for history in (data_folder / "pg_wal").glob("*.history"):
        copy = archive / history.name
        if not copy.exists() or copy.read_bytes() != history.read_bytes():
            ready = history.parent / "archive_status" / f"{history.name}.ready"
            ready.touch(mode=0o600)
            account.adopt(ready)


def archive_parameters(folder: Path | None) -> Mapping[str, str]:
    """Return the parameters of a server that archives to the folder; without one it does not archive.

    `basic_archive` syncs each copy to the disk before PostgreSQL removes the segment. It overwrites no file: it accepts
    an existing copy with the same content, and fails if the content differs.
    """
    if folder is None:
        return {}
    return {
        "archive_mode": "on",
        "archive_library": "basic_archive",
        "basic_archive.archive_directory": str(folder),
        "archive_timeout": _SEGMENT_TIMEOUT,
    }


def fetch_command(folder: Path | None) -> str:
    """Return the `restore_command` that copies a segment from the archive; without an archive it finds none."""
    if folder is None:
        return "false"
    source = shlex.quote(str(folder).replace("%", "%%") + "/")
    return f'cp {source}%f "%p"'
