"""A JSON Schema that is ready to check with."""

import json
from typing import Any

from attrs import define
from jsonschema_rs import Draft202012Validator, ValidationError
from typing_extensions import override

from adapters.json_schema.problems import broken_by, problem_of
from adapters.json_schema.weight import Weight
from domain.errors import Problem
from domain.functions.ports import Schema
from domain.json_text import JsonText, without_strings

_ALL_ERRORS_WORK_MAX = 5_000
"""Work up to which everything is told: the library finds all errors at once, and each takes some microseconds."""


@define(eq=False)
class CompiledSchema(Schema):
    """A validator and what it costs; `size` in bytes is what it takes in memory, about."""

    _validator: Draft202012Validator
    _weight: Weight
    size: int
    _work_max: int

    @override
    def problems(self, value: JsonText) -> tuple[Problem, ...]:
        work = self._work(value)
        if work > self._work_max:
            message = f"takes up to {work} steps to check with this schema, and {self._work_max} are allowed; send less"
            return (Problem("", message),)
        try:
            return self._found(json.loads(value), work)
        except (ValueError, RecursionError) as error:
            return (Problem("", f"cannot be checked with a schema: {error}"),)

    def _found(self, value: Any, work: int) -> tuple[Problem, ...]:
        if work <= _ALL_ERRORS_WORK_MAX:
            return () if self._validator.is_valid(value) else broken_by(self._validator, value)
        try:
            self._validator.validate(value)
        except ValidationError as error:
            return (problem_of(error),)
        return ()

    def _work(self, text: JsonText) -> int:
        """Return the steps at worst; what stands in strings is told from values only where that matters."""
        encoded = text.encode(errors="replace")
        work = self._weight.work(encoded, len(text))
        return work if work <= self._work_max else self._weight.work(without_strings(encoded), len(text))
