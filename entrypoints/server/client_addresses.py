"""The address of a client, as a trusted proxy passes it on."""

import ipaddress
from functools import lru_cache

from starlette.types import ASGIApp, Receive, Scope, Send

_ADDRESSES_MAX = 4096


def with_addresses_only(app: ASGIApp) -> ASGIApp:
    """Return the application with no client where a trusted proxy passed on something that is no address.

    What a client writes into `X-Forwarded-For` would stand in the log otherwise.
    """

    async def checked(scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        if client is not None and not _is_address(client[0]):
            scope["client"] = None
        await app(scope, receive, send)

    return checked


@lru_cache(maxsize=_ADDRESSES_MAX)
def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text  # the zone of an IPv6 address may be any text
