"""Request bodies, bounded in size and time before anything is made of them."""

import asyncio
from http import HTTPStatus

from starlette.requests import ClientDisconnect, Request

from entrypoints.runtime_host.errors import JSON, HostError, client_gone, too_large


async def read_body(request: Request, size_max: int, timeout_s: float) -> bytes:
    """Return a JSON body of at most `size_max` bytes; raises Refusal (408, 413, 415)."""
    _require_json(request)
    _require_declared_size(request, size_max)
    try:
        async with asyncio.timeout(timeout_s):
            return await _read(request, size_max)
    except TimeoutError:
        raise HostError(HTTPStatus.REQUEST_TIMEOUT, "REQUEST_TIMEOUT", "the body came too slowly") from None
    except ClientDisconnect:
        raise client_gone() from None


async def _read(request: Request, size_max: int) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > size_max:
            raise too_large(size_max)
        parts.append(part)
    return b"".join(parts)


def _require_json(request: Request) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != JSON or "content-encoding" in request.headers:
        raise HostError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_MEDIA_TYPE", f"send plain {JSON}")


def _require_declared_size(request: Request, size_max: int) -> None:
    declared = request.headers.get("content-length", "0")
    if not declared.isascii() or not declared.isdigit() or int(declared) > size_max:
        raise too_large(size_max)
