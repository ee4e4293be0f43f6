"""What belongs to the service elsewhere, which no script reaches: databases, runtime hosts and controllers."""

from collections.abc import Callable, Collection, Sequence

from attrs import frozen

NamedEndpoint = tuple[str, int]
"""A host, by its name or its address, and a port."""

GUARDED_MAX = 512
"""Of one run. Settings name few, and HOSTS_MAX runtime hosts may be registered."""


Endpoints = Callable[[], Sequence[NamedEndpoint]]
"""Returns endpoints as they are known now."""


@frozen
class ServiceEndpoints:
    """The endpoints that settings name, with their addresses, and those of registered hosts."""

    named: Endpoints = tuple
    known: Endpoints = tuple

    def at(self, ports: Collection[int]) -> tuple[NamedEndpoint, ...]:
        """Return those at one of the ports, each once: only these can be behind a rule with one of them."""
        found = dict.fromkeys(each for each in (*self.known(), *self.named()) if each[1] in ports)
        return tuple(found)[:GUARDED_MAX]
