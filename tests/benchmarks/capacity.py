"""How many executions a number of machines carries: a model of measured costs, without any measurement of its own."""

import math
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum

from attrs import frozen

US = 1e6
"""Microseconds in a second."""


class Part(StrEnum):
    """What takes processor time for a call."""

    CONTROLLERS = "controllers"
    POSTGRESQL = "PostgreSQL"
    WORKERS = "workers"


@frozen
class Measured:
    """One load on one controller or more: calls in a statement, and processor microseconds for a call."""

    callers: int
    """Of all controllers together."""

    batch: float
    us: Mapping[Part, float]


@frozen
class Cost:
    """Processor microseconds: for each call, and for each statement that calls share."""

    call_us: float
    statement_us: float

    @classmethod
    def fitted(cls, points: Sequence[tuple[float, float]]) -> "Cost":
        """Return the line of least squares through (calls in a statement, us a call); no part of it is negative."""
        shares = [1 / batch for batch, _ in points]
        mean_share, mean_us = sum(shares) / len(points), sum(us for _, us in points) / len(points)
        spread = sum((share - mean_share) ** 2 for share in shares)
        tilt = sum((share - mean_share) * (us - mean_us) for share, (_, us) in zip(shares, points, strict=True))
        statement_us = min(max(0.0, tilt / spread), mean_us / mean_share) if spread else 0.0
        return cls(mean_us - statement_us * mean_share, statement_us)

    def us(self, batch: float) -> float:
        """Return the microseconds for one of so many calls in a statement."""
        return self.call_us + self.statement_us / batch


@frozen
class CallModel:
    """A kind of call, as one controller was measured with it under several numbers of callers."""

    measured: Sequence[Measured]
    costs: Mapping[Part, Cost]

    @classmethod
    def of(cls, measured: Sequence[Measured]) -> "CallModel":
        """Return the model of measurements of one controller, in the order of their callers."""
        costs = {part: Cost.fitted([(each.batch, each.us[part]) for each in measured]) for part in Part}
        return cls(measured, costs)

    def predicted(self, controllers: int, callers: int) -> Measured:
        """Return what so many controllers cost that share out the callers: each gathers the calls of its own."""
        batch = self._batch(callers / controllers)
        return Measured(callers, batch, {part: cost.us(batch) for part, cost in self.costs.items()})

    def _batch(self, callers: float) -> float:
        """Return the calls in a statement, on the line between the two nearest numbers of callers that were measured."""
        first, *others = self.measured
        for below, above in zip(self.measured, others, strict=False):
            if callers <= above.callers:
                part = max(0.0, (callers - below.callers) / (above.callers - below.callers))
                return below.batch + part * (above.batch - below.batch)
        return others[-1].batch if others else first.batch


@frozen
class Machine:
    """One of equal machines, and how much of its processors a load may take."""

    cores: int = 8
    share_max: float = 0.6
    """The rest is for peaks, and for what a machine does that fails over."""

    network_bytes_s: float = 1.25e8
    """A gigabit a second, which carries the WAL to a standby."""

    @property
    def us_s(self) -> float:
        """Processor microseconds a second for the load."""
        return self.cores * self.share_max * US


@frozen
class Site:
    """What an execution costs, and the bounds of the one server that is the primary."""

    us: Mapping[Part, float]
    wal_bytes: float
    machine: Machine
    connections: int = 8
    """Of each HTTP worker with the primary: DB_POOL_MAX."""

    connections_max: int = 1000
    bucket_factor: float = 1.5
    """What a call costs controllers and PostgreSQL on four buckets over two nodes, beside a plain database."""

    @property
    def total_us(self) -> float:
        """Processor microseconds of all parts for an execution."""
        return sum(self.us.values())

    @property
    def core_hours_per_million(self) -> float:
        """Hours of one processor for a million executions, if nothing of it idles."""
        return self.total_us / 3600

    def walls(self) -> Sequence[tuple[str, float]]:
        """Return the bounds of one primary, each with the executions a second at which it is met, the first one first."""
        a_worker = self.machine.share_max * US / self.us[Part.CONTROLLERS]
        bounds = {
            "processors of the primary": self.machine.us_s / self.us[Part.POSTGRESQL],
            "connections of the primary": self.connections_max / self.connections * a_worker,
            "WAL to one standby": self.machine.network_bytes_s * self.machine.share_max / self.wal_bytes,
        }
        return sorted(bounds.items(), key=lambda bound: bound[1])

    def plan(self, machines: int) -> "Plan":
        """Return what so many machines carry, with as few servers of PostgreSQL as that takes."""
        plan = Plan.of(self.us, machines, self.machine)
        wall = self.walls()[0][1]
        if plan.rate <= wall:
            return plan
        alone = min(wall, self._beside_one_primary(machines))
        divided = Plan.of(self._on_buckets, machines, self.machine)
        return divided if divided.rate > alone else Plan.at(alone, self.us, machines, self.machine)

    @property
    def _on_buckets(self) -> Mapping[Part, float]:
        factors = {part: 1.0 if part == Part.WORKERS else self.bucket_factor for part in Part}
        return {part: us * factors[part] for part, us in self.us.items()}

    def _beside_one_primary(self, machines: int) -> float:
        others = self.us[Part.CONTROLLERS] + self.us[Part.WORKERS]
        return (machines - 1) * self.machine.us_s / others


@frozen
class Plan:
    """Executions a second of a number of machines, and the machines for each part; a machine may have several parts."""

    machines: int
    rate: float
    parts: Mapping[Part, float]

    @classmethod
    def of(cls, us: Mapping[Part, float], machines: int, machine: Machine) -> "Plan":
        """Return the plan that fills all machines."""
        return cls.at(machines * machine.us_s / sum(us.values()), us, machines, machine)

    @classmethod
    def at(cls, rate: float, us: Mapping[Part, float], machines: int, machine: Machine) -> "Plan":
        """Return the plan of a rate that leaves some of the machines idle."""
        return cls(machines, rate, {part: rate * each / machine.us_s for part, each in us.items()})

    @property
    def primaries(self) -> int:
        """Servers of PostgreSQL; beyond one the database is divided into buckets."""
        return max(1, math.ceil(self.parts[Part.POSTGRESQL] - 1e-9))


def differences(predicted: Measured, measured: Measured) -> Iterator[tuple[str, float, float, float]]:
    """Yield the name of each figure, what was predicted and measured, and their difference in parts of the second."""
    figures = {"calls in a statement": (predicted.batch, measured.batch)}
    figures |= {
        f"{part}, us a call": (predicted.us[part], measured.us[part]) for part in (Part.CONTROLLERS, Part.POSTGRESQL)
    }
    for name, (expected, found) in figures.items():
        yield name, expected, found, expected / found - 1
