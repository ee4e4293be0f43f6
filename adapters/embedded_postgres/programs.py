"""The PostgreSQL programs: where they are, and how they run."""

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Protocol

from attrs import frozen

from adapters.embedded_postgres.account import Account, EmbeddedPostgresError

ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"}
"""The whole environment of the programs."""

_USUAL_FOLDERS = ("/usr/lib/postgresql/{}", "/usr/pgsql-{}", "/usr/local/pgsql-{}")
_VERSION = re.compile(r"\(PostgreSQL\) (\d+\S*)")
_OUTPUT_SHOWN = 2000
_TICK_S = 1.0


@frozen
class PostgresPrograms:
    """The programs of one PostgreSQL version, in `folder`/bin."""

    folder: Path
    version: str

    @property
    def major(self) -> str:
        """The major version, which a data folder is bound to."""
        return self.version.partition(".")[0]

    def path(self, name: str) -> str:
        """Return the path of a program."""
        return str(self.folder / "bin" / name)

    def reachable_by(self, account: Account, data_dir: Path) -> "PostgresPrograms":
        """Return these programs, or a copy under `data_dir` (one per version) if the user cannot reach them."""
        if account.is_own or account.can_reach(Path(self.path("postgres"))):
            return self
        copy = data_dir / f"postgres-{self.version}-programs"
        if not copy.exists():
            self._copy_to(copy)
        return PostgresPrograms(copy, self.version)

    def _copy_to(self, copy: Path) -> None:
        """Copy to a temporary folder first, so that the copy exists completely or not at all."""
        staging = Path(tempfile.mkdtemp(prefix=f"{copy.name}.new-", dir=copy.parent))
        for part in ("bin", "lib", "share"):
            shutil.copytree(self.folder / part, staging / part, symlinks=True)
        for path in (staging, *staging.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        staging.rename(copy)


def find_programs(package: str = "embedded_postgres") -> PostgresPrograms:
    """Return the programs of the installed wheel, without importing it; raises EmbeddedPostgresError."""
    spec = find_spec(package)
    try:
        found = PostgresPrograms(Path(str(spec.origin)).parent / "pginstall", version(package)) if spec else None
    except PackageNotFoundError:
        found = None
    if found is None or not Path(found.path("postgres")).is_file():
        raise EmbeddedPostgresError(
            f"The package {package} is not installed, so there is no embedded PostgreSQL. Install it, or set "
            "DATABASE_URL."
        )
    return found


class Launch(Protocol):
    """Starts a program that ends with the calling process."""

    def __call__(  # noqa: PLR0913  # each is one property of a process
        self,
        argv: Sequence[str],
        *,
        credentials: tuple[int, int] | None,
        death_signal: int,
        env: Mapping[str, str],
        stdin: int | IO[bytes],
        stdout: int | IO[bytes],
        stderr: int | IO[bytes],
    ) -> subprocess.Popen[bytes]:
        """Start the program in its own session as (uid, gid); it receives `death_signal` when the caller ends."""
        ...


@frozen
class ProgramRunner:
    """Runs a program to its end."""

    launch: Launch
    account: Account
    timeout_s: float

    def run(self, *argv: str, text: str = "", tick: Callable[[], None] | None = None) -> str:
        """Run a program with `text` as its input, and return its output; `tick` is called every second meanwhile.

        Raises EmbeddedPostgresError unless the program succeeds in time.
        """
        process = self.launch(
            argv,
            credentials=self.account.credentials,
            death_signal=9,
            env=ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        with process:
            try:
                output = self._output(argv[0], process, text, tick)
            except BaseException:
                process.kill()
                raise
        if process.returncode != 0:
            raise EmbeddedPostgresError(
                f"{argv[0]} failed with status {process.returncode}. Correct what its output names:\n"
                f"{output.strip()[-_OUTPUT_SHOWN:]}"
            )
        return output

    def _output(
        self, program: str, process: "subprocess.Popen[bytes]", text: str, tick: Callable[[], None] | None
    ) -> str:
        ends_at, given = time.monotonic() + self.timeout_s, text.encode()
        while (left_s := ends_at - time.monotonic()) > 0:
            with suppress(subprocess.TimeoutExpired):
                output, _ = process.communicate(given, timeout=left_s if tick is None else min(left_s, _TICK_S))
                return output.decode(errors="replace")
            if tick is not None:
                tick()
        raise EmbeddedPostgresError(
            f"{program} did not end within {self.timeout_s:.0f} s. Try again when the machine is less busy."
        )


def usual_folders(major: str) -> Sequence[Path]:
    """Return where distributions have the programs of a major version."""
    return [Path(folder.format(major)) for folder in _USUAL_FOLDERS]


def find_earlier(major: str, folders: Sequence[Path], runner: ProgramRunner) -> PostgresPrograms:
    """Return the programs of a major version from the first of these folders; raises EmbeddedPostgresError."""
    for folder in folders:
        program = folder / "bin" / "postgres"
        if (
            program.is_file()
            and program.with_name("pg_dump").is_file()
            and (said := _VERSION.search(runner.run(str(program), "--version")))
        ):
            found = PostgresPrograms(folder, said[1])
            if found.major == major:
                return found
    raise EmbeddedPostgresError(
        f"The data folder needs the programs of PostgreSQL {major}, and they are in none of "
        f"{', '.join(map(str, folders))}. Install them (Debian: apt-get install postgresql-{major}), or name the "
        "folder above their `bin` with --old-programs."
    )
