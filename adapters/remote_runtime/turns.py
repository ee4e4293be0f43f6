"""Turns of runs at the hosts of each language. Callers wait for one while no host takes runs, or none has room."""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

from attrs import define, field

from adapters.remote_runtime.fleet import TRIES_MAX, WINDOW_START, Condition, HostView
from adapters.remote_runtime.host import RemoteHost
from adapters.remote_runtime.options import RuntimeOptions
from domain.concurrency.fair_turns import SIZE_MIN, FairTurns
from domain.errors import DomainError, Overloaded, RuntimeUnavailable
from domain.identity import Owner
from domain.scripts.language import Language

_QUEUE = "runtime hosts"
_NONE_REGISTERED = "no runtime host is registered for it"
_LOOK_EACH_S = 0.1


@define(eq=False)
class HostTurns:
    """Gives out as many turns as the hosts that take runs have in their windows, and none while no host takes runs.

    Owners are served in turn, and `queue_max` bounds the callers that wait. While they wait for a host, hosts that were
    lost are dialled again and again, and `wanted` returns.
    """

    _options: RuntimeOptions
    _registering: Collection[Language]
    """The languages whose hosts register themselves."""
    _hosts: Mapping[Language, Collection[RemoteHost]] = field(init=False, factory=dict)
    _turns: dict[Language, FairTurns] = field(init=False, factory=dict)
    _deserted: set[Language] = field(init=False, factory=set)
    """The languages of which no host takes runs."""
    _wanted: asyncio.Event = field(init=False, factory=asyncio.Event)
    _changed: asyncio.Event = field(init=False, factory=asyncio.Event)
    """Set once a host has changed; another one takes its place then."""
    _looking: asyncio.Handle | None = field(init=False, default=None)

    def serve(self, hosts: Mapping[Language, Collection[RemoteHost]]) -> None:
        """Give turns at these hosts from now on."""
        self._hosts = hosts
        for language in hosts.keys() - self._turns.keys():
            self._turns[language] = self._new_turns()
        self.resize()

    def close(self) -> None:
        """Look for no more hosts."""
        if self._looking is not None:
            self._looking.cancel()

    @property
    def waiting(self) -> int:
        """How many callers wait for a turn."""
        return sum(turns.waiting for turns in self._turns.values())

    async def wanted(self) -> None:
        """Return as soon as callers wait for a host to register."""
        await self._wanted.wait()

    async def take(self, language: Language, owner: Owner, ends_at: float, size: int = SIZE_MIN) -> None:
        """Take a turn before `ends_at` in the loop's time.

        Raises RuntimeUnavailable if no host takes runs when the wait begins or ends, and Overloaded if none has room,
        or too many wait.
        """
        reasons = self._sought_reasons(language) if language in self._deserted else None
        try:
            async with asyncio.timeout_at(ends_at):
                await self._turns[language].acquire(owner, size)
        except TimeoutError:
            raise self._late(language, reasons) from None

    def release(self, language: Language, owner: Owner) -> None:
        """End a turn."""
        self._turns[language].release(owner)

    async def require_host(self, language: Language, owner: Owner, ends_at: float, size: int) -> None:
        """Wait in the queue of turns while no host takes runs; raises what `take` raises."""
        if language in self._deserted:
            await self.take(language, owner, ends_at, size)
            self.release(language, owner)

    async def readiness(self, language: Language) -> Mapping[str, object]:
        """Return how many of the hosts serve the language as `status`, and why if none does.

        While hosts are dialled for the first time and none takes runs, it waits, `health_timeout_s` at most.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(self._options.health_timeout_s):
                while self._is_undecided(language):
                    await self._changed.wait()
        states, now_s = self._states(language), time.monotonic()
        count = sum(state.serves(language, now_s) for state in states)
        if count:
            return {"status": "ok" if count == len(states) else "degraded"}
        return {"status": "failing", "reason": self._reasons(language)}

    def resize(self) -> None:
        """Take note of a change of a host.

        Hosts that take runs, and all lack the language, give a few turns: their refusals say why.
        """
        self._changed.set()
        self._changed = asyncio.Event()
        now_s = time.monotonic()
        sizes = {language: self._size(language, now_s) for language in self._turns}
        self._deserted = {language for language, size in sizes.items() if not size}
        for language, size in sizes.items():
            self._turns[language].resize(size)
        self._go_on_looking()

    def _size(self, language: Language, now_s: float) -> int:
        ready = [state for state in self._states(language) if state.takes_runs(now_s)]
        windows = sum(int(state.window) for state in ready if state.serves(language, now_s))
        least = min(WINDOW_START, self._options.runs_max) if ready else 0
        return min(windows, self._options.runs_max) or least

    def _sought_reasons(self, language: Language) -> str:
        """Look for a host soon, when the caller waits, and return why none takes runs now."""
        if self._looking is None:
            self._looking = asyncio.get_running_loop().call_soon(self._look)
        return self._reasons(language)

    def _look(self) -> None:
        """Dial the hosts for which callers wait. One that was distrusted may be trusted again, which is no event."""
        self._looking = None
        for language in self._sought():
            for host in self._hosts[language]:
                host.want()
        self.resize()

    def _go_on_looking(self) -> None:
        sought = self._sought()
        if not sought.isdisjoint(self._registering):
            self._wanted.set()
        else:
            self._wanted.clear()
        if sought and self._looking is None:
            self._looking = asyncio.get_running_loop().call_later(_LOOK_EACH_S, self._look)

    def _sought(self) -> set[Language]:
        return {language for language in self._deserted if self._turns[language].waiting}

    def _is_undecided(self, language: Language) -> bool:
        states, now_s = self._states(language), time.monotonic()
        is_dialling = any(state.condition is Condition.CONNECTING for state in states)
        return is_dialling and not any(state.serves(language, now_s) for state in states)

    def _states(self, language: Language) -> Sequence[HostView]:
        return [host.state for host in self._hosts[language]]

    def _reasons(self, language: Language) -> str:
        hosts, now_s = list(self._hosts[language])[:TRIES_MAX], time.monotonic()
        return "; ".join(f"{host.name}: {host.state.refusal(now_s)}" for host in hosts) or _NONE_REGISTERED

    def _late(self, language: Language, reasons: str | None) -> DomainError:
        waited_s = self._options.queue_timeout_s
        if language in self._deserted:
            reasons = self._reasons(language)
        if reasons is None:
            return Overloaded(_QUEUE, waited_s)
        return RuntimeUnavailable(
            language,
            f"this call waited {waited_s:g} s for a runtime host, until QUEUE_TIMEOUT_MS, and none takes executions "
            f"({reasons}). Repeat the call later. If that fails too, start a runtime host, or correct "
            f"{'CONTROLLER_URL and RUNTIME_TOKEN of those that run' if language in self._registering else 'its URL'}.",
        )

    def _new_turns(self) -> FairTurns:
        # A run that waits has no size of its own here, so each counts the least: the bound is one of their number.
        runs_max, bytes_max = self._options.runs_max, self._options.queue_max * SIZE_MIN
        return FairTurns(_QUEUE, runs_max, runs_max, bytes_max)


@define(eq=False)
class HostTurn:
    """The turn of one run. It may be given back and taken again until `queue_timeout_s` is over."""

    _turns: HostTurns
    _language: Language
    _owner: Owner
    _ends_at: float
    """In the loop's time."""
    _is_held: bool = field(default=False, init=False)

    async def take(self) -> None:
        """Wait for the turn; raises what `HostTurns.take` raises."""
        await self._turns.take(self._language, self._owner, self._ends_at)
        self._is_held = True

    async def retake(self) -> None:
        """Give the turn back, and wait for one at a host that takes runs: those of the last one are gone."""
        self._turns.resize()
        self.release()
        await self.take()

    def release(self) -> None:
        """End the turn; also valid without one."""
        if self._is_held:
            self._is_held = False
            self._turns.release(self._language, self._owner)
