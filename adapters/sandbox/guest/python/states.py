"""The state that a script finds in its event, and whether it has changed it."""

# ruff: noqa: D103  # functions of one program, which names explain

from __future__ import annotations

from .frames import encode
from .results import NotSerializable, ResultTooLarge, find_unserializable

TYPE_CHECKING = False  # importing typing would cost a tenth of the start
if TYPE_CHECKING:
    from typing import Any


class StateUnfit(NotSerializable):
    """The state cannot be written as JSON."""

    of = "STATE"


class StateTooLarge(ResultTooLarge):
    """The state as JSON has more bytes than the limit; the argument is its size."""

    of = "STATE"


class SharedState(dict):  # type: ignore[type-arg]  # `typing` takes long to import
    """A state that no execution writes. Deeper changes are not noticed, and not saved."""

    def _refuse(self, *_given: Any, **_named: Any) -> Any:
        raise TypeError('the state is read-only: the mode of the session is "shared". Use "exclusive" to write it')

    __setitem__ = __delitem__ = __ior__ = _refuse
    update = pop = popitem = clear = setdefault = _refuse


class KeptState:
    """The state of one execution.

    `wanted` says how: its size, whether it is shared, whether failures keep it, and whether it is the top-level names.
    Those that do not stay are `dropped`, with their types.
    """

    def __init__(self, event: dict[str, Any], wanted: dict[str, Any]) -> None:
        self.event = event
        self.size_max: int = wanted["size_max"]
        self.is_shared: bool = wanted["shared"]
        self.is_kept_by_failures: bool = wanted["always"]
        self.is_repl: bool = wanted.get("repl", False)
        self.dropped: list[list[str]] = []
        self.before = "" if self.is_shared else encode(event["state"])
        if self.is_shared:
            event["state"] = SharedState(event["state"])

    def changed(self) -> bytes:
        """Return the state as JSON; nothing if it has not changed. Raises StateUnfit and StateTooLarge."""
        if self.is_shared:
            return b""
        state = self.event.get("state")
        if not isinstance(state, dict):
            raise StateUnfit(f"The state must be a dict, and is a value of type {type(state).__name__}.")
        for key in state:
            if not isinstance(key, str):
                raise StateUnfit(f"The state has a key of type {type(key).__name__}. Its keys must be strings.")
        try:
            text = encode(state)
            encoded = b"" if text == self.before else text.encode()
        except (ValueError, TypeError, RecursionError, OverflowError) as error:
            raise StateUnfit(explanation(state, error)) from None
        if len(encoded) > self.size_max:
            raise StateTooLarge(len(encoded))
        return encoded

    def changed_by_failure(self) -> bytes:
        """Return what `changed` does if failures keep the state; nothing if it cannot be written."""
        try:
            return self.changed() if self.is_kept_by_failures else b""
        except BaseException:  # noqa: BLE001  # the script has failed already
            return b""


def explanation(state: Any, error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "The state is nested too deeply for JSON."
    found = find_unserializable(state, "state", set(), 0)
    if found is None:
        return f"The state cannot be written as JSON: {error}."
    return f"{found[0]} is {found[1]}, which JSON cannot hold."
