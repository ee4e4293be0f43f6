"""The files of one execution in its worker: delivered before the script, and collected after it."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable

import msgspec
from attrs import define, field

from adapters.sandbox.protocol.replies import FileReply, read_file_reply, read_left_files
from adapters.sandbox.workers.channel import Ending, ProtocolBroken, encode_frame
from adapters.sandbox.workers.process import WorkerProcess
from domain.errors import RuntimeUnavailable
from domain.scripts.files import PATH_SIZE_MAX, PIECE_SIZE, TRANSFER_S, LeftFile, RunFiles, refused
from domain.scripts.language import Language
from domain.scripts.report import Failure

_NONCE_SIZE = 12
_EXCHANGE_S = 2.0
_REASON_LENGTH_MAX = PATH_SIZE_MAX + 100
"""Characters of a reason, which names a path: an honest one is not cut."""
_CPU_S = 1.0
"""The CPU time that one exchange may take; threads that a script has left run on."""


class WorkerRefused(Exception):
    """The worker could not do what an operation asks for. The text says why."""


@define(eq=False)
class WorkerFiles:
    """The folder /files of a worker. Every reply is untrusted: a script can change the program of its worker.

    Each method raises ProtocolBroken after an end of the worker, or a reply that is none.
    """

    process: WorkerProcess
    left_s: float = field(default=TRANSFER_S, init=False)
    """What is left for exchanges, without what others do between them."""

    async def add(self, path: str, content: bytes) -> None:
        """Add a piece to a file below /files/in; raises WorkerRefused."""
        await self._ask("stored", {"op": "file", "path": path}, content)

    async def left(self) -> list[LeftFile]:
        """Return what the script has left below /files/out, with one entry too many if there are more."""
        _, body = await self._ask("listed", {"op": "list"})
        return read_left_files(body)

    async def pieces(self, file: LeftFile) -> AsyncIterator[bytes]:
        """Yield the content of a file, exactly of the size that it had; raises WorkerRefused if it has less."""
        at, size_max = 0, file.size or 0
        while at < size_max:
            size = min(PIECE_SIZE, size_max - at)
            _, body = await self._ask("read", {"op": "read", "path": file.path, "offset": at, "size": size})
            if len(body) > size:
                raise ProtocolBroken("a piece of a file that is too large")
            if len(body) < size:
                raise WorkerRefused("it became shorter while it was read")
            at += size
            yield body

    async def settle(self) -> bool:
        """Remove all files and put the worker back; return whether it may be used again."""
        reply, _ = await self._ask("settled", {"op": "settle"})
        return reply.reusable

    async def _ask(self, kind: str, operation: dict[str, object], body: bytes = b"") -> tuple[FileReply, bytes]:
        nonce, asked_at = os.urandom(_NONCE_SIZE).hex(), time.monotonic()
        frame = encode_frame(msgspec.json.encode({**operation, "nonce": nonce}), body)
        limit_s = min(_EXCHANGE_S, max(self.left_s, 0.0))
        exchange = await self.process.exchange(frame, limit_s, _CPU_S, state_size_max=PIECE_SIZE)
        self.left_s -= time.monotonic() - asked_at
        if exchange.ending is not Ending.REPLIED or exchange.frame is None:
            raise ProtocolBroken(f"it ended while its files were moved ({exchange.ending.name})")
        reply = read_file_reply(exchange.frame, nonce, kind)
        if reply.kind == "failed":
            raise WorkerRefused(_shown(reply.message))
        return reply, exchange.frame.body


def _shown(reason: str) -> str:
    """Return the beginning of a text of a worker, with a question mark for each character that is not printable."""
    return "".join(each if each.isprintable() else "?" for each in reason[:_REASON_LENGTH_MAX])


async def deliver(process: WorkerProcess, files: RunFiles, language: Language, is_stopped: Callable[[], bool]) -> bool:
    """Give the worker the files that its script finds; return whether the run was not stopped meanwhile.

    Kills the worker if it did not get them. Raises RuntimeUnavailable, and what reading the files raises.
    """
    worker = WorkerFiles(process)
    try:
        for each in files.given:
            if each.size == 0:
                await worker.add(each.path, b"")
            async for piece in each.pieces():
                if is_stopped():
                    return False
                await worker.add(each.path, piece)
    except (ProtocolBroken, WorkerRefused) as error:
        process.kill()
        if is_stopped():
            return False
        raise RuntimeUnavailable(language, f"a worker did not take its files: {error}. Repeat the call.") from error
    return not is_stopped()


async def collect(process: WorkerProcess, files: RunFiles) -> tuple[Failure | None, bool]:
    """Give the sink what the script has left; return why that failed, and whether the worker may be used again.

    The files of a script that has failed are collected too. Kills a worker that does not reply, or cannot remove its
    files: that fails no run.
    """
    worker = WorkerFiles(process)
    try:
        failure = None if files.sink is None else await _collect(worker, files)
    except (ProtocolBroken, WorkerRefused) as error:
        process.kill()
        return refused(f"the worker did not give them: {error}"), False
    try:
        return failure, await worker.settle()
    except (ProtocolBroken, WorkerRefused):
        process.kill()
        return failure, False


async def _collect(worker: WorkerFiles, files: RunFiles) -> Failure | None:
    sink = files.sink
    assert sink is not None
    left = await worker.left()
    wanted = []
    for each in left:
        await asyncio.sleep(0)  # a name and patterns that are hard to match take some milliseconds
        if files.is_wanted(each.path):
            wanted.append(each)
    fault = files.fault_of_left(wanted, len(left))
    if fault is not None:
        return fault
    for each in wanted:
        try:
            if not await sink.take(each, worker.pieces(each)):
                return None
        except WorkerRefused as error:
            return refused(str(error), each.path)
    sink.complete()
    return None
