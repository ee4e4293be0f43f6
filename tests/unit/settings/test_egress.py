"""The settings of egress."""

from ipaddress import ip_network

import msgspec
import pytest

from domain.egress.rule import EgressRule
from entrypoints.settings.choices import EgressChoice
from entrypoints.settings.egress import (
    address_rules,
    egress_rules,
    egress_settings_are_valid,
    guarded_endpoints,
    has_egress,
    has_owner_rules,
    host_ceilings,
)
from entrypoints.settings.loading import load_settings
from entrypoints.settings.secret import Secret
from entrypoints.settings.settings import Settings


def settings(**given) -> Settings:
    return msgspec.structs.replace(load_settings({}), **given)


def test_nothing_is_reached_by_default():
    assert egress_rules(settings()) == ()
    assert list(egress_settings_are_valid(settings())) == []


def test_rules_and_networks_are_read():
    given = settings(
        egress_rules=("*.example.com:443", "db.example.com:5432/tcp"),
        egress_allowed_networks=("10.0.0.0/8",),
        egress_denied_networks=("10.1.0.0/16",),
        metrics_port=9090,
    )
    assert egress_rules(given) == (
        EgressRule("*.example.com", 443),
        EgressRule("db.example.com", 5432, is_raw=True),
    )
    rules = address_rules(given)
    assert (rules.allowed, rules.denied) == ((ip_network("10.0.0.0/8"),), (ip_network("10.1.0.0/16"),))
    assert rules.own_ports == {8080, 9090}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"egress_rules": ("example.com",)}, "EGRESS_RULES: 'example.com' is not valid: it must be NAME:PORT"),
        ({"egress_rules": ("example.com:80",)}, "it must end with /tcp"),
        ({"egress_allowed_networks": ("10.0.0.1/8",)}, "EGRESS_ALLOWED_NETWORKS: '10.0.0.1/8' is not valid"),
        ({"egress_denied_networks": ("ten",)}, "EGRESS_DENIED_NETWORKS: 'ten' is not valid"),
        ({"egress_rules": tuple(f"a{n}.test:443" for n in range(257))}, "257 entries are more than the 256"),
    ],
)
def test_other_values_are_refused(given, problem):
    (found,) = egress_settings_are_valid(settings(**given))
    assert problem in found


def test_a_missing_file_of_certificates_is_refused(tmp_path):
    (found,) = egress_settings_are_valid(settings(egress_ca_file=tmp_path / "none.pem"))
    assert found.startswith("EGRESS_CA_FILE: ")


def test_what_belongs_to_the_service_is_guarded():
    given = settings(
        nodejs_runtime_url=("https://a.test", "http://b.test:9000"),
        python_runtime_url=("unix:///run/x",),
        controller_url=("http://c.test:8080",),
        runtime_host_url="https://d.test:8443",
        origin_url="http://e.test",
        takeover_redis_url=Secret("redis://:password@f.test/0"),
        database_nodes="1=10.0.0.1:5433,2=g.test:5432",
        clock_source="h.test:5432",
    )
    assert guarded_endpoints(given) == [
        ("a.test", 443),
        ("b.test", 9000),
        ("c.test", 8080),
        ("d.test", 8443),
        ("e.test", 80),
        ("f.test", 6379),
        ("10.0.0.1", 5433),
        ("g.test", 5432),
        ("h.test", 5432),
    ]


@pytest.mark.parametrize(
    ("egress", "has_any", "has_owners", "everybody", "of_host"),
    [
        (EgressChoice.OFF, False, False, 0, ()),
        (EgressChoice.RULES, True, False, 1, (EgressRule("a.test", 443),)),
        (EgressChoice.OWNERS, True, True, 1, None),
    ],
)
def test_a_setting_decides_which_rules_count(egress, has_any, has_owners, everybody, of_host):
    given = settings(egress=egress, egress_rules=("a.test:443",))
    assert (has_egress(given), has_owner_rules(given)) == (has_any, has_owners)
    assert (len(egress_rules(given)), host_ceilings(given)) == (everybody, of_host)


def test_rules_of_owners_count_also_without_rules_for_everybody():
    assert has_egress(settings(egress=EgressChoice.OWNERS))
    assert not has_egress(settings())
