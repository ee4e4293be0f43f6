"""The files of one run at a runtime host: read when the host asks, and taken when it offers some."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine

from attrs import define, field

from adapters.remote_runtime.replies import Uncertain
from adapters.runtime_files import FileStep, LeftOffer, offer_of, step_of, step_payload
from adapters.runtime_frames import BrokenStream, Kind, StreamFrame
from adapters.runtime_link import FrameLink
from domain.errors import Overloaded
from domain.scripts.files import COUNT_MAX, MIB, PIECE_SIZE, LeftFile, RunFiles, path_fault
from domain.scripts.report import ScriptReport

PIECES_MAX = 32
"""Pieces of one stream in memory, of 8 MiB together, whichever way they go."""


class _Abandoned(Exception):
    """The host cannot read a file that it has offered to its end."""


@define(eq=False)
class FileExchange:
    """Replies to the steps of a host. It believes none: sizes, paths and the order are those that were agreed.

    `slots` bounds the pieces of all runs of the stream. After `close` the reply to every step is the end.
    """

    _files: RunFiles
    error: BaseException | None = field(default=None, init=False)
    """Why a given file could not be read, or a left one not be taken."""
    _link: FrameLink | None = field(default=None, init=False)
    _run_id: int = field(default=0, init=False)
    _slots: asyncio.Semaphore | None = field(default=None, init=False)
    _given: AsyncGenerator[bytes, None] = field(init=False)
    _unsent: int = field(init=False)
    """Bytes of the given files that the host has not asked for."""
    _offered: dict[str, int] = field(factory=dict, init=False)
    _task: "asyncio.Task[None] | None" = field(default=None, init=False)
    _arriving: "asyncio.Future[bytes] | None" = field(default=None, init=False)
    _arriving_size: int = field(default=0, init=False)
    _is_replying: bool = field(default=False, init=False)
    """Whether the host waits for a step."""
    _is_over: bool = field(default=False, init=False)
    """Whether no further step may come."""
    _is_closed: bool = field(default=False, init=False)
    _is_cut: bool = field(default=False, init=False)
    """Whether a step was due when it was closed."""
    _is_complete: bool = field(default=False, init=False)
    _is_refused: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._given = self._content()
        self._unsent = sum(each.size for each in self._files.given)

    def open(self, link: FrameLink, run_id: int, slots: asyncio.Semaphore) -> None:
        """Begin to reply on this link."""
        self._link, self._run_id, self._slots = link, run_id, slots

    def on_frame(self, frame: StreamFrame) -> None:
        """Take a step of the host; raises BrokenStream."""
        step = step_of(frame)
        if self._is_over or self._is_replying:
            raise BrokenStream("a step of files behind their end, or before the reply to the one before")
        if self._is_closed:
            self._end()
        elif step is None:
            self._lose(Overloaded("a piece of a file"))
        else:
            self._take_step(*step)

    async def close(self) -> None:
        """Read and take nothing more. A host that waits for a step gets the end."""
        self._is_closed, self._is_cut = True, self._is_replying or self._arriving is not None
        if self._is_replying:
            self._end()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._given.aclose()

    def require_unused(self) -> None:
        """Judge that the host refused the run: raise why it could not be given its files, or Uncertain."""
        if self._offered:
            raise Uncertain("it collected files, and says that it has started nothing")
        if self.error is not None:
            raise self.error

    def settle(self, report: ScriptReport) -> None:
        """Let the sink keep what it took, if all has come; raises Uncertain if the host may have lost something.

        What a script has left that failed is kept too.
        """
        sink, has_failed = self._files.sink, report.failure is not None
        if self.error is not None or self._is_cut:
            raise Uncertain(f"it ended the execution while files were on their way ({self.error or 'it was late'})")
        if self._unsent and not has_failed:
            raise Uncertain("it ran the script without all of its files")
        if sink is not None and self._is_complete:
            sink.complete()
        elif sink is not None and not has_failed and not self._is_refused:
            raise Uncertain("it has not sent what the script left")

    def _take_step(self, step: FileStep, content: bytes) -> None:
        if self._arriving is not None:
            self._arrived(self._arriving, step, content)
        elif step is FileStep.NEXT and self._unsent:
            self._begin(self._give())
        elif step is FileStep.OFFER and not self._unsent:
            self._begin(self._take(self._judged(offer_of(content))))
        elif step is FileStep.COMPLETE and not self._unsent and self._files.sink is not None:
            self._is_over = self._is_complete = True
        else:
            raise BrokenStream(f"a step {step.name} of files in a wrong order")

    def _judged(self, offer: LeftOffer) -> LeftFile:
        """Return the file that the host offers; raises BrokenStream if no host of this protocol would offer it."""
        path, files, offered = offer.path, self._files, self._offered
        if files.sink is None or path in offered or path_fault(path) or not files.is_wanted(path):
            raise BrokenStream("an offer of a file that nobody wants, or that was offered before")
        offered[path] = offer.size
        if len(offered) > COUNT_MAX or sum(offered.values()) > files.size_mb * MIB:
            raise BrokenStream(f"offers of more than {COUNT_MAX} files, or {files.size_mb} MiB")
        return LeftFile(path, offer.size)

    def _begin(self, reply: Coroutine[None, None, None]) -> None:
        self._is_replying = True
        self._task = asyncio.get_running_loop().create_task(reply)
        self._task.add_done_callback(self._replied)

    def _replied(self, task: "asyncio.Task[None]") -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._lose(error)

    def _lose(self, error: BaseException) -> None:
        """Give the error to what waits for a piece; if nothing does, keep it and end the exchange."""
        if self._arriving is not None:
            self._is_replying, arriving, self._arriving = True, self._arriving, None
            arriving.set_exception(error)
        else:
            self.error = error
            self._end()

    async def _give(self) -> None:
        assert self._slots is not None
        assert self._link is not None
        async with self._slots:
            await self._link.room()
            piece = await anext(self._given)
            self._unsent -= len(piece)
            self._reply(FileStep.PIECE, piece)

    async def _content(self) -> AsyncGenerator[bytes, None]:
        for each in self._files.given:
            async for piece in each.pieces():
                yield piece

    async def _take(self, file: LeftFile) -> None:
        assert self._files.sink is not None
        pieces = self._pieces(file.size or 0)
        try:
            is_taken = await self._files.sink.take(file, pieces)
        except _Abandoned:
            return
        finally:
            await pieces.aclose()
        if is_taken:
            self._reply(FileStep.TAKEN)
        else:
            self._is_refused = True
            self._end()

    async def _pieces(self, size: int) -> AsyncGenerator[bytes, None]:
        assert self._slots is not None
        while size:
            async with self._slots:
                self._arriving_size = min(PIECE_SIZE, size)
                self._arriving = arriving = asyncio.get_running_loop().create_future()
                self._reply(FileStep.NEXT)
                yield await arriving
            size -= self._arriving_size

    def _arrived(self, arriving: "asyncio.Future[bytes]", step: FileStep, content: bytes) -> None:
        if step is FileStep.PIECE and len(content) == self._arriving_size:
            self._is_replying = True
            arriving.set_result(content)
        elif step is FileStep.END:
            self._is_over = True
            arriving.set_exception(_Abandoned)
        else:
            raise BrokenStream(
                f"a step {step.name} of {len(content)} bytes, and a piece of {self._arriving_size} is due"
            )
        self._arriving = None

    def _end(self) -> None:
        self._is_over = True
        self._reply(FileStep.END)

    def _reply(self, step: FileStep, content: bytes = b"") -> None:
        assert self._link is not None
        self._is_replying = False
        self._link.send(Kind.FILE_TO_HOST, self._run_id, step_payload(step, content))
