"""The passwords of the server's roles."""

import os
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen


@frozen
class Passfile:
    """A file in libpq's format that only the service's user can read."""

    path: Path

    def read(self) -> Mapping[str, str]:
        """Return the password of each role; empty if there is no file."""
        try:
            lines = self.path.read_text().splitlines()
        except FileNotFoundError:
            return {}
        fields = [line.split(":") for line in lines if line]
        return {role: password for *_, role, password in fields}

    def write(self, passwords: Mapping[str, str]) -> None:
        """Replace the file; after a kill at any point it is the old one or the new one."""
        staged = self.path.with_name(f"{self.path.name}.new")
        staged.unlink(missing_ok=True)
        write_private(staged, "".join(f"*:*:*:{role}:{password}\n" for role, password in passwords.items()))
        staged.rename(self.path)


def write_private(path: Path, text: str) -> None:
    """Write a new file durably (0600)."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
