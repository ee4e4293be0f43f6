"""The errors of a route, by status, with every code and an example of each."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from itertools import groupby
from uuid import UUID

from attrs import frozen

from domain.access.credentials import CredentialMissing, CredentialRefused, JwksUnavailable
from domain.access.principal import ScopeMissing
from domain.errors import (
    DomainError,
    FieldTooLarge,
    InvalidRequest,
    Overloaded,
    QuotaReached,
    ShuttingDown,
    StorageUnavailable,
)
from domain.executions.execution import ExecutionFailed
from domain.limits.rate import RateLimited
from entrypoints.http.contract import ResponseHeader
from entrypoints.http.errors import (
    INTERNAL_ERROR,
    HostNotAllowed,
    UnsupportedMediaType,
    error_response,
    internal_error_response,
)
from entrypoints.http.openapi.components import Components, Json
from entrypoints.http.openapi.error_catalog import MEANINGS, samples_of
from entrypoints.http.openapi.parameters import (
    RATE_LIMIT,
    RATE_LIMIT_POLICY,
    REQUEST_ID_HEADER,
    RETRY_AFTER,
    WWW_AUTHENTICATE,
)
from entrypoints.http.response import Response
from entrypoints.http.route import WITHOUT_CREDENTIAL, Route, needed_scopes
from entrypoints.http.schemas.errors import ErrorBody

_ERROR_ID = UUID("5b0f3f0c-6f0a-4f5e-9a3c-2d1e0f9a8b7c")
_CHALLENGED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


@frozen
class _DocumentedError:
    """An error that a route may return."""

    name: str
    code: str
    response: Response

    @classmethod
    def of(cls, error: DomainError) -> "_DocumentedError":
        name = error.code if isinstance(error, ExecutionFailed) else type(error).__name__
        return cls(name, error.code, error_response(error, None))


def error_responses(route: Route, components: Components) -> Json:
    """Return the error responses of a route, by status. Raises LookupError if an error has no sample."""
    documented = sorted(_documented(route), key=lambda error: error.response.status)
    groups = groupby(documented, key=lambda error: error.response.status)
    return {str(status): _response(route, tuple(errors), components) for status, errors in groups}


def _documented(route: Route) -> Iterator[_DocumentedError]:
    for error in samples_of((*_implied(route), *(route.contract.errors if route.contract else ()))):
        yield _DocumentedError.of(error)
    yield _DocumentedError("InternalError", INTERNAL_ERROR, internal_error_response(_ERROR_ID, None))


def _implied(route: Route) -> Iterator[type[DomainError]]:
    """Yield the errors that follow from the row in the route table."""
    yield from (HostNotAllowed, InvalidRequest)
    if route.access not in WITHOUT_CREDENTIAL:
        yield from (CredentialMissing, CredentialRefused, JwksUnavailable, StorageUnavailable)
    if needed_scopes(route.access):
        yield ScopeMissing
    if route.body is not None:
        yield from (FieldTooLarge, UnsupportedMediaType)
    if route.route_class is not None:
        yield from (RateLimited, QuotaReached)
    if not route.exempt:
        yield from (Overloaded, ShuttingDown)


def _response(route: Route, errors: tuple[_DocumentedError, ...], components: Components) -> Json:
    codes = sorted({error.code for error in errors})
    meanings = "; ".join(f"`{code}`: {MEANINGS[code]}" for code in codes)
    media: Json = {
        "schema": components.schema(ErrorBody),
        "examples": dict(_examples(errors)),
    }
    headers = {header.name: components.header(header) for header in _headers(route, errors)}
    part = {"description": f"{meanings}.", "headers": headers, "content": {"application/json": media}}
    return components.put("responses", f"{errors[0].response.status}.{'.'.join(codes)}", part)


def _examples(errors: Iterable[_DocumentedError]) -> Iterator[tuple[str, Json]]:
    """Yield an example of each error, with a unique name."""
    seen: Counter[str] = Counter()
    for error in errors:
        seen[error.name] += 1
        number = seen[error.name]
        example = json.loads(error.response.body)
        yield (
            error.name if number == 1 else f"{error.name}-{number}",
            {
                "summary": example["error"]["message"],
                "value": example,
            },
        )


def _headers(route: Route, errors: Iterable[_DocumentedError]) -> Iterator[ResponseHeader]:
    responses = [error.response for error in errors]
    yield REQUEST_ID_HEADER
    if any(name == b"retry-after" for response in responses for name, _ in response.headers):
        yield RETRY_AFTER
    if responses[0].status in _CHALLENGED:
        yield WWW_AUTHENTICATE
    if route.route_class is not None:
        yield from (RATE_LIMIT, RATE_LIMIT_POLICY)
