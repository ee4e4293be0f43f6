"""Executions of sessions with a network."""

import pytest

from domain.egress.endpoints import ServiceEndpoints
from domain.egress.rule import EgressRule
from domain.grants.ceilings import EgressCeilings, EgressNotAllowed
from domain.grants.grants import Grants
from domain.grants.network import NetworkGrant
from domain.json_text import JsonText
from tests.unit.services.conftest import World

RULES = (EgressRule.parse("api.example.com:443"),)
PARAMS = JsonText('{"a": 1}')
ALLOWED = EgressCeilings((EgressRule.parse_ceiling("*.example.com:443"),))


async def a_session(world: World):
    world.egress = ALLOWED
    return await world.session(grants=Grants(network=NetworkGrant(RULES)))


async def test_a_session_needs_the_permission_of_the_operator(world: World) -> None:
    with pytest.raises(EgressNotAllowed):
        await world.session(grants=Grants(network=NetworkGrant(RULES)))
    ref = await a_session(world)
    assert (await world.session_service.get(ref)).grants == Grants(network=NetworkGrant(RULES))


async def test_a_run_gets_the_rules_of_its_session(world: World) -> None:
    with_network, without = await a_session(world), await world.session()
    for ref in (with_network, without):
        await world.execution_service.execute(ref, PARAMS)
    assert world.runner.networks == [RULES, ()]


async def test_a_run_gets_what_belongs_to_the_service_at_its_ports_as_it_is_then(world: World) -> None:
    hosts = [("10.0.0.1", 443)]
    ref = await a_session(world)
    world.egress = EgressCeilings(ALLOWED.everybody, endpoints=ServiceEndpoints(lambda: [("db", 5432)], lambda: hosts))
    await world.execution_service.execute(ref, PARAMS)
    hosts.append(("10.0.0.2", 443))
    for session in (ref, await world.session()):
        await world.execution_service.execute(session, PARAMS)
    assert world.runner.guarded == [(("10.0.0.1", 443),), (("10.0.0.1", 443), ("10.0.0.2", 443)), ()]


async def test_a_permission_that_was_revoked_counts_for_the_next_execution(world: World) -> None:
    ref = await a_session(world)
    assert (await world.execution_service.execute(ref, PARAMS)).execution_count == 1
    world.egress = EgressCeilings()
    with pytest.raises(EgressNotAllowed):
        await world.execution_service.execute(ref, PARAMS)
    assert world.executions.called[-1] == "withdraw"
    assert (await world.session_service.get(ref)).execution_count == 1
    assert not world.store.open_executions
