"""Starlette with nothing behind it: the least that a response costs."""

import asyncio
from collections.abc import AsyncIterator

from attrs import define, field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

LINE_PAUSE_S = 0.2


@define(eq=False)
class Printing:
    """Prints a line each 0.2 s, for any number of readers; each line becomes an event once."""

    line: bytes = b""
    printed: asyncio.Event = field(factory=asyncio.Event)
    task: "asyncio.Task[None] | None" = None

    async def events(self) -> AsyncIterator[bytes]:
        """Yield an event for each line from now on."""
        if self.task is None:
            self.task = asyncio.create_task(self._print())
        while True:
            await self.printed.wait()
            yield self.line

    async def _print(self) -> None:
        number, size = 0, 0
        while True:
            await asyncio.sleep(LINE_PAUSE_S)
            text = f"line {number} " + "x" * 90 + "\\n"
            data = b'{"text":"%s","offset":%d}' % (text.encode(), size)
            number, size = number + 1, size + len(text) - 1
            self.line = b'{"id":"%d.0.0","event":"stdout","data":%s}\n' % (size, data)
            self.printed.set()
            self.printed.clear()


_printing: dict[str, Printing] = {}


async def read(request: Request) -> Response:
    """Respond to a GET with an object."""
    return JSONResponse({"request_id": request.path_params["request_id"], "status": "active"})


async def create(request: Request) -> Response:
    """Parse a body and respond with an object."""
    body = await request.json()
    return JSONResponse({"status": "initialized", "fields": len(body)})


async def events(request: Request) -> Response:
    """Stream what an execution prints."""
    printing = _printing.setdefault(request.path_params["execution_id"], Printing())
    return StreamingResponse(printing.events(), media_type="application/x-ndjson")


app = Starlette(
    routes=[
        Route("/api/v1/sessions/{request_id}", read),
        Route("/api/v1/initialize", create, methods=["POST"]),
        Route("/api/v1/executions/{execution_id}/events", events),
    ]
)
