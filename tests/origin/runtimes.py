"""The runtimes of the origin as its controller sees them: chosen by title, called with a timeout, tried again."""

import asyncio
import json
import re
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path
from typing import Any

from attrs import define, field

from tests.origin import instants
from tests.origin.json_values import ordered, parse
from tests.origin.sessions import OriginError, Session

_HERE = Path(__file__).parent
_NODE = shutil.which("node") or "node"
_COMMANDS = {
    "python": (sys.executable, str(_HERE / "python_runtime.py")),
    "nodejs": (_NODE, str(_HERE / "node_runtime.cjs")),
}
_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL", "--")
"""A script that never ends keeps no process behind when the controller is killed."""

_LINE_MAX = 2**30


@define(eq=False)
class Child:
    """A runtime process, which answers calls by their ids; started by the first call."""

    argv: tuple[str, ...]
    _process: asyncio.subprocess.Process | None = None
    _waiting: dict[int, asyncio.Future[str]] = field(factory=dict)
    _last: int = 0
    _starting: asyncio.Lock = field(factory=asyncio.Lock)
    _reading: asyncio.Task[None] | None = None

    async def post(self, request: dict[str, Any]) -> str:
        """Return the body of the answer."""
        process = await self._started()
        self._last += 1
        number, answer = self._last, asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            process.stdin.write(json.dumps({"id": number, "request": request}).encode() + b"\n")
            await process.stdin.drain()
            return await answer
        except OSError as error:
            raise OriginError(f"Runtime error: HTTP client error: {error}") from error
        finally:
            self._waiting.pop(number, None)

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        if self._reading is not None:
            await self._reading

    async def _started(self) -> asyncio.subprocess.Process:
        async with self._starting:
            if self._process is None or self._process.returncode is not None:
                argv = (*_WITH_PARENT, *self.argv)
                made = asyncio.create_subprocess_exec(*argv, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, limit=_LINE_MAX)
                self._process = await made
                self._reading = asyncio.ensure_future(self._read(self._process.stdout))
            return self._process

    async def _read(self, lines: asyncio.StreamReader) -> None:
        async for line in lines:
            answer = json.loads(line)
            waiting = self._waiting.get(answer["id"])
            if waiting is not None and not waiting.done():
                waiting.set_result(answer["body"])
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(ConnectionResetError("connection closed before message completed"))


@define(eq=False)
class Runtimes:
    """Chooses a runtime for a title and calls it; `mappings` are (pattern, language, is_regex), the first match wins."""

    children: dict[str, list[Child]]
    timeout_s: float
    retries: int
    mappings: list[tuple[str, str, bool]]
    _turn: int = 0

    @classmethod
    def with_children(
        cls, each: int, timeout_s: float, retries: int, mappings: list[tuple[str, str, bool]]
    ) -> "Runtimes":
        children = {language: [Child(argv) for _ in range(each)] for language, argv in _COMMANDS.items()}
        return cls(children, timeout_s, retries, mappings)

    async def execute(self, session: Session, params: Any) -> dict[str, Any]:
        """Return `result`, `execution_time_ms` and `memory_usage_bytes`; raises OriginError."""
        language = self.language_of(session.language_title)
        if language == "rust":
            return _simulated(session.script_content, params)
        request = {"request_id": session.request_id, "params": params, "context": session.context}
        return _success(await self._tried(language, request | {"script_content": session.script_content}))

    def language_of(self, title: str) -> str:
        """Return the language of a title, by the mappings if there are any, else by its prefix."""
        for pattern, language, is_regex in self.mappings:
            if re.search(pattern, title) if is_regex else pattern in title:
                return language
        if self.mappings:
            raise OriginError(f"Validation error: No configuration mapping found for language title: {title}")
        for language in ("nodejs", "python", "rust"):
            if title.startswith(f"{language}-"):
                return language
        raise OriginError(f"Validation error: Unsupported language title: {title}")

    async def stop(self) -> None:
        for children in self.children.values():
            for child in children:
                await child.stop()

    async def _tried(self, language: str, request: dict[str, Any]) -> str:
        """Call it; a call that takes too long is made again while the first one goes on."""
        for _ in range(1 + self.retries):
            self._turn += 1
            child = self.children[language][self._turn % len(self.children[language])]
            try:
                async with asyncio.timeout(self.timeout_s):
                    return await child.post(request)
            except TimeoutError:
                continue
        raise OriginError("Runtime error: Runtime execution timed out")


def _success(body: str) -> dict[str, Any]:
    """Read the body as a success, whatever the runtime answered: a body of an error has no `result`."""
    try:
        answer = parse(body)
    except ValueError as error:
        raise _undecodable("expected value at line 1 column 1") from error
    for name in ("result", "execution_time_ms"):
        if not isinstance(answer, dict) or name not in answer:
            raise _undecodable(f"missing field `{name}` at line 1 column {len(body)}")
    return {"memory_usage_bytes": None} | answer | {"result": ordered(answer["result"])}


def _undecodable(why: str) -> OriginError:
    return OriginError(f"Runtime error: HTTP client error: error decoding response body: {why}")


def _simulated(script: str | None, params: Any) -> dict[str, Any]:
    """Return what the Rust runtime answers for any script: it runs none."""
    if script is None:
        raise _undecodable("missing field `result` at line 1 column 58")
    lines = len(script.splitlines())
    facts = {"characters": len(script.encode()), "lines": lines, "processing_time_ms": min(lines, 50)}
    output = {"processed": True, "runtime": "rust-simulated", "timestamp": instants.text(instants.now())}
    result = {"input_params": params, "message": "simulated", "note": "no WebAssembly", "output": output}
    result |= {"script_info": facts, "status": "success"}
    return {"result": ordered(result), "execution_time_ms": min(lines, 50), "memory_usage_bytes": 2**20}
