"""What scripts never reach, as it is composed out of settings and of the hosts that are registered."""

from adapters.memory.egress_rules import MemoryOwnerRules
from adapters.memory.manual_clock import ManualClock
from domain.egress.rule import EgressRule
from entrypoints.composition.egress import egress_ceilings, guarded_names
from entrypoints.composition.use_cases import UseCases
from entrypoints.settings.loading import load_settings

URL = "postgresql://user@db.test:5433,10.0.0.3:5432/service"


def test_databases_and_registered_hosts_are_guarded_at_the_ports_of_the_rules():
    settings = load_settings(
        {
            "DATABASE_URL": URL,
            "PYTHON_RUNTIME_URL": "http://run.test:8090",
            "RUNTIME_TOKEN": "t" * 32,
            "EGRESS": "owners",
        }
    )
    named = guarded_names(settings)
    ceilings = egress_ceilings(settings, ManualClock(), MemoryOwnerRules(), named, lambda: [("10.0.0.9", 8090)])
    rules = [EgressRule.parse("api.example.com:5433"), EgressRule.parse("api.example.com:8090")]
    assert set(ceilings.guarded(rules)) == {("10.0.0.9", 8090), ("run.test", 8090), ("db.test", 5433)}
    assert ceilings.guarded(rules[:0]) == ()


def test_a_controller_asks_its_watch_for_the_registered_hosts():
    settings = load_settings(
        {"DATABASE_URL": URL, "EGRESS": "owners", "RUNTIME_HOST_NETWORKS": "10.0.0.0/8", "RUNTIME_TOKEN": "t" * 32}
    )
    use_cases = UseCases(settings=settings)
    assert use_cases.egress().endpoints.known == use_cases.runtime_hosts().endpoints
    assert use_cases.egress().endpoints.known() == []
    assert use_cases.egress().endpoints.named() == use_cases.guarded_names().endpoints()
