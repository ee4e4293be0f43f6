"""The control channel between the supervisor and a child: one assignment down, then commands down and one word up."""

import socket
from enum import StrEnum

import msgspec
from attrs import frozen

from entrypoints.settings.environment import decode_foreign, encode_foreign
from entrypoints.settings.settings import Settings
from entrypoints.telemetry.siblings import Siblings

LINE_BYTES_MAX = 1024 * 1024

SENDING_TIMEOUT_S = 2
"""The time that a drained server has to send its last responses."""


ORIGIN = "origin"
"""The name of the listener for clients of the origin's API."""


@frozen
class Targets:
    """What children load, as `module:function`.

    `controller` and both runtime hosts map settings to an ASGI application; `migration` maps them to an exit status.
    `shared_runtime_host` serves the HTTP workers of one controller.
    """

    controller: str = "entrypoints.composition.controller:create_controller"
    runtime_host: str = "entrypoints.composition.runtime_host:create_runtime_host"
    shared_runtime_host: str = "entrypoints.composition.runtime_host:create_shared_runtime_host"
    migration: str = "entrypoints.cli.migration:migrate"


class Assignment(msgspec.Struct, frozen=True):
    """What a child does. It contains secrets, so it is sent through the channel only.

    `target` is `module:function`. With the inherited descriptor `listener`, the function maps settings to an ASGI
    application, which is served there. Without it, the function is async, does one thing and returns an exit status.
    `further` are the descriptors of listeners by name, for the application's further ones.
    `shared` says whether other processes serve on that listener too. `outlived` says whether the socket stays open
    after the service: at the drain, new clients then wait there for the next start. `siblings` exchange metrics with
    this process.
    """

    target: str
    settings: Settings
    listener: int | None = None
    shared: bool = False
    outlived: bool = False
    siblings: Siblings | None = None
    further: dict[str, int] = {}


class Command(StrEnum):
    """A command to a child: finish the running work and end, or end at once."""

    DRAIN = "drain"
    STOP = "stop"


UP = b"up\n"
"""The word of a child that serves."""


def encode(assignment: Assignment) -> bytes:
    """Return the line with an assignment."""
    return msgspec.json.encode(assignment, enc_hook=encode_foreign) + b"\n"


def receive(channel: socket.socket) -> Assignment:
    """Read the assignment, the first line of the channel; raises EOFError if the supervisor has ended."""
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = channel.recv(1)  # one at a time: the event loop reads the rest
        if not byte or len(line) > LINE_BYTES_MAX:
            raise EOFError
        line += byte
    return msgspec.json.decode(line, type=Assignment, dec_hook=decode_foreign)
