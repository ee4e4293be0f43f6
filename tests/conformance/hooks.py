"""Where schemathesis takes for valid what is not; it loads this by its configuration."""

import json
import re
from http import HTTPStatus
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis.generation import GenerationMode

from domain.egress.rule import RULE_SIZE_MAX
from domain.grants.grants import GRANT_NAMES
from domain.grants.state import SaveOn, StateMode
from domain.scripts.convention import Convention
from domain.scripts.language import PINNED_PATTERN
from entrypoints.http.parsing.conditions import TAGS_PATTERN

_DOCUMENT = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text())
_EVERYWHERE = {"EXPECTATION_FAILED", "METHOD_NOT_ALLOWED", "NOT_FOUND"}
"""Codes that the description of the API names for all paths."""

_CONVENTIONS = [*Convention]
_WHOLE = {
    *("ttl_seconds", "timeout_ms", "memory_mb", "parallel"),
    *("priority", "delay_seconds", "expires_in_seconds", "max_attempts", "interval_seconds", "jitter_seconds"),
}
_OPTIONAL = {
    "If-Match": re.compile(TAGS_PATTERN),
    "If-None-Match": re.compile(TAGS_PATTERN),
    "Language-Title": re.compile(PINNED_PATTERN),
}
"""Headers with a pattern. Only a batch may leave out the last one."""


@schemathesis.hook
def map_body(_context: schemathesis.HookContext, body: Any) -> Any:
    """Correct what a schema cannot say.

    Integers are written without a fraction: for JSON Schema 7606.0 is one, for decoders of typed languages it is not.
    A calling convention is that of a script, and left out where there is none; that of the origin has no grants. A state
    needs a mode, and a rule a host.
    """
    return _whole(body)


@schemathesis.hook
def before_call(_context: schemathesis.HookContext, case: schemathesis.Case, _kwargs: dict[str, Any]) -> None:
    """Leave out optional headers that do not fit their pattern: some valid requests are sent with 0."""
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE or not case.headers:
        return
    for name, pattern in _OPTIONAL.items():
        if name in case.headers and not pattern.fullmatch(str(case.headers[name])):
            del case.headers[name]


@schemathesis.check
def error_codes_are_documented(
    _context: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case
) -> None:
    """Require that the code of an error is one of those that the document lists for its status."""
    if response.status_code >= HTTPStatus.BAD_REQUEST and case.method != "HEAD":
        code = response.json()["error"]["code"]
        known = _codes(case.operation.path, case.method.lower(), str(response.status_code))
        assert code in known | _EVERYWHERE, f"{code} is none of {sorted(known)}"


def _codes(path: str, method: str, status: str) -> set[str]:
    """Return the codes of the examples of a response."""
    item = _DOCUMENT["paths"][path].get(method, {"responses": {}})
    reference = item["responses"].get(status)
    if reference is None:
        return set()
    response = _DOCUMENT["components"]["responses"][reference["$ref"].rpartition("/")[2]]
    examples = response["content"]["application/json"]["examples"].values()
    return {example["value"]["error"]["code"] for example in examples}


def _whole(value: Any, name: str = "") -> Any:
    value = _state(value) if name == "state" else _rules(value) if name == "allow" else value
    if isinstance(value, dict):
        convention = value.get("convention")
        is_stray = convention in _CONVENTIONS and not value.get("script_content")
        is_stray |= convention == Convention.ORIGIN and not value.keys().isdisjoint(GRANT_NAMES)
        return {
            member: _whole(each, member) for member, each in value.items() if not (is_stray and member == "convention")
        }
    if isinstance(value, list):
        return [_whole(each) for each in value]
    return int(value) if name in _WHOLE and isinstance(value, float) and value.is_integer() else value


def _state(value: Any) -> Any:
    """Return a grant of a state with what it requires, and without what contradicts it."""
    if not isinstance(value, dict) or not value or not value.keys() <= {"mode", "save_on", "repl"}:
        return value
    mode, save_on, repl = value.get("mode", "exclusive"), value.get("save_on", "success"), value.get("repl", False)
    if mode not in [*StateMode] or save_on not in [*SaveOn] or not isinstance(repl, bool):
        return value
    return {"mode": mode} | ({"save_on": save_on} if mode == StateMode.EXCLUSIVE else {})


def _rules(value: Any) -> Any:
    """Return distinct egress rules in the place of texts that are none."""
    if not isinstance(value, list) or not all(isinstance(each, str) and len(each) <= RULE_SIZE_MAX for each in value):
        return value
    return [f"host-{number}.example.com:443" for number, _ in enumerate(value)]
