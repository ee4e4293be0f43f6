"""The folder of the embedded server: one process holds it, and publishes there the URL of the server."""

import base64
import fcntl
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from attrs import define

KeyName = Literal["webhook", "secrets"]
"""The keys of an installation: WEBHOOK_KEY and SECRETS_KEY."""

_PID_BYTES_MAX = 20
_MADE: Mapping[KeyName, Callable[[], str]] = {
    "webhook": lambda: secrets.token_urlsafe(48),
    "secrets": lambda: base64.b64encode(secrets.token_bytes(32)).decode(),
}


class DataDirError(Exception):
    """The folder cannot be used; the text says why and what to do."""


class DataDirInUse(DataDirError):
    """Another process holds the folder."""

    def __init__(self, folder: Path, pid: str) -> None:
        super().__init__(
            f"DATA_DIR {folder} is in use by the running pglambda with process id {pid}. "
            "Stop that process, or set DATA_DIR (and PORT) to start a second service."
        )
        self.pid = pid


@define
class DataDir:
    """A folder whose lock this process holds, from `hold` until `release` or the end of the process."""

    folder: Path
    _lock: int

    @classmethod
    def hold(cls, folder: Path) -> "DataDir":
        """Make the folder if it does not exist, and lock it; raises DataDirError or DataDirInUse."""
        try:
            _make(folder)
            lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise DataDirError(
                f"DATA_DIR {folder} cannot be used: {error.strerror}. Set DATA_DIR to a folder that this user may "
                "write."
            ) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(lock, _PID_BYTES_MAX, 0).decode().strip() or "unknown"
            os.close(lock)
            raise DataDirInUse(folder, pid) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        return cls(folder, lock)

    def publish(self, url: str) -> None:
        """Publish the URL of the running server for other commands of this user."""
        staged = self.folder / "server.url.new"
        descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(url)
        staged.replace(_url_file(self.folder))

    def key(self, name: KeyName) -> str:
        """Return a key of the installation, which is made at the first start; only this user can read its file."""
        file = key_file(self.folder, name)
        if not file.exists():
            staged = file.with_name(f"{file.name}.new")
            descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as made:
                made.write(_MADE[name]())
                made.flush()
                os.fsync(made.fileno())
            staged.replace(file)
        return file.read_text().strip()

    def withdraw(self) -> None:
        """Remove the published URL."""
        _url_file(self.folder).unlink(missing_ok=True)

    def release(self) -> None:
        """Unlock the folder."""
        self.withdraw()
        os.close(self._lock)


def published_url(folder: Path) -> str | None:
    """Return the URL of the server that another process runs; None if no server accepts connections."""
    try:
        return _url_file(folder).read_text()
    except FileNotFoundError:
        return None


def kept_key(folder: Path, name: KeyName) -> str | None:
    """Return the key that `DataDir.key` has made; None if there is none, or it cannot be read."""
    try:
        return key_file(folder, name).read_text().strip()
    except OSError:
        return None


def key_file(folder: Path, name: KeyName) -> Path:
    """Return where the key is, or would be."""
    return folder / f"{name}.key"


def _url_file(folder: Path) -> Path:
    return folder / "server.url"


def _make(folder: Path) -> None:
    if not folder.exists():
        folder.mkdir(parents=True)
        # The server of root runs as another user, who has to reach a folder inside.
        folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
