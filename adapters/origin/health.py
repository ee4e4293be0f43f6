"""The release of a running origin."""

import asyncio

import httpx2
import msgspec

from domain.takeover.passing import FROM_FRONT

_TIMEOUT_S = 3.0
_SIZE_MAX = 64 * 1024
_VERSION_SIZE_MAX = 64
_HEADERS = [(b"accept-encoding", b"identity"), FROM_FRONT]


async def origin_version(url: str, transport: httpx2.AsyncBaseTransport | None = None) -> str | None:
    """Return the version that `/health` of the origin states; None if it does not respond so within 3 s and 64 KiB."""
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            version = msgspec.json.decode(await _content(f"{url.rstrip('/')}/health", transport)).get("version")
    except (httpx2.HTTPError, httpx2.InvalidURL, msgspec.DecodeError, AttributeError, TimeoutError):
        return None
    return version[:_VERSION_SIZE_MAX] if isinstance(version, str) and version.isprintable() else None


async def _content(url: str, transport: httpx2.AsyncBaseTransport | None) -> bytes:
    """Return the first 64 KiB of a response, or a little more."""
    content = b""
    async with (
        httpx2.AsyncClient(timeout=_TIMEOUT_S, transport=transport, trust_env=False) as client,
        client.stream("GET", url, headers=_HEADERS) as response,
    ):
        async for piece in response.aiter_raw():
            content += piece
            if len(content) > _SIZE_MAX:
                break
    return content
