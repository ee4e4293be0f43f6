"""What the script of a session may use, as one value with a canonical text."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self

import attrs
from attrs import define, frozen

from domain.concurrency.bounded_cache import BoundedCache
from domain.errors import Unavailable
from domain.grants.environment import EnvironmentGrant
from domain.grants.files import FilesGrant
from domain.grants.member import Member
from domain.grants.network import NetworkGrant
from domain.grants.secrets import SecretsGrant
from domain.grants.state import StateGrant
from domain.grants.syntax import SyntaxGrant
from domain.scripts.script import InputForm
from domain.scripts.syntax import Syntax

GRANTS_SIZE_MAX = 8192
"""Bytes of the canonical text of the grants of a session."""

_KIND = "kind"
_CACHED_SIZE_MAX = 1024 * 1024


def _member(kind: type[Member]) -> Any:
    return attrs.field(default=None, metadata={_KIND: kind})


@define(eq=False)
class GrantsUnknown(Unavailable):
    """A session has grants that a later release has stored; its script does not run without them."""

    code: ClassVar[str] = "RUNTIME_UNAVAILABLE"
    names: tuple[str, ...]
    stored: str | None = "no"
    executed: str | None = "no"
    retry_after_ms: int | None = 1000

    @property
    def message(self) -> str:
        return (
            f"The session uses {', '.join(self.names)}, which this release does not know, so its script did not run. "
            "Repeat the call at a controller of the later release that granted it."
        )


@frozen
class Grants:
    """What a caller asks for, or what a session or a version of a function has; None grants nothing of a member.

    A value without any member is not used: a session without grants has None in place of it. `unknown` names members
    that a later release has stored, and that this one cannot give to a script.
    """

    state: StateGrant | None = _member(StateGrant)  # noqa: RUF009  # it returns an attrs field
    network: NetworkGrant | None = _member(NetworkGrant)  # noqa: RUF009  # it returns an attrs field
    secrets: SecretsGrant | None = _member(SecretsGrant)  # noqa: RUF009  # it returns an attrs field
    syntax: SyntaxGrant | None = _member(SyntaxGrant)  # noqa: RUF009  # it returns an attrs field
    environment: EnvironmentGrant | None = _member(EnvironmentGrant)  # noqa: RUF009  # it returns an attrs field
    files: FilesGrant | None = _member(FilesGrant)  # noqa: RUF009  # it returns an attrs field
    unknown: tuple[str, ...] = ()

    @classmethod
    def of_members(cls, **members: Any) -> Self | None:
        """Return grants with these members; None without any."""
        return cls(**members) if any(member is not None for member in members.values()) else None

    @classmethod
    def of(cls, text: str) -> "Grants":
        """Return the grants of a canonical text."""
        return _cached.get(text) or _cached_of(text)

    def members(self) -> Iterator[tuple[str, Member]]:
        """Yield the members that are granted, with their names."""
        for name in _KINDS:
            member = getattr(self, name)
            if member is not None:
                yield name, member

    @property
    def effective(self) -> "Grants | None":
        """These grants without empty lists of hosts and of secrets; None if nothing is left.

        By an empty list a request takes nothing of what a function grants.
        """
        network = self.network if self.network is not None and self.network.allow else None
        secrets = self.secrets if self.secrets is not None and self.secrets.names else None
        found = attrs.evolve(self, network=network, secrets=secrets)
        return found if any(found.members()) or found.unknown else None

    @property
    def run_syntax(self) -> Syntax | None:
        """The syntax in which the script runs; None is that of its language."""
        return None if self.syntax is None else self.syntax.syntax

    def text(self) -> str:
        """Return the canonical text: JSON with sorted names, every fact of each member, and no spaces."""
        facts = {name: member.facts() for name, member in self.members()}
        return json.dumps(facts, ensure_ascii=False, separators=(",", ":"), sort_keys=True)

    def __str__(self) -> str:
        return ", ".join((*(name for name, _ in self.members()), *self.unknown))


def asked_syntax(grants: Grants | None) -> Syntax | None:
    """Return the syntax in which a script with these grants is checked; None is that of its language."""
    return None if grants is None or grants.syntax is None else grants.syntax.syntax.asked


def pinned(grants: Grants | None, form: InputForm | None) -> Grants | None:
    """Return the grants of a script that has this form by its check, with the syntax of a module if it is one.

    Without a check they stay as they are.
    """
    asked = asked_syntax(grants)
    found = Syntax.of_module(asked) if form is InputForm.MODULE else asked
    if form is None or (grants is None and found is None):
        return grants
    evolved = attrs.evolve(grants or Grants(), syntax=None if found is None else SyntaxGrant(found))
    return evolved if any(evolved.members()) or evolved.unknown else None


_KINDS: Mapping[str, type[Member]] = {
    each.name: each.metadata[_KIND] for each in attrs.fields(Grants) if _KIND in each.metadata
}
GRANT_NAMES = _KINDS.keys()
"""The names of all members."""
_cached: BoundedCache[str, Grants] = BoundedCache(_CACHED_SIZE_MAX, lambda grants: len(grants.text()))


def _cached_of(text: str) -> Grants:
    stored = json.loads(text)
    known: dict[str, Any] = {name: _KINDS[name].of(facts) for name, facts in stored.items() if name in _KINDS}
    grants = Grants(**known, unknown=tuple(stored.keys() - known.keys()))
    _cached.put(text, grants)
    return grants
