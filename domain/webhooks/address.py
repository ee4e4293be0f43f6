"""Where webhooks may be sent: rules for URLs and for the addresses behind their names.

Requests leave from the network of the operator, so a URL must not reach what only that network reaches.
"""

import re
from collections.abc import Iterator
from urllib.parse import SplitResult, urlsplit

from attrs import field, frozen

from domain.addresses import Address, Network, ends_with_number, is_host_name, is_public, parse_address

URL_SIZE_MAX = 2048

_PRINTABLE = re.compile(r"[!-~]+")


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
        return None if self.is_listed(address) or is_public(address) else f"{address} is not a public address"

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
        name = host.removesuffix(".")
        if not is_host_name(name):
            yield "must have a valid host name"
        elif ends_with_number(name):
            yield "must have the name of a host, not a number"
        elif "." not in name and not self.networks:
            yield "must have a full host name, with a domain"
