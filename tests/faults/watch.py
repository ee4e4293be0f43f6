"""What the process says of itself, asked all the time."""

import asyncio
import time

import httpx2
from attrs import define, field, frozen

PATHS = ("/livez", "/health", "/readyz")
INTERVAL_S = 0.1
LIMIT_S = 1.0


@frozen
class Look:
    """One response: None when there was no server to respond."""

    path: str
    began_s: float
    ended_s: float
    status: int | None


@define(eq=False)
class Watch:
    """Asks each path again and again."""

    client: httpx2.AsyncClient
    looks: list[Look] = field(factory=list)

    def start(self):
        return [asyncio.ensure_future(self._look_on(path)) for path in PATHS]

    def problems(self, slack_s):
        """Yield what was not answered in time, and what was not answered well."""
        for look in self.looks:
            took_s = look.ended_s - look.began_s
            if took_s > LIMIT_S + slack_s:
                yield f"{look.path} took {took_s:.2f} s"
            if look.status not in (200, None) and look.path != "/readyz":
                yield f"{look.path} was answered {look.status}"

    def readiness(self, from_s, to_s):
        """Return what `/readyz` answered to those who asked within these instants."""
        looks = [look for look in self.looks if look.path == "/readyz" and look.status is not None]
        return [look.status for look in looks if from_s <= look.began_s <= to_s]

    def unready(self):
        """Return the looks at `/readyz` that were not answered 200."""
        return [look for look in self.looks if look.path == "/readyz" and look.status not in (200, None)]

    async def _look_on(self, path):
        while True:
            began_s = time.monotonic()
            try:
                status = (await self.client.get(path)).status_code
            except httpx2.TransportError:
                status = None
            self.looks.append(Look(path, began_s, time.monotonic(), status))
            await asyncio.sleep(INTERVAL_S)
