"""How this room starts programs."""

import subprocess
from collections.abc import Mapping, Sequence
from typing import IO, Protocol

from attrs import frozen

from adapters.embedded_postgres.account import Account
from adapters.embedded_postgres.errors import EmbeddedPostgresError

ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"}
"""All that the server's programs get to see of the environment."""

_OUTPUT_SHOWN = 2000


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
        """Start the program in its own session as (uid, gid); it gets `death_signal` when the caller is gone."""
        ...


@frozen
class Tool:
    """Runs one of the server's programs to its end."""

    launch: Launch
    account: Account
    timeout_s: float

    def run(self, *argv: str, text: str = "") -> None:
        """Run a program on `text` as its input; raises EmbeddedPostgresError unless it succeeds in time."""
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
                output, _ = process.communicate(text.encode(), timeout=self.timeout_s)
            except subprocess.TimeoutExpired:
                process.kill()
                raise EmbeddedPostgresError(f"{argv[0]} did not end within {self.timeout_s:.0f} s.") from None
        if process.returncode != 0:
            shown = output.decode(errors="replace").strip()[-_OUTPUT_SHOWN:]
            raise EmbeddedPostgresError(f"{argv[0]} failed with status {process.returncode}:\n{shown}")
