"""What a body asks for a script to use."""

from collections.abc import Iterator
from typing import Protocol

from msgspec import UNSET, UnsetType

from domain.egress.rule import EgressRule, InvalidRule
from domain.environments.environment import pinned_name
from domain.errors import Problem
from domain.grants.environment import EnvironmentGrant
from domain.grants.files import FilesGrant
from domain.grants.grants import Grants
from domain.grants.network import NetworkGrant
from domain.grants.secrets import SecretsGrant
from domain.grants.state import SaveOn, StateGrant
from domain.grants.syntax import SyntaxGrant
from domain.scripts.syntax import Syntax
from entrypoints.http.schemas.fields import given
from entrypoints.http.schemas.grants import NewFiles, NewNetwork, NewState, NewSyntax, is_given


class GrantingBody(Protocol):
    """A body with the members that ask for grants."""

    @property
    def state(self) -> NewState | UnsetType | None:
        """The state that it asks for."""
        ...

    @property
    def secrets(self) -> list[str] | UnsetType | None:
        """The names of the secrets that it asks for."""
        ...

    @property
    def network(self) -> NewNetwork | UnsetType | None:
        """The hosts that it asks for."""
        ...

    @property
    def syntax(self) -> NewSyntax | UnsetType | None:
        """The syntax that it asks for."""
        ...

    @property
    def environment(self) -> str | UnsetType | None:
        """The packages that it asks for."""
        ...

    @property
    def files(self) -> NewFiles | UnsetType | None:
        """The folder that it asks for."""
        ...


def grants_problems(body: GrantingBody) -> Iterator[Problem]:
    """Yield what is missing in the members of a body that ask for grants."""
    if _asks_nothing(body):
        return
    if is_given(body.state) and isinstance(body.state, NewState) and isinstance(body.state.mode, UnsetType):
        yield Problem("/state/mode", "is required: exclusive or shared; it is never guessed")
    for at, text in enumerate(_rules(body.network)):
        try:
            EgressRule.parse(text)
        except InvalidRule as error:
            yield Problem(f"/network/allow/{at}", str(error))
    try:
        _environment(body.environment)
    except ValueError:
        yield Problem("/environment", "must be the name of an environment, such as data, or data@3 with a version")


def asked_grants(body: GrantingBody) -> Grants | None:
    """Return what a body without problems asks for; None if it asks for nothing."""
    if _asks_nothing(body):
        return None
    rules = tuple(map(EgressRule.parse, _rules(body.network)))
    names = given(body.secrets)
    return Grants.of_members(
        state=_state(body.state),
        network=NetworkGrant(rules) if isinstance(body.network, NewNetwork) else None,
        secrets=None if names is None else SecretsGrant(tuple(names)),
        syntax=None if given(body.syntax) is None else SyntaxGrant(Syntax.TYPESCRIPT),
        environment=_environment(body.environment),
        files=_files(body.files),
    )


def _asks_nothing(body: GrantingBody) -> bool:
    """Return whether a body has none of the members, as most bodies have none."""
    return (
        body.state is UNSET
        and body.network is UNSET
        and body.secrets is UNSET
        and body.syntax is UNSET
        and body.environment is UNSET
        and body.files is UNSET
    )


def _rules(asked: NewNetwork | UnsetType | None) -> list[str]:
    return (given(asked.allow) or []) if isinstance(asked, NewNetwork) else []


def _environment(asked: str | UnsetType | None) -> EnvironmentGrant | None:
    """Return the packages that a body asks for; raises ValueError."""
    return EnvironmentGrant(*pinned_name(asked)) if isinstance(asked, str) else None


def _files(asked: NewFiles | UnsetType | None) -> FilesGrant | None:
    return FilesGrant(given(asked.size_mb)) if isinstance(asked, NewFiles) else None


def _state(asked: NewState | UnsetType | None) -> StateGrant | None:
    if not isinstance(asked, NewState) or isinstance(asked.mode, UnsetType):
        return None
    return StateGrant(asked.mode, given(asked.save_on) or SaveOn.SUCCESS, given(asked.repl) or False)
