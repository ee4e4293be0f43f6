"""Clients of the origin's API, each with sessions of its own, which it calls one after the other."""

import asyncio
import random
from datetime import UTC, datetime, timedelta

import httpx2
from attrs import define, field

from adapters.jwt.claims import ClaimRules
from adapters.jwt.issuer import issue_token
from domain.access.principal import Scope
from domain.identity import Owner
from tests.origin.drill.ledger import HERE, ORIGIN, Ledger, Run, Session

SCRIPT = """
import time

def handle(params):
    side = "here"
    try:
        with open(params["runs"], "a") as runs:
            runs.write(params["call"] + "\\n")
        side = "origin"
    except Exception:
        pass
    time.sleep(params["takes_s"])
    return side
"""
"""Leaves a line for every run at the origin, whose scripts may write files; a sandbox has no such folder."""

_SLOW = 0.2
_SLOW_MAX_S = 0.5
"""Some executions take a while, so that some are under way whenever their session changes sides."""

_SESSIONS_MAX = 3
_PAUSE_MAX_S = 1.0
_LIMIT_S = 30.0
_NOT_RUN = ("Failed to get session",)
_TOKEN_LASTS = timedelta(hours=12)


@define(eq=False)
class Clients:
    """Clients that initialize, execute and get until they are stopped; `leg` is that of the takeover.

    With a secret, each is an owner of its own, by a token and by the header that the origin stores.
    """

    url: str
    runs: str
    seed: int
    secret: str | None = None
    ledger: Ledger = field(factory=Ledger)
    leg: int = 0
    _stopping: bool = False
    _going: asyncio.Event = field(factory=asyncio.Event)
    _idle: int = 0
    _clients: list[asyncio.Task[None]] = field(factory=list)
    _http: httpx2.AsyncClient = field(init=False)

    def start(self, number: int) -> None:
        limits = httpx2.Limits(max_connections=2 * number, max_keepalive_connections=2 * number)
        self._http = httpx2.AsyncClient(base_url=self.url, timeout=_LIMIT_S, limits=limits)
        self._going.set()
        self._clients = [
            asyncio.ensure_future(self._live(random.Random(f"{self.seed} {each}"), self._headers(f"client {each}")))
            for each in range(number)
        ]

    def _headers(self, name: str) -> dict[str, str]:
        if self.secret is None:
            return {}
        held, times = frozenset({Scope.EXECUTE_ALL}), (datetime.now(UTC), _TOKEN_LASTS)
        token = issue_token(self.secret, Owner(name), held, ClaimRules(), times)
        return {"X-User-ID": name, "Authorization": f"Bearer {token}"}

    async def pause(self) -> None:
        """Return when no call is under way, and none begins."""
        self._going.clear()
        async with asyncio.timeout(2 * _LIMIT_S):
            while self._idle < len(self._clients):  # noqa: ASYNC110  # few turns, and the clients tell by this alone
                await asyncio.sleep(0.02)
        self._raise_failures()

    def resume(self) -> None:
        self._going.set()

    async def stop(self) -> None:
        """End all clients, and raise what one of them has raised."""
        self._stopping = True
        self._going.set()
        await asyncio.gather(*self._clients)
        await self._http.aclose()

    def _raise_failures(self) -> None:
        for client in self._clients:
            if client.done():
                client.result()

    async def _live(self, chance: random.Random, headers: dict[str, str]) -> None:
        mine: list[Session] = []
        while not self._stopping:
            await self._awaited()
            if len(mine) < _SESSIONS_MAX and (not mine or chance.random() < 0.1):
                await self._initialize(mine, headers)
            elif chance.random() < 0.7:
                await self._use(chance.choice(mine), chance)
            else:
                await self._get(chance.choice(mine))
            await asyncio.sleep(chance.uniform(0, _PAUSE_MAX_S))

    async def _awaited(self) -> None:
        self._idle += 1
        await self._going.wait()
        self._idle -= 1

    async def _initialize(self, mine: list[Session], headers: dict[str, str]) -> None:
        body = {"context": {}, "script_content": SCRIPT}
        response = await self._call("POST", "initialize", headers | {"Language-Title": "python-drill"}, body)
        if response is not None and response.status_code == 200:
            session = Session(response.json()["request_id"], headers)
            self.ledger.sessions[session.session_id] = session
            mine.append(session)

    async def _use(self, session: Session, chance: random.Random) -> None:
        """Execute; a slow execution sees a get beside it, which may be what moves the session meanwhile."""
        if chance.random() > _SLOW:
            return await self._execute(session, 0)
        takes_s = chance.uniform(_SLOW_MAX_S / 2, _SLOW_MAX_S)
        execution = asyncio.ensure_future(self._execute(session, takes_s))
        await asyncio.sleep(takes_s / 2)
        await self._get(session, more=1)
        return await execution

    async def _execute(self, session: Session, takes_s: float) -> None:
        call = f"{session.session_id} {session.acknowledged + len(session.unsure)}"
        leg = self.leg
        body = {"params": {"runs": self.runs, "call": call, "takes_s": takes_s}}
        response = await self._call(
            "POST", f"execute/{session.session_id}", session.headers, body, maybe=(session, call)
        )
        if response is not None and response.status_code == 200:
            side = response.json()["result"]
            if side not in {HERE, ORIGIN}:
                self.ledger.wrong.append(f"{call} was answered {response.text}")
            session.runs.append(Run(call, side, leg))

    async def _get(self, session: Session, more: int = 0) -> None:
        """Read it, while at most `more` executions are under way."""
        response = await self._call("GET", f"sessions/{session.session_id}", session.headers)
        if response is not None and response.status_code == 200:
            most = session.acknowledged + len(session.unsure) + more
            if not 0 <= response.json()["execution_count"] <= most:
                self.ledger.wrong.append(f"of {most} executions, a get showed {response.text}")

    async def _call(self, method, path, headers, body=None, *, maybe=None) -> httpx2.Response | None:
        """Make a call, and record its failure; `maybe` is the execution that may have run then."""
        self.ledger.calls += 1
        try:
            response = await self._http.request(method, f"/api/v1/{path}", json=body, headers=headers)
        except httpx2.TransportError as error:
            self._failed(f"{method} {path}: {error!r}", maybe, ran=not isinstance(error, httpx2.ConnectError))
            return None
        if response.status_code == 200:
            return response
        told = f"{method} {path}: {response.status_code} {response.text[:300]}"
        if response.status_code not in {500, 503}:
            self.ledger.wrong.append(told)
        self._failed(
            told, maybe, ran=response.status_code == 500 and not any(each in response.text for each in _NOT_RUN)
        )
        return response

    def _failed(self, told: str, maybe: tuple[Session, str] | None, *, ran: bool) -> None:
        self.ledger.refused.append(told)
        if maybe is not None and ran:
            session, call = maybe
            session.unsure.append(call)
