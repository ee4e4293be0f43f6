"""Egress rules: names and ports that a script may connect to."""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address
from typing import Self

from attrs import frozen

from domain.addresses import Address, ends_with_number, is_host_name, parse_address

RULES_MAX = 16
RULE_SIZE_MAX = 260

_RULE = re.compile(r"(?P<name>[^:/]+):(?P<port>[1-9][0-9]{0,4})(?P<tcp>/tcp)?")
_PORT_MAX = 65_535
_HTTP_PORT = 80
_ANY = "*"
_BELOW = "*."
PROXY_PORT = 3128
"""Where a worker reaches the hosts of patterns, by CONNECT: they have no addresses of their own."""


class InvalidRule(ValueError):
    """A text is no egress rule. The message says what it must be."""


@frozen
class EgressRule:
    """A name and a port. Connections are TLS to exactly this name, or any bytes with `is_raw`.

    The name is in lower case and ASCII, without a dot at its end. It may be an IPv4 address. In a pattern it is `*`,
    which covers every name, or begins with `*.`, which covers the names below the rest at any depth.
    """

    name: str
    port: int
    is_raw: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the rule of a session: a text such as `api.example.com:443`; raises InvalidRule.

        It may be a pattern, if its connections are TLS: the handshake then shows which host they name.
        """
        rule = cls.parse_ceiling(text)
        if rule.is_pattern and rule.is_raw:
            raise InvalidRule(
                "must name one host: connections without TLS do not show which host of a pattern they mean"
            )
        if rule.port == PROXY_PORT:
            raise InvalidRule(f"must have another port: {PROXY_PORT} is reserved")
        return rule

    @classmethod
    def parse_host(cls, text: str) -> Self:
        """Return the rule of one host, which is no pattern; raises InvalidRule."""
        rule = cls.parse(text)
        if rule.is_pattern:
            raise InvalidRule("must name one host")
        return rule

    @classmethod
    def parse_ceiling(cls, text: str) -> Self:
        """Return what an operator allows, which may be any pattern, such as `*:5432/tcp`; raises InvalidRule."""
        if len(text) > RULE_SIZE_MAX:
            raise InvalidRule(f"must have at most {RULE_SIZE_MAX} characters, not {len(text)}")
        parts = _RULE.fullmatch(text)
        if parts is None or int(parts["port"]) > _PORT_MAX:
            raise InvalidRule("must be NAME:PORT or NAME:PORT/tcp, such as api.example.com:443")
        _require_name(parts["name"])
        rule = cls(parts["name"], int(parts["port"]), parts["tcp"] is not None)
        if rule.port == _HTTP_PORT and not rule.is_raw:
            raise InvalidRule(f"must end with /tcp: port {_HTTP_PORT} has no TLS")
        if rule.address is not None and not rule.is_raw:
            raise InvalidRule("must end with /tcp: the TLS of an address names no host")
        return rule

    @property
    def is_pattern(self) -> bool:
        """Whether it covers several names."""
        return self.name.startswith(_ANY)

    @property
    def address(self) -> Address | None:
        """The address that the name is; None for a name."""
        return parse_address(self.name)

    def covers(self, other: "EgressRule") -> bool:
        """Return whether everything that the other rule, or pattern, allows is allowed by this one too."""
        if (self.port, self.is_raw) != (other.port, other.is_raw):
            return False
        if self.name == _ANY:
            # An address is reached only if it is named, or its whole network is allowed by the operator.
            return other.address is None
        if self.name.startswith(_BELOW):
            return other.name.endswith(self.name[1:]) and other.name != self.name[1:]
        return self.name == other.name

    def __str__(self) -> str:
        return f"{self.name}:{self.port}{'/tcp' if self.is_raw else ''}"


def is_covered(rule: EgressRule, ceilings: Iterable[EgressRule]) -> bool:
    """Return whether one of the ceilings covers the rule."""
    return any(ceiling.covers(rule) for ceiling in ceilings)


def _require_name(name: str) -> None:
    if isinstance(parse_address(name), IPv4Address):
        return
    plain = name.removeprefix(_BELOW)
    if name == _ANY:
        return
    if not is_host_name(plain):
        raise InvalidRule(
            "must have a host name in lower case and ASCII (xn--...), with no dot at its end, such as api.example.com"
        )
    if ends_with_number(plain):
        raise InvalidRule("must have the name of a host: resolvers take this one for an address")
    if plain == "localhost" or plain.endswith(".localhost"):
        raise InvalidRule("must name another host: localhost is the script's own")
