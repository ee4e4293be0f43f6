"""A `send` whose statements end when the test says so."""

import asyncio

from adapters.postgres.connections.errors import StatementRefused


class ManualSend:
    """Records batches; each is answered, in any order, by `answer` or `fail`."""

    def __init__(self):
        self.batches = []
        self.under_way = {}
        self.busiest = 0

    async def __call__(self, calls):
        number = len(self.batches)
        self.batches.append(list(calls))
        self.under_way[number] = asyncio.get_running_loop().create_future()
        self.busiest = max(self.busiest, len(self.under_way))
        try:
            outcome = await self.under_way[number]
        finally:
            del self.under_way[number]
        return outcome(calls)

    def answer(self, number=None, outcome=lambda calls: [f"answer to {call}" for call in calls]):
        self._future(number).set_result(outcome)

    def refuse(self, number=None):
        self.fail(StatementRefused("this value"), number)

    def fail(self, error, number=None):
        self._future(number).set_exception(error)

    def _future(self, number):
        return self.under_way[min(self.under_way) if number is None else number]


async def turns(count=4):
    """Let the event loop take a few turns."""
    for _ in range(count):
        await asyncio.sleep(0)
