"""A base backup of the running server, as a stream."""

import os
import select
import subprocess
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from typing import IO
from urllib.parse import parse_qsl, urlencode, urlsplit

from attrs import frozen

from adapters.embedded_postgres.account import EmbeddedPostgresError
from adapters.embedded_postgres.cluster import BACKUP_ROLE
from adapters.embedded_postgres.programs import ENVIRONMENT, Launch, PostgresPrograms

_SLOT = "pglambda_backup"
_KEEP_WAL = """SELECT sum(pg_database_size(d.oid))
FROM
    pg_database AS d,
    pg_create_physical_replication_slot('pglambda_backup', immediately_reserve => true, temporary => true);
"""
"""Without the slot, a checkpoint could remove WAL that the backup collects at its end."""

_RELEASE_WAL = "SELECT pg_drop_replication_slot('pglambda_backup');\n"
"""The slot goes with the session too, but a moment later, and the next backup may begin at once."""

_BACKUP_OPTIONS = (
    "--format=tar",
    "--pgdata=-",
    "--wal-method=fetch",
    "--checkpoint=fast",
    "--manifest-checksums=SHA256",
    "--no-password",
)
_PSQL_OPTIONS = ("--no-psqlrc", "--no-password", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1")
_CHUNK_BYTES = 256 * 1024
_OUTPUT_SHOWN = 2000


@frozen
class _Client:
    """A client program that runs, and the file of its error output."""

    process: "subprocess.Popen[bytes]"
    errors: IO[bytes]
    stall_timeout_s: float

    def chunks(self) -> Iterator[bytes]:
        """Yield the output until it ends; raises EmbeddedPostgresError if it stalls, or if the program fails."""
        while chunk := self.next():
            yield chunk
        if (status := self.process.wait(self.stall_timeout_s)) != 0:
            self.errors.seek(0)
            text = self.errors.read().decode(errors="replace").strip()[-_OUTPUT_SHOWN:]
            raise _failed(text or f"a program ended with status {status}")

    def ask(self, statement: str) -> bytes:
        """Let psql run a statement, and return its row; raises EmbeddedPostgresError."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # the error output has the reason
            os.write(self.process.stdin.fileno(), statement.encode())  # unbuffered: a rest would fail at the end again
        return self.next() or b"".join(self.chunks())

    def next(self) -> bytes:
        """Return what the program has written, empty at its end; raises EmbeddedPostgresError if it stalls."""
        assert self.process.stdout is not None
        waiting = select.poll()
        waiting.register(self.process.stdout, select.POLLIN)
        if not waiting.poll(self.stall_timeout_s * 1000):
            raise _failed(f"it sent nothing for {self.stall_timeout_s:.0f} s")
        return self.process.stdout.read1(_CHUNK_BYTES)  # type: ignore[attr-defined,no-any-return]  # it is buffered


@frozen
class BaseBackup:
    """Reads a base backup with pg_basebackup: a tar file with the WAL that a restore needs, and a manifest at its end.

    `url` is the address of the running server. The manifest has the size and the SHA-256 of each file.
    """

    url: str
    programs: PostgresPrograms
    launch: Launch
    stall_timeout_s: float = 600

    @contextmanager
    def opened(self, label: str) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Yield the size of the databases in bytes, and the tar file in chunks; raises EmbeddedPostgresError.

        The backup contains `label`, with that size appended. Until the end the server keeps the WAL that it needs.
        """
        with self._client("psql", *_PSQL_OPTIONS) as session:
            size_bytes = int(session.ask(_KEEP_WAL))
            yield size_bytes, self._backup(f"--label={label}, {size_bytes} bytes")
            session.ask(_RELEASE_WAL)

    def _backup(self, label: str) -> Generator[bytes]:
        with self._client("pg_basebackup", *_BACKUP_OPTIONS, label) as client:
            yield from client.chunks()

    @contextmanager
    def _client(self, program: str, *options: str) -> Iterator[_Client]:
        """Run a client of the server for the body."""
        with tempfile.TemporaryFile() as errors:
            process = self.launch(
                (self.programs.path(program), f"--dbname={url_as(self.url, BACKUP_ROLE)}", *options),
                credentials=None,
                death_signal=9,
                env=ENVIRONMENT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
            with process:
                try:
                    yield _Client(process, errors, self.stall_timeout_s)
                finally:
                    process.kill()


def url_as(url: str, role: str) -> str:
    """Return the URL of the embedded server for another role."""
    parts = urlsplit(url)
    return f"postgresql://{parts.path}?{urlencode({**dict(parse_qsl(parts.query)), 'user': role})}"


def _failed(reason: str) -> EmbeddedPostgresError:
    if f'"{_SLOT}" already exists' in reason:
        return EmbeddedPostgresError("Another backup of this server is running. Wait until it has ended.")
    return EmbeddedPostgresError(
        f"The server cannot be backed up: {reason}. If the role {BACKUP_ROLE} is missing or its password is wrong, "
        "restart the service, which corrects both. Otherwise read the end of postgres.log."
    )
