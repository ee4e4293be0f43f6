"""The data folder: created completely or not at all, and checked before use."""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

from adapters.embedded_postgres.account import Account, EmbeddedPostgresError
from adapters.embedded_postgres.passfile import Passfile, write_private
from adapters.embedded_postgres.programs import PostgresPrograms, ProgramRunner

ROLE = "pglambda"
BACKUP_ROLE = "pglambda_backup"
DATABASE = "pglambda"
_STAGING = "postgres.new-"
NEXT = "postgres.next"
"""The folder that is about to take the place of the data folder, beside it."""

_LOCALE = ("--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--encoding=UTF8")
_SINGLE_USER = ("--single", "-c", "exit_on_error=on", "-c", "log_min_messages=fatal")


@frozen
class Cluster:
    """The data folder, and the password file beside it."""

    folder: Path
    passfile: Passfile
    programs: PostgresPrograms
    account: Account
    runner: ProgramRunner

    def ensure(self) -> None:
        """Create the data folder if it does not exist; raises EmbeddedPostgresError if it cannot be used."""
        self.finish_restore()
        self._remove_staging()
        if not self.folder.exists():
            self._require_none_moved()
            self._create()
        self._require_major()
        if not has_passwords(self.passfile):
            self._replace_passwords()

    def replace_by(self, restored: Path) -> Path | None:
        """Put a complete and durable data folder of the same disk in place, and return where the former one is kept.

        After a kill at any point, the former folder is still in place, or the next `finish_restore` puts the new one
        there.
        """
        self.finish_restore()
        restored.rename(restored_folder(self.folder))
        sync(self.folder.parent)
        kept = self._put_aside() if self.folder.exists() else None
        self.finish_restore()
        return kept

    def finish_restore(self) -> None:
        """Put the restored data folder in place if a restore was killed after it had put the former one aside.

        If it was killed before that, the former folder stays, and the restored one is discarded.
        """
        restored = restored_folder(self.folder)
        if not restored.exists():
            return
        if self.folder.exists():  # renamed first: a folder that is removed in part must not look complete
            self._remove_staging()
            restored.rename(self.folder.with_name(f"{_STAGING}discarded"))
            self._remove_staging()
        else:
            restored.rename(self.folder)
        sync(self.folder.parent)

    def _put_aside(self) -> Path:
        number = 1
        while (kept := self.folder.with_name(f"{self.folder.name}.old-{number}")).exists():
            number += 1
        self.folder.rename(kept)
        sync(self.folder.parent)
        return kept

    def _create(self) -> None:
        passwords = new_passwords()
        with staging_folder(self.folder, self.account) as staging:
            secret = staging / "password"
            write_private(secret, secrets.token_hex(32))
            self.account.adopt(secret)
            created = staging / "created"
            options = ("-U", "postgres", f"--pwfile={secret}", "--auth=scram-sha-256", *_LOCALE)
            self.runner.run(self.programs.path("initdb"), "-D", str(created), *options)
            self._run_sql(
                created,
                f"CREATE ROLE {ROLE} LOGIN\nCREATE DATABASE {DATABASE} OWNER {ROLE}\n{password_statements(passwords)}",
            )
            self.passfile.write(passwords)
            created.rename(self.folder)
        sync(self.folder.parent)

    def _replace_passwords(self) -> None:
        """Give the roles new passwords, after the password file was lost; only the owner of the folder can."""
        passwords = new_passwords()
        self._run_sql(self.folder, password_statements(passwords))
        self.passfile.write(passwords)

    def _run_sql(self, folder: Path, statements: str) -> None:
        run_sql(self.runner, self.programs, folder, statements)

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


def new_passwords() -> Mapping[str, str]:
    """Return a new password for each role that connects."""
    return {role: secrets.token_hex(32) for role in (ROLE, BACKUP_ROLE)}


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


def has_passwords(passfile: Passfile) -> bool:
    """Return whether the file has the password of each role; that of an earlier release lacks one."""
    return {ROLE, BACKUP_ROLE} <= set(passfile.read())


def password_statements(passwords: Mapping[str, str]) -> str:
    """Return the statements, one per line, that give the roles these passwords, and make the role of backups."""
    return "".join(
        (
            f"DO $$BEGIN IF to_regrole('{BACKUP_ROLE}') IS NULL THEN CREATE ROLE {BACKUP_ROLE}; END IF; END$$\n",
            f"ALTER ROLE {BACKUP_ROLE} LOGIN REPLICATION\n",
            *(f"ALTER ROLE {role} PASSWORD '{password}'\n" for role, password in passwords.items()),
        )
    )


def run_sql(
    runner: ProgramRunner,
    programs: PostgresPrograms,
    folder: Path,
    statements: str,
    parameters: Mapping[str, str] | None = None,
) -> None:
    """Run statements, one per line, without a server; they never contain foreign text."""
    options = [part for name, value in (parameters or {}).items() for part in ("-c", f"{name}={value}")]
    runner.run(programs.path("postgres"), *_SINGLE_USER, *options, "-D", str(folder), "postgres", text=statements)


def restored_folder(folder: Path) -> Path:
    """Return where a complete restored data folder waits to be put in place of `folder`."""
    return folder.with_name(f"{folder.name}.restored")


def sync(folder: Path) -> None:
    """Make a rename in the folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
