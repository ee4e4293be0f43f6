"""The bodies of the origin's calls, which ignore unknown members, and how faults in them are reported."""

import re
from collections.abc import Iterator
from functools import partial

from msgspec import UNSET, Raw, Struct, UnsetType

from domain.errors import FieldTooLarge, InvalidRequest, Problem
from entrypoints.http.errors import UnsupportedMediaType, invalid
from entrypoints.http.options import HttpOptions
from entrypoints.http.parsing.bodies import BodyParser, Examiner
from entrypoints.http.parsing.body_problems import Body, BodyProblem
from entrypoints.http.parsing.sessions import ENVELOPE_SIZE, ESCAPED
from entrypoints.http.request import Request
from entrypoints.origin.errors import BodyRefused, MediaTypeRefused, ScriptTooLarge

_MEDIA_TYPES = re.compile(r"[\w.+-]+/(?:[\w.+-]+\+)?json[ \t]*(?:;.*)?", re.IGNORECASE | re.ASCII | re.DOTALL)
"""The origin takes every type of JSON, whatever its parameters say; the text is UTF-8 all the same."""

_SCRIPT = "/script_content"


class OriginInitializeBody(Struct):
    """A session to initialize. `compile_options` are accepted and have no effect."""

    context: Raw | UnsetType = UNSET
    script_content: str | None = None


class OriginExecuteBody(Struct):
    """The input of one execution."""

    params: Raw | UnsetType = UNSET


def initialize_parser(options: HttpOptions, examiner: Examiner) -> BodyParser[OriginInitializeBody]:
    """Return the parser for the body of initialize."""
    size_max = options.script_size_max * ESCAPED + options.context_size_max + ENVELOPE_SIZE
    rules = partial(_initialize_rules, options)
    stored = frozenset({"context", "script_content"})
    return BodyParser(
        OriginInitializeBody, size_max, options.body_timeout_s, rules, examiner, stored, media_types=_MEDIA_TYPES
    )


def execute_parser(options: HttpOptions, examiner: Examiner) -> BodyParser[OriginExecuteBody]:
    """Return the parser for the body of execute."""
    size_max, rules = options.params_size_max + ENVELOPE_SIZE, partial(_execute_rules, options)
    return BodyParser(OriginExecuteBody, size_max, options.body_timeout_s, rules, examiner, media_types=_MEDIA_TYPES)


async def read(parser: BodyParser[Body], request: Request) -> Body:
    """Return the body of a request; raises what the parser raises, with faults of the body as the origin's errors."""
    try:
        return await parser.read(request)
    except InvalidRequest as error:
        raise invalid(error.problems, BodyRefused) from None
    except UnsupportedMediaType as error:
        raise MediaTypeRefused(error.header, error.value) from None
    except FieldTooLarge as error:
        if error.pointer == _SCRIPT:
            raise ScriptTooLarge(error.pointer, error.size_max, error.size) from None
        raise


def _initialize_rules(options: HttpOptions, body: OriginInitializeBody) -> Iterator[BodyProblem]:
    yield from _required("/context", body.context, options.context_size_max)
    if body.script_content is not None:
        size = len(body.script_content.encode())
        if size > options.script_size_max:
            yield FieldTooLarge(_SCRIPT, options.script_size_max, size)


def _execute_rules(options: HttpOptions, body: OriginExecuteBody) -> Iterator[BodyProblem]:
    yield from _required("/params", body.params, options.params_size_max)


def _required(pointer: str, raw: Raw | UnsetType, size_max: int) -> Iterator[BodyProblem]:
    if isinstance(raw, UnsetType):
        yield Problem(pointer, f"missing field `{pointer.removeprefix('/')}`, which takes any JSON value")
    elif (size := len(memoryview(raw))) > size_max:
        yield FieldTooLarge(pointer, size_max, size)
