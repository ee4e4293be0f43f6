"""The files of one execution of a stream: those that its controller gives, and those that it is offered."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import msgspec
from attrs import define, field
from typing_extensions import override

from adapters.runtime_files import FileStep, LeftOffer, step_of, step_payload
from adapters.runtime_frames import BrokenStream, Kind, StreamFrame
from adapters.runtime_link import FrameLink
from adapters.runtime_protocol import FilesFields
from domain.errors import Overloaded, RuntimeUnavailable
from domain.scripts.files import PIECE_SIZE, FileSink, GivenFile, LeftFile, RunFiles
from domain.scripts.language import Language

_ENDED = FileStep.END, b""


@define(eq=False)
class StreamedFiles(FileSink):
    """Sends one step at a time, and waits until `ends_at`, in the loop's time, for the reply.

    After that, and after `close`, the reply to every step is the end. So a script whose files cannot be delivered is
    not started, and one whose files cannot be collected has left none.
    """

    _fields: FilesFields
    _link: FrameLink
    _run_id: int
    _ends_at: float
    _reply: "asyncio.Future[tuple[FileStep, bytes] | None] | None" = field(default=None, init=False)
    _is_over: bool = field(default=False, init=False)

    @property
    @override
    def patterns(self) -> tuple[str, ...] | None:
        return self._fields.patterns

    def of_run(self, language: Language) -> RunFiles:
        """Return the files as a runner gets them."""
        given = tuple(
            GivenFile(each.path, each.size, partial(self._pieces, language, each.size)) for each in self._fields.given
        )
        return RunFiles(self._fields.size_mb, given, self if self._fields.collects else None)

    def on_frame(self, frame: StreamFrame) -> None:
        """Take a step of the controller; raises BrokenStream."""
        step = step_of(frame)
        is_expected = self._reply is not None and not self._reply.done()
        if is_expected and self._reply is not None:
            self._reply.set_result(step)
        elif not self._is_over and step != _ENDED:
            raise BrokenStream("a step of files that nobody has asked for")

    def close(self) -> None:
        """Take note that the controller has left."""
        self._is_over = True
        if self._reply is not None and not self._reply.done():
            self._reply.set_result(_ENDED)

    @override
    async def take(self, file: LeftFile, pieces: AsyncIterator[bytes]) -> bool:
        wanted = await self._ask(FileStep.OFFER, msgspec.json.encode(LeftOffer(file.path, file.size or 0)))
        try:
            async for piece in pieces:
                if wanted != (FileStep.NEXT, b""):
                    return False
                wanted = await self._ask(FileStep.PIECE, piece)
        except Exception:  # the worker did not give it; a cancelled task may wait for a step
            self._tell(FileStep.END)
            raise
        return wanted == (FileStep.TAKEN, b"")

    @override
    def complete(self) -> None:
        self._tell(FileStep.COMPLETE)

    async def _pieces(self, language: Language, size: int) -> AsyncIterator[bytes]:
        while size:
            reply = await self._ask(FileStep.NEXT)
            if reply is None:
                raise Overloaded("a piece of a file")
            step, piece = reply
            if step is not FileStep.PIECE or not 0 < len(piece) <= min(PIECE_SIZE, size):
                raise RuntimeUnavailable(language, "its host was not sent all files of the execution. Repeat the call.")
            size -= len(piece)
            yield piece

    async def _ask(self, step: FileStep, content: bytes = b"") -> tuple[FileStep, bytes] | None:
        if self._is_over:
            return _ENDED
        self._reply = asyncio.get_running_loop().create_future()
        self._tell(step, content)
        try:
            async with asyncio.timeout_at(self._ends_at):
                return await self._reply
        except TimeoutError:
            self._is_over = True
            return _ENDED

    def _tell(self, step: FileStep, content: bytes = b"") -> None:
        if not self._is_over:
            self._link.send(Kind.FILE_FROM_HOST, self._run_id, step_payload(step, content))
