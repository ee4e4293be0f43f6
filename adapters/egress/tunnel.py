"""One connection of a script: its first bytes are judged, then it is connected, and bytes are passed both ways."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence

from attrs import define, field

from adapters.egress.client_hello import HelloReader, InvalidHello
from adapters.egress.connect_request import InvalidConnect, read_connect
from adapters.egress.later_hellos import LaterHellos, TooManyRecords
from adapters.egress.resolution import Refused
from domain.addresses import Address
from domain.egress.rule import EgressRule
from domain.egress.traffic import RefusalReason

HELLO_TIMEOUT_S = 2.0
IDLE_S = 30.0
PIECE_SIZE = 64 * 1024


async def read_first_bytes(connection: socket.socket, rule: EgressRule) -> tuple[bytes, LaterHellos | None]:
    """Return what the script has sent, once it names the host of the rule, and what judges the rest; raises Refused.

    Nothing is read for /tcp.
    """
    if rule.is_raw:
        return b"", None
    reader, loop = HelloReader(), asyncio.get_running_loop()
    try:
        async with asyncio.timeout(HELLO_TIMEOUT_S):
            hello = None
            while hello is None:
                piece = await loop.sock_recv(connection, PIECE_SIZE)
                if not piece:
                    raise Refused(RefusalReason.NOT_TLS)
                hello = reader.feed(piece)
    except TimeoutError:
        raise Refused(RefusalReason.NO_HELLO) from None
    except InvalidHello:
        raise Refused(RefusalReason.NOT_TLS) from None
    except OSError:
        raise Refused(RefusalReason.NOT_TLS) from None
    if hello.hides_another:
        raise Refused(RefusalReason.HIDDEN_HOST)
    if hello.host is None:
        raise Refused(RefusalReason.NOT_TLS)
    if hello.host != rule.name:
        raise Refused(RefusalReason.OTHER_HOST)
    later = LaterHellos(rule.name)
    return bytes(reader.received[: reader.size]) + _judged(later, bytes(reader.received[reader.size :])), later


def _judged(later: LaterHellos, piece: bytes) -> bytes:
    try:
        return later.sent(piece)
    except TooManyRecords:
        raise Refused(RefusalReason.NOT_TLS) from None
    except InvalidHello:
        raise Refused(RefusalReason.OTHER_HOST) from None


async def read_target(connection: socket.socket) -> EgressRule:
    """Return the host that a client of the proxy asks for; raises Refused."""
    received, loop = b"", asyncio.get_running_loop()
    try:
        async with asyncio.timeout(HELLO_TIMEOUT_S):
            while True:
                piece = await loop.sock_recv(connection, PIECE_SIZE)
                received += piece
                asked = read_connect(received) if piece else None
                if asked is not None:
                    return asked
                if not piece:
                    raise Refused(RefusalReason.NO_CONNECT)
    except (TimeoutError, InvalidConnect, OSError):
        raise Refused(RefusalReason.NO_CONNECT) from None


async def connect(addresses: Sequence[Address], port: int, timeout_s: float) -> socket.socket:
    """Return a connection to one of the addresses; raises Refused. Each of them gets a part of the time."""
    loop, reason = asyncio.get_running_loop(), RefusalReason.UNREACHABLE
    for address in addresses:
        family = socket.AF_INET6 if address.version == 6 else socket.AF_INET  # IPv6
        try:
            connection = socket.socket(family, socket.SOCK_STREAM)
        except OSError:  # the host has no IPv6, or no file descriptors left
            continue
        try:
            connection.setblocking(False)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PIECE_SIZE)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, PIECE_SIZE)
            async with asyncio.timeout(timeout_s / len(addresses)):
                await loop.sock_connect(connection, (str(address), port))
        except TimeoutError:
            connection.close()
            reason = RefusalReason.CONNECT_TIMEOUT
        except OSError:
            connection.close()
            reason = RefusalReason.UNREACHABLE
        except BaseException:
            connection.close()
            raise
        else:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
    raise Refused(reason)


@define(eq=False)
class TunnelRelay:
    """Passes bytes between two connected sockets, until both ways have ended.

    `sent` and `received` count bytes before they are passed on, and return whether that many may be. `later` judges
    further ClientHellos.
    """

    inner: socket.socket
    outer: socket.socket
    sent: Callable[[int], bool]
    received: Callable[[int], bool]
    later: LaterHellos | None = None
    _active_at: float = field(default=0.0, init=False)

    async def run(self, first: bytes) -> None:
        """Send the first bytes, and pass on the rest; raises Refused."""
        loop = asyncio.get_running_loop()
        self._active_at = loop.time()
        out = loop.create_task(self._pass_on(self.inner, self.outer, self.sent, first, self._of_script))
        back = loop.create_task(self._pass_on(self.outer, self.inner, self.received, b"", self._of_host))
        ways = {out, back}
        try:
            while ways:
                left_s = self._active_at + IDLE_S - loop.time()
                if left_s <= 0:
                    raise Refused(RefusalReason.IDLE)
                done, ways = await asyncio.wait(ways, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
                for way in done:
                    if not way.result():
                        return
        finally:
            for way in (out, back):
                way.cancel()
            await asyncio.gather(out, back, return_exceptions=True)

    def _of_script(self, piece: bytes) -> bytes:
        return piece if self.later is None else _judged(self.later, piece)

    def _of_host(self, piece: bytes) -> bytes:
        if self.later is not None:
            self.later.received(piece)
        return piece

    async def _pass_on(
        self,
        source: socket.socket,
        target: socket.socket,
        count: Callable[[int], bool],
        first: bytes,
        judged: Callable[[bytes], bytes],
    ) -> bool:
        """Pass on bytes to the end of the source; return False if one of the two was broken."""
        loop, piece = asyncio.get_running_loop(), first
        try:
            while True:
                if piece:
                    if not count(len(piece)):
                        raise Refused(RefusalReason.TOO_MUCH)
                    await loop.sock_sendall(target, piece)
                    self._active_at = loop.time()
                found = await loop.sock_recv(source, PIECE_SIZE)
                if not found:
                    break
                piece = judged(found)
        except OSError:
            return False
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)
        return True
