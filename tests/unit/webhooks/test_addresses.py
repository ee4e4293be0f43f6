"""Where webhooks may be sent."""

from ipaddress import ip_address, ip_network

import pytest

from domain.webhooks.address import URL_SIZE_MAX, AddressPolicy

DEFAULT = AddressPolicy()
LOOPBACK = AddressPolicy(frozenset({443, 8080}), (ip_network("127.0.0.0/8"),), allows_http=True)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://hooks.example.com/a?b=c",
        "https://example.com:8443/",
        "https://example.com.",
        "https://xn--mnchen-3ya.example/",
    ],
)
def test_a_public_https_url_is_accepted(url):
    assert DEFAULT.problem_of_url(url) is None


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://example.com", "must begin with https://"),
        ("ftp://example.com", "must begin with https://"),
        ("example.com", "must begin with https://"),
        ("https://user@example.com", "user name"),
        ("https://:password@example.com", "user name"),
        ("https://example.com#part", "no part behind a #"),
        ("https://", "must have a host"),
        ("https://example.com:80", "one of the ports 443, 8443, not 80"),
        ("https://example.com:0", "one of the ports"),
        ("https://example.com:99999", "a port between"),
        ("https://example.com:port", "a port between"),
        ("https://[::1", "a host"),
        ("https://[::1]/", "not an IP address"),
        ("https://93.184.216.34/", "not an IP address"),
        ("https://127.0.0.1/", "not an IP address"),
        ("https://2130706433/", "not a number"),
        ("https://0x7f.1/", "not a number"),
        ("https://127.1/", "not a number"),
        ("https://127.0.0.0x1/", "not a number"),
        ("https://localhost/", "full host name"),
        ("https://-example.com/", "valid host name"),
        ("https://exa..mple.com/", "valid host name"),
        (f"https://{'a' * 64}.com/", "valid host name"),
        (f"https://{'a.' * 127}com/", "valid host name"),
        ("https://münchen.example/", "xn--"),
        ("https://example.com\\@evil.example/", "printable"),
        ("https://example.com/\nHost: evil", "printable"),
        ("https://example.com/" + "a" * URL_SIZE_MAX, "at most 2048"),
        ("", "printable"),
    ],
)
def test_another_url_is_refused_with_the_reason(url, problem):
    assert problem in (DEFAULT.problem_of_url(url) or "")


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/", "https://localhost", "http://receiver:8080"])
def test_an_operator_can_allow_a_network_without_tls(url):
    assert LOOPBACK.problem_of_url(url) is None


def test_an_allowed_network_allows_no_other_one():
    assert LOOPBACK.problem_of_url("http://10.0.0.1:8080/") == "must have the name of a host, not an IP address"
    assert LOOPBACK.problem_of_address(ip_address("127.0.0.9")) is None
    assert LOOPBACK.problem_of_address(ip_address("10.0.0.1")) == "10.0.0.1 is not a public address"


@pytest.mark.parametrize("address", ["93.184.216.34", "1.1.1.1", "2606:4700:4700::1111", "2a00:1450:4001:80b::200e"])
def test_a_public_address_is_accepted(address):
    assert DEFAULT.problem_of_address(ip_address(address)) is None


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # an address to refuse
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "168.63.129.16",
        "169.254.169.254",
        "172.16.0.1",
        "192.0.0.8",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:93.184.216.34",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%1",
        "2606:4700:4700::1111%1",
        "fec0::1",
        "ff02::1",
    ],
)
def test_an_address_that_is_not_public_is_refused(address):
    assert DEFAULT.problem_of_address(ip_address(address)) == f"{address} is not a public address"


@pytest.mark.parametrize(
    ("network", "prefix"),
    [
        ("0.0.0.0/0", 14),
        ("192.0.0.0/16", 24),
        ("192.88.0.0/16", 24),
        ("198.51.0.0/16", 24),
        ("203.0.0.0/16", 24),
        ("2000::/3", 16),
        ("2001::/16", 26),
        ("2001:d00::/24", 32),
        ("3fff::/16", 24),
    ],
)
def test_no_address_is_accepted_that_this_python_knows_as_not_global(network, prefix):
    first = [each.network_address for each in ip_network(network).subnets(new_prefix=prefix)]
    assert [at for at in first if not at.is_global and DEFAULT.problem_of_address(at) is None] == []
