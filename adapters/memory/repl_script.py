"""Runs Python scripts whose top-level names are the state of their session."""

import json
from collections.abc import Mapping, MutableMapping
from types import ModuleType

from domain.scripts.dropped import DroppedName

_GIVEN = {"event", "params", "context", "request_id", "progress", "result"}


def run_with_names(
    source: str, event: MutableMapping[str, object], given: Mapping[str, object]
) -> Mapping[str, object]:
    """Run a script with the names of the state and those that are given, and return all its names.

    Afterwards the event has the names that stay as `state`, and the others as `dropped`.
    """
    before = event.pop("state")
    assert isinstance(before, dict)
    names: dict[str, object] = {name: value for name, value in before.items() if _is_own(name)} | dict(given)
    try:
        exec(compile(source, "<script>", "exec"), names)  # noqa: S102  # it runs scripts of tests
    finally:
        own = {name: value for name, value in names.items() if _is_own(name) and not isinstance(value, ModuleType)}
        kept = {name: value for name, value in own.items() if _stays(value)}
        event["state"] = {key: value for key, value in before.items() if not _is_own(key)} | kept
        event["dropped"] = tuple(DroppedName(name, type(own[name]).__name__) for name in own.keys() - kept.keys())
    return names


def _is_own(name: str) -> bool:
    return name.isidentifier() and not name.startswith("_") and name not in _GIVEN


def _stays(value: object) -> bool:
    try:
        return json.loads(json.dumps(value, allow_nan=False)) == value and not isinstance(value, tuple)
    except (ValueError, TypeError):
        return False
