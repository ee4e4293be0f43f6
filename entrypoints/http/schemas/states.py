"""Bodies of states."""

from typing import Annotated

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from domain.json_text import JsonText
from domain.scripts.dropped import DROPPED_MAX
from domain.states.state import SessionState
from entrypoints.http.response import embedded
from entrypoints.http.schemas import fields

State = Annotated[
    fields.JsonObject,
    Meta(description="The state of the session: a JSON object of at most MAX_STATE_SIZE bytes and 1,000 keys."),
]
StatePatch = Annotated[
    fields.JsonObject,
    Meta(
        description="What to change, as a merge patch (RFC 7396): a member of null removes the key, an object is "
        "merged, and any other value replaces the stored one."
    ),
]
Value = Annotated[Raw, Meta(description="The JSON value of the key.")]
Version = Annotated[int, Meta(description="How often the state was saved; 0 before the first time.", ge=0)]


class StateBody(Struct, forbid_unknown_fields=True):
    """A state that replaces the stored one."""

    state: State


class StatePatchBody(Struct, forbid_unknown_fields=True):
    """A change of a state. The body is a merge patch of the response."""

    state: StatePatch


class StateValueBody(Struct, forbid_unknown_fields=True):
    """The value of one key."""

    value: Value


class StateEnvelope(Struct, forbid_unknown_fields=True):
    """A body with a state as it is parsed: rules say what is missing."""

    state: State | UnsetType = UNSET


class StateValueEnvelope(Struct, forbid_unknown_fields=True):
    """A body with a value as it is parsed: rules say what is missing."""

    value: Value | UnsetType = UNSET


class StateResponse(Struct):
    """The state of a session."""

    state: State
    version: Version

    @classmethod
    def of(cls, state: SessionState) -> "StateResponse":
        """Return the body for a state."""
        return cls(embedded(state.text), state.version)


class StateValueResponse(Struct):
    """The value of one key of the state, and the version of the whole."""

    value: Value
    version: Version

    @classmethod
    def of(cls, value: JsonText, version: int) -> "StateValueResponse":
        """Return the body for a value."""
        return cls(embedded(value), version)


class DroppedBody(Struct):
    """A name that is not kept."""

    name: Annotated[str, Meta(description="The name.", examples=["connection"])]
    type: Annotated[str, Meta(description="The type of its value.", examples=["function"])]


DroppedField = Annotated[
    list[DroppedBody],
    Meta(
        description="Names at the top level of the script that the next execution does not find, because JSON cannot "
        "give back their values. Only for a state with repl; absent if there are none.",
        max_length=DROPPED_MAX,
    ),
]
