"""Orders of uses of many sessions, and policies of eviction that the pool's own is compared with.

`python -m tests.unit.sandbox.eviction_policies` prints the share of cold executions of each policy.
"""

import random
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

import click
from attrs import define, field

from adapters.sandbox.options import PoolLimits
from adapters.sandbox.pool.slot_table import SlotTable
from tests.unit.sandbox.fakes import ManualProcess, pool_run

SLOTS = 128
USES = 16_000
WARMUP = 4_000
"""The first uses, which are not counted."""
_NEARBY = 16
"""Sessions in turn overtake each other within so many uses, as they do on as many connections."""


def in_turn(count: int) -> list[int]:
    """Use so many sessions in turn."""
    shuffled, uses = random.Random(3), [number % count for number in range(USES)]
    for start in range(0, USES - _NEARBY, _NEARBY // 2):
        part = uses[start : start + _NEARBY]
        shuffled.shuffle(part)
        uses[start : start + _NEARBY] = part
    return uses


def popular(exponent: float, count: int = 2000) -> list[int]:
    """Use session number i in proportion to 1 / i ** exponent."""
    weights = [1 / (number + 1) ** exponent for number in range(count)]
    return random.Random(1).choices(range(count), weights, k=USES)


def turns_beside_popular() -> list[int]:
    """Use 160 sessions in turn in every second use, and popular ones in between."""
    coin, turns = random.Random(4), iter(number % 160 for number in range(USES))
    return [1_000_000 + next(turns) if coin.random() < 0.5 else each for each in popular(1.0, 300)]


def changing() -> list[int]:
    """Use 100 sessions in turn, and 100 other ones after 4,000 uses."""
    return [1000 * (number // 4000) + number % 100 for number in range(USES)]


def short_lives() -> list[int]:
    """Use each session five times while about 20 are used, and never again."""
    coin, lives = random.Random(6), [[number, 5] for number in range(20)]
    uses, made = [], 20
    for _ in range(USES):
        life = coin.choice(lives)
        uses.append(life[0])
        life[1] -= 1
        if not life[1]:
            life[:], made = (made, 5), made + 1
    return uses


def scans() -> list[int]:
    """Use popular sessions, and 300 new ones once each after every 3,000 uses."""
    uses: list[int] = []
    for number, session in enumerate(popular(0.9, 300)):
        uses.append(session)
        if number % 3000 == 2999:
            uses += range(1_000_000 + number, 1_000_300 + number)
    return uses[:USES]


TRACES: Mapping[str, Callable[[], list[int]]] = {
    "1.1 x slots in turn": lambda: in_turn(141),
    "1.25 x slots in turn": lambda: in_turn(160),
    "1.5 x slots in turn": lambda: in_turn(192),
    "2 x slots in turn": lambda: in_turn(256),
    "4 x slots in turn": lambda: in_turn(512),
    "popular, exponent 0.8": lambda: popular(0.8),
    "popular, exponent 1": lambda: popular(1.0),
    "in turn beside popular": turns_beside_popular,
    "changing": changing,
    "short lives": short_lives,
    "scans": scans,
}


@define
class LeastRecent:
    """Evicts the least recently used session; with `newest`, the most recently used one."""

    newest: bool = False
    kept: OrderedDict[int, None] = field(factory=OrderedDict)

    def is_warm(self, session: int) -> bool:
        if session in self.kept:
            self.kept.move_to_end(session)
            return True
        if len(self.kept) >= SLOTS:
            self.kept.popitem(last=self.newest)
        self.kept[session] = None
        return False


@define
class FirstIn(LeastRecent):
    """Evicts the session that has had its worker for longest."""

    def is_warm(self, session: int) -> bool:
        return session in self.kept or LeastRecent.is_warm(self, session)


@define
class AtRandom:
    """Evicts any session."""

    kept: list[int] = field(factory=list)
    choice: random.Random = field(factory=lambda: random.Random(1))

    def is_warm(self, session: int) -> bool:
        if session in self.kept:
            return True
        if len(self.kept) >= SLOTS:
            self.kept.pop(self.choice.randrange(SLOTS))
        self.kept.append(session)
        return False


@define
class NewestUnused:
    """Evicts the newest session that was used once, else the least recently used one."""

    once: OrderedDict[int, None] = field(factory=OrderedDict)
    again: OrderedDict[int, None] = field(factory=OrderedDict)

    def is_warm(self, session: int) -> bool:
        if session in self.once or session in self.again:
            self.once.pop(session, None)
            self.again[session] = None
            self.again.move_to_end(session)
            return True
        if len(self.once) + len(self.again) >= SLOTS:
            (self.once or self.again).popitem(last=bool(self.once))
        self.once[session] = None
        return False


@define
class SecondLeastRecent:
    """LRU-2 (O'Neil, 1993): evicts the session whose use before the last is longest ago."""

    last: dict[int, tuple[int, int]] = field(factory=dict)
    before: OrderedDict[int, int] = field(factory=OrderedDict)
    now: int = 0

    def is_warm(self, session: int) -> bool:
        self.now += 1
        if session in self.last:
            self.last[session] = (self.last[session][1], self.now)
            return True
        if len(self.last) >= SLOTS:
            evicted = min(self.last, key=lambda each: self.last[each])
            self.before[evicted] = self.last.pop(evicted)[1]
            if len(self.before) > 2 * SLOTS:
                self.before.popitem(last=False)
        self.last[session] = (self.before.pop(session, -1), self.now)
        return False


@define
class TwoQueues:
    """2Q (Johnson and Shasha, 1994): new sessions share a quarter until they come back from the evicted ones."""

    new: OrderedDict[int, None] = field(factory=OrderedDict)
    main: OrderedDict[int, None] = field(factory=OrderedDict)
    evicted: OrderedDict[int, None] = field(factory=OrderedDict)

    def is_warm(self, session: int) -> bool:
        if session in self.main:
            self.main.move_to_end(session)
        if session in self.main or session in self.new:
            return True
        if len(self.new) + len(self.main) >= SLOTS:
            self._evict()
        if session in self.evicted:
            del self.evicted[session]
            self.main[session] = None
        else:
            self.new[session] = None
        return False

    def _evict(self) -> None:
        if len(self.new) > SLOTS // 4 or not self.main:
            self.evicted[self.new.popitem(last=False)[0]] = None
            if len(self.evicted) > SLOTS:
                self.evicted.popitem(last=False)
        else:
            self.main.popitem(last=False)


@define
class OwnPolicy:
    """The slot table of the service; one execution takes a second."""

    now: float = 0.0
    table: SlotTable[ManualProcess] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.table = SlotTable(PoolLimits(SLOTS, 1, 0, 1.0), lambda: self.now)

    def is_warm(self, session: int) -> bool:
        slot = self.table.grant(pool_run(session), waits_for_own=True)
        assert slot is not None
        is_warm = slot.process is not None
        slot.process = slot.process or ManualProcess()
        slot.runs += 1
        self.now += 1
        self.table.end_run(slot, reusable=True)
        return is_warm


Policy = LeastRecent | AtRandom | NewestUnused | SecondLeastRecent | TwoQueues | OwnPolicy
POLICIES: Mapping[str, Callable[[], Policy]] = {
    "this one": OwnPolicy,
    "least recently used": LeastRecent,
    "most recently used": lambda: LeastRecent(newest=True),
    "first in, first out": FirstIn,
    "random": AtRandom,
    "newest unused": NewestUnused,
    "LRU-2": SecondLeastRecent,
    "2Q": TwoQueues,
}


def cold_share(policy: Policy, uses: Sequence[int]) -> float:
    """Return the share of cold executions after the warm-up, in percent."""
    warm = [policy.is_warm(session) for session in uses]
    return 100 * (1 - sum(warm[WARMUP:]) / len(warm[WARMUP:]))


def main() -> None:
    click.echo(f"| {' | '.join(('% cold', *POLICIES))} |")
    click.echo("|" + "---|" * (len(POLICIES) + 1))
    for name, trace in TRACES.items():
        uses = trace()
        shares = (f"{cold_share(policy(), uses):.0f}" for policy in POLICIES.values())
        click.echo(f"| {' | '.join((name, *shares))} |")


if __name__ == "__main__":
    main()
