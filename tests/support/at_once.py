"""Callers of several controllers on one database at the same time; what must be exact all the same, and within bounds."""

import asyncio
import functools
import itertools
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from datetime import timedelta
from typing import Any

import httpx2
from attrs import frozen

from domain.access.principal import Scope
from domain.identity import Owner
from entrypoints.composition.commands import Commands
from entrypoints.settings.settings import Settings
from tests.support.waiting import until

TITLE = {"Language-Title": "python-shared"}
SCRIPT = {"script_content": "result = params"}
QUOTA, RATE = 40, 30
LIMITS = {
    "JWT_SECRET": "a secret of thirty-two bytes, or more",
    "MAX_SESSIONS_PER_OWNER": str(QUOTA),
    "RATE_LIMITS": f"functions={RATE}/3600",
}
"""Settings of the controllers."""

LEARNED_S = 30.0


def credentials_of(settings: Settings) -> Callable[[str], Mapping[str, str]]:
    """Return what makes the headers of an owner, each once."""
    scopes = frozenset({Scope.EXECUTE_ALL, Scope.READ_FUNCTIONS})

    @functools.cache
    def headers_of(owner: str) -> Mapping[str, str]:
        token = Commands(settings=settings).token(Owner(owner), scopes, timedelta(hours=1))
        return {"Authorization": f"Bearer {token}"}

    return headers_of


@frozen
class AtOnce:
    """Callers with a client for each controller; `headers_of` returns the credentials of an owner."""

    clients: list[httpx2.AsyncClient]
    headers_of: Callable[[str], Mapping[str, str]]

    async def sessions_are_found_everywhere(self, count: int) -> None:
        """Initialize at each controller in turn, and read each session at all of them."""
        made = await asyncio.gather(*(self._initialize(client, "found") for client in self._in_turn(count)))
        ids = [response.json()["request_id"] for response in made]
        reads = [self._get(client, "found", session_id) for session_id in ids for client in self.clients]
        assert Counter(read.status_code for read in await asyncio.gather(*reads)) == {200: len(reads)}

    async def executions_of_one_session_are_counted_once_each(self, count: int) -> None:
        """Execute one session at all controllers; each response has another count, and none is left out."""
        session_id = await self._session("counted")
        responses = await self._gather(self._execute(client, "counted", session_id) for client in self._in_turn(count))
        assert sorted(response.json()["execution_count"] for response in responses) == list(range(1, count + 1))
        for client in self.clients:
            assert (await self._get(client, "counted", session_id)).json()["execution_count"] == count

    async def each_key_takes_effect_once(self, keys: int) -> None:
        """Send each of the calls under a key to every controller at the same time, and once more afterwards."""
        session_id = await self._session("keyed")
        for key in range(keys):
            named = {"Idempotency-Key": f"call {key}"}
            calls = [self._execute(client, "keyed", session_id, named, n=key) for client in self.clients]
            first = await asyncio.gather(*calls)
            again = [await self._execute(client, "keyed", session_id, named, n=key) for client in self.clients]
            assert {response.status_code for response in first} <= {200, 409}
            assert {response.status_code for response in again} == {200}
            assert len({response.content for response in [*first, *again] if response.status_code == 200}) == 1
        assert (await self._get(self.clients[0], "keyed", session_id)).json()["execution_count"] == keys

    async def a_quota_of_sessions_is_reached_and_not_exceeded(self) -> None:
        """Initialize everywhere, twice at a time, until no controller has anything left or expects anything back."""
        admitted: Counter[int] = Counter()

        async def fill(number: int) -> None:
            while True:
                response = await self._initialize(self.clients[number], "full")
                admitted[number] += response.status_code == 200
                if response.status_code != 200 and "retry_after_ms" not in response.json()["error"]["details"]:
                    assert response.json()["error"]["details"]["observed"] == QUOTA, response.text
                    return

        await asyncio.gather(*map(fill, [*range(len(self.clients))] * 2))
        assert admitted.total() == await self._count_sessions("full") == QUOTA

    async def a_rate_is_exceeded_by_a_rate_for_each_other_controller_at_most(self) -> None:
        """Call everywhere until all have learned of each other: between the rate and what each may admit alone."""
        admitted: Counter[int] = Counter()

        async def is_refused(number: int) -> bool:
            response = await self.clients[number].get("/api/v1/functions", headers=self.headers_of("fast"))
            admitted[number] += response.status_code == 200
            return response.status_code == 429

        await asyncio.gather(
            *(until(lambda each=each: is_refused(each), LEARNED_S) for each in range(len(self.clients)))
        )
        assert RATE <= admitted.total() <= RATE * len(self.clients)
        assert max(admitted.values()) <= RATE

    def _in_turn(self, count: int) -> list[httpx2.AsyncClient]:
        return list(itertools.islice(itertools.cycle(self.clients), count))

    async def _gather(self, calls: Any) -> list[httpx2.Response]:
        responses: list[httpx2.Response] = await asyncio.gather(*calls)
        assert {response.status_code for response in responses} == {200}, [each.text for each in responses]
        return responses

    async def _session(self, owner: str) -> str:
        made: str = (await self._initialize(self.clients[0], owner)).json()["request_id"]
        return made

    def _initialize(self, client: httpx2.AsyncClient, owner: str) -> Coroutine[Any, Any, httpx2.Response]:
        return client.post("/api/v1/initialize", headers={**self.headers_of(owner), **TITLE}, json=SCRIPT)

    def _get(self, client: httpx2.AsyncClient, owner: str, session_id: str) -> Coroutine[Any, Any, httpx2.Response]:
        return client.get(f"/api/v1/sessions/{session_id}", headers=self.headers_of(owner))

    def _execute(
        self,
        client: httpx2.AsyncClient,
        owner: str,
        session_id: str,
        headers: Mapping[str, str] | None = None,
        **params: Any,
    ) -> Coroutine[Any, Any, httpx2.Response]:
        sent = {**self.headers_of(owner), **(headers or {})}
        return client.post(f"/api/v1/execute/{session_id}", headers=sent, json={"params": params})

    async def _count_sessions(self, owner: str) -> int:
        """Return how many sessions the owner has, page by page."""
        count, query = 0, {"limit": "100"}
        while True:
            page = await self.clients[-1].get("/api/v1/sessions", params=query, headers=self.headers_of(owner))
            assert page.status_code == 200, page.text
            count += len(page.json()["sessions"])
            if (cursor := page.json()["next_cursor"]) is None:
                return count
            query["cursor"] = cursor
