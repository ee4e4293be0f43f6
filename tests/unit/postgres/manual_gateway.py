"""A gateway whose statements end when the test says so, and a kind of call without SQL for it."""

import asyncio

from adapters.postgres.batching.coalescer import Coalescer, CoalescerOptions
from adapters.postgres.batching.statement import LockingStatement
from adapters.postgres.connections.errors import StatementRefused
from adapters.postgres.connections.statement import Statement


class PlainCalls(LockingStatement):
    """Calls that are sent as they are; the rows of a statement are its responses."""

    divisible = True

    def __init__(self, name="calls", key=lambda call: call, size=len):
        super().__init__(Statement(name, "SELECT 1"))
        self.name = name
        self.batch_key = key
        self.size = size

    def columns(self, calls):
        return {"calls": calls}

    def responses(self, calls, rows):
        return rows


class FunctionGateway:
    """Runs a function in place of a statement; it gets the calls, and returns the responses."""

    def __init__(self, function):
        self._function = function

    async def fetch(self, statement, parameters, *, pool, **_):
        return await self._function(parameters["calls"])


class ManualGateway:
    """Records batches; `respond`, `refuse` and `fail` end them, in any order."""

    def __init__(self):
        self.batches = []
        self.in_flight = {}
        self.busiest = 0

    async def fetch(self, statement, parameters, **_):
        number, calls = len(self.batches), parameters["calls"]
        self.batches.append(list(calls))
        self.in_flight[number] = asyncio.get_running_loop().create_future()
        self.busiest = max(self.busiest, len(self.in_flight))
        try:
            outcome = await self.in_flight[number]
        finally:
            del self.in_flight[number]
        return outcome(calls)

    def respond(self, number=None, outcome=lambda calls: [f"response to {call}" for call in calls]):
        self._future(number).set_result(outcome)

    def refuse(self, number=None):
        self.fail(StatementRefused("this value"), number)

    def fail(self, error, number=None):
        self._future(number).set_exception(error)

    def _future(self, number):
        return self.in_flight[min(self.in_flight) if number is None else number]


def coalescer(gateway, *, name="calls", share=False, exclusive=None, key=lambda call: call, size=len, **options):
    """Return a coalescer of plain calls; `monotonic_s` and the options of coalescers may be given."""
    clock = {"monotonic_s": options.pop("monotonic_s")} if "monotonic_s" in options else {}
    statement = PlainCalls(name, key, size)
    return Coalescer(gateway, statement, CoalescerOptions(**options), exclusive=exclusive, share=share, **clock)


async def turns(count=4):
    """Let the event loop take a few turns."""
    for _ in range(count):
        await asyncio.sleep(0)
