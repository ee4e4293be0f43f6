"""A receiver of webhooks that fails as a test wants, and writes down what it was sent."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager

from attrs import define, field, frozen
from standardwebhooks import Webhook

WEIGHTS = {"accept": 80, "fail": 7, "close": 4, "redirect": 3, "break off": 2, "endless": 2, "busy": 1, "hang": 1}
HANGS_MAX = 1
"""Each keeps the next turn of the webhook waiting for 15 s."""

CLAIMS_END = "UPDATE meta.webhooks SET claimed_until = claimed_until - interval '1 day'"
"""Lets the time of the claims of processes pass that were killed."""

_RESPONSES = {
    "accept": b"HTTP/1.1 204 No Content\r\n\r\n",
    "fail": b"HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\nno",
    "close": b"",
    "redirect": b"HTTP/1.1 307 Elsewhere\r\nlocation: /redirected\r\ncontent-length: 0\r\n\r\n",
    "break off": b"HTTP/1.1 2",
    "endless": b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n",
    "busy": b"HTTP/1.1 503 Busy\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n",
}
_ACCEPTING = {"accept", "endless"}


@frozen
class Message:
    """One attempt that arrived; `accepted` says whether the response is a success."""

    path: str
    headers: dict[str, str]
    body: bytes
    accepted: bool

    @property
    def webhook_id(self):
        return self.headers["webhook-id"]

    def verify(self, secret):
        """Return the message as the library of receivers reads it; raises its error for a wrong signature."""
        return Webhook(secret).verify(self.body, self.headers)


@define(eq=False)
class Receiver:
    """Does to each message what `choose` says of its path."""

    choose: Callable[[str], Awaitable[str]]
    messages: list[Message] = field(factory=list)
    port: int = 0

    @property
    def settings(self):
        """What lets a controller send here."""
        return {
            "WEBHOOK_KEY": "a key of the tests, of 32 bytes at least",
            "WEBHOOK_ALLOW_HTTP": "true",
            "WEBHOOK_PORTS": str(self.port),
            "WEBHOOK_ALLOWED_NETWORKS": "127.0.0.1/32",
        }

    @asynccontextmanager
    async def running(self):
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    def accepted(self):
        """Return how often each message was accepted, by its id."""
        return Counter(message.webhook_id for message in self.messages if message.accepted)

    async def register(self, client, path, events):
        """Register a path of this receiver at a controller, and return the webhook with its secret."""
        body = {"url": f"http://127.0.0.1:{self.port}{path}", "events": events}
        response = await client.post("/api/v1/webhooks", json=body)
        assert response.status_code == 201, response.text
        return response.json()

    async def _serve(self, reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await self._answer(reader, writer)
        writer.close()

    async def _answer(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        request, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        body = await reader.readexactly(int(headers["content-length"]))
        path = request.split(" ")[1]
        kind = await self.choose(path)
        self.messages.append(Message(path, headers, body, kind in _ACCEPTING))
        if kind == "hang":
            await reader.read()
            return
        writer.write(_RESPONSES[kind])
        while kind == "endless":
            writer.write(bytes(65536))
            await writer.drain()
        await writer.drain()


@define(eq=False)
class RandomFaults:
    """Chooses a fault for each message, each of them once at first, and never success for the path `/dead`."""

    random: random.Random
    chosen: Counter[str] = field(factory=Counter)

    async def __call__(self, path):
        left = [kind for kind in WEIGHTS if not self.chosen[kind]]
        (kind,) = self.random.choices(left or list(WEIGHTS), None if left else list(WEIGHTS.values()))
        if path == "/dead" or (kind == "hang" and self.chosen[kind] >= HANGS_MAX):
            kind = "fail"
        self.chosen[kind] += 1
        return kind
