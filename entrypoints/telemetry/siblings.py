"""The processes of a service, as one finds the metrics of the others."""

from pathlib import Path

from msgspec import Struct


class Siblings(Struct, frozen=True):
    """The folder of the sockets, the name of this process, and the names of all."""

    folder: str
    own: str
    names: tuple[str, ...]

    def path(self, name: str) -> str:
        """Return the socket of a process."""
        return str(Path(self.folder) / f"metrics-{name}")
