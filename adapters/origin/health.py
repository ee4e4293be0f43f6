"""The release of a running origin."""

import httpx2
import msgspec

_TIMEOUT_S = 3.0
_SIZE_MAX = 64 * 1024
_VERSION_SIZE_MAX = 64


async def origin_version(url: str, transport: httpx2.AsyncBaseTransport | None = None) -> str | None:
    """Return the version that `/health` of the origin states; None if it does not answer so within 3 s."""
    try:
        async with httpx2.AsyncClient(timeout=_TIMEOUT_S, transport=transport, trust_env=False) as client:
            response = await client.get(f"{url.rstrip('/')}/health")
            version = msgspec.json.decode(response.content[:_SIZE_MAX]).get("version")
    except (httpx2.HTTPError, httpx2.InvalidURL, msgspec.DecodeError, AttributeError):
        return None
    return version[:_VERSION_SIZE_MAX] if isinstance(version, str) else None
