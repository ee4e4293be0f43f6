"""Rules of single owners, as one process knows them."""

import pytest

from adapters.memory.egress_rules import MemoryOwnerRules
from adapters.memory.manual_clock import ManualClock
from domain.audit import ActName
from domain.egress.known_rules import FRESH, KnownOwnerRules
from domain.egress.owner_rule import OwnerEgressRule
from domain.egress.rule import EgressRule
from domain.errors import StorageUnavailable
from domain.grants.ceilings import EgressCeilings, EgressNotAllowed
from domain.identity import Owner
from tests.support.acts import act

ALICE, BOB = Owner("alice"), Owner("bob")
API, DB = EgressRule.parse("api.example.com:443"), EgressRule.parse("db.example.com:5432/tcp")


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def rules():
    return MemoryOwnerRules()


@pytest.fixture
def ceilings(clock, rules):
    return EgressCeilings((DB,), KnownOwnerRules(clock, rules))


async def allow(rules, clock, text="*.example.com:443", owner=ALICE):
    rule = OwnerEgressRule(owner, EgressRule.parse_ceiling(text), clock.now())
    await rules.allow(rule, act(ActName.EGRESS_ALLOW))
    return rule


async def test_what_every_owner_may_reach_needs_no_lookup(ceilings, rules):
    await ceilings.require(ALICE, [DB])
    assert rules.lookups == 0


async def test_a_rule_of_the_owner_counts_beside_those_for_everybody(ceilings, rules, clock):
    await allow(rules, clock)
    await ceilings.require(ALICE, [DB, API])
    with pytest.raises(EgressNotAllowed) as refused:
        await ceilings.require(BOB, [DB, API])
    assert refused.value.message.startswith("/network/allow/1: scripts of bob may not reach api.example.com:443")
    assert "pglambda egress allow" in refused.value.message


async def test_rules_are_read_once_in_some_seconds(ceilings, rules, clock):
    await allow(rules, clock)
    for _ in range(3):
        await ceilings.require(ALICE, [API])
    assert rules.lookups == 1
    clock.advance(FRESH)
    await ceilings.require(ALICE, [API])
    assert rules.lookups == 2


async def test_a_new_rule_counts_at_once(ceilings, rules, clock):
    with pytest.raises(EgressNotAllowed):
        await ceilings.require(ALICE, [API])
    await allow(rules, clock)
    await ceilings.require(ALICE, [API])


async def test_a_rule_that_was_removed_counts_for_some_seconds_at_most(ceilings, rules, clock):
    rule = await allow(rules, clock)
    await ceilings.require(ALICE, [API])
    await rules.deny(ALICE, rule.rule, act(ActName.EGRESS_DENY))
    clock.advance(FRESH)
    with pytest.raises(EgressNotAllowed):
        await ceilings.require(ALICE, [API])


async def test_nothing_is_allowed_while_the_rules_cannot_be_read(ceilings, rules):
    rules.failure = StorageUnavailable()
    with pytest.raises(StorageUnavailable):
        await ceilings.require(ALICE, [API])
