"""The bodies of states, with the rules that their types cannot express."""

import re
from collections.abc import Iterator

from attrs import frozen
from msgspec import UnsetType

from domain.errors import Problem
from entrypoints.http.options import HttpOptions
from entrypoints.http.parsing.bodies import BodyParser, Examiner
from entrypoints.http.parsing.body_problems import BodyProblem
from entrypoints.http.parsing.json_scan import starts_with
from entrypoints.http.schemas.states import StateEnvelope, StateValueEnvelope

_ENVELOPE_SIZE = 1024
_STATE, _VALUE = frozenset({"state"}), frozenset({"value"})
_PATCH = re.compile(
    r'application/(?:merge-patch\+)?json[ \t]*(?:;[ \t]*charset="?utf-?8"?[ \t]*)?;?[ \t]*', re.IGNORECASE
)


@frozen
class StateParsers:
    """The parsers of the bodies of states."""

    state: BodyParser[StateEnvelope]
    patch: BodyParser[StateEnvelope]
    value: BodyParser[StateValueEnvelope]

    @classmethod
    def of(cls, options: HttpOptions, examiner: Examiner) -> "StateParsers":
        """Return the parsers for these options. A patch may name what it removes, so it may be twice as large."""
        size_max, timeout_s = options.state_size_max + _ENVELOPE_SIZE, options.body_timeout_s
        return cls(
            BodyParser(StateEnvelope, size_max, timeout_s, _state_rules, examiner, _STATE),
            BodyParser(StateEnvelope, 2 * size_max, timeout_s, _state_rules, examiner, _STATE, media_types=_PATCH),
            BodyParser(StateValueEnvelope, size_max, timeout_s, _value_rules, examiner, _VALUE),
        )


def _state_rules(body: StateEnvelope) -> Iterator[BodyProblem]:
    if isinstance(body.state, UnsetType):
        yield Problem("/state", "is required")
    elif not starts_with(body.state, b"{"):
        yield Problem("/state", "must be an object")


def _value_rules(body: StateValueEnvelope) -> Iterator[BodyProblem]:
    if isinstance(body.value, UnsetType):
        yield Problem("/value", "is required")
