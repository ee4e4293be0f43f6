"""The rules of owners as one process knows them, so that not every execution reads them."""

from collections.abc import Sequence
from datetime import timedelta

from attrs import define, field

from domain.clock import Clock
from domain.concurrency.ttl_cache import TtlCache
from domain.egress.ports import OwnerRules
from domain.egress.rule import EgressRule, is_covered
from domain.identity import Owner

FRESH = timedelta(seconds=5)
"""How long a rule that was removed may still count."""
_OWNERS_MAX = 10_000


@define
class KnownOwnerRules:
    """Judges rules by those of their owner. A new rule counts at once, and a removed one for FRESH at most."""

    _clock: Clock
    _rules: OwnerRules
    _known: TtlCache[Owner, Sequence[EgressRule]] = field(factory=lambda: TtlCache(_OWNERS_MAX), init=False)

    async def uncovered(self, owner: Owner, rules: Sequence[EgressRule]) -> Sequence[EgressRule]:
        """Return those of the rules that the owner may not have; raises StorageUnavailable or Overloaded."""
        known = self._known.get(owner, self._clock.now())
        beyond = rules if known is None else _beyond(rules, known)
        return _beyond(rules, await self._read(owner)) if beyond else beyond

    async def _read(self, owner: Owner) -> Sequence[EgressRule]:
        found, now = await self._rules.of(owner), self._clock.now()
        self._known.put(owner, found, now + FRESH)
        return found


def _beyond(rules: Sequence[EgressRule], known: Sequence[EgressRule]) -> Sequence[EgressRule]:
    return [rule for rule in rules if not is_covered(rule, known)]
