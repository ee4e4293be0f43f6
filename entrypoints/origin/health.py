"""The health of the origin, as the front sees it."""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urlsplit

from attrs import define

from domain.takeover.passing import OriginLoop, OriginRequest, OriginUnavailable
from domain.takeover.ports import OriginClient
from entrypoints.telemetry.metrics.front import FrontMetrics, PassedOutcome

_TIMEOUT_S = 0.5


@define(eq=False)
class OriginHealth:
    """Calls the origin's `/health`, and tells what was passed on since the start of this process."""

    _url: str
    _origin: OriginClient
    _metrics: FrontMetrics

    async def probe(self) -> Mapping[str, object]:
        """Return the facts; `status` is "degraded" if the origin does not respond with 200 within 0.5 s."""
        reason = await self.reason()
        stage, outcomes = self._metrics.stage(), self._metrics.outcomes
        facts: dict[str, object] = {
            "status": "ok" if reason is None else "degraded",
            "url": self._url,
            "stage": stage or "unknown",
            "passed_on": sum(outcomes.values()),
            "not_replied": sum(count for outcome, count in outcomes.items() if outcome is not PassedOutcome.REPLIED),
        }
        return facts if reason is None else {**facts, "reason": reason}

    async def reason(self) -> str | None:
        """Return why the origin is not well; None if it is."""
        request = OriginRequest(b"GET", b"/health", [(b"host", urlsplit(self._url).netloc.encode())])
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                reply = await self._origin.send(request)
        except OriginUnavailable as error:
            return error.reason
        except TimeoutError:
            return f"/health did not respond within {_TIMEOUT_S:g} s"
        reply.close()
        if (b"x-error-code", OriginLoop.code.encode()) in reply.headers:
            return OriginLoop().message
        return None if reply.status == HTTPStatus.OK else f"/health responds with status {reply.status}"
