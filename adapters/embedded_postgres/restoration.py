"""A backup that becomes a data folder: unpacked, verified, recovered, checked and put in place."""

import os
import shutil
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from typing import IO, Literal

from attrs import define, field, frozen

from adapters.embedded_postgres.account import Account, EmbeddedPostgresError, choose_account
from adapters.embedded_postgres.archive import archive_of, fetch_command, prepare_archive
from adapters.embedded_postgres.backup import url_as
from adapters.embedded_postgres.cluster import Cluster, has_passwords, new_passwords, password_statements, run_sql
from adapters.embedded_postgres.passfile import Passfile
from adapters.embedded_postgres.programs import Launch, PostgresPrograms, ProgramRunner, find_programs
from adapters.embedded_postgres.server import EmbeddedPostgres, EmbeddedPostgresOptions
from adapters.embedded_postgres.unpacking import BackupLabel, CountedStream, unpack

LATEST: Literal["latest"] = "latest"
_SUPERUSER = "postgres"
_STEP_TIMEOUT_S = 6 * 3600.0
"""The limit of one step; a day of WAL may have to be replayed."""


@frozen
class RecoveryTarget:
    """Up to where WAL is replayed: an instant, LATEST for all of it, or None for the end of the backup itself."""

    until: datetime | Literal["latest"] | None = None

    def parameters(self, archive: Path | None) -> Mapping[str, str]:
        """Return the parameters of a server that recovers; with an archive, it reads WAL from there."""
        common = {
            "restore_command": fetch_command(archive),
            "recovery_target_action": "promote",
            "hot_standby": "off",  # else the limits of the server that was backed up would have to be kept
            "recovery_init_sync_method": "syncfs",  # one call instead of one for each file
        }
        if self.until is None:
            return {**common, "recovery_target": "immediate", "recovery_target_timeline": "current"}
        if self.until == LATEST:
            return common
        return {**common, "recovery_target_time": self.until.isoformat()}


@define
class Restoration:
    """One backup, restored into `scratch`, a folder below DATA_DIR whose lock the caller holds.

    Nothing outside `scratch` changes before `put_in_place`. A copy that is only checked does not have to be durable.
    """

    options: EmbeddedPostgresOptions
    launch: Launch
    scratch: Path
    durable: bool
    installed: PostgresPrograms = field(factory=find_programs)

    def unpack(self, stream: IO[bytes], advance: Callable[[int], None]) -> BackupLabel:
        """Unpack a backup into the emptied scratch folder; raises EmbeddedPostgresError.

        `advance` receives the number of bytes that were read.
        """
        self.remove()
        label = unpack(CountedStream(stream, advance), self._folder, self._account)
        self._require_major()
        return label

    def verify(self) -> None:
        """Compare each file with the manifest of the backup; raises EmbeddedPostgresError."""
        manifest = self._folder / "backup_manifest"
        try:
            self._run_own(self.installed.path("pg_verifybackup"), "--exit-on-error", str(self._folder))
        except EmbeddedPostgresError as error:
            raise EmbeddedPostgresError(
                f"The backup is damaged, so nothing was changed. Use another one.\n{error}"
            ) from error
        manifest.unlink()

    def recover(self, label: BackupLabel, target: RecoveryTarget) -> None:
        """Replay WAL up to the target, on a new timeline, and give the roles new passwords.

        Raises EmbeddedPostgresError.
        """
        if isinstance(target.until, datetime) and target.until <= label.started_at:
            raise _too_early(target)  # PostgreSQL would stop at the end of the backup
        archive = self._archive if self.durable or target.until is not None else None
        signal = self._folder / "recovery.signal"
        signal.touch(mode=0o600)
        self._account.adopt(signal)
        passwords = {**new_passwords(), _SUPERUSER: token_hex(32)}
        parameters = {**target.parameters(archive), **self._parameters}
        runner = ProgramRunner(self.launch, self._account, _STEP_TIMEOUT_S)
        try:
            run_sql(runner, self._programs, self._folder, password_statements(passwords), parameters)
        except EmbeddedPostgresError as error:
            raise _not_recovered(error, target) from error
        Passfile(self.scratch / "pgpass").write(passwords)

    def server(self) -> EmbeddedPostgres:
        """Return the server of the recovered data folder; it is not started."""
        options = EmbeddedPostgresOptions(
            self.scratch, connections_max=self.options.connections_max, parameters=self._parameters
        )
        return EmbeddedPostgres(options, self.launch, self.installed)

    def check_tables(self, server: EmbeddedPostgres) -> None:
        """Check all tables and indexes of the started server with amcheck; raises EmbeddedPostgresError."""
        url = url_as(server.url, _SUPERUSER)
        try:
            self._run_own(self.installed.path("pg_amcheck"), "--install-missing", "--heapallindexed", url)
        except EmbeddedPostgresError as error:
            raise EmbeddedPostgresError(
                "A table or an index in the backup is damaged, so nothing was changed. Use another backup, and check "
                f"the server: REINDEX repairs an index.\n{error}"
            ) from error
        self._run_own(self.installed.path("psql"), url, "--no-psqlrc", "--command=DROP EXTENSION amcheck")

    def put_in_place(self) -> Path | None:
        """Make the recovered data folder that of DATA_DIR, and return where the former one is kept.

        The server of DATA_DIR must not run. After a kill at any point, the former folder is in place, or the next start
        puts the new one there.
        """
        assert self.durable
        passfile = Passfile(self.options.data_dir / "pgpass")
        runner = ProgramRunner(self.launch, self._account, self.options.init_timeout_s)
        self._set_passwords(passfile, runner)
        cluster = Cluster(self._final, passfile, self._programs, self._account, runner)
        return cluster.replace_by(self._folder)

    def _set_passwords(self, passfile: Passfile, runner: ProgramRunner) -> None:
        """Give the recovered folder the passwords of DATA_DIR, so that their file fits it and the former folder.

        A start of the former folder may have written the file since the recovery. Without a complete file, the next
        start gives the roles new passwords.
        """
        if has_passwords(passfile):
            statements = password_statements(passfile.read())
            run_sql(runner, self._programs, self._folder, statements, self._parameters)
        else:
            passfile.path.unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove all that is in the scratch folder, and end a server that a killed command has left there."""
        if self._folder.exists():
            self.server().leftovers.end(self.options.leftover_timeout_s)
        for entry in self.scratch.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry.name != "lock":
                entry.unlink()

    @property
    def _folder(self) -> Path:
        return self.scratch / "postgres"

    @property
    def _final(self) -> Path:
        return self.options.data_dir / "postgres"

    @property
    def _account(self) -> Account:
        return choose_account(self._final)

    @property
    def _programs(self) -> PostgresPrograms:
        return self.installed.reachable_by(self._account, self.options.data_dir)

    @property
    def _archive(self) -> Path | None:
        """The archive of the database in the backup, which the server's user can read."""
        archives = self.options.wal_archive
        if archives is None:
            return None
        archive = archive_of(archives, self._folder)
        prepare_archive(archive, self._account)
        return archive

    @property
    def _parameters(self) -> Mapping[str, str]:
        if not self.durable:
            return {"fsync": "off"}
        # Without a library nothing is archived yet, but the new timeline is noted for the server that will archive.
        return {} if self.options.wal_archive is None else {"archive_mode": "on"}

    def _require_major(self) -> None:
        found = (self._folder / "PG_VERSION").read_text().strip()
        if found != self.installed.major:
            raise EmbeddedPostgresError(
                f"The backup is of PostgreSQL {found}, and this release has PostgreSQL {self.installed.major}. Nothing "
                "was changed. Restore it with the release that made it."
            )

    def _run_own(self, *argv: str) -> None:
        """Run a client program as this user, who may read the passwords."""
        own = Account(os.geteuid(), os.getegid())
        ProgramRunner(self.launch, own, _STEP_TIMEOUT_S).run(*argv)


def _too_early(target: RecoveryTarget) -> EmbeddedPostgresError:
    return EmbeddedPostgresError(
        f"The backup ended after {target.until}. Nothing was changed. Choose a later time, or an older backup."
    )


def _not_recovered(error: EmbeddedPostgresError, target: RecoveryTarget) -> EmbeddedPostgresError:
    text = str(error)
    if "before configured recovery target was reached" in text:
        reason = f"The WAL archive ends before {target.until}. Choose an earlier time, or `--until latest`."
    elif "before consistent recovery point" in text:
        return _too_early(target)
    else:
        reason = "The backup cannot be recovered."
    return EmbeddedPostgresError(f"{reason} Nothing was changed.\n{text}")
