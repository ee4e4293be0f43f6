"""Trees of packages that a test writes, and a cache that has them on this host."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from attrs import define, field
from typing_extensions import override

from domain.environments.ports import HeldTree, TreeCache
from domain.errors import StorageUnavailable
from domain.scripts.environment import Environment


@define(eq=False)
class HeldFolder(HeldTree):
    """A hold on a folder; `held` are all that were not released."""

    path: Path
    held: list["HeldFolder"]

    @override
    def release(self) -> None:
        if self in self.held:
            self.held.remove(self)


@define(eq=False)
class Folders(TreeCache):
    """Folders by digest. `holds` counts calls."""

    root: Path
    held: list[HeldFolder] = field(factory=list)
    holds: int = 0
    _paths: dict[str, Path] = field(factory=dict)

    @override
    async def hold(self, digest: str) -> HeldTree:
        self.holds += 1
        if digest not in self._paths:
            raise StorageUnavailable
        held = HeldFolder(self._paths[digest], self.held)
        self.held.append(held)
        return held

    def path_of(self, environment: Environment) -> Path:
        """Return the folder of an environment."""
        return self._paths[environment.digest]

    def add(self, name: str, files: Mapping[str, str], preload: tuple[str, ...] = ()) -> Environment:
        """Write a tree with these files; return its environment."""
        folder = self.root / name
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        return self.add_folder(name, folder, preload)

    def add_folder(self, name: str, folder: Path, preload: tuple[str, ...] = ()) -> Environment:
        """Take a folder as it is; return its environment."""
        for each in (folder, *folder.rglob("*")):
            each.chmod(0o755 if each.is_dir() else 0o644)
        digest = hashlib.sha256(name.encode()).hexdigest()
        self._paths[digest] = folder
        return Environment(name, 1, digest, preload)
