"""The data folder: created completely or not at all, and checked before use."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from adapters.embedded_postgres.account import Account, EmbeddedPostgresError
from adapters.embedded_postgres.programs import PostgresPrograms, ProgramRunner

ROLE = "pglambda"
DATABASE = "pglambda"
_STAGING = "postgres.new-"
NEXT = "postgres.next"
"""The folder that is about to take the place of the data folder, beside it."""

_LOCALE = ("--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--encoding=UTF8")
_SINGLE_USER = ("--single", "-c", "exit_on_error=on", "-c", "log_min_messages=fatal")


@frozen
class Cluster:
    """The data folder, and the password file beside it (in libpq's format, readable by the service's user only)."""

    folder: Path
    passfile: Path
    programs: PostgresPrograms
    account: Account
    runner: ProgramRunner

    def ensure(self) -> None:
        """Create the data folder if it does not exist; raises EmbeddedPostgresError if it cannot be used."""
        self._remove_staging()
        if not self.folder.exists():
            self._require_none_moved()
            self._create()
        self._require_major()
        if not self.passfile.exists():
            self._replace_password()

    def _create(self) -> None:
        password = secrets.token_hex(32)
        with staging_folder(self.folder, self.account) as staging:
            secret = staging / "password"
            self._write_private(secret, secrets.token_hex(32), self.account)
            created = staging / "created"
            options = ("-U", "postgres", f"--pwfile={secret}", "--auth=scram-sha-256", *_LOCALE)
            self.runner.run(self.programs.path("initdb"), "-D", str(created), *options)
            self._run_sql(
                created,
                f"CREATE ROLE {ROLE} LOGIN CONNECTION LIMIT -1 PASSWORD '{password}'\n"
                f"CREATE DATABASE {DATABASE} OWNER {ROLE}\n",
            )
            self._store_password(password)
            created.rename(self.folder)
        sync(self.folder.parent)

    def _replace_password(self) -> None:
        """Give the role a new password, after the password file was lost; only the owner of the folder can."""
        password = secrets.token_hex(32)
        self._run_sql(self.folder, f"ALTER ROLE {ROLE} PASSWORD '{password}'\n")
        self._store_password(password)

    def _run_sql(self, folder: Path, statements: str) -> None:
        """Run statements, one per line, without a server; they never contain foreign text."""
        self.runner.run(self.programs.path("postgres"), *_SINGLE_USER, "-D", str(folder), "postgres", text=statements)

    def _store_password(self, password: str) -> None:
        staged = self.passfile.with_name(f"{self.passfile.name}.new")
        staged.unlink(missing_ok=True)
        self._write_private(staged, f"*:*:{DATABASE}:{ROLE}:{password}\n", None)
        staged.rename(self.passfile)

    def _require_none_moved(self) -> None:
        """Raise EmbeddedPostgresError if an upgrade was interrupted while it exchanged the folders."""
        following = self.folder.with_name(NEXT)
        moved = [*([following] if following.exists() else []), *kept_folders(self.folder)]
        if moved:
            raise EmbeddedPostgresError(
                f"The data folder {self.folder} does not exist, but {moved[0]} does: an upgrade was interrupted. Run "
                "`pglambda upgrade-database`, which completes it."
            )

    def _require_major(self) -> None:
        found = str(major_of(self.folder))
        if found != self.programs.major:
            raise EmbeddedPostgresError(
                f"PostgreSQL {found} created the data folder {self.folder}. This release has PostgreSQL "
                f"{self.programs.major}, which cannot read it. {_remedy(found, self.programs.major)}"
            )

    def _remove_staging(self) -> None:
        for leftover in self.folder.parent.glob(f"{_STAGING}*"):
            shutil.rmtree(leftover, ignore_errors=True)

    @staticmethod
    def _write_private(path: Path, text: str, owner: Account | None) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        if owner is not None:
            owner.adopt(path)


@contextmanager
def staging_folder(folder: Path, account: Account) -> Iterator[Path]:
    """Yield a folder of the account beside a data folder; it is removed afterwards, or before the next start."""
    staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=folder.parent))
    try:
        account.adopt(staging)
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def major_of(folder: Path) -> str | None:
    """Return the major version of PostgreSQL that a data folder belongs to; None if it is no data folder."""
    try:
        return (folder / "PG_VERSION").read_text().strip()
    except OSError:
        return None


def kept_folders(folder: Path) -> Sequence[Path]:
    """Return the data folders of other major versions that upgrades have kept beside this one."""
    return [path for path in sorted(folder.parent.glob("postgres-[0-9]*")) if major_of(path) is not None]


def _remedy(found: str, major: str) -> str:
    if found.isdigit() and int(found) > int(major):
        return "Start a newer release, or return to the data folder of before: `pglambda upgrade-database --back`."
    return "Upgrade it with `pglambda upgrade-database`; --dry-run shows first what that needs."


def sync(folder: Path) -> None:
    """Make a rename in the folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
