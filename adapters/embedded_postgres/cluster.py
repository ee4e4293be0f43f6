"""The data folder: created completely or not at all, and checked before use."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from adapters.embedded_postgres.account import Account, EmbeddedPostgresError
from adapters.embedded_postgres.programs import PostgresPrograms, ProgramRunner

ROLE = "pglambda"
DATABASE = "pglambda"
_STAGING = "postgres.new-"
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
            self._create()
        self._require_major()
        if not self.passfile.exists():
            self._replace_password()

    def _create(self) -> None:
        password = secrets.token_hex(32)
        with self._staging() as staging:
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
        _sync(self.folder.parent)

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

    def _require_major(self) -> None:
        found = (self.folder / "PG_VERSION").read_text().strip()
        if found != self.programs.major:
            raise EmbeddedPostgresError(
                f"PostgreSQL {found} created the data folder {self.folder}. This release has PostgreSQL "
                f"{self.programs.major}, which cannot read it. Write a dump with pg_dump while the earlier release "
                "serves, move the folder away, and load the dump with pg_restore while this release serves. "
                'docs/operations.md has the commands, under "A new major version of the embedded PostgreSQL".'
            )

    @contextmanager
    def _staging(self) -> Iterator[Path]:
        staging = Path(tempfile.mkdtemp(prefix=_STAGING, dir=self.folder.parent))
        try:
            self.account.adopt(staging)
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)

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


def _sync(folder: Path) -> None:
    """Make a rename in the folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
