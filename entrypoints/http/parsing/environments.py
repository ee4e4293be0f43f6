"""The bodies of environments, with what their types cannot express."""

from collections.abc import Iterator

from msgspec import UnsetType

from domain.environments.lock import LOCK_SIZE_MAX
from domain.environments.service import NewEnvironment
from domain.errors import FieldTooLarge, Problem
from domain.identity import Owner, OwnerRefused, parse_owner
from entrypoints.http.options import HttpOptions
from entrypoints.http.parsing.bodies import BodyParser, Examiner
from entrypoints.http.parsing.body_problems import BodyProblem
from entrypoints.http.schemas.environments import EnvironmentEnvelope

_BODY_SIZE_MAX = 2 * LOCK_SIZE_MAX
_REQUIRED = ("name", "language", "lock")


def environment_parser(options: HttpOptions, examiner: Examiner) -> BodyParser[EnvironmentEnvelope]:
    """Return the parser of environments to create."""
    stored = frozenset({"name", "lock", "description"})
    return BodyParser(EnvironmentEnvelope, _BODY_SIZE_MAX, options.body_timeout_s, _rules, examiner, stored)


def asked_environment(body: EnvironmentEnvelope) -> NewEnvironment:
    """Return what a parsed body asks for."""
    assert not isinstance(body.name, UnsetType), "the rules require it"
    assert not isinstance(body.language, UnsetType), "the rules require it"
    assert not isinstance(body.lock, UnsetType), "the rules require it"
    owners = None if body.owners is None else tuple(map(Owner, body.owners))
    return NewEnvironment(body.name, body.language, body.lock, tuple(body.preload), owners, body.description)


def _rules(body: EnvironmentEnvelope) -> Iterator[BodyProblem]:
    for name in _REQUIRED:
        if isinstance(getattr(body, name), UnsetType):
            yield Problem(f"/{name}", "is required")
    if isinstance(body.lock, str) and len(body.lock.encode()) > LOCK_SIZE_MAX:
        yield FieldTooLarge("/lock", LOCK_SIZE_MAX, len(body.lock.encode()))
    for at, owner in enumerate(body.owners or ()):
        try:
            parse_owner(owner)
        except OwnerRefused as error:
            yield Problem(f"/owners/{at}", f"must be an owner: {error}")
