"""IP addresses and names of hosts: which are public, and which texts are names.

Connections leave from the network of the operator, so callers must not choose what only that network reaches.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

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

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")
HOST_SIZE_MAX = 253


def is_public(address: Address) -> bool:
    """Return whether the address belongs to a host on the Internet, by this table alone."""
    if isinstance(address, IPv6Address) and (address not in _GLOBAL_IPV6 or address.scope_id):
        return False
    return not any(address in network for network in _REFUSED)


def parse_address(text: str) -> Address | None:
    """Return the IP address that the text is, None if it is none."""
    try:
        return ip_address(text)
    except ValueError:
        return None


def is_host_name(text: str) -> bool:
    """Return whether the text is the name of a host in lower case, or an address in any notation of IPv4."""
    return len(text) <= HOST_SIZE_MAX and all(_LABEL.fullmatch(label) for label in text.split("."))


def ends_with_number(name: str) -> bool:
    """Return whether resolvers take the name for an IPv4 address, perhaps in another notation such as 127.1."""
    return _NUMBER.fullmatch(name.rpartition(".")[2]) is not None
