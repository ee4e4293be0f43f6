"""Where runtime hosts may be: rules for their URLs and for the addresses behind the names in them.

A controller sends scripts and RUNTIME_TOKEN to a host, so a registration must not lead it out of the networks of hosts.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar
from urllib.parse import SplitResult, urlsplit

from attrs import define, frozen

from domain.addresses import Address, Network
from domain.errors import Forbidden, InvalidRequest, Problem

URL_SIZE_MAX = 512

_PRINTABLE = re.compile(r"[!-~]+")
_PORTS = {"http": 80, "https": 443}


@frozen
class HostLocation:
    """The host and the port in a URL."""

    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> "HostLocation":
        """Read a URL; raises InvalidRequest unless it is `http://host:port` or `https://host:port`."""
        problem = next(_problems(url), None)
        if problem is not None:
            raise url_problem(problem)
        parts = urlsplit(url)
        return cls(parts.hostname or "", parts.port or _PORTS[parts.scheme])


@frozen
class HostNetworks:
    """The networks in which runtime hosts may be; none without RUNTIME_HOST_NETWORKS."""

    networks: tuple[Network, ...] = ()

    def accepts(self, address: Address) -> bool:
        """Return whether a controller connects to this address."""
        return any(address in network for network in self.networks)

    def chosen(self, addresses: Sequence[Address]) -> Address:
        """Return the address to connect to, of all those of a name; raises NetworkForbidden.

        A name with one address elsewhere is refused as a whole, because any of them may be given next time.
        """
        for address in addresses:
            if not self.accepts(address):
                raise NetworkForbidden(str(address), [str(network) for network in self.networks])
        return addresses[0]


@define(eq=False)
class NetworkForbidden(Forbidden):
    """The address is in none of the networks of runtime hosts."""

    code: ClassVar[str] = "FORBIDDEN"
    address: str
    allowed: Sequence[str]

    @property
    def message(self) -> str:
        return (
            f"The runtime host is at {self.address}, and controllers connect to {', '.join(self.allowed)} only, so it "
            "was not registered. Correct RUNTIME_HOST_URL, or add its network to RUNTIME_HOST_NETWORKS of the "
            "controllers."
        )

    @property
    def details(self) -> Mapping[str, object]:
        return {"address": self.address, "allowed": list(self.allowed)}


def url_problem(message: str) -> InvalidRequest:
    """Return the error about the URL of a host."""
    return InvalidRequest((Problem("/url", message),))  # type: ignore[arg-type]  # attrs' plugin cannot type a generic converter


def _problems(url: str) -> Iterator[str]:
    if len(url) > URL_SIZE_MAX:
        yield f"must have at most {URL_SIZE_MAX} characters"
    if not _PRINTABLE.fullmatch(url):
        yield "must be a URL of printable ASCII characters"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        yield "must be a URL with a host and a port between 1 and 65535"
    else:
        yield from _part_problems(url, parts, port)


def _part_problems(url: str, parts: SplitResult, port: int | None) -> Iterator[str]:
    if parts.scheme not in _PORTS:
        yield "must begin with http:// or https://"
    if not parts.hostname or port == 0:
        yield "must have a host and a port between 1 and 65535"
    if "@" in parts.netloc:
        yield "must not contain a user name or a password"
    if url != f"{parts.scheme}://{parts.netloc}":
        yield "must end with the host or the port, without a path"
