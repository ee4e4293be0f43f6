"""The script runner that runs scripts on runtime hosts."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from uuid import UUID

from attrs import define, field
from typing_extensions import override

from adapters.remote_runtime.connection import HostConnection, no_headers
from adapters.remote_runtime.dial import Dial, dial
from adapters.remote_runtime.fleet import (
    DISTRUSTED,
    LEFT_AS,
    TRIES_MAX,
    WINDOW_START,
    Choice,
    Condition,
    HostView,
    StreamCounts,
    UnknownReason,
    choose,
)
from adapters.remote_runtime.host import RemoteHost
from adapters.remote_runtime.options import RuntimeOptions
from adapters.remote_runtime.ranks import RankedHosts, renewed
from adapters.remote_runtime.replies import RunRefused
from adapters.remote_runtime.verification import Verification
from adapters.remote_runtime.worker import HostChooser, Refusals, RemoteWorker
from adapters.runtime_frames import Kind
from adapters.runtime_protocol import language_name
from domain.addresses import Address
from domain.concurrency.bounded_cache import BoundedCache
from domain.concurrency.fair_turns import SIZE_MIN, FairTurns
from domain.errors import Overloaded, RuntimeUnavailable
from domain.hosts.host import RegisteredHost
from domain.hosts.ports import HostClient
from domain.identity import Owner
from domain.scripts.convention import Convention
from domain.scripts.language import Language
from domain.scripts.ports import ScriptRun, ScriptRunner, Worker
from domain.scripts.script import InputForm, Script
from domain.stats import RuntimeStreamStats

_QUEUE = "runtime hosts"
_NO_URL = "no runtime host serves it; set its runtime URL."
_NO_HOST = "no runtime host is registered for it; start one, or correct its CONTROLLER_URL and RUNTIME_TOKEN."
_NONE_REGISTERED = "no runtime host is registered for it"
_SESSIONS_MAX = 100_000
"""Sessions whose host is remembered."""
_LIKELY = 2
"""The hosts by rank that run a session, as long as both take runs."""


@define(eq=False)
class HttpScriptRunner(ScriptRunner, HostClient, HostChooser):
    """Prefers the host that ran a session last, then the less loaded of its two by rendezvous hashing.

    It tries another host if one starts nothing. `urls` are the hosts of each language: `http://...`, `https://...` or
    `unix:/path/to.sock`; a host may serve several languages. The `registering` languages run on those that `serve`
    names. Call `open` before use and `close` at the end. A worker's `run` may also raise what the run's `source`
    raises, when a host has lost a script: nothing was started then.
    """

    _options: RuntimeOptions
    _listed: Mapping[Language, Sequence[str]]
    _more_headers: Callable[[], Mapping[str, str]] = no_headers
    """Returns further headers of a request: those of the caller's trace."""
    _registering: Collection[Language] = ()
    _dial: Dial = dial
    _hosts: dict[str, RemoteHost] = field(init=False, factory=dict)
    _ranks: dict[Language, RankedHosts[RemoteHost]] = field(init=False, factory=dict)
    _turns: dict[Language, FairTurns] = field(init=False)
    _warm: BoundedCache[UUID, RemoteHost] = field(init=False)
    _verification: Verification = field(init=False)
    _numbers: Iterator[int] = field(init=False, factory=partial(itertools.count, 1))
    _choices: Counter[str] = field(init=False, factory=Counter)
    _counts: StreamCounts = field(init=False, factory=StreamCounts)
    _changed: asyncio.Event = field(init=False, factory=asyncio.Event)
    """Set once a host has changed; another one takes its place then."""
    _left: list[RemoteHost] = field(init=False, factory=list)
    """Those that get no more runs, until what runs there has ended."""

    def __attrs_post_init__(self) -> None:
        options = self._options
        self._verification = Verification(options.ca_file)
        distinct = dict.fromkeys(url for urls in self._listed.values() for url in urls)
        self._hosts = {url: self._host(url) for url in distinct}
        self._rank({**self._listed, **dict.fromkeys(self._registering, ())})
        # A run that waits has no size of its own here, so each counts the least: the bound is one of their number.
        self._turns = {
            language: FairTurns(_QUEUE, options.runs_max, options.runs_max, options.queue_max * SIZE_MIN)
            for language in self._ranks
        }
        self._warm = BoundedCache(_SESSIONS_MAX, lambda _: 1)
        self._resize()

    async def open(self) -> None:
        """Begin to dial the hosts."""
        for host in self._hosts.values():
            await host.open()

    async def close(self) -> None:
        """Close every connection; the end of a run in progress stays unknown."""
        for host in (*self._hosts.values(), *self._left):
            await host.close()

    @override
    async def serve(self, hosts: Sequence[RegisteredHost], silent: Sequence[RegisteredHost] = ()) -> None:
        connected = [host for host in silent if self._is_connected(host)]
        listed = {url: self._hosts[url] for urls in self._listed.values() for url in urls}
        registered = {host.url: host for host in (*hosts, *connected) if host.url not in listed}
        served = listed | {url: self._known(host) or await self._opened(host) for url, host in registered.items()}
        gone = [host for url, host in self._hosts.items() if served.get(url) is not host]
        self._hosts = served
        urls_of = {
            language: [url for url, host in registered.items() if language in host.languages]
            for language in self._registering
        }
        self._rank({**self._listed, **urls_of})
        self._resize()
        self._left = [host for host in (*self._left, *gone) if host.is_open]
        for host in list(self._left):
            await host.leave()

    def _is_connected(self, host: RegisteredHost) -> bool:
        known = self._known(host)
        return known is not None and known.state.condition is Condition.READY

    def _known(self, host: RegisteredHost) -> RemoteHost | None:
        known = self._hosts.get(host.url)
        return known if known is not None and known.connection.address == host.address else None

    async def _opened(self, host: RegisteredHost) -> RemoteHost:
        opened = self._host(host.url, host.address)
        await opened.open()
        return opened

    @override
    async def acquire(self, run: ScriptRun) -> Worker:
        first = self._ranks_of(run.language).first(run.ref.session_id)[0]
        likely = self._warm.get(run.ref.session_id) or first
        turns, asked_at = self._turns[run.language], time.monotonic()
        await self._take_turn(turns, run.ref.owner)
        try:
            script = None if likely.has_script(run.script_hash) else await run.source()
        except BaseException:
            turns.release(run.ref.owner)
            raise
        return RemoteWorker(self, run, script, turns, self._options, (time.monotonic() - asked_at) * 1000)

    @override
    async def check(
        self, language: Language, script: Script, owner: Owner, convention: Convention = Convention.OWN
    ) -> InputForm | None:
        ends_at, refusals = _in(self._options.check_timeout_s), Refusals()
        for host in self._ready_first(language, script.hash.encode())[:TRIES_MAX]:
            try:
                return await host.check(language_name(language, convention), script, owner, ends_at)
            except RunRefused as refusal:
                refusals.add(host, refusal)
        raise refusals.error(language)

    @override
    async def evict(self, session_id: UUID) -> None:
        """End the idle workers of the session at the host that ran it last and at its two hosts by rank.

        Another host that ran it, because those took no run, ends its worker as idle.
        """
        ends_at = _in(self._options.evict_timeout_s)
        await asyncio.gather(*(host.evict(session_id, ends_at) for host in self._likely(session_id)))
        self._warm.drop(session_id)

    @override
    async def health(self) -> Mapping[str, object]:
        ends_at, hosts, ranks_of = _in(self._options.health_timeout_s), self._hosts, dict(self._ranks)
        healths = await asyncio.gather(*(host.health(ends_at) for host in hosts.values()))
        by_url = dict(zip(hosts, healths, strict=True))
        languages = {str(each): _health_of([by_url[url] for url in ranks.hosts]) for each, ranks in ranks_of.items()}
        return {"status": _status_of(list(languages.values())), "languages": languages}

    async def readiness(self, language: Language) -> Mapping[str, object]:
        """Return as `health` does whether hosts take runs of the language, by their streams and without a request.

        While hosts are dialled for the first time and none takes runs, it waits, `health_timeout_s` at most.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(self._options.health_timeout_s):
                while self._is_undecided(language):
                    await self._changed.wait()
        hosts, now_s = list(self._ranks[language].hosts.values()), time.monotonic()
        count = sum(host.state.serves(language, now_s) for host in hosts)
        if count:
            return {"status": "ok" if count == len(hosts) else "degraded"}
        reasons = [f"{host.name}: {host.state.refusal(now_s)}" for host in hosts[:TRIES_MAX]]
        return {"status": "failing", "reason": "; ".join(reasons) or _NONE_REGISTERED}

    def _is_undecided(self, language: Language) -> bool:
        states, now_s = [host.state for host in self._ranks[language].hosts.values()], time.monotonic()
        is_dialling = any(state.condition is Condition.CONNECTING for state in states)
        return is_dialling and not any(state.serves(language, now_s) for state in states)

    def _host(self, url: str, address: Address | None = None) -> RemoteHost:
        connection = HostConnection(url, self._options, self._more_headers, address, self._verification)
        name = f"runtime host {next(self._numbers)}"
        view = HostView(counts=self._counts)
        return RemoteHost(name, connection, self._options, self._more_headers, self._resize, self._dial, view)

    async def _take_turn(self, turns: FairTurns, owner: Owner) -> None:
        try:
            async with asyncio.timeout(self._options.queue_timeout_s):
                await turns.acquire(owner, SIZE_MIN)
        except TimeoutError:
            raise Overloaded(_QUEUE, self._options.queue_timeout_s) from None

    @override
    def hosts_for(self, run: ScriptRun) -> Sequence[RemoteHost]:
        session_id, ranks = run.ref.session_id, self._ranks_of(run.language)
        warm = self._warm.get(session_id)
        known = warm if warm in ranks else None
        hosts, choice = choose(ranks.of_session(session_id), known, run.language, time.monotonic())
        self._choices[choice] += 1
        return hosts

    def stats(self) -> RuntimeStreamStats:
        """Return the numbers of the hosts and their streams."""
        now_s = time.monotonic()
        standings = Counter(host.state.standing(now_s) for host in self._hosts.values())
        states = {state: standings[state] for state in (*Condition, DISTRUSTED)}
        left = {state: self._counts.left[state] for state in (*LEFT_AS, DISTRUSTED)}
        return RuntimeStreamStats(
            states=states,
            choices={choice: self._choices[choice] for choice in Choice},
            left=left,
            unknown={reason: self._counts.unknown[reason] for reason in UnknownReason},
            messages={kind.name.lower(): self._counts.messages[kind] for kind in Kind},
            pings_s=self._counts.pings_s,
        )

    @override
    def ran(self, run: ScriptRun, host: RemoteHost) -> None:
        self._warm.put(run.ref.session_id, host)

    def _rank(self, urls_of: Mapping[Language, Sequence[str]]) -> None:
        hosts_of = {language: {url: self._hosts[url] for url in urls} for language, urls in urls_of.items()}
        self._ranks = renewed(self._ranks, hosts_of)

    def _ranks_of(self, language: Language) -> RankedHosts[RemoteHost]:
        ranks = self._ranks.get(language)
        if ranks is None or not ranks.hosts:
            raise RuntimeUnavailable(language, _NO_HOST if language in self._registering else _NO_URL)
        return ranks

    def _likely(self, session_id: UUID) -> set[RemoteHost]:
        """Return the hosts that may have a worker of the session, whose language is not known."""
        likely = {host for ranks in set(self._ranks.values()) for host in ranks.first(session_id)[:_LIKELY]}
        warm = self._warm.get(session_id)
        return likely if warm is None else {*likely, warm}

    def _ready_first(self, language: Language, key: bytes) -> list[RemoteHost]:
        now_s = time.monotonic()
        return sorted(self._ranks_of(language).of(key), key=lambda host: not host.state.serves(language, now_s))

    def _resize(self) -> None:
        """Give as many turns as the hosts that take runs have in their windows, and some while none does."""
        self._changed.set()
        self._changed = asyncio.Event()
        now_s, least = time.monotonic(), min(WINDOW_START, self._options.runs_max)
        for language, ranks in self._ranks.items():
            states = [host.state for host in ranks.hosts.values()]
            windows = sum(int(state.window) for state in states if state.serves(language, now_s))
            self._turns[language].resize(min(windows, self._options.runs_max) or least)


def _in(timeout_s: float) -> float:
    return asyncio.get_running_loop().time() + timeout_s


def _health_of(hosts: Sequence[Mapping[str, object]]) -> dict[str, object]:
    if not hosts:
        return {"status": "failing", "hosts": hosts, "reason": _NONE_REGISTERED}
    return {"status": _status_of(hosts), "hosts": hosts}


def _status_of(parts: Sequence[Mapping[str, object]]) -> str:
    statuses = {part["status"] for part in parts}
    if statuses <= {"ok"}:
        return "ok"
    return "failing" if statuses == {"failing"} else "degraded"
