"""What knowing its caller costs a request, in CPU time of one thread: `python -m tests.benchmarks.guards`."""

import asyncio
import secrets
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from typing_extensions import override

from adapters.jwt.claims import ClaimRules
from adapters.jwt.issuer import issue_token
from adapters.jwt.keys import secret_key
from adapters.jwt.verifier import JwtVerifier
from adapters.memory.api_keys import MemoryApiKeyRepository
from adapters.postgres.clock.disciplined import DisciplinedClock
from adapters.postgres.clock.probe import ServerClock, ServerTime
from adapters.random_ids import RandomIds
from domain.access.api_key_service import ApiKeyService
from domain.access.authentication import Authentication, KeyRing
from domain.access.principal import Scope
from domain.audit import COMMAND, Actor
from domain.identity import Owner
from entrypoints.http.middleware.authentication import AuthenticationGuard
from entrypoints.http.request import Request
from entrypoints.http.route import Access, Route, RouteClass

_ROUNDS = 20
_CALLS = 5_000
_SCOPES = frozenset({Scope.EXECUTE_ALL})
_AIM_US = 5.0


async def main() -> None:
    """Measure, and print a line for each kind of credential."""
    clock = DisciplinedClock(_HostClock())
    await clock.measure()
    secret, repository = secrets.token_urlsafe(32), MemoryApiKeyRepository()
    keys = ApiKeyService(clock, RandomIds(), repository, lambda: secrets.token_urlsafe(32), Actor("bench", COMMAND))
    issued = await keys.create(Owner("alice"), _SCOPES, None)
    token = issue_token(secret, Owner("alice"), _SCOPES, ClaimRules(), (clock.now(), timedelta(hours=1)))
    verifier = JwtVerifier(clock, ClaimRules(), [secret_key(secret)])
    guard = AuthenticationGuard(Authentication(KeyRing(clock, repository), verifier))
    execute = Route("POST", "/", _nothing, "execute", access=Access.EXECUTE, route_class=RouteClass.EXECUTE)
    for name, credential in (
        ("a token that is remembered", token),
        ("an API key that is remembered", str(issued.text)),
    ):
        request = _request(credential)
        cost_us = await _measured(lambda request=request: guard.admit(request, execute))
        sys.stdout.write(f"{name:32} {cost_us:5.2f} us (aim: {_AIM_US:g})\n")


async def _measured(call: Callable[[], Awaitable[Any]]) -> float:
    """Return the least CPU time of a call, in microseconds: what a busy neighbour adds is not the call's."""
    rounds = []
    for _ in range(_ROUNDS):
        started_s = time.thread_time()
        for _ in range(_CALLS):
            await call()
        rounds.append((time.thread_time() - started_s) / _CALLS * 1e6)
    return min(rounds)


class _HostClock(ServerClock):
    @override
    async def read(self) -> ServerTime:
        return ServerTime(datetime.now(UTC))


async def _nothing(_: Any) -> Any:
    raise NotImplementedError


def _request(credential: str) -> Request:
    headers = [(b"host", b"localhost"), (b"accept", b"*/*"), (b"authorization", b"Bearer " + credential.encode())]
    return Request({"type": "http", "headers": headers}, _nothing)


if __name__ == "__main__":
    asyncio.run(main())
