"""Grants: their text, their judgement, and how a request narrows those of a function."""

import json

import pytest
from attrs import evolve, frozen
from hypothesis import given
from hypothesis import strategies as st

from domain.egress.rule import EgressRule
from domain.errors import InvalidRequest
from domain.grants.grants import GRANTS_SIZE_MAX, Grants, asked_syntax, pinned
from domain.grants.network import NetworkGrant
from domain.grants.ports import Pin
from domain.grants.secrets import SecretsGrant
from domain.grants.service import FunctionGrants, GrantService, ScriptKind, with_form
from domain.grants.state import SaveOn, StateGrant, StateMode
from domain.grants.syntax import SyntaxGrant
from domain.identity import Owner
from domain.scripts.convention import Convention
from domain.scripts.language import Language
from domain.scripts.script import InputForm
from domain.scripts.syntax import Syntax

ALICE = Owner("alice")
PYTHON = ScriptKind(Language.PYTHON, Convention.OWN)
EXCLUSIVE = Grants(StateGrant(StateMode.EXCLUSIVE))
TYPED = Grants(syntax=SyntaxGrant(Syntax.TYPESCRIPT))
STATES = st.builds(StateGrant, st.sampled_from(StateMode), st.sampled_from(SaveOn), st.booleans())


async def judged(asked: Grants | None, function: FunctionGrants | None = None, kind: ScriptKind = PYTHON):
    return await GrantService().for_session(ALICE, kind, asked, function)


async def problems_of(asked: Grants | None, function: FunctionGrants | None = None, kind: ScriptKind = PYTHON):
    with pytest.raises(InvalidRequest) as caught:
        await judged(asked, function, kind)
    return {problem.pointer: problem.message for problem in caught.value.problems}


@given(st.builds(Grants, STATES, syntax=st.none() | st.builds(SyntaxGrant, st.sampled_from(Syntax))))
def test_the_text_of_grants_is_read_as_it_was_written(grants):
    assert Grants.of(grants.text()) == grants
    assert json.dumps(json.loads(grants.text()), separators=(",", ":"), sort_keys=True) == grants.text()


def test_the_text_has_every_fact_of_each_member():
    assert EXCLUSIVE.text() == '{"state":{"mode":"exclusive","repl":false,"save_on":"success"}}'


def test_a_member_of_a_later_release_is_named_and_the_others_are_read():
    text = EXCLUSIVE.text()[:-1] + ',"teleport":{"to":"mars"}}'
    grants = Grants.of(text)
    assert (grants.state, grants.unknown, str(grants)) == (EXCLUSIVE.state, ("teleport",), "state, teleport")


@pytest.mark.parametrize("grants", [None, EXCLUSIVE, TYPED, evolve(EXCLUSIVE, syntax=TYPED.syntax)])
def test_the_form_of_a_script_pins_its_syntax_and_changes_no_other_member(grants):
    asked = asked_syntax(grants)
    module = pinned(grants, InputForm.MODULE)
    assert (module.run_syntax, module.state) == (Syntax.of_module(asked), None if grants is None else grants.state)
    assert asked_syntax(module) is asked
    assert pinned(module, InputForm.MODULE) == module
    assert pinned(module, None) == module
    assert pinned(module, InputForm.PLAIN) == pinned(grants, InputForm.EVENT_IN_CONTEXT) == grants


def test_grants_of_a_later_release_keep_what_is_unknown():
    grants = Grants.of('{"teleport":{"to":"mars"},"syntax":"module"}')
    assert pinned(grants, InputForm.PLAIN).unknown == ("teleport",)


@pytest.mark.parametrize("asked", [TYPED, None])
async def test_the_names_of_a_script_in_another_syntax_are_not_kept(asked):
    kind, state = ScriptKind(Language.NODEJS, Convention.OWN), StateGrant(StateMode.EXCLUSIVE, repl=True)
    grants = Grants(state, syntax=None if asked is None else asked.syntax)
    with pytest.raises(InvalidRequest, match="/state/repl: must be false for a script in"):
        with_form(await judged(grants, kind=kind), kind, InputForm.MODULE)


async def test_only_scripts_of_nodejs_have_a_syntax_beside_that_of_their_language():
    assert await judged(TYPED, kind=ScriptKind(Language.NODEJS, Convention.OWN)) == TYPED
    assert await problems_of(TYPED) == {"/syntax": "must be absent: scripts in python have one syntax"}


async def test_a_session_of_a_function_may_name_the_syntax_that_the_function_asked_for():
    module, nodejs = pinned(TYPED, InputForm.MODULE), ScriptKind(Language.NODEJS, Convention.OWN)
    assert await judged(TYPED, FunctionGrants(module), nodejs) == TYPED
    other = FunctionGrants(pinned(None, InputForm.MODULE))
    found = await problems_of(TYPED, other, nodejs)
    assert found == {"/syntax": "must be absent: the script of the function is not written in it"}


def test_no_members_are_no_grants():
    assert Grants.of_members(state=None) is None
    assert Grants.of_members(state=EXCLUSIVE.state) == EXCLUSIVE


async def test_a_session_with_a_script_of_its_own_has_what_it_asks_for():
    assert await judged(EXCLUSIVE) == EXCLUSIVE
    assert await judged(None) is None


async def test_a_session_of_a_function_has_the_grants_of_the_function():
    assert await judged(None, FunctionGrants(EXCLUSIVE)) == EXCLUSIVE
    assert await judged(EXCLUSIVE, FunctionGrants(EXCLUSIVE)) == EXCLUSIVE
    assert await judged(None, FunctionGrants(None)) is None


async def test_a_session_of_a_function_cannot_have_more_than_the_function_grants():
    found = await problems_of(EXCLUSIVE, FunctionGrants(None))
    assert found == {"/state": "must be absent, because the function of the session does not grant it"}


async def test_the_state_of_a_function_stays_as_it_is():
    other = Grants(StateGrant(StateMode.EXCLUSIVE, SaveOn.ALWAYS, repl=True))
    found = await problems_of(other, FunctionGrants(EXCLUSIVE))
    assert found == {
        "/state/save_on": "must be success, as the function grants it; omit state to take it as it is",
        "/state/repl": "must be false, as the function grants it; omit state to take it as it is",
    }


@pytest.mark.parametrize("language", Language)
async def test_a_script_of_the_origin_has_no_grants(language):
    kind = ScriptKind(language, Convention.ORIGIN)
    assert list(await problems_of(EXCLUSIVE, kind=kind)) == ["/state"]
    with pytest.raises(InvalidRequest):
        GrantService().for_function(kind, EXCLUSIVE)
    assert GrantService().for_function(kind, None) is None


async def test_a_shared_state_is_not_written():
    asked = Grants(StateGrant(StateMode.SHARED, SaveOn.ALWAYS, repl=True))
    assert list(await problems_of(asked)) == ["/state/repl", "/state/save_on"]


@frozen
class LargeState(StateGrant):
    """A state whose facts take so many bytes."""

    size: int = 0

    def facts(self):
        return {**super().facts(), "filling": "ä" * (self.size // 2) + "x" * (self.size % 2)}


async def test_the_text_of_grants_has_a_limit():
    empty = len(Grants(LargeState(StateMode.SHARED)).text())
    largest = LargeState(StateMode.SHARED, size=GRANTS_SIZE_MAX - empty)
    assert await judged(Grants(largest)) is not None
    found = await problems_of(Grants(evolve(largest, size=largest.size + 2)))
    assert found == {"": "has 8,194 bytes in state, written as JSON; the limit is 8,192"}


@frozen
class Ceiling:
    """Grants the state to one owner alone, and always in the mode shared."""

    owner: Owner

    async def judge(self, owner: Owner, grants: Grants, pin: Pin | None = None) -> Grants:
        if owner != self.owner:
            raise InvalidRequest(())
        return Grants(StateGrant(StateMode.SHARED))


async def test_what_an_owner_may_have_is_judged_for_the_owner_of_the_session():
    service = GrantService([Ceiling(ALICE)])
    shared = Grants(StateGrant(StateMode.SHARED))
    assert await service.for_session(ALICE, PYTHON, EXCLUSIVE) == shared
    assert await service.for_session(ALICE, PYTHON, None, FunctionGrants(EXCLUSIVE)) == shared
    with pytest.raises(InvalidRequest):
        await service.for_session(Owner("bob"), PYTHON, EXCLUSIVE)
    assert service.for_function(PYTHON, EXCLUSIVE) == EXCLUSIVE


NOTHING = Grants(network=NetworkGrant(()), secrets=SecretsGrant(()))
MUCH = Grants(
    EXCLUSIVE.state, NetworkGrant((EgressRule.parse("api.example.com:443"),)), SecretsGrant(("API_KEY", "TOKEN"))
)


async def test_a_session_takes_nothing_of_what_its_function_grants_by_empty_lists():
    assert await judged(NOTHING, FunctionGrants(MUCH)) == EXCLUSIVE
    assert await judged(evolve(NOTHING, network=None), FunctionGrants(MUCH)) == evolve(MUCH, secrets=None)
    assert await judged(NOTHING, FunctionGrants(evolve(MUCH, state=None))) is None
    assert await judged(NOTHING, FunctionGrants(EXCLUSIVE)) == EXCLUSIVE
    assert await judged(NOTHING, FunctionGrants(None)) is None


async def test_empty_lists_of_hosts_and_secrets_grant_nothing():
    assert await judged(NOTHING) is None
    assert await judged(evolve(NOTHING, state=EXCLUSIVE.state)) == EXCLUSIVE
    assert GrantService().for_function(PYTHON, NOTHING) is None
    assert evolve(NOTHING, unknown=("teleport",)).effective == Grants(unknown=("teleport",))
