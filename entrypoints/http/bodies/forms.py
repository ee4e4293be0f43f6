"""Rules of bodies that their types cannot say."""

from collections.abc import Callable, Iterator

from attrs import frozen
from msgspec import Raw, UnsetType

from domain.errors import FieldTooLarge, Problem
from domain.scripts.limits import LimitsRequest
from entrypoints.http.bodies.examiner import Examiner
from entrypoints.http.bodies.plain_json import written_size
from entrypoints.http.bodies.validation import BodyForm, Flaw
from entrypoints.http.options import HttpOptions
from entrypoints.http.payloads.executions import ExecuteBody
from entrypoints.http.payloads.sessions import InitializeBody, LimitsBody, PatchBody
from entrypoints.http.payloads.values import given

_ENVELOPE_SIZE = 64 * 1024
_ESCAPED = 3
"""A script may take so many times its size when written as a JSON string; more is not asked for in practice."""


@frozen
class BodyForms:
    """The forms of all bodies, with the server's bounds, and the examiner that reads the large ones."""

    examiner: Examiner
    initialize: BodyForm[InitializeBody]
    execute: BodyForm[ExecuteBody]
    patch: BodyForm[PatchBody]

    @classmethod
    def of(cls, options: HttpOptions) -> "BodyForms":
        """Return the forms for these options."""
        stored = frozenset({"context", "metadata", "script_content"})
        objects = options.context_size_max + options.metadata_size_max + _ENVELOPE_SIZE
        timeout_s, examiner = (
            options.body_timeout_s,
            Examiner(options.examination_wait_s, options.examination_bytes_max),
        )
        return cls(
            examiner,
            BodyForm(
                InitializeBody,
                options.script_size_max * _ESCAPED + objects,
                timeout_s,
                _initialize_rules(options),
                examiner,
                stored,
                optional=True,
            ),
            BodyForm(
                ExecuteBody,
                options.params_size_max + _ENVELOPE_SIZE,
                timeout_s,
                _execute_rules(options),
                examiner,
                optional=True,
            ),
            BodyForm(PatchBody, objects, timeout_s, _patch_rules(options), examiner, stored),
        )


def limits_request(body: LimitsBody) -> LimitsRequest:
    """Return the limits that a body asks for."""
    return LimitsRequest(given(body.timeout_ms), given(body.memory_mb), given(body.isolation))


def _initialize_rules(options: HttpOptions) -> Callable[[InitializeBody], Iterator[Flaw]]:
    objects = _object_rules(options)

    def rules(body: InitializeBody) -> Iterator[Flaw]:
        yield from objects(body)
        yield from options.limits.problems(limits_request(body.limits))
        if isinstance(body.script_content, str):
            size = len(body.script_content.encode())
            if size > options.script_size_max:
                yield FieldTooLarge("/script_content", options.script_size_max, size)

    return rules


def _execute_rules(options: HttpOptions) -> Callable[[ExecuteBody], Iterator[Flaw]]:
    size_max = options.params_size_max

    def rules(body: ExecuteBody) -> Iterator[Flaw]:
        if not isinstance(body.params, UnsetType):
            size = len(memoryview(body.params))
            if size > size_max:
                yield FieldTooLarge("/params", size_max, size)

    return rules


def _patch_rules(options: HttpOptions) -> Callable[[PatchBody], Iterator[Flaw]]:
    return _object_rules(options)


def _object_rules(options: HttpOptions) -> Callable[[InitializeBody | PatchBody], Iterator[Flaw]]:
    def rules(body: InitializeBody | PatchBody) -> Iterator[Flaw]:
        yield from _object_flaws("/context", body.context, options.context_size_max)
        yield from _object_flaws("/metadata", body.metadata, options.metadata_size_max)

    return rules


def _object_flaws(pointer: str, raw: Raw | UnsetType, size_max: int) -> Iterator[Flaw]:
    if isinstance(raw, UnsetType):
        return
    content = bytes(raw)
    if not content.startswith(b"{"):
        yield Problem(pointer, "must be an object")
    size = len(content) if len(content) > size_max else written_size(content)
    if size > size_max:
        yield FieldTooLarge(pointer, size_max, size)
