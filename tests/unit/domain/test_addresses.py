"""Which addresses are public, and which texts are names of hosts."""

from ipaddress import ip_address

import pytest

from domain.addresses import ends_with_number, is_host_name, is_public, parse_address


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1",
        "100.100.100.200", "169.254.169.254", "168.63.129.16", "192.0.0.192", "192.0.2.1", "192.88.99.1", "198.18.0.1",
        "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
        "::1", "::", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "::10.0.0.1", "64:ff9b::a00:1", "64:ff9b:1::a00:1",
        "2002:a00:1::", "2001::1", "2001:db8::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1",
        "ff02::1", "100::1", "3fff::1", "5f00::1", "2a00::1%eth0", "4000::1",
    ],
)  # fmt: skip
def test_an_address_that_the_internet_does_not_route_is_not_public(text):
    assert not is_public(ip_address(text))


@pytest.mark.parametrize(
    "text",
    [
        "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.1", "100.63.255.255", "100.128.0.1", "126.0.0.1", "128.0.0.1",
        "168.63.129.15", "169.253.0.1", "172.15.0.1", "172.32.0.1", "192.0.1.1", "192.167.0.1", "192.169.0.1",
        "198.17.0.1", "198.20.0.1", "223.255.255.255", "2606:4700::1111", "2a00:1450::1", "2001:4860:4860::8888",
        "2620:4f:8000::1",
    ],
)  # fmt: skip
def test_an_address_of_a_host_on_the_internet_is_public(text):
    assert is_public(ip_address(text))


@pytest.mark.parametrize("text", ["example.com", "a", "_service.example.com", "xn--mnchen-3ya.example", "127.1"])
def test_a_host_name_has_valid_labels(text):
    assert is_host_name(text)


@pytest.mark.parametrize(
    "text",
    ["", "a..b", ".a", "a.", "-a.b", "a-.b", "A.b", "a b", "a\0.b", "münchen.example", "a%2eb", "a" * 64, "a." * 127],
)
def test_any_other_text_is_no_host_name(text):
    assert not is_host_name(text)


@pytest.mark.parametrize("text", ["127.1", "2130706433", "0x7f000001", "0x", "a.1", "127.0.0.0x1"])
def test_a_name_that_ends_with_a_number_may_be_taken_for_an_address(text):
    assert ends_with_number(text)


@pytest.mark.parametrize("text", ["a.b1", "1.a", "0xg", "a.x1"])
def test_other_names_are_not_taken_for_addresses(text):
    assert not ends_with_number(text)


def test_an_address_is_parsed_and_a_name_is_none():
    assert parse_address("::1") == ip_address("::1")
    assert parse_address("localhost") is None
