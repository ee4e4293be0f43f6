"""The settings of egress."""

from ipaddress import ip_network

import msgspec
import pytest

from domain.egress.rule import EgressRule
from entrypoints.settings.egress import address_rules, egress_rules, egress_settings_are_valid, guarded_endpoints
from entrypoints.settings.loading import load_settings
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


def test_the_runtime_hosts_are_guarded():
    given = settings(nodejs_runtime_url=("https://a.test", "http://b.test:9000"), python_runtime_url=("unix:///run/x",))
    assert guarded_endpoints(given) == [("a.test", 443), ("b.test", 9000)]
