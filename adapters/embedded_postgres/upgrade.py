"""The move of the data folder to the major version of this release, by dump and restore, and the way back."""

import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from attrs import define, evolve, field, frozen

from adapters.embedded_postgres.account import Account, EmbeddedPostgresError, choose_account
from adapters.embedded_postgres.cluster import NEXT, kept_folders, major_of, restored_folder, staging_folder, sync
from adapters.embedded_postgres.programs import PostgresPrograms, ProgramRunner, find_earlier, usual_folders
from adapters.embedded_postgres.server import EmbeddedPostgres, EmbeddedPostgresOptions

_COPY_TIMEOUT_S = 12 * 3600.0
"""The limit of the dump, and of the restore."""

_SPARE_BYTES = 256 * 1024 * 1024
"""What an empty data folder and its write-ahead log take."""

_JOBS_MAX = 4

Report = Callable[[str, int], None]
"""Receives what the upgrade does, and how many bytes it has copied since the last report."""

Running = Callable[[EmbeddedPostgres], AbstractContextManager[str]]
"""Runs a server until the end of the context, which has its URL; raises an error with a text for operators."""


@frozen
class UpgradePlan:
    """From which programs to which, and the size of the data folder."""

    old: PostgresPrograms
    new: PostgresPrograms
    size_bytes: int
    free_bytes: int

    @property
    def needed_bytes(self) -> int:
        """The space for the dump and for the new data folder; neither is larger than the earlier folder."""
        return 2 * self.size_bytes + _SPARE_BYTES


@frozen
class KeptFolder:
    """A data folder of another major version that was kept."""

    path: Path
    major: int
    size_bytes: int


@define
class DatabaseUpgrade:
    """Upgrades the data folder of `server`, whose lock the caller holds; the server does not run.

    The dump is written by the pg_dump of the earlier version, because it knows what that version stores: pg_upgrade and
    newer programs of an older minor release may not. The data folder stays as it is until the folders are exchanged by
    renames. So a run may be killed at any point and repeated; `settle` completes an exchange. Every method may raise
    EmbeddedPostgresError.
    """

    server: EmbeddedPostgres
    running: Running

    @property
    def major(self) -> str | None:
        """The major version of the data folder; None if there is none."""
        return major_of(self._folder)

    @property
    def target(self) -> str:
        """The major version of this release."""
        return self.server.installed.major

    @property
    def kept(self) -> Sequence[KeptFolder]:
        """The folders that earlier upgrades have kept, the oldest version first."""
        found = [KeptFolder(path, int(major_of(path) or 0), size_of(path)) for path in kept_folders(self._folder)]
        return sorted(found, key=lambda each: each.major)

    def settle(self) -> None:
        """Complete, or take back, the exchange of an interrupted run."""
        following = self._folder.with_name(NEXT)
        if restored_folder(self._folder).exists():
            return  # a restore was interrupted, which the next start completes
        if not self._folder.exists():
            waiting = [following] if following.exists() else [each.path for each in self.kept]
            for path in waiting[:1]:
                self._rename(path, self._folder)
        elif following.exists():
            shutil.rmtree(following)  # the data folder may have changed since this copy was made

    def plan(self, programs: Path | None) -> UpgradePlan:
        """Return what an upgrade takes; `programs` is the folder with the `bin` of the earlier major version."""
        if self.major is None or int(self.major) > int(self.target):
            raise EmbeddedPostgresError(
                f"The data folder {self._folder} is of PostgreSQL {self.major}, and this release has {self.target}. "
                "Only an earlier one can be upgraded. Start a newer release."
            )
        if self.kept:
            raise EmbeddedPostgresError(
                f"{self.kept[0].path} is kept from an earlier upgrade. Remove it first: `pglambda upgrade-database "
                "--finish`."
            )
        copies = sorted(self._options.data_dir.glob(f"postgres-{self.major}.*-programs"))
        folders = [programs] if programs else [*copies, *usual_folders(self.major)]
        old = find_earlier(self.major, folders, self._runner)
        free_bytes = shutil.disk_usage(self._options.data_dir).free
        return UpgradePlan(old, self.server.installed, size_of(self._folder), free_bytes)

    def run(self, plan: UpgradePlan, report: Report, *, check_only: bool = False) -> None:
        """Upgrade the data folder, or only its schema into a folder that is removed; the earlier one stays."""
        if plan.free_bytes < plan.needed_bytes:
            raise EmbeddedPostgresError(
                f"The upgrade needs {_mib(plan.needed_bytes)} in {self._options.data_dir}, and {_mib(plan.free_bytes)} "
                "are free. Make room, or move DATA_DIR to a larger file system."
            )
        report("preparing", 0)
        with ExitStack() as stack:
            earlier = evolve(self._options, wal_archive=None)  # a dump changes nothing
            with self.running(evolve(self.server, installed=plan.old, options=earlier)) as source:
                # The start has removed the staging folders of interrupted runs.
                staging = stack.enter_context(staging_folder(self._folder, choose_account(self._folder)))
                self._dump(plan, source, staging, report, check_only=check_only)
            with self.running(evolve(self.server, options=evolve(earlier, data_dir=staging))) as target:
                self._restore(plan, target, staging, report)
            if not check_only:
                self._exchange(staging / self._folder.name)

    def way_back(self) -> KeptFolder:
        """Return the kept folder that `back` puts in the place of the data folder."""
        earlier = [each for each in self.kept if self.major is not None and each.major < int(self.major)]
        if not earlier:
            raise EmbeddedPostgresError(
                f"No data folder of an earlier PostgreSQL is kept beside {self._folder}. There is no way back."
            )
        return earlier[0]

    def back(self) -> Path:
        """Put the kept folder of an earlier version back in its place, keep the present one, and return its path."""
        earlier, present = self.way_back(), self._kept_as(str(self.major))
        self._forget_password()
        self._rename(self._folder, present)
        self._rename(earlier.path, self._folder)
        return present

    def finish(self) -> None:
        """Remove the kept folders; there is no way back after that.

        Each is renamed first. So after a kill no part of it is taken for a kept folder, and `settle` removes the rest.
        """
        following = self._folder.with_name(NEXT)
        for each in self.kept:
            self._rename(each.path, following)
            shutil.rmtree(following)

    def _dump(self, plan: UpgradePlan, url: str, staging: Path, report: Report, *, check_only: bool) -> None:
        dump = staging / "dump"
        copied = _Copied("dumping", dump, plan.size_bytes, report)
        options = [f"--file={dump}", "--format=custom", "--compress=1", *(["--schema-only"] if check_only else [])]
        self._client(plan.old, "pg_dump", url, *options, tick=copied.measure)
        copied.complete()

    def _restore(self, plan: UpgradePlan, url: str, staging: Path, report: Report) -> None:
        copied = _Copied("restoring", staging / self._folder.name, plan.size_bytes, report)
        jobs = f"--jobs={min(os.cpu_count() or 1, _JOBS_MAX)}"
        self._client(plan.new, "pg_restore", url, "--exit-on-error", jobs, str(staging / "dump"), tick=copied.measure)
        self._client(plan.new, "vacuumdb", url, "--analyze-only", "--quiet")
        copied.complete()

    def _client(
        self, programs: PostgresPrograms, name: str, url: str, *options: str, tick: Callable[[], None] | None = None
    ) -> None:
        """Run a client program as the user of this process, who may read the password."""
        runner = ProgramRunner(self.server.launch, Account(os.geteuid(), os.getegid()), _COPY_TIMEOUT_S)
        runner.run(programs.path(name), f"--dbname={url}", *options, tick=tick)

    def _exchange(self, successor: Path) -> None:
        """Put a folder in the place of the data folder, which is kept."""
        following = self._folder.with_name(NEXT)
        self._forget_password()
        self._rename(successor, following)
        self._rename(self._folder, self._kept_as(str(self.major)))
        self._rename(following, self._folder)

    def _forget_password(self) -> None:
        """Remove the password of one folder; the next start gives the role of the other one a new password."""
        (self._options.data_dir / "pgpass").unlink(missing_ok=True)

    def _rename(self, source: Path, target: Path) -> None:
        source.rename(target)
        sync(self._folder.parent)

    def _kept_as(self, major: str) -> Path:
        return self._folder.with_name(f"postgres-{major}")

    @property
    def _runner(self) -> ProgramRunner:
        return ProgramRunner(self.server.launch, choose_account(self._folder), self._options.init_timeout_s)

    @property
    def _folder(self) -> Path:
        return self._options.data_dir / "postgres"

    @property
    def _options(self) -> EmbeddedPostgresOptions:
        return self.server.options


@define
class _Copied:
    """Reports how far a copy is, by the growth of a file or folder up to a size."""

    _phase: str
    _path: Path
    _size_bytes: int
    _report: Report
    _before_bytes: int = field(init=False)
    _reported_bytes: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self._before_bytes = size_of(self._path)
        self._report(self._phase, 0)

    def measure(self) -> None:
        """Report what has come since the last time."""
        self._reach(min(size_of(self._path) - self._before_bytes, self._size_bytes))

    def complete(self) -> None:
        """Report the rest."""
        self._reach(self._size_bytes)

    def _reach(self, copied_bytes: int) -> None:
        more = max(copied_bytes - self._reported_bytes, 0)
        self._reported_bytes += more
        self._report(self._phase, more)


def size_of(path: Path) -> int:
    """Return what a file, or all files below a folder, take on disk in bytes; a file may go meanwhile."""
    total = 0
    for each in (path, *path.rglob("*")):
        try:
            total += each.lstat().st_blocks * 512
        except FileNotFoundError:
            continue
    return total


def _mib(size_bytes: int) -> str:
    return f"{size_bytes / (1024 * 1024):,.0f} MiB"
