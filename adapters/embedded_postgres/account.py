"""The operating-system user that the server runs as, and the files that it can reach."""

import os
import pwd
import stat
from pathlib import Path

from attrs import frozen

_PREFERRED = ("postgres", "nobody")


class EmbeddedPostgresError(RuntimeError):
    """The embedded server cannot run; the text says why and what to do."""


@frozen
class Account:
    """A user by its numbers. PostgreSQL rejects uid 0 and numbers without a passwd entry."""

    uid: int
    gid: int

    @property
    def is_own(self) -> bool:
        """Whether the service itself runs as this user."""
        return self.uid == os.geteuid()

    @property
    def credentials(self) -> tuple[int, int] | None:
        """The (uid, gid) to change to; None if the service itself runs as this user."""
        return None if self.is_own else (self.uid, self.gid)

    def adopt(self, path: Path) -> None:
        """Make the user the owner of a file or folder."""
        if not self.is_own:
            os.chown(path, self.uid, self.gid)

    def can_reach(self, path: Path) -> bool:
        """Return whether the user may read the file (by modes, without ACLs)."""
        return self._may(path, stat.S_IROTH) and self.can_enter(path.parent)

    def can_write(self, folder: Path) -> bool:
        """Return whether the user may write files in the folder (by modes, without ACLs)."""
        return self._may(folder, stat.S_IWOTH)

    def can_enter(self, folder: Path) -> bool:
        """Return whether the user may enter the folder and all above it (by modes, without ACLs)."""
        return all(self._may(each, stat.S_IXOTH) for each in (folder, *folder.parents))

    def _may(self, path: Path, other_bit: int) -> bool:
        facts = path.stat()
        if facts.st_uid == self.uid:
            return bool(facts.st_mode & other_bit << 6)
        if facts.st_gid == self.gid:
            return bool(facts.st_mode & other_bit << 3)
        return bool(facts.st_mode & other_bit)


def choose_account(cluster: Path) -> Account:
    """Return the owner of an existing data folder, else an unprivileged user for root, else the user itself.

    Raises EmbeddedPostgresError.
    """
    if cluster.exists():
        return _owner_of(cluster)
    return _unprivileged() if os.geteuid() == 0 else _named(os.geteuid())


def _owner_of(cluster: Path) -> Account:
    owner = cluster.stat().st_uid
    if os.geteuid() not in {0, owner}:
        raise EmbeddedPostgresError(
            f"The data folder {cluster} belongs to user id {owner}, and this is user id {os.geteuid()}. Start as that "
            "user, or set DATA_DIR to another folder."
        )
    if owner == 0:
        raise EmbeddedPostgresError(
            f"The data folder {cluster} belongs to root, and PostgreSQL never runs as root. Give it to another user "
            "(chown -R)."
        )
    return _named(owner)


def _named(uid: int) -> Account:
    try:
        return Account(uid, pwd.getpwuid(uid).pw_gid)
    except KeyError:
        raise EmbeddedPostgresError(
            f"User id {uid} has no passwd entry, which PostgreSQL requires. Add the user, or set DATABASE_URL."
        ) from None


def _unprivileged() -> Account:
    for name in _PREFERRED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(entry.pw_uid, entry.pw_gid)
    raise EmbeddedPostgresError(
        "PostgreSQL never runs as root, and there is no user postgres or nobody to run it. Add one (useradd --system "
        "postgres), or set DATABASE_URL."
    )
