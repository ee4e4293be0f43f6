"""Differences between a value and its schema, as problems for the caller."""

import json
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

from jsonschema_rs import Draft202012Validator, ValidationError

from domain.errors import Problem
from domain.json_pointer import pointer

PROBLEMS_MAX = 50
_MESSAGE_LENGTH_MAX = 300

MARKS = {name: {"$comment": name} for name in ("anyOf", "oneOf")}
"""The schemas under not by which Document.wrap_alternatives marks the keywords that it has wrapped."""


def problems_in(validator: Draft202012Validator, value: Any) -> tuple[Problem, ...]:
    """Return all problems of a value, up to PROBLEMS_MAX."""
    problems = dict.fromkeys(map(problem_of, validator.iter_errors(value)))
    return tuple(islice(problems, PROBLEMS_MAX))


def problem_of(error: ValidationError) -> Problem:
    """Return the problem; a long message is cut."""
    message = _message(error)
    if len(message) > _MESSAGE_LENGTH_MAX:
        message = message[:_MESSAGE_LENGTH_MAX] + "…"
    return Problem(pointer(error.instance_path), message)


def _message(error: ValidationError) -> str:
    name, facts = error.kind.name, error.kind.as_dict()
    if name == "not" and facts["schema"] in MARKS.values():
        name = facts["schema"]["$comment"]
    say = _MESSAGES.get(name)
    return f"does not fit {name}: {error.message}" if say is None else say(facts)


def _quoted(value: Any) -> str:
    return value if isinstance(value, str) and value.isidentifier() else repr(value)


def _listed(values: Iterable[Any]) -> str:
    return ", ".join(map(_quoted, values))


def _unless_wrapped(schema: Any) -> str:
    text = json.dumps(schema)
    return "" if '"$comment"' in text else f": {text}"


_MESSAGES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "type": lambda facts: f"must be of type {' or '.join(facts['types'])}",
    "enum": lambda facts: f"must be one of: {_listed(facts['options'])}",
    "const": lambda facts: f"must be {_quoted(facts['expected_value'])}",
    "required": lambda facts: f"lacks the member {_quoted(facts['property'])}",
    "additionalProperties": lambda facts: f"has members that are not known here: {_listed(facts['unexpected'])}",
    "unevaluatedProperties": lambda facts: f"has members that are not known here: {_listed(facts['unexpected'])}",
    "propertyNames": lambda facts: (
        f"has a member whose name {_message(facts['error'])}: {_quoted(facts['error'].instance)}"
    ),
    "falseSchema": lambda _: "must not be there",
    "minimum": lambda facts: f"must be at least {facts['limit']}",
    "maximum": lambda facts: f"must be at most {facts['limit']}",
    "pattern": lambda facts: f"must match the pattern {facts['pattern']}",
    "format": lambda facts: f"must have the format {facts['format']}",
    "not": lambda facts: f"must not fit the schema under not{_unless_wrapped(facts['schema'])}",
    "anyOf": lambda _: "does not fit any of the schemas under anyOf",
    "oneOf": lambda _: "does not fit exactly one of the schemas under oneOf",
}
"""The message for each keyword; for all others it is the library's own."""
