"""One execution of a stream, served as a request: what its endpoint reads, and its output and end on the stream."""

import asyncio
import codecs
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from attrs import define, field
from msgspec import Raw
from starlette.types import Message, Scope
from typing_extensions import override

from adapters.runtime_frames import Kind
from adapters.runtime_link import FrameLink
from adapters.runtime_protocol import ExecuteRequest
from adapters.runtime_replies import OUTPUT_LENGTH_MAX, Line, ProgressFields
from domain.concurrency.budget import call_later
from domain.scripts.output import OutputListener, ScriptProgress
from entrypoints.http.request import Header
from entrypoints.http.response import JSON, SINGLE_WRITE
from entrypoints.runtime_host.files import StreamedFiles

STREAMED = "pglambda.streamed"
"""The name of an ASGI extension: the execution is one of a stream."""


def streamed_run(scope: Scope) -> "StreamedRun | None":
    """Return the execution of a stream that this request is, None for a request over HTTP."""
    extensions = scope.get("extensions")
    return extensions.get(STREAMED) if extensions else None


_PAUSE_S = 0.02
"""Between frames of output: controllers pace their own readers."""


@define(eq=False)
class _Text:
    """Text of a stream that was not sent yet. Bytes that are not UTF-8, and NUL, become U+FFFD, as in the report."""

    _decoder: codecs.IncrementalDecoder = field(factory=lambda: codecs.getincrementaldecoder("utf-8")("replace"))
    _unsent: list[str] = field(factory=list)
    _left: int = OUTPUT_LENGTH_MAX

    def add(self, piece: bytes, *, is_last: bool = False) -> None:
        text = self._decoder.decode(piece, final=is_last)[: self._left]
        self._left -= len(text)
        self._unsent.append(text.replace("\0", "\N{REPLACEMENT CHARACTER}"))

    def take(self, *, is_last: bool) -> str:
        if is_last:
            self.add(b"", is_last=True)
        text = "".join(self._unsent)
        self._unsent.clear()
        return text


@define(eq=False)
class LiveOutput(OutputListener):
    """Sends what a script writes, while it runs, at most once in `_PAUSE_S`."""

    _link: FrameLink
    _run_id: int
    _stdout: _Text = field(factory=_Text, init=False)
    _stderr: _Text = field(factory=_Text, init=False)
    _progress: ScriptProgress | None = field(default=None, init=False)
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)
    _next_at_s: float = field(default=0.0, init=False)

    @override
    def on_stdout(self, piece: bytes) -> None:
        self._stdout.add(piece)
        self._plan()

    @override
    def on_stderr(self, piece: bytes) -> None:
        self._stderr.add(piece)
        self._plan()

    @override
    def on_progress(self, progress: ScriptProgress) -> None:
        self._progress = progress
        self._plan()

    def finish(self) -> None:
        """Send what is left."""
        if self._timer is not None:
            self._timer.cancel()
        self._send(is_last=True)

    def _plan(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = call_later(loop, self._next_at_s - loop.time(), self._send)

    def _send(self, *, is_last: bool = False) -> None:
        self._timer, self._next_at_s = None, asyncio.get_running_loop().time() + _PAUSE_S
        progress, self._progress = self._progress, None
        line = Line(
            self._stdout.take(is_last=is_last),
            self._stderr.take(is_last=is_last),
            None if progress is None else ProgressFields(progress.value, progress.message),
        )
        if line != _NOTHING:
            self._link.send(Kind.OUTPUT, self._run_id, msgspec.json.encode(line))


_NOTHING = Line()


@define(eq=False)
class StreamedRun:
    """A run of a stream as an ASGI request, and the extension by which its response is sent.

    `message` is None if the payload is not an ExecuteRequest; then the endpoint reads it and says why.
    """

    message: ExecuteRequest | None
    _link: FrameLink
    _run_id: int
    _payload: bytes = field(repr=False)
    output: LiveOutput | None = field(default=None, init=False)
    files: StreamedFiles | None = field(default=None, init=False)
    is_ended: bool = field(default=False, init=False)
    is_cancelled: bool = field(default=False, init=False)
    _is_read: bool = field(default=False, init=False)
    _withdrawn: asyncio.Event = field(factory=asyncio.Event, init=False)
    _status: int = field(default=0, init=False)
    _body: bytearray = field(factory=bytearray, init=False)

    def __attrs_post_init__(self) -> None:
        if self.message is not None and self.message.live:
            self.output = LiveOutput(self._link, self._run_id)
        fields = None if self.message is None or self.message.grants is None else self.message.grants.files
        if self.message is not None and fields is not None:
            ends_at = asyncio.get_running_loop().time() + self.message.time_left_ms / 1000
            self.files = StreamedFiles(fields, self._link, self._run_id, ends_at)

    def scope(self, stream: Scope) -> Scope:
        """Return the scope of a request on this stream."""
        headers = [header for header in stream["headers"] if header[0] == b"authorization"]
        traced = self.message and {b"traceparent": self.message.traceparent, b"tracestate": self.message.tracestate}
        headers += [(name, text.encode(errors="replace")) for name, text in (traced or {}).items() if text]
        return {
            "type": "http",
            "method": "POST",
            "path": "/execute",
            "query_string": b"",
            "headers": [*headers, (b"content-type", JSON)],
            "client": stream.get("client"),
            "extensions": {SINGLE_WRITE: self, STREAMED: self},
        }

    def withdraw(self) -> None:
        """Let the run start nothing, if it is queued. No further file is delivered or collected."""
        self._withdrawn.set()
        if self.files is not None:
            self.files.close()

    async def receive(self) -> Message:
        """Return the body, and then that the controller has left, once it has."""
        if not self._is_read:
            self._is_read = True
            return {"type": "http.request", "body": self._payload}
        await self._withdrawn.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Mapping[str, Any]) -> None:
        """Take a part of the response."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            return
        self._body += message["body"]
        if not message.get("more_body"):
            self.end(self._status, bytes(self._body))

    def __call__(self, status: int, headers: Iterable[Header], body: bytes) -> bool:
        """Take the whole response."""
        self.end(status, body if (b"content-type", JSON) in headers else b"null")
        return True

    def end(self, status: int, body: bytes) -> None:
        """Send the end of the run, behind its output."""
        if self.output is not None:
            self.output.finish()
        self.is_ended = True
        self._link.send(Kind.END, self._run_id, msgspec.json.encode(Line(status=int(status), reply=Raw(body))))
