"""The protocols of systemd for services: its listening sockets (sd_listen_fds(3)), and notifications (sd_notify(3)).

Both are a few lines, and the packages that have them need C headers or are not maintained.
"""

import asyncio
import os
import socket
from collections.abc import MutableMapping

import structlog
from attrs import field, frozen

from entrypoints.server.control import ORIGIN
from entrypoints.server.listener import CannotListen
from entrypoints.settings.urls import is_loopback

_FIRST_DESCRIPTOR = 3  # SD_LISTEN_FDS_START
_LISTEN = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
_ONE_SOCKET = "Leave one ListenStream= with an IP address and a port in the .socket unit, and Accept=no."
_NAMED = (
    "It listens on one, and on a second one for ORIGIN_PORT whose .socket unit has FileDescriptorName=origin. Leave "
    "these."
)


@frozen
class ServiceManager:
    """The systemd that has started this process. Without an address it gets no reports; no report raises.

    `listener` is the listening socket if systemd has opened it, and `origin_listener` that of the origin's API, by the
    name `origin`. `watchdog_s` is the time after which systemd takes the
    service for stuck; None if it does not watch.
    """

    listener: socket.socket | None = None
    origin_listener: socket.socket | None = field(default=None, kw_only=True)
    watchdog_s: float | None = None
    _address: str = ""
    _log: structlog.typing.FilteringBoundLogger = field(factory=lambda: structlog.get_logger(__name__), kw_only=True)

    @classmethod
    def of(cls, environ: MutableMapping[str, str], descriptor: int = _FIRST_DESCRIPTOR) -> "ServiceManager":
        """Return the service manager that the variables of the protocol name; raises CannotListen.

        The variables are removed, because they are for this process only. With a listener, HOST and PORT become its
        address, so that checks of the settings judge the address that callers reach. ORIGIN_PORT becomes that of
        the other one. Of two addresses HOST becomes one that other machines reach.
        """
        listener, origin_listener = _take_listeners(environ, descriptor)
        address, pid, period_us = (environ.pop(name, "") for name in ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"))
        is_watched = period_us.isdigit() and pid in {"", str(os.getpid())}
        watchdog_s = int(period_us) / 1e6 if is_watched else None
        return cls(listener, watchdog_s, address, origin_listener=origin_listener)

    def ready(self, url: str) -> None:
        """Report that the service accepts connections at the URL."""
        self._send("READY=1", f"STATUS=serves on {url}")

    def stopping(self, timeout_s: float) -> None:
        """Report that the service stops, which takes at most `timeout_s`."""
        self._send("STOPPING=1", f"EXTEND_TIMEOUT_USEC={round(timeout_s * 1e6)}", "STATUS=lets running calls end")

    async def keep_alive(self) -> None:
        """Report twice in each period of the watchdog, if there is one, that this event loop runs."""
        while self.watchdog_s is not None:
            self._send("WATCHDOG=1")
            await asyncio.sleep(self.watchdog_s / 2)

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                manager.setblocking(False)
                manager.sendto("\n".join(lines).encode(), address)
        except OSError as error:
            self._log.warning("notification_failed", states=lines, reason=str(error))


def _take_listeners(
    environ: MutableMapping[str, str], descriptor: int
) -> tuple[socket.socket | None, socket.socket | None]:
    """Return the listener of the API, and that of the origin's API, which has its name."""
    pid, count, names = (environ.pop(name, "") for name in _LISTEN)
    if pid != str(os.getpid()) or count in {"", "0"}:
        return None, None
    named = names.split(":")
    origins = [index for index in range(len(named)) if named[index] == ORIGIN]
    others = [index for index in range(int(count)) if index not in origins]
    if len(origins) > 1 or len(others) > 1:
        raise CannotListen(f"systemd has passed {count} sockets to the service. {_NAMED}")
    listener, origin_listener = (_listener(descriptor + each[0]) if each else None for each in (others, origins))
    bound = {"PORT": listener, "ORIGIN_PORT": origin_listener}
    addresses = {name: each.getsockname()[:2] for name, each in bound.items() if each is not None}
    hosts = [host for host, _ in addresses.values()]
    environ.update({name: str(port) for name, (_, port) in addresses.items()})
    environ["HOST"] = next((host for host in hosts if not is_loopback(host)), hosts[0])
    return listener, origin_listener


def _listener(descriptor: int) -> socket.socket:
    try:
        found = socket.socket(fileno=descriptor)
    except OSError as error:
        raise CannotListen(f"The descriptor from systemd is not a socket: {error.strerror}. {_ONE_SOCKET}") from None
    found.set_inheritable(False)
    is_listening = found.type is socket.SOCK_STREAM and found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if found.family not in {socket.AF_INET, socket.AF_INET6} or not is_listening:
        found.close()
        raise CannotListen(f"The socket from systemd is not one that listens on TCP. {_ONE_SOCKET}")
    return found
