"""Who is calling."""

from domain.identity import Owner, SessionKey
from entrypoints.http.request import Request


def owner_of(request: Request) -> Owner:
    """Return the owner that the call acts for."""
    return request.caller.owner


def session_key(request: Request) -> SessionKey:
    """Return the key of the session in the path, as far as this caller may see it."""
    return SessionKey(owner_of(request), request.request_id)
