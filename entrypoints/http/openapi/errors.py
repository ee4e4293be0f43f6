"""The errors of an operation: by status, with every code that it may have, and an example of each."""

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
from entrypoints.http.contracts.contract import ResponseHeader
from entrypoints.http.contracts.error_codes import INTERNAL_ERROR, MEANINGS
from entrypoints.http.contracts.error_samples import samples_of
from entrypoints.http.contracts.parameters import (
    RATE_LIMIT,
    RATE_LIMIT_POLICY,
    REQUEST_ID_HEADER,
    RETRY_AFTER,
    WWW_AUTHENTICATE,
)
from entrypoints.http.error_responses import error_answer, internal_error_answer
from entrypoints.http.errors import HostNotAllowed, UnsupportedMediaType
from entrypoints.http.openapi.components import Components, Json
from entrypoints.http.openapi.security import needed_scopes
from entrypoints.http.payloads.errors import Error, ErrorBody
from entrypoints.http.response import Response
from entrypoints.http.route import Access, Route

_ERROR_ID = UUID("5b0f3f0c-6f0a-4f5e-9a3c-2d1e0f9a8b7c")
_CHALLENGED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


@frozen
class _DocumentedError:
    """An error that an operation may answer with."""

    name: str
    code: str
    answer: Response

    @classmethod
    def of(cls, error: DomainError) -> "_DocumentedError":
        name = error.code if isinstance(error, ExecutionFailed) else type(error).__name__
        return cls(name, error.code, error_answer(error, None))


def error_responses(operation: Route, components: Components) -> Json:
    """Return the responses of an operation that are errors, by status. Raises LookupError where one is not told."""
    told = sorted(_told(operation), key=lambda error: error.answer.status)
    groups = groupby(told, key=lambda error: error.answer.status)
    return {str(status): _response(operation, tuple(errors), components) for status, errors in groups}


def _told(operation: Route) -> Iterator[_DocumentedError]:
    for error in samples_of((*_implied(operation), *(operation.contract.errors if operation.contract else ()))):
        yield _DocumentedError.of(error)
    yield _DocumentedError("InternalError", INTERNAL_ERROR, internal_error_answer(_ERROR_ID, None))


def _implied(operation: Route) -> Iterator[type[DomainError]]:
    """Yield what follows from the row in the route table."""
    yield HostNotAllowed
    if operation.access not in {Access.OPEN, Access.DETAIL}:
        yield from (CredentialMissing, CredentialRefused, JwksUnavailable, StorageUnavailable)
    if needed_scopes(operation.access):
        yield ScopeMissing
    if operation.takes is not None:
        yield from (InvalidRequest, FieldTooLarge, UnsupportedMediaType)
    if operation.route_class is not None:
        yield from (RateLimited, QuotaReached)
    if not operation.exempt:
        yield from (Overloaded, ShuttingDown)


def _response(operation: Route, errors: tuple[_DocumentedError, ...], components: Components) -> Json:
    codes = sorted({error.code for error in errors})
    meanings = "; ".join(f"`{code}`: {MEANINGS[code]}" for code in codes)
    media: Json = {
        "schema": _schema(codes, components),
        "examples": dict(_examples(errors)),
    }
    headers = {header.name: components.header(header) for header in _headers(operation, errors)}
    part = {"description": f"{meanings}.", "headers": headers, "content": {"application/json": media}}
    return components.put("responses", f"{errors[0].answer.status}.{'.'.join(codes)}", part)


def _examples(errors: Iterable[_DocumentedError]) -> Iterator[tuple[str, Json]]:
    """Yield an example of each error by a name of its own."""
    seen: Counter[str] = Counter()
    for error in errors:
        seen[error.name] += 1
        number = seen[error.name]
        example = json.loads(error.answer.body)
        yield (
            error.name if number == 1 else f"{error.name}-{number}",
            {
                "summary": example["error"]["message"],
                "value": example,
            },
        )


def _schema(codes: Iterable[str], components: Components) -> Json:
    """Return the one shape of errors, with these codes alone."""
    shape = components.own_schema(ErrorBody)
    error = {"allOf": [components.schema(Error), {"properties": {"code": {"enum": list(codes)}}}]}
    return shape | {"properties": shape["properties"] | {"error": error}}


def _headers(operation: Route, errors: Iterable[_DocumentedError]) -> Iterator[ResponseHeader]:
    answers = [error.answer for error in errors]
    yield REQUEST_ID_HEADER
    if any(name == b"retry-after" for answer in answers for name, _ in answer.headers):
        yield RETRY_AFTER
    if answers[0].status in _CHALLENGED:
        yield WWW_AUTHENTICATE
    if operation.route_class is not None:
        yield from (RATE_LIMIT, RATE_LIMIT_POLICY)
