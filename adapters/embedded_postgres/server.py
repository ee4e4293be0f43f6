"""The embedded server: prepared, started, ready, stopped."""

import hashlib
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlencode

from attrs import define, field, frozen

from adapters.embedded_postgres.account import Account, EmbeddedPostgresError, choose_account
from adapters.embedded_postgres.archive import archive_of, archive_parameters, archive_timelines, prepare_archive
from adapters.embedded_postgres.cluster import DATABASE, ROLE, Cluster, restored_folder
from adapters.embedded_postgres.leftovers import Leftovers
from adapters.embedded_postgres.passfile import Passfile
from adapters.embedded_postgres.programs import ENVIRONMENT, Launch, PostgresPrograms, ProgramRunner, find_programs

_STATUS_LINE = 7
_RESERVED_CONNECTIONS = 12
_LOG_BYTES_MAX = 10 * 1024 * 1024
_LOG_SHOWN_BYTES = 2000
_PORT = 5432
_SOCKET = f".s.PGSQL.{_PORT}"
_SOCKET_PATH_BYTES_MAX = 107
_SHORT_PARENT = Path("/tmp")  # noqa: S108  # mkdtemp makes private and unpredictable folders in it
_SHORT_PREFIX = "pglambda-"


@frozen
class EmbeddedPostgresOptions:
    """Where the server is, and how large it may become; times in seconds.

    `wal_archive` has a folder for the WAL of each database. `parameters` are further ones of the server.
    """

    data_dir: Path
    connections_max: int = 20
    shared_buffers_mb: int = 128
    init_timeout_s: float = 120
    leftover_timeout_s: float = 10
    wal_archive: Path | None = None
    parameters: Mapping[str, str] = field(factory=dict)


@define
class EmbeddedPostgres:
    """One PostgreSQL server under `data_dir`; the caller holds the lock of that folder."""

    fast_stop: ClassVar[signal.Signals] = signal.SIGINT
    immediate_stop: ClassVar[signal.Signals] = signal.SIGQUIT

    options: EmbeddedPostgresOptions
    launch: Launch
    installed: PostgresPrograms = field(factory=find_programs)
    _account: Account | None = None
    _programs: PostgresPrograms | None = None
    _socket_folder: Path | None = None

    @property
    def exists(self) -> bool:
        """Whether the data folder exists. If not, `prepare` creates it."""
        folder = self._cluster_folder
        return any((each / "PG_VERSION").exists() for each in (folder, restored_folder(folder)))

    @property
    def leftovers(self) -> Leftovers:
        """What earlier servers have left on an existing data folder."""
        return Leftovers(self._cluster_folder, self._name, choose_account(self._cluster_folder).uid)

    def prepare(self) -> None:
        """Create the data folder if it does not exist, and end an earlier server; takes seconds the first time.

        Raises EmbeddedPostgresError.
        """
        account = choose_account(self._cluster_folder)
        self._require_access(account)
        self._account, self._programs = account, self.installed.reachable_by(account, self.options.data_dir)
        self.leftovers.end(self.options.leftover_timeout_s)
        runner = ProgramRunner(self.launch, account, self.options.init_timeout_s)
        Cluster(self._cluster_folder, Passfile(self._passfile), self._programs, account, runner).ensure()
        if self._wal_archive is not None:
            prepare_archive(self._wal_archive, account)
            archive_timelines(self._wal_archive, self._cluster_folder, account)
        # A restarted server keeps the socket folder that its clients know.
        self._socket_folder = self._socket_folder or make_socket_folder(self._preferred_socket_folder, account)
        _clear_socket_folder(self._socket_folder)

    def start(self) -> subprocess.Popen[bytes]:
        """Start the prepared server; it ends at once when the process of the calling thread ends."""
        assert self._account is not None
        assert self._programs is not None
        self._rotate_log()
        with self._log.open("ab") as log:
            return self.launch(
                (self._programs.path("postgres"), "-D", str(self._cluster_folder), *self._arguments()),
                credentials=self._account.credentials,
                death_signal=self.immediate_stop,  # a fast stop writes a checkpoint first, however long that takes
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def is_ready(self) -> bool:
        """Return whether the server accepts connections, from the last line of its pid file."""
        try:
            lines = (self._cluster_folder / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) > _STATUS_LINE and lines[_STATUS_LINE].strip() == "ready"

    def forget(self) -> None:
        """Remove the socket folder of a stopped server."""
        if self._socket_folder is not None:
            remove_socket_folder(self._preferred_socket_folder)
            self._socket_folder = None

    @property
    def url(self) -> str:
        """The URL of the server, without a secret: libpq reads the password from the file that the URL names."""
        facts = {"host": str(self._socket_folder), "port": _PORT, "user": ROLE, "passfile": str(self._passfile)}
        return f"postgresql:///{DATABASE}?{urlencode(facts)}"

    @property
    def log_tail(self) -> str:
        """The end of the server's log."""
        try:
            return self._log.read_bytes()[-_LOG_SHOWN_BYTES:].decode(errors="replace").strip()
        except OSError:
            return ""

    @property
    def _cluster_folder(self) -> Path:
        return self.options.data_dir / "postgres"

    @property
    def _wal_archive(self) -> Path | None:
        archives = self.options.wal_archive
        return None if archives is None else archive_of(archives, self._cluster_folder)

    @property
    def _preferred_socket_folder(self) -> Path:
        return self.options.data_dir / "socket"

    @property
    def _passfile(self) -> Path:
        return self.options.data_dir / "pgpass"

    @property
    def _log(self) -> Path:
        return self.options.data_dir / "postgres.log"

    @property
    def _name(self) -> str:
        """The name of the server's processes in the process table; it differs between data folders."""
        return "pglambda-" + hashlib.sha256(str(self._cluster_folder).encode()).hexdigest()[:12]

    def _require_access(self, account: Account) -> None:
        if not account.is_own and not account.can_enter(self.options.data_dir):
            raise EmbeddedPostgresError(
                f"PostgreSQL runs as user id {account.uid}, which may not enter {self.options.data_dir}. "
                "Let other users enter its folders (chmod o+x), or set DATA_DIR to another folder."
            )

    def _rotate_log(self) -> None:
        if self._log.exists() and self._log.stat().st_size > _LOG_BYTES_MAX:
            self._log.replace(self._log.with_name("postgres.log.1"))

    def _arguments(self) -> Iterator[str]:
        for name, value in self._parameters().items():
            yield from ("-c", f"{name}={value}")

    def _parameters(self) -> Mapping[str, object]:
        return {
            "cluster_name": self._name,
            "listen_addresses": "",
            "port": _PORT,
            "unix_socket_directories": self._socket_folder,
            "unix_socket_permissions": "0700",
            "max_connections": self.options.connections_max + _RESERVED_CONNECTIONS,
            "shared_buffers": f"{self.options.shared_buffers_mb}MB",
            "max_wal_size": "512MB",
            "max_slot_wal_keep_size": "4GB",  # a backup whose reader stalls must not fill the disk
            "max_worker_processes": 4,
            "max_parallel_workers_per_gather": 0,
            "jit": "off",
            "idle_in_transaction_session_timeout": "60s",
            "log_min_messages": "log",  # callers get the errors of statements; in the log they could fill the disk
            "log_checkpoints": "off",
            "log_timezone": "UTC",
            "timezone": "UTC",
            **archive_parameters(self._wal_archive),
            **self.options.parameters,
        }


def make_socket_folder(preferred: Path, account: Account) -> Path:
    """Return an empty folder (0700, the account's): `preferred`, or a short unpredictable one if its path is too long.

    The path of a Unix socket has at most 107 bytes. `preferred` is then a link to the short folder.
    """
    remove_socket_folder(preferred)
    if len(str(preferred / _SOCKET).encode()) <= _SOCKET_PATH_BYTES_MAX:
        preferred.mkdir(mode=0o700)
        folder = preferred
    else:
        folder = Path(tempfile.mkdtemp(prefix=_SHORT_PREFIX, dir=_SHORT_PARENT))
        preferred.symlink_to(folder)
    account.adopt(folder)
    return folder


def remove_socket_folder(preferred: Path) -> None:
    """Remove a folder from `make_socket_folder`, also one of an earlier process."""
    if not preferred.is_symlink():
        shutil.rmtree(preferred, ignore_errors=True)
        return
    folder = preferred.readlink()
    if folder.parent == _SHORT_PARENT and folder.name.startswith(_SHORT_PREFIX):
        shutil.rmtree(folder, ignore_errors=True)
    preferred.unlink()


def _clear_socket_folder(folder: Path) -> None:
    """Remove the files of a killed server. Its lock file could have the id of an unrelated process by now."""
    for leftover in folder.iterdir():
        leftover.unlink()
