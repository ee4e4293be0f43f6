"""The addresses of names, judged: all of them may be reached, or none is used."""

import asyncio
import time
from collections.abc import Callable, Sequence
from ipaddress import ip_address

from attrs import define, field

from adapters.public_addresses import Resolve, SystemResolver, is_own
from domain.addresses import Address, parse_address
from domain.egress.endpoints import NamedEndpoint
from domain.egress.policy import AddressRules, Endpoint
from domain.egress.traffic import RefusalReason

_DNS_TIMEOUT_S = 2.0
_ADDRESSES_MAX = 16
_KEPT_S = 30.0
LOOKUPS_MAX = 4
"""Of one worker at the same time."""
OWNER_LOOKUPS_MAX = 16
"""Of all workers of one owner at the same time; the resolver has 64 threads for all owners."""


class Refused(Exception):
    """Nothing is connected, for this reason."""

    def __init__(self, reason: RefusalReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@define(eq=False)
class LookupTurns:
    """Turns of the lookups of a worker, which count until they end, also when those who asked have left.

    The workers of one owner share `of_owner`.
    """

    of_owner: asyncio.Semaphore = field(factory=lambda: asyncio.Semaphore(OWNER_LOOKUPS_MAX))
    _of_worker: asyncio.Semaphore = field(factory=lambda: asyncio.Semaphore(LOOKUPS_MAX), init=False)

    async def acquire(self) -> None:
        """Wait for a turn."""
        await self._of_worker.acquire()
        try:
            await self.of_owner.acquire()
        except BaseException:
            self._of_worker.release()
            raise

    def release(self) -> None:
        """End a turn."""
        self.of_owner.release()
        self._of_worker.release()

    def locked(self) -> bool:
        """Return whether a further lookup would wait."""
        return self._of_worker.locked() or self.of_owner.locked()


@define(eq=False)
class KnownAddresses:
    """The addresses of names as one execution has found them, each kept for a short time."""

    _now: Callable[[], float] = time.monotonic
    turns: LookupTurns = field(factory=LookupTurns, kw_only=True)
    _known: dict[str, tuple[float, Sequence[Address]]] = field(factory=dict, init=False)

    def get(self, host: str) -> Sequence[Address] | None:
        """Return the addresses if they are still kept."""
        until, addresses = self._known.get(host, (0.0, ()))
        return addresses if self._now() < until else None

    def last(self, host: str) -> Sequence[Address] | None:
        """Return the addresses that were kept last, however old; None if there were none."""
        known = self._known.get(host)
        return None if known is None else known[1]

    def put(self, host: str, addresses: Sequence[Address]) -> None:
        """Keep the addresses."""
        self._known[host] = (self._now() + _KEPT_S, addresses)


@define(eq=False)
class AddressJudge:
    """Resolves names and judges their addresses. `guarded` are endpoints of the service, by name."""

    _rules: AddressRules
    _guarded: Sequence[NamedEndpoint] = ()
    _resolve: Resolve = field(factory=SystemResolver)
    _is_own: Callable[[Address], bool] = is_own
    _guards: KnownAddresses = field(factory=KnownAddresses)

    async def addresses(
        self, host: str, port: int, known: KnownAddresses, guarded: Sequence[NamedEndpoint] = ()
    ) -> Sequence[Address]:
        """Return the addresses of a host; raises Refused, also if only one of them may not be reached.

        `guarded` are endpoints of the service beside those that are always guarded. A name among them that this host
        cannot resolve guards nothing: the execution brings its addresses too.
        """
        found = known.get(host)
        if found is None:
            found = await self._found(host, port, known)
            known.put(host, found)
        endpoints = await self._endpoints(port, guarded)
        if not all(self._permits(each, port, endpoints) for each in found):
            raise Refused(RefusalReason.ADDRESS)
        return found

    def _permits(self, address: Address, port: int, guarded: Sequence[Endpoint]) -> bool:
        return self._rules.permit(address, port, is_own=self._is_own(address), guarded=guarded)

    async def _looked_up(self, host: str, port: int, turns: LookupTurns) -> Sequence[str]:
        """Ask the resolver, whose threads an owner with names that hang must not take from others."""
        await turns.acquire()
        asking = asyncio.ensure_future(self._resolve(host, port))

        def end(ended: asyncio.Future[Sequence[str]]) -> None:
            turns.release()
            if not ended.cancelled():
                ended.exception()  # the callers may be gone

        asking.add_done_callback(end)
        return await asyncio.shield(asking)

    async def _found(self, host: str, port: int, known: KnownAddresses) -> Sequence[Address]:
        literal = parse_address(host)
        if literal is not None:
            return [literal]
        try:
            async with asyncio.timeout(_DNS_TIMEOUT_S):
                texts = await self._looked_up(host, port, known.turns)
        except TimeoutError:
            raise Refused(RefusalReason.DNS_TIMEOUT) from None
        except OSError:
            raise Refused(RefusalReason.UNRESOLVED) from None
        if not texts or len(texts) > _ADDRESSES_MAX:
            raise Refused(RefusalReason.UNRESOLVED)
        return [ip_address(text) for text in texts]

    async def _endpoints(self, port: int, more: Sequence[NamedEndpoint]) -> Sequence[Endpoint]:
        """Return what is guarded at a port; raises Refused if a name that always is has never had an address."""
        hosts = dict.fromkeys(host for host, guarded in (*self._guarded, *more) if guarded == port)
        return [(address, port) for host in hosts for address in await self._guard(host, port)]

    async def _guard(self, host: str, port: int) -> Sequence[Address]:
        """Return the addresses of a guarded host; the last known ones count as long as it has no others."""
        literal = parse_address(host)
        kept = [literal] if literal is not None else self._guards.get(host)
        if kept is not None:
            return kept
        try:
            found = await self._found(host, port, self._guards)
        except Refused:
            last = self._guards.last(host)
            if last is None and any(host == always for always, _ in self._guarded):
                raise Refused(RefusalReason.GUARDS_UNKNOWN) from None
            found = last or ()
        self._guards.put(host, found)
        return found
