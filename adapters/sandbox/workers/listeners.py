"""The listeners of a worker with a network, which it gives to the service before it runs anything."""

import asyncio
import os
import socket
from collections.abc import Sequence

from attrs import define

from adapters.sandbox.zygote.launch import LaunchFailed

_LIMITED = b"\1"


@define(eq=False)
class Listeners:
    """Sockets that listen in the network of one worker. Whoever accepts there is the only peer that it can reach."""

    descriptors: Sequence[int]
    has_limits: bool
    """Whether the kernel's memory for each of the connections is limited."""

    def take(self) -> Sequence[int]:
        """Return the descriptors, which are the caller's to close from now on."""
        taken, self.descriptors = self.descriptors, ()
        return taken

    def close(self) -> None:
        """Close them in this process."""
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors = ()


async def take_listeners(channel: socket.socket, count: int) -> Listeners | None:
    """Wait for the first message on a worker's channel; return its listeners, None if the worker has ended.

    No script has run yet, so the message is trusted. Raises LaunchFailed.
    """
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(channel.fileno(), readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(channel.fileno())
    try:
        message, descriptors, _, _ = socket.recv_fds(channel, 1, count)
    except OSError:
        return None
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    listeners = Listeners(descriptors, has_limits=message == _LIMITED)
    if not message:
        return None
    if len(descriptors) != count:
        listeners.close()
        raise LaunchFailed("the service has no file descriptors left. Raise its limit of open files.")
    return listeners
