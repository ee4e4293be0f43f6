"""Egress rules."""

import pytest

from domain.egress.rule import EgressRule, InvalidRule, is_covered


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("api.example.com:443", EgressRule("api.example.com", 443)),
        ("db.example.com:5432/tcp", EgressRule("db.example.com", 5432, is_raw=True)),
        ("example.com:80/tcp", EgressRule("example.com", 80, is_raw=True)),
        ("xn--mnchen-3ya.example:443", EgressRule("xn--mnchen-3ya.example", 443)),
        ("10.1.2.3:5432/tcp", EgressRule("10.1.2.3", 5432, is_raw=True)),
        ("intranet:443", EgressRule("intranet", 443)),
        ("*.example.com:443", EgressRule("*.example.com", 443)),
        ("*:443", EgressRule("*", 443)),
    ],
)
def test_a_rule_is_a_name_and_a_port(text, rule):
    assert EgressRule.parse(text) == rule
    assert str(rule) == text


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "NAME:PORT"),
        ("example.com", "NAME:PORT"),
        ("example.com:", "NAME:PORT"),
        ("example.com:0", "NAME:PORT"),
        ("example.com:0443", "NAME:PORT"),
        ("example.com:65536", "NAME:PORT"),
        ("example.com:99999", "NAME:PORT"),
        ("example.com:443/udp", "NAME:PORT"),
        ("https://example.com:443", "NAME:PORT"),
        ("example.com:443\n", "NAME:PORT"),
        ("[::1]:443/tcp", "NAME:PORT"),
        ("example.com.:443", "host name"),
        ("Example.com:443", "host name"),
        ("münchen.example:443", "host name"),
        ("a\0.example:443", "host name"),
        ("a%2eb:443", "host name"),
        ("user@example.com:443", "host name"),
        ("a..b:443", "host name"),
        ("*.*.example.com:443", "host name"),
        ("a.*.example.com:443", "host name"),
        ("127.1:443", "resolvers"),
        ("2130706433:443", "resolvers"),
        ("0x7f000001:443", "resolvers"),
        ("example.com:80", "must end with /tcp"),
        ("10.1.2.3:443", "must end with /tcp"),
        ("localhost:443", "script's own"),
        ("a.localhost:443", "script's own"),
        ("example.com:3128", "reserved"),
        ("*.example.com:5432/tcp", "without TLS do not show which host"),
        ("*:5432/tcp", "without TLS do not show which host"),
        (f"{'a.' * 130}b:443", "at most 260"),
    ],
)
def test_any_other_text_is_refused(text, problem):
    with pytest.raises(InvalidRule, match=problem):
        EgressRule.parse(text)


@pytest.mark.parametrize("text", ["*.example.com:443", "*:443"])
def test_a_pattern_is_no_host(text):
    with pytest.raises(InvalidRule, match="one host"):
        EgressRule.parse_host(text)
    assert EgressRule.parse_host("api.example.com:443") == EgressRule("api.example.com", 443)


@pytest.mark.parametrize(
    ("ceiling", "rule", "is_allowed"),
    [
        ("api.example.com:443", "api.example.com:443", True),
        ("api.example.com:443", "api.example.com:444", False),
        ("api.example.com:443", "api.example.com:443/tcp", False),
        ("api.example.com:443/tcp", "api.example.com:443", False),
        ("api.example.com:443", "b.example.com:443", False),
        ("*.example.com:443", "api.example.com:443", True),
        ("*.example.com:443", "a.b.example.com:443", True),
        ("*.example.com:443", "example.com:443", False),
        ("*.example.com:443", "evilexample.com:443", False),
        ("*.example.com:443", "*.api.example.com:443", True),
        ("*.api.example.com:443", "*.example.com:443", False),
        ("*.example.com:443", "*.example.com:443", True),
        ("*:443", "example.com:443", True),
        ("*:443", "*.example.com:443", True),
        ("*:443", "*:443", True),
        ("*:5432/tcp", "10.1.2.3:5432/tcp", False),
        ("10.1.2.3:5432/tcp", "10.1.2.3:5432/tcp", True),
    ],
)
def test_a_ceiling_covers_what_it_allows(ceiling, rule, is_allowed):
    ceilings = [EgressRule.parse_ceiling("other.test:1"), EgressRule.parse_ceiling(ceiling)]
    assert is_covered(EgressRule.parse_ceiling(rule), ceilings) is is_allowed
