"""Calls that leave rows of every kind in a release's database, and what the release returned for them."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
from attrs import asdict, define, field, frozen

CONTEXT = '{"z": 1, "a": "Zürich \\u2028", "big": 1e300, "nested": [null, {"deep": true}]}'
LONG = "x" * 70_000
"""Longer than what the history keeps of a value."""

ADDER = "nodejs-adder"
SHOUTER = "python-shouter"
PINNED = {"alice": ADDER, "bob": "nodejs-calculator"}
SLEEPER_S = 30.0
"""How long a script runs while the database is dumped."""


@frozen
class Recorded:
    """A call and its response; `body` and `answer` are JSON texts, or empty."""

    owner: str
    method: str
    path: str
    body: str
    headers: Mapping[str, str]
    status: int
    answer: str


@define(eq=False)
class Traffic:
    """Callers of one service; `keys` are their API keys by owner."""

    url: str
    keys: Mapping[str, str]
    reads: list[Recorded] = field(factory=list)
    repeats: list[Recorded] = field(factory=list)
    """Calls with an Idempotency-Key, which return the same when they are repeated."""

    sessions: dict[str, list[str]] = field(factory=dict)
    _client: httpx2.Client = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._client = httpx2.Client(base_url=self.url, timeout=30)

    def make(self) -> None:
        """Leave functions in several versions, sessions in every state, executions, and idempotency keys."""
        self._functions()
        for owner in ("alice", "bob"):
            self.sessions[owner] = list(self._sessions(owner))
            for session_id in self.sessions[owner]:
                for number in range(3):
                    params = {"operation": "add", "a": number, "b": 1}
                    self._send(owner, "POST", f"/api/v1/execute/{session_id}", {"params": params})
        self._failures("alice")
        self._keyed("alice")
        self._changes("alice")

    def read(self) -> None:
        """Read all of it, and record the responses."""
        for owner, sessions in self.sessions.items():
            self._read(owner, "/api/v1/sessions?limit=100")
            for session_id in sessions:
                self._read(owner, f"/api/v1/sessions/{session_id}")
                history = self._read(owner, f"/api/v1/sessions/{session_id}/executions?limit=100")
                for each in history.get("executions", history.get("items", [])):
                    self._read(owner, f"/api/v1/executions/{each['execution_id']}")
        for title in (ADDER, SHOUTER, "nodejs-calculator", "python-text_processor"):
            self._read("alice", f"/api/v1/functions/{title}")

    @contextlib.contextmanager
    def sleeping(self) -> Iterator[str]:
        """Yield the id of a session whose execution is open; it has not ended when the block ends."""
        session_id = self._initialize(
            "dave", "python-sleeper", {"script_content": f"import time; time.sleep({SLEEPER_S})"}
        )
        with ThreadPoolExecutor(1) as threads:
            call = threads.submit(self._quietly, "dave", f"/api/v1/execute/{session_id}")
            yield session_id
            assert not call.done(), "the execution ended before the dump"

    def recorded(self) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Return the recorded calls as JSON values."""
        return {"reads": [asdict(each) for each in self.reads], "repeats": [asdict(each) for each in self.repeats]}

    def _functions(self) -> None:
        schema = {"params": {"type": "object", "required": ["a"]}}
        for number in (1, 2):
            script = f"return event.params.a + {number};"
            self._send("alice", "PUT", f"/api/v1/functions/{ADDER}", {"script_content": script, "schema": schema})
            self._initialize("alice", ADDER, {})
        self._send("alice", "PUT", f"/api/v1/functions/{SHOUTER}", {"script_content": "result = str(params).upper()"})

    def _sessions(self, owner: str) -> Iterator[str]:
        adds = 'result = params["a"] + params["b"]'
        yield self._initialize(owner, "python-adds", f'{{"script_content": {_quoted(adds)}, "context": {CONTEXT}}}')
        yield self._initialize(owner, "nodejs-adds", {"script_content": "return event.params.a + event.params.b;"})
        yield self._initialize(owner, PINNED[owner], {})
        yield self._initialize(owner, "python-prints", {"script_content": "print(params)", "renewal": "sliding"})
        limits = {"timeout_ms": 5000, "memory_mb": 64, "isolation": "process"}
        further = {"limits": limits, "metadata": {"ticket": 7}, "ttl_seconds": 86_400}
        yield self._initialize(owner, "python-further", {"script_content": "def handle(params): return 1", **further})

    def _failures(self, owner: str) -> None:
        fails = self._initialize(owner, "python-fails", {"script_content": "print('before'); result = 1 / params"})
        large = self._initialize(owner, "python-large", {"script_content": "result = len(params)"})
        self.sessions[owner] += [fails, large]
        self._send(owner, "POST", f"/api/v1/execute/{fails}", {"params": 0}, 422)
        self._send(owner, "POST", f"/api/v1/execute/{large}", {"params": LONG})

    def _keyed(self, owner: str) -> None:
        body = '{"script_content": "result = params"}'
        named = {"Idempotency-Key": "first", "Language-Title": "python-keyed"}
        session_id = httpx2.Response.json(self._repeatable(owner, "/api/v1/initialize", body, named))["request_id"]
        self.sessions[owner].append(session_id)
        for number in range(3):
            key = {"Idempotency-Key": f"order-{number}"}
            self._repeatable(owner, f"/api/v1/execute/{session_id}", f'{{"params": [{number}, "é"]}}', key)

    def _changes(self, owner: str) -> None:
        first, closed, *_ = self.sessions[owner]
        self._send(owner, "PATCH", f"/api/v1/sessions/{first}", {"metadata": {"changed": True}})
        self._send(owner, "DELETE", f"/api/v1/sessions/{closed}", None, 204)
        self._send("alice", "DELETE", f"/api/v1/functions/{SHOUTER}", None, 204)

    def _initialize(self, owner: str, title: str, body: object) -> str:
        response = self._send(owner, "POST", "/api/v1/initialize", body, headers={"Language-Title": title})
        session_id: str = response.json()["request_id"]
        return session_id

    def _read(self, owner: str, path: str) -> Any:
        response = self._client.get(path, headers=self._headers(owner))
        self.reads.append(Recorded(owner, "GET", path, "", {}, response.status_code, response.text))
        return response.json()

    def _repeatable(self, owner: str, path: str, body: str, headers: Mapping[str, str]) -> httpx2.Response:
        response = self._send(owner, "POST", path, body, headers=headers)
        self.repeats.append(Recorded(owner, "POST", path, body, headers, response.status_code, response.text))
        return response

    def _send(  # noqa: PLR0917  # the parts of a request, in their usual order
        self,
        owner: str,
        method: str,
        path: str,
        body: object,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        content = {"content": body} if isinstance(body, str) else {"json": body} if body is not None else {}
        typed = {"Content-Type": "application/json"} if content else {}
        response = self._client.request(
            method, path, headers={**self._headers(owner), **typed, **(headers or {})}, **content
        )
        assert response.status_code in {status, 201 if method == "PUT" else status}, response.text
        return response

    def _quietly(self, owner: str, path: str) -> None:
        """Make a call whose response nobody waits for: the service is stopped meanwhile."""
        with contextlib.suppress(httpx2.TransportError):
            self._client.post(path, json={"params": {}}, headers=self._headers(owner))

    def _headers(self, owner: str) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.keys[owner]}"}


def _quoted(text: str) -> str:
    escaped = text.replace('"', '\\"')
    return f'"{escaped}"'
