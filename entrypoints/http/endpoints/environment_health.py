"""The health of environments: what waits for a builder, what could not be built, and what could not be fetched."""

from collections.abc import Callable, Mapping

from attrs import define

from domain.environments.builder import BuildStats
from domain.environments.tree import TreeStats
from domain.environments.watch import BuildWatch


@define(eq=False)
class EnvironmentHealth:
    """Reports what this process knows; builds and fetches count since it started."""

    _watch: BuildWatch
    _builds: Callable[[], BuildStats]
    _trees: Callable[[], TreeStats]

    async def probe(self) -> Mapping[str, object]:
        """Return the facts; "degraded" while a version waits for too long, or a fetch was refused.

        A build that failed concerns its version alone, so it is shown and changes no status.
        """
        refusals, waiting = self._trees().refusals, self._watch.waiting
        facts = {
            "queued": waiting.count,
            "queued_since": waiting.since,
            "not_built": dict(self._builds().failures),
            "not_fetched": dict(refusals),
        }
        since = self._watch.late_since
        if since is not None:
            reason = f"no controller has begun to build a version since {since.isoformat(timespec='seconds')}"
            return {"status": "degraded", "reason": reason, **facts}
        if refusals:
            return {"status": "degraded", "reason": "this host could not fetch packages", **facts}
        return {"status": "ok", **facts}
