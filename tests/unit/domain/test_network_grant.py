"""The grant of a network, and what owners may reach."""

import pytest

from domain.egress.rule import EgressRule
from domain.egress.traffic import ExecutionTraffic, HostTraffic, Refusal, RefusalReason
from domain.executions.means import NO_MEANS
from domain.executions.uses import USES_SIZE_MAX, uses_of
from domain.grants.ceilings import EgressCeilings, EgressNotAllowed
from domain.grants.grants import Grants
from domain.grants.network import NetworkGrant
from domain.identity import Owner
from domain.scripts.language import Language
from domain.scripts.report import ScriptReport

ALICE = Owner("alice")


def grant(*texts):
    return NetworkGrant(tuple(map(EgressRule.parse, texts)))


def ceilings(*texts):
    return EgressCeilings(tuple(map(EgressRule.parse_ceiling, texts)))


def test_a_grant_is_read_from_its_text():
    grants = Grants.of_members(network=grant("api.example.com:443", "db.example.com:5432/tcp"))
    assert grants.text() == '{"network":{"allow":["api.example.com:443","db.example.com:5432/tcp"]}}'
    assert Grants.of(grants.text()) == grants


def test_a_grant_names_each_host_and_port_once_and_not_too_many():
    many = grant(*(f"a{number}.test:443" for number in range(17)))
    assert [each.message for each in many.problems(Language.PYTHON)] == ["has 17 rules; the limit is 16"]
    (twice,) = grant("a.test:443", "a.test:443/tcp").problems(Language.PYTHON)
    assert (twice.pointer, twice.message) == ("/allow/1", "must be absent: a.test:443 is named before")


def test_a_session_may_narrow_what_its_function_grants():
    function = grant("a.test:443", "b.test:443")
    assert list(grant("b.test:443").excess(function)) == []
    (beyond,) = grant("b.test:443", "c.test:443").excess(function)
    assert (beyond.pointer, beyond.message) == (
        "/allow/1",
        "must be absent: the function of the session does not grant c.test:443",
    )


async def test_rules_within_the_ceiling_are_granted():
    grants = Grants.of_members(network=grant("api.example.com:443"))
    assert await ceilings("*.example.com:443").judge(ALICE, grants) is grants


async def test_grants_without_a_network_are_not_judged():
    grants = Grants(unknown=("later",))
    assert await ceilings().judge(ALICE, grants) is grants


async def test_a_rule_beyond_the_ceiling_is_refused_and_named():
    with pytest.raises(EgressNotAllowed) as refused:
        await ceilings("*.example.com:443").require(ALICE, grant("api.example.com:443", "evil.test:443").allow)
    assert refused.value.details == {"rule": "evil.test:443", "owner": "alice"}
    assert refused.value.message.startswith("/network/allow/1: scripts of alice may not reach evil.test:443")


def report(traffic):
    return ScriptReport(None, None, 1.0, traffic=traffic)


def test_the_history_keeps_the_traffic_of_a_network():
    traffic = ExecutionTraffic((HostTraffic("a.test", 443, 1, 2, 3),), (Refusal("a.test", 443, RefusalReason.IDLE),))
    assert uses_of(report(traffic), NO_MEANS) == (
        '{"network":{"hosts":[{"host":"a.test","port":443,"connections":1,"sent_bytes":2,"received_bytes":3,'
        '"refused":0}],"refused":[{"host":"a.test","port":443,"why":"nothing was sent or received for 30 s"}]}}'
    )
    assert uses_of(report(ExecutionTraffic(is_lost=True)), NO_MEANS) == '{"network":{"hosts":[],"lost":true}}'
    assert uses_of(report(None), NO_MEANS) is None


def test_the_history_keeps_as_much_of_the_traffic_as_fits():
    names = [f"{'a' * 60}.{'b' * 60}.{'c' * 60}.{number}x.test" for number in range(32)]
    traffic = ExecutionTraffic(
        tuple(HostTraffic(name, 443, 256, 1 << 30, 1 << 30, 256) for name in names),
        tuple(Refusal(name, 443, RefusalReason.NOT_TLS) for name in names),
    )
    kept = uses_of(report(traffic), NO_MEANS)
    assert USES_SIZE_MAX - 3500 < len(kept) < USES_SIZE_MAX
