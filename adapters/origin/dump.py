"""A dump of Redis, loaded into a server of its own that is gone afterwards."""

import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import redis
from redis.exceptions import RedisError

from domain.takeover.source import SourceRefused

Launch = Callable[..., "subprocess.Popen[bytes]"]
"""Starts a program; it has the parameters of `Popen`."""

_STOP_TIMEOUT_S = 10.0
_POLL_S = 0.02
_LOG_SIZE = 2000


@contextlib.contextmanager
def loaded_dump(
    path: Path, program: str = "redis-server", launch: Launch = subprocess.Popen, load_timeout_s: float = 600.0
) -> Iterator[str]:
    """Yield the URL of a server with the content of a dump, which only this user can reach.

    Raises SourceRefused if `program` is not there, or cannot read the dump. `launch` decides what becomes of the server
    if this process is killed. The dump stays as it is.
    """
    found = shutil.which(program)
    if found is None:
        raise SourceRefused(
            f"The program {program} is not installed, and --rdb needs it to read a dump.",
            remedy="Install redis-server, or load the dump into a Redis and name that one with --redis.",
        )
    if not path.is_file():
        # The server would start empty.
        raise SourceRefused(f"There is no dump at {str(path)!r}.", remedy="Name the file with --rdb.")
    with tempfile.TemporaryDirectory(prefix="pgl-rdb-") as name:
        folder = Path(name)
        (folder / "dump.rdb").symlink_to(path.resolve())
        with _running(found, folder, launch, load_timeout_s):
            yield f"unix://{folder / 'socket'}?db=0"


@contextlib.contextmanager
def _running(program: str, folder: Path, launch: Launch, load_timeout_s: float) -> Iterator[None]:
    options = {"port": "0", "unixsocket": str(folder / "socket"), "unixsocketperm": "700", "dir": str(folder)}
    options |= {"dbfilename": "dump.rdb", "appendonly": "no", "save": "", "daemonize": "no"}
    argv = [program, *(part for option, value in options.items() for part in (f"--{option}", value))]
    with (folder / "log").open("wb") as log:
        server = launch(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        _await_ready(server, folder, load_timeout_s)
        yield
    finally:
        server.terminate()
        try:
            server.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _await_ready(server: "subprocess.Popen[bytes]", folder: Path, timeout_s: float) -> None:
    ends_at = time.monotonic() + timeout_s
    with contextlib.closing(redis.Redis(unix_socket_path=str(folder / "socket"))) as client:
        while not _is_ready(client):
            if server.poll() is not None or time.monotonic() > ends_at:
                said = " ".join((folder / "log").read_text(errors="replace")[-_LOG_SIZE:].split())
                raise SourceRefused(
                    f"The dump could not be loaded. redis-server said at last: {said}",
                    remedy="Use a redis-server of the release that wrote the dump, or a newer one.",
                )
            time.sleep(_POLL_S)


def _is_ready(client: "redis.Redis") -> bool:
    try:
        return bool(client.ping())
    except (RedisError, OSError):  # it loads, or has not made its socket yet
        return False
