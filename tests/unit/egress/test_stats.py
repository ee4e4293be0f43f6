"""What executions use of the network adds up."""

from domain.egress.stats import EgressStats
from domain.egress.traffic import LOST, ExecutionTraffic, HostTraffic, Refusal, RefusalReason


def test_the_traffic_of_executions_adds_up():
    hosts = (HostTraffic("a.example", 443, 2, 10, 300), HostTraffic("b.example", 80, 1, 5, 20))
    refusals = (Refusal("c.example", 443, RefusalReason.NOT_ALLOWED), Refusal("d.example", 443, RefusalReason.IDLE))
    stats = EgressStats()
    for traffic in (ExecutionTraffic(hosts, refusals), ExecutionTraffic(hosts[:1]), LOST):
        stats.count(traffic)
    assert (stats.connections, stats.sent_bytes, stats.received_bytes, stats.lost) == (5, 25, 620, 1)
    assert stats.refusals == {RefusalReason.NOT_ALLOWED: 1, RefusalReason.IDLE: 1}


def test_the_last_refusal_is_told_with_its_host_and_reason():
    last = Refusal("c.example", 443, RefusalReason.NOT_ALLOWED)
    traffic = ExecutionTraffic(refusals=(Refusal("d.example", 443, RefusalReason.IDLE), last))
    assert traffic.last_refusal is last
    assert str(last) == "c.example:443: not in network.allow"
    assert ExecutionTraffic().last_refusal is None
