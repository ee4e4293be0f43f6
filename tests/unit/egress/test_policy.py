"""Which addresses the connections of scripts may have."""

from ipaddress import ip_address, ip_network

import pytest

from domain.egress.policy import AddressRules

LOCAL = AddressRules(
    allowed=(ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8")),
    denied=(ip_network("10.9.0.0/16"), ip_network("8.8.4.0/24")),
    own_ports=frozenset({8000, 9090}),
)
DATABASE = [(ip_address("10.1.1.1"), 5432), (ip_address("1.2.3.4"), 5432)]


@pytest.mark.parametrize("text", ["8.8.8.8", "2606:4700::1111"])
def test_a_public_address_may_be_reached(text):
    assert AddressRules().permit(ip_address(text), 443, is_own=False)


@pytest.mark.parametrize("text", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:8.8.8.8", "fe80::1%eth0"])
def test_another_address_may_not(text):
    assert not AddressRules().permit(ip_address(text), 443, is_own=False)


def test_a_public_address_of_this_host_may_not():
    assert not AddressRules().permit(ip_address("8.8.8.8"), 443, is_own=True)
    assert not LOCAL.permit(ip_address("8.8.8.8"), 443, is_own=True)


@pytest.mark.parametrize("text", ["127.0.0.1", "10.1.2.3", "::ffff:10.1.2.3"])
def test_an_address_of_an_allowed_network_may_be_reached(text):
    assert LOCAL.permit(ip_address(text), 443, is_own=text == "127.0.0.1")


@pytest.mark.parametrize("text", ["10.9.1.1", "8.8.4.4", "::ffff:10.9.1.1"])
def test_a_denied_network_comes_first(text):
    assert not LOCAL.permit(ip_address(text), 443, is_own=False)


@pytest.mark.parametrize("port", [8000, 9090])
def test_the_ports_of_this_service_are_not_reached_even_in_an_allowed_network(port):
    assert not LOCAL.permit(ip_address("127.0.0.1"), port, is_own=True)
    assert not LOCAL.permit(ip_address("127.5.0.1"), port, is_own=False)
    assert not LOCAL.permit(ip_address("10.1.2.3"), port, is_own=True)
    assert LOCAL.permit(ip_address("10.1.2.3"), port, is_own=False)


@pytest.mark.parametrize(
    ("text", "port", "may"),
    [("10.1.1.1", 5432, False), ("1.2.3.4", 5432, False), ("10.1.1.1", 443, True), ("::ffff:10.1.1.1", 5432, False)],
)
def test_endpoints_of_the_service_elsewhere_are_not_reached(text, port, may):
    assert LOCAL.permit(ip_address(text), port, is_own=False, guarded=DATABASE) is may


def test_a_guarded_address_counts_in_each_of_its_notations():
    mapped = [(ip_address("::ffff:10.1.1.1"), 5432)]
    assert not LOCAL.permit(ip_address("10.1.1.1"), 5432, is_own=False, guarded=mapped)
    assert not LOCAL.permit(ip_address("::ffff:10.1.1.1"), 5432, is_own=False, guarded=mapped)
    assert LOCAL.permit(ip_address("10.1.1.1"), 443, is_own=False, guarded=mapped)


def test_an_address_with_a_zone_is_in_no_network():
    linked = AddressRules(allowed=(ip_network("fe80::/10"),))
    assert linked.permit(ip_address("fe80::1"), 443, is_own=False)
    assert not linked.permit(ip_address("fe80::1%eth0"), 443, is_own=False)
