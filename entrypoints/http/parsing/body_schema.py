"""The JSON Schema of a body, and everything in a value that violates it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache, partial, reduce
from itertools import chain
from operator import getitem
from typing import Annotated, Any
from uuid import UUID

import msgspec
from jsonschema_rs import Draft202012Validator, ValidationError
from msgspec import Struct

from domain.errors import Problem
from domain.json_pointer import pointer
from entrypoints.http.parsing.json_faults import NumberText

_ENVELOPE_DEPTH = 4
"""An execute has `async`, which has `retry`, which has `on`, which has values."""

_ITEMS_MAX = 16
"""Items of a list that are checked; no list of an envelope may have as many."""

_TEXT_LENGTH = 1024
"""Characters of a text that are checked; the decoder refuses a longer one that is too long."""
_ARTICLES = {"integer": "an integer", "object": "an object", "array": "an array"}
_FORMATS: Mapping[str, tuple[Any, str]] = {
    "date-time": (Annotated[datetime, msgspec.Meta(tz=True)], "must be an instant such as 2026-11-25T12:00:00Z"),
    "uuid": (UUID, "must be a UUID"),
}
"""Types whose form the decoder checks, and what it wants."""

_MESSAGES = {
    "minimum": "must be at least {limit}",
    "maximum": "must be at most {limit}",
    "required": "must have the field {property}",
    "minItems": "must have at least {limit} items",
    "maxItems": "must have at most {limit} items",
    "minLength": "must have at least {limit} characters",
    "maxLength": "must have at most {limit} characters",
    "pattern": "must match the pattern {pattern}",
}


class BodySchema:
    """The JSON Schema of a type of bodies.

    `misplaced` has the problem of names that belong to another part of the request: in lower case, with underscores.
    """

    def __init__(self, kind: type[Struct], misplaced: Mapping[str, str]) -> None:
        self._kind = kind
        self._misplaced = misplaced

    def problems(self, value: Any) -> Iterator[Problem]:
        """Yield everything that violates the schema, with its JSON pointer."""
        schema, validator = _compiled(self._kind)
        for error in validator.iter_errors(_outline(value, _ENVELOPE_DEPTH)):
            yield from self._problems_of(schema, error)

    def _problems_of(self, schema: Any, error: ValidationError) -> Iterator[Problem]:
        if error.kind.name == "additionalProperties":
            yield from self._unknown_fields(schema, error)
        elif error.kind.name != "anyOf":
            yield _schema_problem(error)
        else:
            yield from self._of_alternatives(schema, error)

    def _of_alternatives(self, schema: Any, error: ValidationError) -> Iterator[Problem]:
        """Yield the problems of a value that may be one of several, and may be null: those of the type that it has."""
        alternatives = [each for each in error.kind.as_dict()["context"] if _types_of(each[0]) != ["null"]]
        fitting = [each for each in alternatives if not _is_of_another_type(each, error)]
        if fitting or len(alternatives) == 1:
            for each in chain.from_iterable(fitting or alternatives):
                yield from self._problems_of(schema, each)
        else:
            types = chain.from_iterable(_types_of(each[0]) for each in alternatives)
            yield Problem(pointer(error.instance_path), _must_be(types))

    def _unknown_fields(self, schema: Any, error: ValidationError) -> Iterator[Problem]:
        *place, _ = error.schema_path
        known = ", ".join(sorted(reduce(getitem, place, schema)["properties"]))
        for name in error.kind.as_dict()["unexpected"]:
            message = self._misplaced.get(name.lower().replace("-", "_"), f"is not a known field; known are: {known}")
            yield Problem(pointer((*error.instance_path, name)), message)


@cache  # as many types as routes have; a schema takes 2 ms, and only bodies that are rejected need it
def _compiled(kind: type[Struct]) -> tuple[Any, Draft202012Validator]:
    schema = msgspec.json.schema(kind)
    formats: dict[str, Any] = {name: partial(_is_of, wanted) for name, (wanted, _) in _FORMATS.items()}
    return schema, Draft202012Validator(schema, validate_formats=True, formats=formats)


def _is_of_another_type(errors: Sequence[ValidationError], whole: ValidationError) -> bool:
    return bool(_types_of(errors[0])) and errors[0].instance_path == whole.instance_path


def _types_of(error: ValidationError) -> Sequence[str]:
    """Return the types that a value must have; none if its type is right."""
    types: Sequence[str] = error.kind.as_dict().get("types", ())
    return types


def _must_be(types: Iterable[str]) -> str:
    return f"must be {' or '.join(_ARTICLES.get(each, f'a {each}') for each in types)}"


def _outline(value: Any, depth: int) -> Any:
    """Return the part of a value that the schema of an envelope checks: `depth` levels, and the begin of texts.

    No field of an envelope is a fraction, so None stands for all of them: neither is an integer.
    """
    if isinstance(value, NumberText):
        return None
    if isinstance(value, str):
        return _unicode(value[:_TEXT_LENGTH])
    if isinstance(value, dict):
        members = value.items() if depth else ()
        return {_unicode(name): _outline(member, depth - 1) for name, member in members}
    if isinstance(value, list):
        return [_outline(item, depth - 1) for item in value[:_ITEMS_MAX]] if depth else []
    return value


def _unicode(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _is_of(kind: Any, text: str) -> bool:
    try:
        msgspec.convert(text, kind)
    except msgspec.ValidationError:
        return False
    return True


def _schema_problem(error: ValidationError) -> Problem:
    name, facts = error.kind.name, error.kind.as_dict()
    match name:
        case "type":
            message = _must_be(facts["types"])
        case "enum":
            message = f"must be one of: {', '.join(facts['options'])}"
        case "format" if facts["format"] in _FORMATS:
            message = _FORMATS[facts["format"]][1]
        case _:
            message = _MESSAGES.get(name, f"does not satisfy {name}").format_map(facts)
    return Problem(pointer(error.instance_path), message)
