"""What the supervisor and its children say to each other, one JSON object a line."""

import socket
from enum import StrEnum

import msgspec

from entrypoints.settings.environment import decode_foreign, encode_foreign
from entrypoints.settings.settings import Settings
from entrypoints.telemetry.metrics.scrape import Siblings

LINE_BYTES_MAX = 1024 * 1024

SENDING_TIMEOUT_S = 2
"""What a drained server's last answers may take to be sent."""


class Order(StrEnum):
    """What a child is told: to end its work and itself, or to end at once."""

    DRAIN = "drain"
    STOP = "stop"


class Assignment(msgspec.Struct, frozen=True):
    """What a child is for; secrets travel in it, so it goes through the channel and nowhere else.

    `target` is `module:function`: for a server, (settings) to an ASGI application, served on the inherited
    descriptor `listener`; without a listener, an async function of the settings that does one thing and ends.
    `shared` is whether other processes serve on that listener too; `siblings` are the processes that a server tells its
    figures to, and asks for theirs.
    """

    target: str
    settings: Settings
    listener: int | None = None
    shared: bool = False
    siblings: Siblings | None = None


UP = b"up\n"
"""What a child says when it serves."""


def encode(assignment: Assignment) -> bytes:
    """Return the line that tells a child its assignment."""
    return msgspec.json.encode(assignment, enc_hook=encode_foreign) + b"\n"


def receive(channel: socket.socket) -> Assignment:
    """Read the assignment, a child's first line; raises EOFError when the supervisor has gone."""
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = channel.recv(1)  # one at a time: what follows belongs to the event loop
        if not byte or len(line) > LINE_BYTES_MAX:
            raise EOFError
        line += byte
    return msgspec.json.decode(line, type=Assignment, dec_hook=decode_foreign)
