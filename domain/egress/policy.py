"""Which addresses the connections of scripts may have."""

from collections.abc import Sequence

from attrs import frozen

from domain.addresses import Address, Network, is_public

Endpoint = tuple[Address, int]


@frozen
class AddressRules:
    """Judges the addresses behind a name.

    `allowed` networks may be reached although they are not public, and `denied` ones never. `own_ports` are those of
    this service on this host.
    """

    allowed: tuple[Network, ...] = ()
    denied: tuple[Network, ...] = ()
    own_ports: frozenset[int] = frozenset()

    def permit(self, address: Address, port: int, *, is_own: bool, guarded: Sequence[Endpoint] = ()) -> bool:
        """Return whether scripts may reach the address.

        `is_own` says whether this host has it. `guarded` are endpoints of the service elsewhere, such as its database.
        """
        plain = _plain(address)
        if plain is None or any(plain in network for network in self.denied):
            return False
        own = is_own or plain.is_loopback or plain.is_unspecified
        if (own and port in self.own_ports) or (plain, port) in [(_plain(host), at) for host, at in guarded]:
            return False
        if any(plain in network for network in self.allowed):
            return True
        return not own and is_public(address)


def _plain(address: Address) -> Address | None:
    """Return the address that packets would have; None for one with a zone, which networks do not contain."""
    if address.version == 4:  # IPv4
        return address
    return None if address.scope_id else address.ipv4_mapped or address
