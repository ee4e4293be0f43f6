"""The bodies of initialize and patch, with the rules that their types cannot express."""

from collections.abc import Callable, Iterator

from msgspec import UNSET, Raw, UnsetType

from domain.errors import FieldTooLarge, Problem
from domain.grants.grants import GRANT_NAMES
from domain.scripts.limits import LimitsRequest
from entrypoints.http.options import HttpOptions
from entrypoints.http.parsing.bodies import BodyParser, Examiner
from entrypoints.http.parsing.body_problems import BodyProblem
from entrypoints.http.parsing.grants import grants_problems
from entrypoints.http.parsing.headers import NOT_STORED
from entrypoints.http.parsing.json_scan import has_more_values, starts_with
from entrypoints.http.schemas.fields import given
from entrypoints.http.schemas.sessions import InitializeBody, InitializeItemBody, LimitsBody, PatchBody

ENVELOPE_SIZE = 64 * 1024
"""Bytes of a body beside the fields that have limits of their own."""

ESCAPED = 3
"""Written as a JSON string, a script may take so many times its size. In practice it takes less."""

_STORED = frozenset({"context", "metadata", "script_content"})
_MISPLACED = {"language_title": "is not a field of the body: send it as the header Language-Title"}
_OF_FUNCTION = "must be absent without script_content: the session has the calling convention of its function"
_NEVER_CHANGES = "never changes: initialize a new session for another value"
_UNCHANGING = dict.fromkeys(("script_content", "limits", "convention", *GRANT_NAMES), _NEVER_CHANGES)


def initialize_parser(options: HttpOptions, examiner: Examiner) -> BodyParser[InitializeBody]:
    """Return the parser for the body of initialize."""
    size_max = options.script_size_max * ESCAPED + _objects_size_max(options)
    rules = _initialize_rules(options)
    return BodyParser(
        InitializeBody,
        size_max,
        options.body_timeout_s,
        rules,
        examiner,
        _STORED,
        optional=True,
        misplaced=_MISPLACED,
    )


def item_parser(options: HttpOptions, examiner: Examiner) -> BodyParser[InitializeItemBody]:
    """Return the parser for an item of a batch of sessions."""
    size_max, rules = options.batch_size_max, _initialize_rules(options)

    def item_rules(body: InitializeItemBody) -> Iterator[BodyProblem]:
        yield from rules(body)
        if body.idempotency_key is not UNSET and not options.idempotency:
            yield Problem("/idempotency_key", NOT_STORED)

    return BodyParser(InitializeItemBody, size_max, options.body_timeout_s, item_rules, examiner, _STORED)


def patch_parser(options: HttpOptions, examiner: Examiner) -> BodyParser[PatchBody]:
    """Return the parser for the body of a patch."""
    size_max, rules = _objects_size_max(options), _shared_rules(options)
    return BodyParser(PatchBody, size_max, options.body_timeout_s, rules, examiner, _STORED, misplaced=_UNCHANGING)


def limits_request(body: LimitsBody) -> LimitsRequest:
    """Return the limits that a body requests."""
    return LimitsRequest(given(body.timeout_ms), given(body.memory_mb), given(body.isolation))


def _objects_size_max(options: HttpOptions) -> int:
    return options.context_size_max + options.metadata_size_max + ENVELOPE_SIZE


def _initialize_rules(options: HttpOptions) -> Callable[[InitializeBody], Iterator[BodyProblem]]:
    shared = _shared_rules(options)

    def rules(body: InitializeBody) -> Iterator[BodyProblem]:
        yield from shared(body)
        yield from options.limits.problems(limits_request(body.limits))
        yield from grants_problems(body)
        if isinstance(body.script_content, str):
            size = len(body.script_content.encode())
            if size > options.script_size_max:
                yield FieldTooLarge("/script_content", options.script_size_max, size)
        elif body.convention is not UNSET:
            yield Problem("/convention", _OF_FUNCTION)

    return rules


def _shared_rules(options: HttpOptions) -> Callable[[InitializeBody | PatchBody], Iterator[BodyProblem]]:
    def rules(body: InitializeBody | PatchBody) -> Iterator[BodyProblem]:
        yield from _object_problems("/context", body.context, options.context_size_max)
        yield from _object_problems("/metadata", body.metadata, options.metadata_size_max)
        yield from _value_problems(body.metadata, options)
        if not isinstance(body.ttl_seconds, UnsetType) and body.ttl_seconds > options.ttl_seconds_max:
            yield Problem("/ttl_seconds", f"must be at most {options.ttl_seconds_max}, the longest lifetime here")

    return rules


def _object_problems(pointer: str, raw: Raw | UnsetType, size_max: int) -> Iterator[BodyProblem]:
    if isinstance(raw, UnsetType):
        return
    if not starts_with(raw, b"{"):
        yield Problem(pointer, "must be an object")
    size = len(memoryview(raw))
    if size > size_max:
        yield FieldTooLarge(pointer, size_max, size)


def _value_problems(metadata: Raw | UnsetType, options: HttpOptions) -> Iterator[Problem]:
    """Limit the entries in the index of metadata: each takes ten times the work of its bytes, and of the log."""
    if isinstance(metadata, UnsetType) or len(memoryview(metadata)) > options.metadata_size_max:
        return
    if has_more_values(bytes(metadata), options.metadata_values_max):
        yield Problem("/metadata", f"must have at most {options.metadata_values_max} values, at all levels together")
