"""Clients that repeat calls under keys that they share, at several controllers, and what their responses must add up to."""

import asyncio
import contextlib
import random
import time
from collections import Counter, defaultdict

import httpx2
from attrs import define, field, frozen

SETTLED_S = 20.0
SETTLING = 64
"""So many calls are repeated at once: the time of each is its own."""
HUNG_S = 10.0
KEYS_PER_S = 25
PAUSE_MAX_S = 0.05
WINDOW = 25
"""So many keys are called at a time. By default each is called for about a second, by about all clients."""
OTHER_PAYLOAD = 0.1
INITIALIZES = 0.1
CODES = {"CONFLICT", "IDEMPOTENCY_CONFLICT", "STORAGE_UNAVAILABLE", "RUNTIME_UNAVAILABLE", "OVERLOADED"}


_ECHO = {"script_content": "result = params"}
_TITLE = {"Language-Title": "python-echo"}


async def echoing(client, sessions):
    """Initialize so many sessions that return their params, and return their ids."""
    posts = [await client.post("/api/v1/initialize", headers=_TITLE, json=_ECHO) for _ in range(sessions)]
    return [post.json()["request_id"] for post in posts]


@frozen
class Call:
    """A call under a key: its number, and which of two payloads it has; an initialize, or an execute."""

    number: int
    other: bool
    initializes: bool


@define(eq=False)
class KeyedCallers:
    """Executes sessions that are there, and initializes more; every call has a key, and a number from `first` on."""

    clients: list[httpx2.AsyncClient]
    sessions: list[str]
    random: random.Random
    first: int = 0
    keys_per_s: float = KEYS_PER_S
    pause_max_s: float = PAUSE_MAX_S
    responses: dict[Call, list[httpx2.Response]] = field(factory=lambda: defaultdict(list))
    lost: int = 0
    _began_s: float = 0.0
    _stopping: bool = False

    def start(self, clients):
        """Begin; the tasks end after `stop`."""
        self._began_s = time.monotonic()
        return [asyncio.ensure_future(self._live_on()) for _ in range(clients)]

    def stop(self):
        self._stopping = True

    async def settle(self):
        """Repeat every call until its end is known, and return the last responses."""
        calls, places = list(self.responses), asyncio.Semaphore(SETTLING)

        async def settled(call):
            async with places:
                return await self._settled(call)

        return dict(zip(calls, await asyncio.gather(*map(settled, calls)), strict=True))

    async def _live_on(self):
        while not self._stopping:
            newest = self.first + int((time.monotonic() - self._began_s) * self.keys_per_s)
            number = self.random.randint(max(self.first, newest - WINDOW), newest)
            other, initializes = self.random.random() < OTHER_PAYLOAD, number % int(1 / INITIALIZES) == 0
            await self._call(Call(number, other, initializes))
            await asyncio.sleep(self.random.uniform(0, self.pause_max_s))

    async def _settled(self, call):
        async with asyncio.timeout(SETTLED_S):
            while True:
                response = await self._call(call)
                if response is not None and response.status_code != 503 and "retry-after" not in response.headers:
                    return response
                await asyncio.sleep(self.random.uniform(0.1, 0.3))

    async def _call(self, call):
        path, body, headers = self._request(call)
        client = self.random.choice(self.clients)
        response = None
        with contextlib.suppress(httpx2.TransportError):
            async with asyncio.timeout(HUNG_S):
                response = await client.post(path, json=body, headers=headers)
        # The call keeps its entry when no response comes: the end of the trial asks for its outcome.
        known = self.responses[call]
        if response is None:
            self.lost += 1
        else:
            known.append(response)
        return response

    def _request(self, call):
        key = {"Idempotency-Key": f"call {call.number}"}
        payload = {"n": call.number, "other": call.other}
        if call.initializes:
            body = {"script_content": "result = 1", "metadata": payload}
            return "/api/v1/initialize", body, key | {"Language-Title": "python-x"}
        return f"/api/v1/execute/{self.sessions[call.number % len(self.sessions)]}", {"params": payload}, key


def problems(responses, settled, ran, made):
    """Yield what is not once or unknown: `ran` counts runs, `made` counts sessions that are stored, by number."""
    for call, each in responses.items():
        yield from _of_responses(call, each)
    numbers = defaultdict(dict)
    for call, response in settled.items():
        numbers[call.number][call.other] = response
    for number, by_payload in numbers.items():
        received = [response for call, each in responses.items() if call.number == number for response in each]
        yield from _of_key(number, by_payload, received, max(ran[number], made[number]))


def _of_responses(call, responses):
    for response in responses:
        error = response.json().get("error")
        if error is not None and error["code"] not in CODES:
            yield f"{call} was answered {response.status_code} {response.text}"
        if error is None and not call.initializes and response.json()["result"] != _payload(call):
            yield f"{call} was answered with the result of another"


def _of_key(number, by_payload, received, times):
    if times > 1:
        yield f"call {number} took effect {times} times"
    good = {response.content for response in received if response.status_code == 200}
    if len(good) > 1:
        yield f"call {number} was answered in {len(good)} ways"
    if good and times != 1:
        yield f"call {number} was answered, and took effect {times} times"
    ends = Counter(map(_end, by_payload.values()))
    if ends["once"] + ends["unknown"] != 1 or ends["other payload"] != len(by_payload) - 1:
        yield f"call {number} ended as {dict(ends)}"
    if good and not ends["once"]:
        yield f"call {number} was answered before, and is not any more"


def _end(response):
    if response.status_code == 200:
        return "once"
    error = response.json()["error"]
    if error["code"] == "IDEMPOTENCY_CONFLICT":
        return "other payload"
    return "unknown" if error["details"].get("executed") == "unknown" else error["code"]


def _payload(call):
    return {"n": call.number, "other": call.other}
