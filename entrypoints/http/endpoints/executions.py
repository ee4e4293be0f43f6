"""Endpoints of executions."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from msgspec import UNSET, UnsetType

from domain.errors import FieldTooLarge, Problem
from domain.executions.by_name import FunctionCalls
from domain.executions.service import ExecutionService
from domain.files.asked import INLINE_SIZE_MAX, AskedFiles
from domain.idempotency import IdempotencyKey
from entrypoints.http.endpoints.asynchronous import AsynchronousEndpoints, require_no_options, submission
from entrypoints.http.options import HttpOptions
from entrypoints.http.parsing.bodies import BodyParser, Examiner, json_text
from entrypoints.http.parsing.body_problems import BodyProblem
from entrypoints.http.parsing.execution_files import asked_files, files_problems
from entrypoints.http.parsing.headers import IdempotencyKeys, idempotency_key
from entrypoints.http.request import Request, until_disconnect
from entrypoints.http.response import REPLAYED, Response, embedded, json_response
from entrypoints.http.schemas.executions import ExecuteBody, ExecuteResponse
from entrypoints.http.schemas.fields import given

_ENVELOPE_SIZE = 64 * 1024
_FILES_SIZE = 2 * INLINE_SIZE_MAX
"""Of content in the request as JSON: base64 takes a third more, and text more the more characters it escapes."""

_WITH_FILES = b"files:"
"""The kind of payload of a call with files, whose params may be any JSON."""


def execute_parser(options: HttpOptions, examiner: Examiner) -> BodyParser[ExecuteBody]:
    """Return the parser for the body of execute."""
    rules = partial(_params_rules, options.params_size_max)
    size_max = options.params_size_max + _FILES_SIZE + _ENVELOPE_SIZE
    return BodyParser(ExecuteBody, size_max, options.body_timeout_s, rules, examiner, optional=True)


def _params_rules(size_max: int, body: ExecuteBody) -> Iterator[BodyProblem]:
    if not isinstance(body.async_, UnsetType) and body.async_.contradicts_itself:
        yield Problem("/async/run_at", "cannot be given together with delay_seconds. Omit one of them")
    if not isinstance(body.params, UnsetType):
        size = len(memoryview(body.params))
        if size > size_max:
            yield FieldTooLarge("/params", size_max, size)
    if _has_files(body):
        yield from files_problems(body)


class ExecutionEndpoints:
    """Execute the script of a session, or a function by its name: now, or later if the caller prefers that."""

    def __init__(
        self,
        service: ExecutionService,
        calls: FunctionCalls,
        asynchronous: AsynchronousEndpoints,
        parser: BodyParser[ExecuteBody],
        keys: IdempotencyKeys,
    ) -> None:
        self._service = service
        self._calls = calls
        self._asynchronous = asynchronous
        self._parser = parser
        self._keys = keys

    async def execute(self, request: Request) -> Response:
        """Run the script once."""
        key = self._keys.read(request)
        body = await self._parser.read(request)
        params = json_text(body.params)
        hashed = _hashed(key, embedded(params), body)
        if (manner := self._asynchronous.manner(request)) is not None:
            return await self._asynchronous.accept(request, submission(body, hashed), manner)
        if body.async_ is not UNSET:
            require_no_options({"": body})
        call = self._service.execute(request.session_ref, params, hashed, files=_files(body))
        executed = await until_disconnect(request.receive, call)
        return json_response(ExecuteResponse.of(executed), headers=REPLAYED if executed.replayed else ())

    async def execute_by_name(self, request: Request) -> Response:
        """Run a function once."""
        key = self._keys.read(request)
        body = await self._parser.read(request)
        params, name = json_text(body.params), request.parameters["language_title"]
        version = name.partition("@")[2]
        hashed = _hashed(key, (version, embedded(params)), body)
        if (manner := self._asynchronous.manner(request)) is not None:
            return await self._asynchronous.accept_by_name(request, submission(body, hashed), manner)
        if body.async_ is not UNSET:
            require_no_options({"": body})
        call = self._calls.execute(request.owner, name, params, hashed, _files(body))
        executed = await until_disconnect(request.receive, call)
        request.created_session_id = executed.ref.session_id
        return json_response(ExecuteResponse.of(executed), headers=REPLAYED if executed.replayed else ())


def _hashed(key: str | None, params: Any, body: ExecuteBody) -> IdempotencyKey | None:
    """Return the key of a call with what it stands for: without files as earlier releases have it."""
    if key is None or not _has_files(body):
        return None if key is None else idempotency_key(key, params)
    return idempotency_key(key, (params, given(body.files), given(body.collect)), _WITH_FILES)


def _files(body: ExecuteBody) -> AskedFiles | None:
    return asked_files(body) if _has_files(body) else None


def _has_files(body: ExecuteBody) -> bool:
    return body.files is not UNSET or body.collect is not UNSET
