"""What a body asks for a script to use."""

from collections.abc import Iterator
from typing import Protocol

from msgspec import UnsetType

from domain.errors import Problem
from domain.grants.grants import Grants
from domain.grants.state import SaveOn, StateGrant
from entrypoints.http.schemas.fields import given
from entrypoints.http.schemas.grants import NewState, is_given

GRANT_NAMES = ("state",)
"""The members of bodies that ask for grants; none of them changes during a session."""


class GrantingBody(Protocol):
    """A body with the members that ask for grants."""

    @property
    def state(self) -> NewState | UnsetType | None:
        """The state that it asks for."""
        ...


def grants_problems(body: GrantingBody) -> Iterator[Problem]:
    """Yield what is missing in the members of a body that ask for grants."""
    if is_given(body.state) and isinstance(body.state, NewState) and isinstance(body.state.mode, UnsetType):
        yield Problem("/state/mode", "is required: exclusive or shared; it is never guessed")


def asked_grants(body: GrantingBody) -> Grants | None:
    """Return what a body without problems asks for; None if it asks for nothing."""
    return Grants.of_members(state=_state(body.state))


def _state(asked: NewState | UnsetType | None) -> StateGrant | None:
    if not isinstance(asked, NewState) or isinstance(asked.mode, UnsetType):
        return None
    return StateGrant(asked.mode, given(asked.save_on) or SaveOn.SUCCESS, given(asked.repl) or False)
