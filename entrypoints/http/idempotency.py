"""The header `Idempotency-Key`."""

from domain.errors import Problem
from entrypoints.http.refusals import invalid
from entrypoints.http.request import Request


def refuse_idempotency_key(request: Request) -> None:
    """Raise InvalidRequest if there is a key: a caller that sends one relies on a promise that is not given here."""
    if request.header(b"idempotency-key") is not None:
        message = "is not supported by this server: the call would not be protected from running twice. Leave it out."
        raise invalid([Problem("/headers/Idempotency-Key", message)])
