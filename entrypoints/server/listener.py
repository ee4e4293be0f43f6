"""The listening sockets, bound once by the supervisor."""

import errno
import socket

_BACKLOG = 2048
_REASONS = {
    errno.EADDRINUSE: "another process listens there. Stop it, or set {} to another port.",
    errno.EACCES: "this user may not use that port. Set {} to one above 1023.",
    errno.EADDRNOTAVAIL: "this machine does not have that address. Set HOST to one that it has.",
}


class CannotListen(Exception):
    """The address cannot be bound; the text says why and what to do."""


def listen(host: str, port: int, setting: str = "PORT") -> socket.socket:
    """Return a socket that listens on host and port, which is the value of `setting`; raises CannotListen."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise CannotListen(
            f"HOST {host!r} is not an address: {error.strerror}. Set HOST to an address or a name of this machine."
        ) from None
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        reason = _REASONS.get(error.errno or 0, f"{error.strerror}.").format(setting)
        raise CannotListen(f"Cannot listen on {host} port {port}: {reason}") from None
    return listener


def listen_on_path(path: str) -> socket.socket:
    """Return a Unix socket that listens on a path. Every process that can enter its folder can connect."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(path)
    listener.listen(_BACKLOG)
    return listener


def url_of(listener: socket.socket, scheme: str = "http") -> str:
    """Return the base URL of the listener for clients on this machine."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # every address includes this one
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
