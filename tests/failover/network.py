"""The network between nodes: proxies in a process of their own, so that no busy test delays what passes."""

import asyncio
import json
import sys

from attrs import define

from tests.faults.proxy import Mode, Proxy

ENDED_S = 10.0


@define(eq=False)
class Network:
    """Opens proxies to ports of this host, and loses what goes through them on request."""

    _program: asyncio.subprocess.Process

    @classmethod
    async def start(cls):
        pipe = asyncio.subprocess.PIPE
        return cls(await asyncio.create_subprocess_exec(sys.executable, "-m", __name__, stdin=pipe, stdout=pipe))

    async def open(self, *ports):
        """Open a proxy to each port, and return their own ports."""
        self._send({"open": ports})
        return json.loads(await self._program.stdout.readline())

    def cut(self, *proxies):
        """Lose every byte from now on, those of connections that exist among them."""
        self._send({"cut": proxies})

    def connect(self, *proxies):
        """Let bytes pass again, and reset the connections that have lost some."""
        self._send({"connect": proxies})

    async def stop(self):
        """End the process by the end of its input."""
        self._program.stdin.close()
        await asyncio.wait_for(self._program.wait(), ENDED_S)

    def _send(self, command):
        self._program.stdin.write(json.dumps(command).encode() + b"\n")


async def serve():
    """Be the process."""
    commands, proxies = asyncio.StreamReader(), {}
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while line := await commands.readline():
        ((name, ports),) = json.loads(line).items()
        if name == "open":
            opened = [await Proxy("127.0.0.1", port, lets_end=True).start() for port in ports]
            proxies |= {proxy.port: proxy for proxy in opened}
            sys.stdout.write(json.dumps([proxy.port for proxy in opened]) + "\n")
            sys.stdout.flush()
        else:
            _switch(name, map(proxies.get, ports))


def _switch(name, proxies):
    for proxy in proxies:
        proxy.mode = Mode.SILENT if name == "cut" else Mode.PASS
        for link in list(proxy.links) if name == "connect" else ():
            link.reset()


if __name__ == "__main__":
    asyncio.run(serve())
