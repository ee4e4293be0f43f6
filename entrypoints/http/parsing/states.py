"""The bodies of states, with the rules that their types cannot express."""

import re
from collections.abc import Iterator

from attrs import frozen

from domain.errors import Problem
from entrypoints.http.options import HttpOptions
from entrypoints.http.parsing.bodies import BodyParser, Examiner
from entrypoints.http.parsing.body_problems import BodyProblem
from entrypoints.http.parsing.json_scan import starts_with
from entrypoints.http.schemas.states import StateBody, StatePatchBody, StateValueBody

_ENVELOPE_SIZE = 1024
_STORED_STATE, _STORED_VALUE = frozenset({"state"}), frozenset({"value"})
_PATCH = re.compile(
    r"application/(?:merge-patch\+)?json[ \t]*(?:;[ \t]*charset=\"?utf-?8\"?[ \t]*)?;?[ \t]*", re.IGNORECASE
)


@frozen
class StateParsers:
    """The parsers of the bodies of states."""

    state: BodyParser[StateBody]
    patch: BodyParser[StatePatchBody]
    value: BodyParser[StateValueBody]

    @classmethod
    def of(cls, options: HttpOptions, examiner: Examiner) -> "StateParsers":
        """Return the parsers for these options. A patch may have twice the size of a state: it can name and replace."""
        size_max, timeout_s = options.state_size_max + _ENVELOPE_SIZE, options.body_timeout_s
        return cls(
            BodyParser(StateBody, size_max, timeout_s, _object_rules, examiner, _STORED_STATE),
            BodyParser(
                StatePatchBody, 2 * size_max, timeout_s, _object_rules, examiner, _STORED_STATE, media_types=_PATCH
            ),
            BodyParser(StateValueBody, size_max, timeout_s, _no_rules, examiner, _STORED_VALUE),
        )


def _object_rules(body: StateBody | StatePatchBody) -> Iterator[BodyProblem]:
    if not starts_with(body.state, b"{"):
        yield Problem("/state", "must be an object")


def _no_rules(_: StateValueBody) -> Iterator[BodyProblem]:
    yield from ()
