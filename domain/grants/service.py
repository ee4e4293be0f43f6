"""The judgement of grants: whether a session, or a function, gets what a caller asks for."""

from collections.abc import Iterator, Sequence
from typing import Any

from attrs import define, evolve, frozen

from domain.errors import InvalidRequest, Problem
from domain.grants.grants import GRANTS_SIZE_MAX, Grants, pinned
from domain.grants.ports import GrantCeiling, Pin
from domain.identity import Owner
from domain.scripts.convention import Convention
from domain.scripts.language import Language
from domain.scripts.script import InputForm


@frozen
class ScriptKind:
    """What decides which grants a script can have."""

    language: Language
    convention: Convention


@frozen
class FunctionGrants:
    """What a function grants to the sessions that are pinned to it; None grants nothing."""

    grants: Grants | None
    pin: Pin | None = None


@define
class GrantService:
    """Judges grants. What a session has is judged for its owner, also if a function of another owner grants it."""

    _ceilings: Sequence[GrantCeiling] = ()

    async def for_session(
        self,
        owner: Owner,
        kind: ScriptKind,
        asked: Grants | None,
        function: FunctionGrants | None = None,
    ) -> Grants | None:
        """Return the grants of a session to open.

        A session of a function has those of the function, which the request may narrow. Raises InvalidRequest, and what
        the ceilings raise.
        """
        grants = _effective(asked) if function is None else _narrowed(asked, function.grants)
        if grants is None:
            return None
        _require(grants, kind)
        found = grants
        for ceiling in self._ceilings:
            found = await ceiling.judge(owner, found, None if function is None else function.pin)
        if found is not grants:
            _require(found, kind)  # a name may stand for something of another language
        return found

    def for_function(self, kind: ScriptKind, asked: Grants | None) -> Grants | None:
        """Return the grants of a function to register; what an owner may have is judged with each of its sessions.

        Raises InvalidRequest.
        """
        grants = _effective(asked)
        if grants is not None:
            _require(grants, kind)
        return grants


def with_form(grants: Grants | None, kind: ScriptKind, form: InputForm | None) -> Grants | None:
    """Return the grants of a script that has this form by its check; raises InvalidRequest if they contradict it."""
    found = pinned(grants, form)
    if found is not None and found != grants:
        _require(found, kind)
    return found


def _effective(asked: Grants | None) -> Grants | None:
    return None if asked is None else asked.effective


def _narrowed(asked: Grants | None, granted: Grants | None) -> Grants | None:
    """Return what the function grants, in the members that are asked for as the request narrows them."""
    if asked is None:
        return granted
    problems = tuple(_excess(asked.effective or Grants(), granted or Grants()))
    if problems:
        raise InvalidRequest(problems)  # type: ignore[arg-type]  # attrs' plugin cannot type a generic converter
    if granted is None:
        return None
    of_function = dict(granted.members())
    narrowed: dict[str, Any] = {name: member for name, member in asked.members() if name in of_function}
    return evolve(granted, **narrowed).effective


def _excess(asked: Grants, granted: Grants) -> Iterator[Problem]:
    of_function = dict(granted.members())
    for name, member in asked.members():
        if name not in of_function:
            yield Problem(f"/{name}", "must be absent, because the function of the session does not grant it")
            continue
        for problem in member.excess(of_function[name]):
            yield Problem(f"/{name}{problem.pointer}", problem.message)


def _require(grants: Grants, kind: ScriptKind) -> None:
    problems = tuple(_problems(grants, kind))
    if problems:
        raise InvalidRequest(problems)  # type: ignore[arg-type]  # attrs' plugin cannot type a generic converter


def _problems(grants: Grants, kind: ScriptKind) -> Iterator[Problem]:
    for name, member in grants.members():
        if kind.convention is Convention.ORIGIN:
            yield Problem(f"/{name}", "must be absent under the calling convention origin, which has no grants")
        for problem in member.problems(kind.language):
            yield Problem(f"/{name}{problem.pointer}", problem.message)
    if grants.syntax is not None and grants.state is not None and grants.state.repl:
        yield Problem("/state/repl", f"must be false for a script in {grants.syntax.syntax}, whose names are not kept")
    size = len(grants.text().encode())
    if size > GRANTS_SIZE_MAX:
        names = ", ".join(name for name, _ in grants.members())
        yield Problem("", f"has {size:,} bytes in {names}, written as JSON; the limit is {GRANTS_SIZE_MAX:,}")
