"""Which languages this process serves now."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial

from attrs import define, field, frozen

from domain.concurrency.background_tasks import SharedTasks
from domain.errors import RuntimeUnavailable
from domain.scripts.language import Language

Probe = Callable[[], Awaitable[Mapping[str, object]]]
"""Reports the health of a runtime as components of /health do: `status`, and perhaps `reason` and `languages`."""

_NO_RUNTIME = "nothing runs it here."


@frozen
class _Known:
    reason: str | None
    known_at_s: float


@define(eq=False)
class ServedLanguages:
    """Asks runtimes for their health, and keeps each answer for `kept_s`. Belongs to one event loop.

    While a runtime is asked again, its last answer counts, for `trusted_s` in all. One that does not respond, or starts
    slowly, delays no claim of another language. What comes for a language that was served within `missed_s` may wait in
    the queue: hosts that restart in turn may leave none for a moment.
    """

    _probes: Mapping[Language, Probe]
    kept_s: float = 1.0
    probe_timeout_s: float = 1.0
    trusted_s: float = 5.0
    missed_s: float = 10.0
    _asking: SharedTasks[Language, _Known] = field(factory=SharedTasks, init=False)
    _known: dict[Language, _Known] = field(factory=dict, init=False)
    _served_at_s: dict[Language, float] = field(factory=dict, init=False)

    async def reason_against(self, language: Language) -> str | None:
        """Return why nothing serves the language; None if something does."""
        known = self._last(language)
        return (await asyncio.shield(self._asked(language)) if known is None else known).reason

    async def require(self, language: Language) -> None:
        """Raise RuntimeUnavailable if nothing has served the language for `missed_s`, or ever."""
        reason = await self.reason_against(language)
        if reason is not None and not self._is_missed_lately(language):
            raise RuntimeUnavailable(language, f"{reason} Repeat the call when it is served again.")

    async def now(self) -> Collection[Language]:
        """Return the languages that are known to be served; it waits until something is known of one of them."""
        if self._probes and not any(map(self._last, self._probes)):
            await asyncio.wait(map(self._asked, self._probes), return_when=asyncio.FIRST_COMPLETED)
        return [each for each in self._probes if (known := self._last(each)) is not None and known.reason is None]

    def _is_missed_lately(self, language: Language) -> bool:
        served_at_s = self._served_at_s.get(language)
        return served_at_s is not None and asyncio.get_running_loop().time() - served_at_s < self.missed_s

    def _last(self, language: Language) -> _Known | None:
        """Return the last answer while it counts; asks again unless it is new."""
        known, now_s = self._known.get(language), asyncio.get_running_loop().time()
        if known is None or now_s - known.known_at_s >= self.kept_s:
            self._asked(language)
        return known if known is not None and now_s - known.known_at_s < self.trusted_s else None

    def _asked(self, language: Language) -> "asyncio.Task[_Known]":
        """Return the task that asks the runtime, one for all who want to know."""
        return self._asking.start(language, partial(self._learn, language))

    async def _learn(self, language: Language) -> _Known:
        known_at_s = asyncio.get_running_loop().time()
        known = self._known[language] = _Known(await self._ask(language), known_at_s)
        if known.reason is None:
            self._served_at_s[language] = known_at_s
        return known

    async def _ask(self, language: Language) -> str | None:
        probe = self._probes.get(language)
        if probe is None:
            return _NO_RUNTIME
        try:
            async with asyncio.timeout(self.probe_timeout_s):
                health = await probe()
        except TimeoutError:
            return f"its runtime did not report its health within {self.probe_timeout_s:g} s."
        return _fault(health, language)


def _fault(health: Mapping[str, object], language: Language) -> str | None:
    """Return what keeps the runtime of a language from serving it.

    Runtime hosts report each language, which fails if no host serves it; a sandbox says why it lacks an interpreter.
    """
    languages = health.get("languages")
    facts = languages.get(language, health) if isinstance(languages, Mapping) else health
    if facts["status"] == "ok" or (facts["status"] == "degraded" and "reason" not in facts):
        return None
    return f"its runtime is failing ({facts.get('reason', 'no host of it is well')})."
