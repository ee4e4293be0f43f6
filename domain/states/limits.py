"""How large a state may be, and why one cannot be saved."""

import json
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from attrs import field, frozen, validators

from domain.json_text import VALUE_DEPTH_MAX, JsonText, has_unreadable_number, is_deeper

_positive = validators.ge(1)
_DEPTH_MAX = VALUE_DEPTH_MAX - 1
"""How deep a state may be nested: it is a member of the event of a script, and of a body."""


class StateFaultKind(StrEnum):
    """What is wrong with a state that cannot be saved."""

    TOO_LARGE = "STATE_TOO_LARGE"
    NOT_SERIALIZABLE = "STATE_NOT_SERIALIZABLE"


@frozen
class StateFault:
    """Why a state cannot be saved. `limit` and `observed` are in bytes, characters or a count, as the text says."""

    kind: StateFaultKind
    message: str
    limit: int | None = None
    observed: int | None = None


@frozen
class StateLimits:
    """Limits of a state and its parts: bytes of JSON, top-level keys, their characters, bytes of each value."""

    size_max: int = field(default=262_144, validator=_positive)
    keys_max: int = field(default=1000, validator=_positive)
    key_length_max: int = field(default=128, validator=_positive)
    value_size_max: int = field(default=65_536, validator=_positive)

    def fault(self, text: JsonText) -> StateFault | None:
        """Return why this JSON text cannot be a state; None if it can."""
        encoded = text.encode()
        if len(encoded) > self.size_max:
            return _too_large(f"{len(encoded):,} bytes of JSON", f"{self.size_max:,}", self.size_max, len(encoded))
        if is_deeper(encoded, _DEPTH_MAX):
            return _unfit(f"is nested deeper than {_DEPTH_MAX} levels")
        if has_unreadable_number(encoded):
            return _unfit("has a number that many readers of JSON cannot read")
        state = json.loads(text)
        if not isinstance(state, dict):
            return _unfit("is not a JSON object")
        return next(self._faults(state, len(encoded)), None)

    def _faults(self, state: dict[str, Any], size: int) -> Iterator[StateFault]:
        if len(state) > self.keys_max:
            yield _too_large(f"{len(state):,} keys", f"{self.keys_max:,}", self.keys_max, len(state))
        for key in state:
            if len(key) > self.key_length_max:
                limit = f"{self.key_length_max} in each"
                yield _too_large(f"a key of {len(key):,} characters", limit, self.key_length_max, len(key))
        for key, value in state.items() if size > self.value_size_max else ():
            value_size = len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="replace"))
            if value_size > self.value_size_max:
                limit = f"{self.value_size_max:,} in each"
                found = f"{value_size:,} bytes of JSON in the key {key!r}"
                yield _too_large(found, limit, self.value_size_max, value_size)


def _too_large(found: str, allowed: str, limit: int, observed: int) -> StateFault:
    text = f"The state has {found}, and at most {allowed} are allowed. Keep less in it."
    return StateFault(StateFaultKind.TOO_LARGE, text, limit, observed)


def _unfit(why: str) -> StateFault:
    return StateFault(StateFaultKind.NOT_SERIALIZABLE, f"The state {why}. Keep an object that JSON can hold.")
