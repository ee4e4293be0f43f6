"""The hosts of a language by their rank for a session."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Generic, TypeVar
from uuid import UUID

from attrs import define, field

from domain.concurrency.bounded_cache import BoundedCache

Host = TypeVar("Host")
Name = TypeVar("Name")

KEPT = 8
"""The first hosts of a session are kept. The others are ranked again by the few runs that need one of them."""
_SESSIONS_MAX = 32_768
"""Sessions whose first hosts are kept, which takes some 8 MB."""


def ranked(key: bytes, names: Sequence[str]) -> list[str]:
    """Return the names by their weight for this key, highest first (rendezvous hashing).

    Every controller ranks alike, with no table between them. If a name is removed, only its own keys move.
    """
    if len(names) == 1:
        return list(names)
    secret = hashlib.sha256(key).digest()

    def weight(name: str) -> bytes:
        return hashlib.blake2b(name.encode(), digest_size=8, key=secret).digest()

    return sorted(names, key=weight, reverse=True)


@define(eq=False)
class RankedHosts(Generic[Host]):
    """A set of hosts by URL, which never changes: so the first hosts of a session can be kept as long as the set is."""

    hosts: Mapping[str, Host]
    _rank: Callable[[bytes, Sequence[str]], list[str]] = ranked
    _members: frozenset[Host] = field(init=False)
    _first: BoundedCache[UUID, Sequence[Host]] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._members = frozenset(self.hosts.values())
        self._first = BoundedCache(_SESSIONS_MAX, lambda _: 1)

    def __contains__(self, host: object) -> bool:
        """Return whether the host is in the set."""
        return host in self._members

    def of(self, key: bytes) -> Iterator[Host]:
        """Return all hosts by their rank for a key."""
        return (self.hosts[url] for url in self._rank(key, tuple(self.hosts)))

    def first(self, session_id: UUID) -> Sequence[Host]:
        """Return the first hosts of a session, at most KEPT."""
        first = self._first.get(session_id)
        if first is None:
            first = tuple(islice(self.of(session_id.bytes), KEPT))
            self._first.put(session_id, first)
        return first

    def of_session(self, session_id: UUID) -> Iterator[Host]:
        """Yield all hosts by their rank for a session. Those that are not kept are ranked when the first is wanted."""
        first = self.first(session_id)
        yield from first
        if len(first) < len(self.hosts):
            yield from islice(self.of(session_id.bytes), len(first), None)


def renewed(
    known: Mapping[Name, RankedHosts[Host]], hosts_of: Mapping[Name, Mapping[str, Host]]
) -> dict[Name, RankedHosts[Host]]:
    """Return the ranks of each set of hosts: those of a known set are kept, and equal sets share theirs."""
    sets = list(known.values())
    ranks_of = {}
    for name, hosts in hosts_of.items():
        ranks = next((each for each in sets if each.hosts == hosts), None)
        if ranks is None:
            ranks = RankedHosts(hosts)
            sets.append(ranks)
        ranks_of[name] = ranks
    return ranks_of
