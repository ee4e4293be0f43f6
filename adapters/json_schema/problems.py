"""What a validator has against a value, as problems that a caller can be told."""

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any

from jsonschema_rs import Draft202012Validator, ValidationError

from domain.errors import Problem
from domain.json_pointer import pointer

PROBLEMS_MAX = 50
_MESSAGE_LENGTH_MAX = 300


def broken_by(validator: Draft202012Validator, value: Any) -> tuple[Problem, ...]:
    """Return everything in the value that does not fit, up to PROBLEMS_MAX."""
    problems = dict.fromkeys(map(problem_of, validator.iter_errors(value)))
    return tuple(islice(problems, PROBLEMS_MAX))


def problem_of(error: ValidationError) -> Problem:
    """Return the problem; what the library says is cut where it quotes at length."""
    return Problem(pointer(error.instance_path), _bounded(_message(error)))


def _message(error: ValidationError) -> str:
    name, facts = error.kind.name, error.kind.as_dict()
    tell = _MESSAGES.get(name)
    return f"does not fit {name}: {error.message}" if tell is None else tell(facts)


def _quoted(value: Any) -> str:
    return value if isinstance(value, str) and value.isidentifier() else repr(value)


def _bounded(message: str) -> str:
    return message if len(message) <= _MESSAGE_LENGTH_MAX else message[:_MESSAGE_LENGTH_MAX] + "…"


def _listed(values: Iterable[Any]) -> str:
    return ", ".join(map(_quoted, values))


_MESSAGES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "type": lambda facts: f"must be of type {' or '.join(facts['types'])}",
    "enum": lambda facts: f"must be one of: {_listed(facts['options'])}",
    "const": lambda facts: f"must be {_quoted(facts['expected_value'])}",
    "required": lambda facts: f"lacks the member {_quoted(facts['property'])}",
    "additionalProperties": lambda facts: f"has members that are not known here: {_listed(facts['unexpected'])}",
    "unevaluatedProperties": lambda facts: f"has members that are not known here: {_listed(facts['unexpected'])}",
    "falseSchema": lambda _: "must not be there",
    "minimum": lambda facts: f"must be at least {facts['limit']}",
    "maximum": lambda facts: f"must be at most {facts['limit']}",
    "pattern": lambda facts: f"must match the pattern {facts['pattern']}",
    "format": lambda facts: f"must have the format {facts['format']}",
    "anyOf": lambda _: "does not fit any of the schemas under anyOf",
    "oneOf": lambda _: "does not fit exactly one of the schemas under oneOf",
}
"""What is said of each keyword; of any other one, the library's own words."""
