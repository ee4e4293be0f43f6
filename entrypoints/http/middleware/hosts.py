"""The guard of host names."""

from collections.abc import Iterable

from typing_extensions import override

from entrypoints.http.errors import HostNotAllowed
from entrypoints.http.pipeline import Guard
from entrypoints.http.request import Request
from entrypoints.http.response import Headers
from entrypoints.http.route import Route

_ADMITTED_MAX = 64


class HostGuard(Guard):
    """Admits requests whose `Host` header has one of the server's names.

    Otherwise a web page could point a name of its own at this server and read its responses (DNS rebinding).
    """

    def __init__(self, names: Iterable[str]) -> None:
        """Take names without port in lower case; `*.example.com` means every name below it."""
        names = tuple(names)
        self._names = frozenset(name.encode() for name in names)
        self._endings = tuple(name[1:].encode() for name in names if name.startswith("*."))
        self._admitted: set[bytes | None] = set()

    @override
    async def admit(self, request: Request, route: Route) -> Headers:
        host = request.raw_header(b"host")
        if host not in self._admitted:
            self._require(host)
        return ()

    def _require(self, host: bytes | None) -> None:
        if host is None or not self._allows(_without_port(host.lower())):
            raise HostNotAllowed(None if host is None else host.decode("latin-1"))
        if len(self._admitted) < _ADMITTED_MAX:
            self._admitted.add(host)

    def _allows(self, name: bytes) -> bool:
        return name in self._names or (bool(self._endings) and name.endswith(self._endings))


def _without_port(host: bytes) -> bytes:
    """Return the host without its port; an IPv6 address keeps its brackets."""
    name, separator, port = host.rpartition(b":")
    return name if separator and port.isdigit() else host
