"""Where schemathesis takes for valid what is not; it loads this by its configuration."""

import re
from typing import Any

import schemathesis
from schemathesis.generation import GenerationMode

from entrypoints.http.parsing.conditions import TAGS_PATTERN

_WHOLE = {"ttl_seconds", "timeout_ms", "memory_mb", "parallel"}
_CONDITIONS = {"If-Match": re.compile(TAGS_PATTERN), "If-None-Match": re.compile(TAGS_PATTERN)}


@schemathesis.hook
def map_body(_context: schemathesis.HookContext, body: Any) -> Any:
    """Write integers without a fraction: for JSON Schema 7606.0 is one, for decoders of typed languages it is not."""
    return _whole(body)


@schemathesis.hook
def before_call(_context: schemathesis.HookContext, case: schemathesis.Case, _kwargs: dict[str, Any]) -> None:
    """Leave out conditions that are none: for a header whose pattern needs a quote, valid requests are sent with 0."""
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE or not case.headers:
        return
    for name, pattern in _CONDITIONS.items():
        if name in case.headers and not pattern.fullmatch(str(case.headers[name])):
            del case.headers[name]


def _whole(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {member: _whole(each, member) for member, each in value.items()}
    return int(value) if name in _WHOLE and isinstance(value, float) and value.is_integer() else value
