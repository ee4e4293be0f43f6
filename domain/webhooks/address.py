"""Where webhooks may be sent: rules for URLs and for the addresses behind their names.

Requests leave from the network of the operator, so a URL must not reach what only that network reaches.
"""

import re
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from attrs import field, frozen

URL_SIZE_MAX = 2048

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_GLOBAL_IPV6 = IPv6Network("2000::/3")
"""The only part of IPv6 that is assigned to hosts on the Internet."""

_REFUSED: Sequence[Network] = [
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",  # public by its number; on Azure the host of a machine answers there
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        # These embed an IPv4 address, to which a router may pass the request on, or tunnel to other networks.
        "2001::/23",
        "2002::/16",
        "2001:db8::/32",
        "3fff::/20",
    )
]
"""Instead of `is_global`, which differs between releases of Python. Other networks of IPv6 are outside of 2000::/3."""

_PRINTABLE = re.compile(r"[!-~]+")
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")
_HOST_SIZE_MAX = 253


@frozen
class AddressPolicy:
    """Which URLs are accepted, and which addresses are connected to.

    `networks` are accepted although they are not public. With `allows_http` also URLs without TLS are.
    """

    ports: frozenset[int] = frozenset({443, 8443})
    networks: tuple[Network, ...] = field(factory=tuple)
    allows_http: bool = False

    def problem_of_url(self, url: str) -> str | None:
        """Return why a webhook must not have this URL, None if it may. Its name is not resolved."""
        if len(url) > URL_SIZE_MAX:
            return f"must have at most {URL_SIZE_MAX} characters"
        if not _PRINTABLE.fullmatch(url) or "\\" in url:
            return "must be a URL of printable ASCII characters; write another host name in its ASCII form (xn--...)"
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            return "must be a URL with a host and a port between 1 and 65535"
        return next(self._problems(parts, port), None)

    def problem_of_address(self, address: Address) -> str | None:
        """Return why nothing is sent to this address, None if it is public or in one of the accepted networks."""
        if self.is_listed(address):
            return None
        if isinstance(address, IPv6Address) and (address not in _GLOBAL_IPV6 or address.scope_id):
            return f"{address} is not a public address"
        if any(address in network for network in _REFUSED):
            return f"{address} is not a public address"
        return None

    def is_listed(self, address: Address) -> bool:
        """Return whether the address is in one of the accepted networks."""
        return any(address in network for network in self.networks)

    def accepts_port(self, port: int) -> bool:
        """Return whether requests may be sent to this port."""
        return port in self.ports

    def _problems(self, parts: SplitResult, port: int | None) -> Iterator[str]:
        if parts.scheme not in (("https", "http") if self.allows_http else ("https",)):
            yield "must begin with https://"
        if parts.username is not None or parts.password is not None:
            yield "must not contain a user name or a password"
        if parts.fragment or not parts.hostname:
            yield "must have a host, and no part behind a #"
        used = port if port is not None else {"http": 80}.get(parts.scheme, 443)
        if not self.accepts_port(used):
            yield f"must have one of the ports {', '.join(map(str, sorted(self.ports)))}, not {used}"
        yield from self._host_problems(parts.hostname or "")

    def _host_problems(self, host: str) -> Iterator[str]:
        literal = parse_address(host)
        if literal is not None:
            if not self.is_listed(literal):
                yield "must have the name of a host, not an IP address"
            return
        labels = host.removesuffix(".").split(".")
        if len(host) > _HOST_SIZE_MAX or not all(_LABEL.fullmatch(label) for label in labels):
            yield "must have a valid host name"
        elif _NUMBER.fullmatch(labels[-1]):
            # Resolvers take such names for IPv4 addresses in other notations.
            yield "must have the name of a host, not a number"
        elif len(labels) == 1 and not self.networks:
            yield "must have a full host name, with a domain"


def parse_address(text: str) -> Address | None:
    """Return the IP address that the text is, None if it is none."""
    try:
        return ip_address(text)
    except ValueError:
        return None
