"""Runs scripts on runtime hosts."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from attrs import define, field
from typing_extensions import override

from adapters.remote_runtime.connection import HostConnection, no_headers
from adapters.remote_runtime.host import RemoteHost
from adapters.remote_runtime.options import RuntimeOptions
from adapters.remote_runtime.rendezvous import ranked
from adapters.remote_runtime.replies import RunRefused
from adapters.remote_runtime.run_limiter import RunLimiter
from adapters.remote_runtime.worker import HttpWorker
from domain.errors import RuntimeUnavailable
from domain.identity import Owner
from domain.scripts.language import Language
from domain.scripts.ports import ScriptRun, ScriptRunner, Worker
from domain.scripts.script import Script


@define(eq=False)
class HttpScriptRunner(ScriptRunner):
    """Keeps each session on the host that rendezvous hashing gives it, and moves on when that host takes nothing.

    `urls` are the hosts of each language: `http://...`, `https://...` or `unix:/path/to.sock`; a host may serve
    several languages. Made closed: `open` before use, `close` at the end. A worker's `run` may also raise what the
    run's `source` raises, when a host has lost a script: nothing was started then.
    """

    _options: RuntimeOptions
    _urls: Mapping[Language, Sequence[str]]
    _more_headers: Callable[[], Mapping[str, str]] = no_headers
    """What each request carries besides: the place of its caller in a trace."""
    _hosts: dict[str, RemoteHost] = field(init=False)
    _places: dict[Language, RunLimiter] = field(init=False)

    def __attrs_post_init__(self) -> None:
        options = self._options
        distinct = dict.fromkeys(url for urls in self._urls.values() for url in urls)
        self._hosts = {
            url: RemoteHost(f"runtime host {number}", HostConnection(url, options, self._more_headers), options)
            for number, url in enumerate(distinct, start=1)
        }
        self._places = {
            language: RunLimiter(options.runs_max, options.queue_max, options.queue_timeout_s)
            for language in self._urls
        }

    async def open(self) -> None:
        """Get ready; hosts are connected to when they are needed."""
        for host in self._hosts.values():
            await host.connection.open()

    async def close(self) -> None:
        """Close every connection; a run that is still under way ends unknown."""
        for host in self._hosts.values():
            await host.connection.close()

    @override
    async def acquire(self, run: ScriptRun) -> Worker:
        hosts = self._ranked(run.language, run.key.session_id.bytes)
        places, asked_at = self._places[run.language], time.monotonic()
        await places.take()
        try:
            script = None if hosts[0].holds(run.script_hash) else await run.source()
        except BaseException:
            places.give_back()
            raise
        return HttpWorker(run, hosts, script, places, self._options, (time.monotonic() - asked_at) * 1000)

    @override
    async def check(self, language: Language, script: Script, owner: Owner) -> bool:
        ends_at = _in(self._options.check_timeout_s)
        refusals = []
        for host in self._ranked(language, script.hash.encode()):
            try:
                return await host.check(language, script, owner, ends_at)
            except RunRefused as refusal:
                refusals.append(f"{host.name}: {refusal}")
        raise RuntimeUnavailable(language, "; ".join(refusals))

    @override
    async def evict(self, session_id: UUID) -> None:
        ends_at = _in(self._options.evict_timeout_s)
        await asyncio.gather(*(host.evict(session_id, ends_at) for host in self._hosts.values()))

    @override
    async def health(self) -> Mapping[str, object]:
        ends_at = _in(self._options.health_timeout_s)
        healths = await asyncio.gather(*(host.health(ends_at) for host in self._hosts.values()))
        by_url = dict(zip(self._hosts, healths, strict=True))
        languages = {str(language): _described([by_url[url] for url in urls]) for language, urls in self._urls.items()}
        return {"status": _together(list(languages.values())), "languages": languages}

    def _ranked(self, language: Language, key: bytes) -> list[RemoteHost]:
        urls = self._urls.get(language)
        if not urls:
            raise RuntimeUnavailable(language, "no runtime host serves it; set its runtime URL.")
        hosts = [self._hosts[url] for url in ranked(key, urls)]
        return sorted(hosts, key=lambda host: host.is_cooling)


def _in(timeout_s: float) -> float:
    return asyncio.get_running_loop().time() + timeout_s


def _described(hosts: Sequence[Mapping[str, object]]) -> dict[str, object]:
    return {"status": _together(hosts), "hosts": hosts}


def _together(parts: Sequence[Mapping[str, object]]) -> str:
    statuses = {part["status"] for part in parts}
    if statuses <= {"ok"}:
        return "ok"
    return "failing" if statuses == {"failing"} else "degraded"
