"""Starlette with nothing behind it: the least that a response costs."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


async def read(request: Request) -> Response:
    """Respond to a GET with an object."""
    return JSONResponse({"request_id": request.path_params["request_id"], "status": "active"})


async def create(request: Request) -> Response:
    """Parse a body and respond with an object."""
    body = await request.json()
    return JSONResponse({"status": "initialized", "fields": len(body)})


app = Starlette(
    routes=[
        Route("/api/v1/sessions/{request_id}", read),
        Route("/api/v1/initialize", create, methods=["POST"]),
    ]
)
