"""The script runner that runs scripts on runtime hosts."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
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
from adapters.remote_runtime.requests import check_request
from adapters.remote_runtime.turns import HostTurn, HostTurns
from adapters.remote_runtime.verification import Verification
from adapters.remote_runtime.worker import HostChooser, Refusals, RemoteWorker
from adapters.runtime_files import FEATURE
from adapters.runtime_frames import Kind
from domain.addresses import Address
from domain.concurrency.bounded_cache import BoundedCache
from domain.environments.ports import TreeStore
from domain.errors import RuntimeUnavailable
from domain.hosts.host import RegisteredHost
from domain.hosts.ports import HostClient
from domain.identity import Owner
from domain.scripts.convention import Convention
from domain.scripts.language import Language
from domain.scripts.ports import ScriptRun, ScriptRunner, Worker
from domain.scripts.script import InputForm, Script
from domain.scripts.syntax import Syntax, require_known
from domain.stats import RuntimeStreamStats

_NO_URL = "no runtime host serves it; set its runtime URL."
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
    trees: TreeStore | None = field(default=None, kw_only=True)
    """The packages that hosts may ask for."""
    _hosts: dict[str, RemoteHost] = field(init=False, factory=dict)
    _ranks: dict[Language, RankedHosts[RemoteHost]] = field(init=False, factory=dict)
    _turns: HostTurns = field(init=False)
    _warm: BoundedCache[UUID, RemoteHost] = field(init=False)
    _verification: Verification = field(init=False)
    _numbers: Iterator[int] = field(init=False, factory=partial(itertools.count, 1))
    _choices: Counter[str] = field(init=False, factory=Counter)
    _counts: StreamCounts = field(init=False, factory=StreamCounts)
    _left: list[RemoteHost] = field(init=False, factory=list)
    """Those that get no more runs, until what runs there has ended."""

    def __attrs_post_init__(self) -> None:
        self._verification = Verification(self._options.ca_file)
        self._turns = HostTurns(self._options, self._registering)
        distinct = dict.fromkeys(url for urls in self._listed.values() for url in urls)
        self._hosts = {url: self._host(url) for url in distinct}
        self._rank({**self._listed, **dict.fromkeys(self._registering, ())})
        self._warm = BoundedCache(_SESSIONS_MAX, lambda _: 1)

    async def open(self) -> None:
        """Begin to dial the hosts."""
        for host in self._hosts.values():
            await host.open()

    async def close(self) -> None:
        """Close every connection; the end of a run in progress stays unknown."""
        self._turns.close()
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
        self._left = [host for host in (*self._left, *gone) if host.is_open]
        for host in list(self._left):
            await host.leave()

    @override
    async def wanted(self) -> None:
        await self._turns.wanted()

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
        self._require_hosts(run.language)
        require_known(run.syntax, run.language)
        asked_at = time.monotonic()
        turn = HostTurn(self._turns, run.language, run.ref.owner, _in(self._options.queue_timeout_s))
        await turn.take()
        try:
            script = None if self._is_known(run) else await run.source()
        except BaseException:
            turn.release()
            raise
        return RemoteWorker(self, run, script, turn, self._options, (time.monotonic() - asked_at) * 1000)

    def _is_known(self, run: ScriptRun) -> bool:
        """Return whether the host that probably gets the run has its script."""
        session_id = run.ref.session_id
        likely = self._warm.get(session_id) or next(iter(self._ranks[run.language].first(session_id)), None)
        return likely is not None and likely.has_script(run.script_hash)

    @override
    async def check(
        self,
        language: Language,
        script: Script,
        owner: Owner,
        convention: Convention = Convention.OWN,
        syntax: Syntax | None = None,
    ) -> InputForm | None:
        self._require_hosts(language)
        require_known(syntax, language)
        request = check_request(language, script, owner, convention, syntax)
        ends_at, waits_until = _in(self._options.check_timeout_s), _in(self._options.queue_timeout_s)
        refusals = Refusals()
        while not refusals.are_final:
            await self._turns.require_host(language, owner, min(ends_at, waits_until), len(script.source))
            refusals = Refusals()
            for host in self._ready_first(language, script.hash.encode())[:TRIES_MAX]:
                try:
                    return await host.check(request, script.hash, ends_at)
                except RunRefused as refusal:
                    refusals.add(host, refusal)
            self._turns.resize()
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
        """Return as `health` does whether hosts take runs of the language, by their streams and without a request."""
        return await self._turns.readiness(language)

    def _host(self, url: str, address: Address | None = None) -> RemoteHost:
        connection = HostConnection(url, self._options, self._more_headers, address, self._verification)
        name = f"runtime host {next(self._numbers)}"
        view = HostView(counts=self._counts)
        return RemoteHost(name, connection, self._options, self._more_headers, self._turns.resize, self._dial, view)

    @override
    def hosts_for(self, run: ScriptRun) -> Sequence[RemoteHost]:
        session_id, ranks = run.ref.session_id, self._ranks[run.language]
        warm = self._warm.get(session_id)
        known = warm if warm in ranks else None
        ranked: Iterable[RemoteHost] = ranks.of_session(session_id)
        if run.files is not None:
            able = [host for host in ranked if FEATURE in host.state.features]
            ranked, known = able or ranks.of_session(session_id), known if known in able else None
        hosts, choice = choose(ranked, known, run.language, time.monotonic())
        self._choices[choice] += 1
        return hosts

    def stats(self) -> RuntimeStreamStats:
        """Return the numbers of the hosts and their streams."""
        now_s = time.monotonic()
        standings = Counter(host.state.standing(now_s) for host in self._hosts.values())
        states = {state: standings[state] for state in (*Condition, DISTRUSTED)}
        left = {state: self._counts.left[state] for state in (*LEFT_AS, DISTRUSTED)}
        return RuntimeStreamStats(
            waiting=self._turns.waiting,
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
        self._turns.serve({language: ranks.hosts.values() for language, ranks in self._ranks.items()})

    def _require_hosts(self, language: Language) -> None:
        """Raise RuntimeUnavailable if no host can ever serve the language."""
        if language not in self._ranks:
            raise RuntimeUnavailable(language, _NO_URL)

    def _likely(self, session_id: UUID) -> set[RemoteHost]:
        """Return the hosts that may have a worker of the session, whose language is not known."""
        likely = {host for ranks in set(self._ranks.values()) for host in ranks.first(session_id)[:_LIKELY]}
        warm = self._warm.get(session_id)
        return likely if warm is None else {*likely, warm}

    def _ready_first(self, language: Language, key: bytes) -> list[RemoteHost]:
        now_s = time.monotonic()
        return sorted(self._ranks[language].of(key), key=lambda host: not host.state.serves(language, now_s))


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
