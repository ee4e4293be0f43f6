"""The certificates by which runtime hosts are verified."""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

from attrs import define, field

_CHECKED_EACH_S = 1.0


def _loaded(ca_file: str | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file)


@define(eq=False)
class Verification:
    """Keeps one TLS context for all connections to hosts, and makes a new one once its file has changed.

    `ca_file` None means the certificates of the system. Loading takes 27 to 50 ms, so a thread does it. At most each
    `checked_each_s` it looks at the file, because that may be slow too.
    """

    _ca_file: str | None
    _load: Callable[[str | None], ssl.SSLContext] = _loaded
    _checked_each_s: float = _CHECKED_EACH_S
    _context: ssl.SSLContext | None = field(default=None, init=False)
    _version: tuple[int, ...] = field(default=(), init=False)
    _check_at_s: float = field(default=0.0, init=False)
    _lock: asyncio.Lock = field(factory=asyncio.Lock, init=False)

    async def context(self) -> ssl.SSLContext:
        """Return the context; raises OSError if the file cannot be used."""
        async with self._lock:
            now_s = asyncio.get_running_loop().time()
            if self._context is None or now_s >= self._check_at_s:
                self._context = await asyncio.to_thread(self._renewed)
                self._check_at_s = now_s + self._checked_each_s
            return self._context

    def _renewed(self) -> ssl.SSLContext:
        version = _version_of(self._ca_file or ssl.get_default_verify_paths().cafile)
        context = self._context
        if context is None or version != self._version:
            context = self._load(self._ca_file)
            self._version = version
        return context


def _version_of(file: str | None) -> tuple[int, ...]:
    if file is None:
        return ()
    found = Path(file).stat()
    return found.st_ino, found.st_mtime_ns, found.st_size
