"""Who is calling."""

from domain.access.principal import Scope
from domain.identity import Owner, SessionRef
from entrypoints.http.request import Request


def owner_of(request: Request) -> Owner:
    """Return the owner that the call acts for."""
    return request.caller.owner


def session_key(request: Request) -> SessionRef:
    """Return the key of the caller's own session in the path."""
    return SessionRef(owner_of(request), request.session_id)


def reached_key(request: Request) -> SessionRef:
    """Return the key of the session in the path for what an admin may do across owners: read and close."""
    return SessionRef(request.caller.reach, request.session_id)


def told_all(request: Request) -> bool:
    """Tell whether the caller may see the details of the process."""
    return Scope.ADMIN in request.caller.scopes
