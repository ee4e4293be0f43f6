"""The embedded server's life: prepared, started, ready, stopped."""

import hashlib
import signal
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlencode

from attrs import define, field, frozen

from adapters.embedded_postgres.account import Account, choose_account
from adapters.embedded_postgres.binaries import Binaries, find_binaries
from adapters.embedded_postgres.cluster import DATABASE, ROLE, Cluster
from adapters.embedded_postgres.errors import EmbeddedPostgresError
from adapters.embedded_postgres.launch import ENVIRONMENT, Launch, Tool
from adapters.embedded_postgres.leftovers import Leftovers
from adapters.embedded_postgres.socket_folder import PORT, clear_socket_folder, make_socket_folder, remove_socket_folder

_STATUS_LINE = 7
_RESERVED_CONNECTIONS = 12
_LOG_BYTES_MAX = 10 * 1024 * 1024
_LOG_SHOWN_BYTES = 2000


@frozen
class EmbeddedPostgresOptions:
    """Where the server lives and how large it may become; times in seconds."""

    data_dir: Path
    connections_max: int = 20
    shared_buffers_mb: int = 128
    init_timeout_s: float = 120
    leftover_timeout_s: float = 10


@define
class EmbeddedPostgres:
    """One PostgreSQL server under `data_dir`, whose lock the caller holds."""

    fast_stop: ClassVar[signal.Signals] = signal.SIGINT
    immediate_stop: ClassVar[signal.Signals] = signal.SIGQUIT

    options: EmbeddedPostgresOptions
    launch: Launch
    binaries: Binaries = field(factory=find_binaries)
    _account: Account | None = None
    _programs: Binaries | None = None
    _socket_folder: Path | None = None

    @property
    def exists(self) -> bool:
        """Whether there is a data folder; `prepare` makes one where there is none."""
        return (self._cluster_folder / "PG_VERSION").exists()

    def prepare(self) -> None:
        """Make the data folder if there is none, and end what an earlier server left; takes seconds the first time.

        Raises EmbeddedPostgresError.
        """
        account = choose_account(self._cluster_folder)
        self._require_reach(account)
        self._account, self._programs = account, self.binaries.reachable_by(account, self.options.data_dir)
        Leftovers(self._cluster_folder, self._name, account.uid).end(self.options.leftover_timeout_s)
        tool = Tool(self.launch, account, self.options.init_timeout_s)
        Cluster(self._cluster_folder, self._passfile, self._programs, account, tool).ensure()
        # A server that is started again stays where its clients look for it.
        self._socket_folder = self._socket_folder or make_socket_folder(self._preferred_socket_folder, account)
        clear_socket_folder(self._socket_folder)

    def start(self) -> subprocess.Popen[bytes]:
        """Start the prepared server; it ends at once when the calling thread's process is gone."""
        assert self._account is not None
        assert self._programs is not None
        self._roll_log()
        with self._log.open("ab") as log:
            return self.launch(
                (self._programs.program("postgres"), "-D", str(self._cluster_folder), *self._arguments()),
                credentials=self._account.credentials,
                death_signal=self.immediate_stop,  # a fast stop writes a checkpoint first, however long that takes
                env=ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def is_ready(self) -> bool:
        """Tell whether the server takes connections, by the last line of its pid file."""
        try:
            lines = (self._cluster_folder / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) > _STATUS_LINE and lines[_STATUS_LINE].strip() == "ready"

    def forget(self) -> None:
        """Remove the socket folder of a server that has stopped."""
        if self._socket_folder is not None:
            remove_socket_folder(self._preferred_socket_folder)
            self._socket_folder = None

    @property
    def url(self) -> str:
        """Where to connect, without a secret: libpq reads the password from the file that it names."""
        facts = {"host": str(self._socket_folder), "port": PORT, "user": ROLE, "passfile": str(self._passfile)}
        return f"postgresql:///{DATABASE}?{urlencode(facts)}"

    @property
    def log_tail(self) -> str:
        """The last lines that the server has written."""
        try:
            return self._log.read_bytes()[-_LOG_SHOWN_BYTES:].decode(errors="replace").strip()
        except OSError:
            return ""

    @property
    def _cluster_folder(self) -> Path:
        return self.options.data_dir / "postgres"

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
        """What the server's processes are called in the process table; another folder's have another name."""
        return "pglambda-" + hashlib.sha256(str(self._cluster_folder).encode()).hexdigest()[:12]

    def _require_reach(self, account: Account) -> None:
        if not account.is_own and not account.can_enter(self.options.data_dir):
            raise EmbeddedPostgresError(
                f"PostgreSQL runs as user id {account.uid}, which may not enter {self.options.data_dir}. "
                "Let others pass its folders (chmod o+x), or set DATA_DIR to another one."
            )

    def _roll_log(self) -> None:
        if self._log.exists() and self._log.stat().st_size > _LOG_BYTES_MAX:
            self._log.replace(self._log.with_name("postgres.log.1"))

    def _arguments(self) -> Iterator[str]:
        for name, value in self._parameters().items():
            yield from ("-c", f"{name}={value}")

    def _parameters(self) -> Mapping[str, object]:
        return {
            "cluster_name": self._name,
            "listen_addresses": "",
            "port": PORT,
            "unix_socket_directories": self._socket_folder,
            "unix_socket_permissions": "0700",
            "max_connections": self.options.connections_max + _RESERVED_CONNECTIONS,
            "shared_buffers": f"{self.options.shared_buffers_mb}MB",
            "max_wal_size": "512MB",
            "max_worker_processes": 4,
            "max_parallel_workers_per_gather": 0,
            "jit": "off",
            "idle_in_transaction_session_timeout": "60s",
            "log_min_messages": "log",  # statements' errors are told to their callers; here they could fill the disk
            "log_checkpoints": "off",
            "log_timezone": "UTC",
            "timezone": "UTC",
        }
