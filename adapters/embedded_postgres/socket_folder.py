"""The private folder of the server's Unix socket."""

import shutil
import tempfile
from pathlib import Path

from adapters.embedded_postgres.account import Account

PORT = 5432
_PATH_BYTES_MAX = 107
_SHORT_PARENT = Path("/tmp")  # noqa: S108  # mkdtemp makes private and unpredictable folders in it
_PREFIX = "pglambda-"
_SOCKET = f".s.PGSQL.{PORT}"


def make_socket_folder(preferred: Path, account: Account) -> Path:
    """Return an empty folder (0700, the account's): `preferred`, or a short unpredictable one when its path is too long.

    The path of a Unix socket holds at most 107 bytes. `preferred` is then a link to the short one.
    """
    remove_socket_folder(preferred)
    if _fits(preferred):
        preferred.mkdir(mode=0o700)
        folder = preferred
    else:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_SHORT_PARENT))
        preferred.symlink_to(folder)
    account.adopt(folder)
    return folder


def remove_socket_folder(preferred: Path) -> None:
    """Remove what `make_socket_folder` made, in an earlier life too."""
    if not preferred.is_symlink():
        shutil.rmtree(preferred, ignore_errors=True)
        return
    folder = preferred.readlink()
    if folder.parent == _SHORT_PARENT and folder.name.startswith(_PREFIX):
        shutil.rmtree(folder, ignore_errors=True)
    preferred.unlink()


def clear_socket_folder(folder: Path) -> None:
    """Remove what a killed server left; its lock file could name a process that is someone else by now."""
    for leftover in folder.iterdir():
        leftover.unlink()


def _fits(folder: Path) -> bool:
    return len(str(folder / _SOCKET).encode()) <= _PATH_BYTES_MAX
