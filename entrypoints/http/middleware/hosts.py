"""Which names of this server are answered to."""

from collections.abc import Iterable

from typing_extensions import override

from entrypoints.http.errors import HostNotAllowed
from entrypoints.http.middleware.guard import Guard
from entrypoints.http.request import Request
from entrypoints.http.response import Headers
from entrypoints.http.route import Route

ANY_HOST = "*"
_SEEN_MAX = 64


class HostGuard(Guard):
    """Holds the `Host` header to names: a page of somebody's can point a name of its own here (DNS rebinding)."""

    def __init__(self, names: Iterable[str]) -> None:
        """Take names without port in lower case; `*.example.com` stands for every name below."""
        names = tuple(names)
        self._names = frozenset(name.encode() for name in names)
        self._endings = tuple(name[1:].encode() for name in names if name.startswith("*."))
        self._seen: set[bytes | None] = set()

    @override
    async def admit(self, request: Request, operation: Route) -> Headers:
        host = request.raw_header(b"host")
        if host not in self._seen:
            self._require(host)
        return ()

    def _require(self, host: bytes | None) -> None:
        if host is None or not self._allows(_name(host.lower())):
            raise HostNotAllowed(None if host is None else host.decode("latin-1"))
        if len(self._seen) < _SEEN_MAX:
            self._seen.add(host)

    def _allows(self, name: bytes) -> bool:
        return name in self._names or (bool(self._endings) and name.endswith(self._endings))


def _name(host: bytes) -> bytes:
    """Return the host without its port; an IPv6 address keeps its brackets."""
    name, separator, port = host.rpartition(b":")
    return name if separator and port.isdigit() else host
