"""The output of running executions in PostgreSQL."""

from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any, ClassVar
from uuid import UUID

from typing_extensions import override

from adapters.postgres import codec
from adapters.postgres.batching.coalescer import Coalescer, CoalescerOptions
from adapters.postgres.batching.statement import BatchStatement, Row
from adapters.postgres.gateway import Gateway
from adapters.postgres.statements.calls import LiveOutputStatements
from domain.live.events import KeptText, LiveState, OutputPart
from domain.live.ports import LiveOutputStore
from domain.live.position import Position
from domain.scripts.output import ScriptProgress

_PART_BYTES = 256
_READ_BYTES = 64 * 1024
_PARTS_READ_MAX = 2

ReadCall = tuple[UUID, UUID, Position]
"""Session, execution, and what the reader has."""


class AppendOutput(BatchStatement[OutputPart, bool]):
    """Parts of several executions."""

    name: ClassVar[str] = "append_live_output"
    divisible: ClassVar[bool] = True

    @override
    def batch_key(self, call: OutputPart) -> Hashable:
        return call.execution_id

    @override
    def size(self, call: OutputPart) -> int:
        return _PART_BYTES + len(call.stdout.text) + len(call.stderr.text)

    @override
    def columns(self, calls: Sequence[OutputPart]) -> Mapping[str, object]:
        return {
            "request_ids": codec.uuids(each.session_id for each in calls),
            "execution_ids": codec.uuids(each.execution_id for each in calls),
            "parts": codec.numbers(each.number for each in calls),
            "stdouts_from": codec.numbers(each.stdout.offset for each in calls),
            "stdouts": codec.texts(each.stdout.text for each in calls),
            "stderrs_from": codec.numbers(each.stderr.offset for each in calls),
            "stderrs": codec.texts(each.stderr.text for each in calls),
            "progress_counts": codec.numbers(each.progress_count for each in calls),
            "progresses": codec.numbers(None if each.progress is None else each.progress.value for each in calls),
            "messages": codec.texts(None if each.progress is None else _storable(each.progress) for each in calls),
        }

    @override
    def decode(self, call: OutputPart, row: Row) -> bool:
        return True

    @override
    def absent(self, call: OutputPart) -> bool:
        return False


class ReadOutput(BatchStatement[ReadCall, LiveState[Any]]):
    """What several readers lack. A call has a row for each part."""

    name: ClassVar[str] = "select_live_output"

    @override
    def batch_key(self, call: ReadCall) -> Hashable:
        return call

    @override
    def size(self, call: ReadCall) -> int:
        return _READ_BYTES

    @override
    def columns(self, calls: Sequence[ReadCall]) -> Mapping[str, object]:
        return {
            "request_ids": codec.uuids(session_id for session_id, _, _ in calls),
            "execution_ids": codec.uuids(execution_id for _, execution_id, _ in calls),
            "stdout_bytes": codec.numbers(position.stdout for _, _, position in calls),
            "stderr_bytes": codec.numbers(position.stderr for _, _, position in calls),
            "progress_counts": codec.numbers(position.progress for _, _, position in calls),
            "parts_max": _PARTS_READ_MAX,
        }

    @override
    def responses(self, calls: Sequence[ReadCall], rows: Sequence[Row]) -> Sequence[LiveState[Any]]:
        parts: list[list[Row]] = [[] for _ in calls]
        for ordinal, *part in rows:
            parts[ordinal - 1].append(part)
        return [_state(position, found) for (_, _, position), found in zip(calls, parts, strict=True)]


class PostgresLiveOutput(LiveOutputStore):
    """Stores parts in `meta.live_output`."""

    def __init__(
        self, gateway: Gateway, statements: LiveOutputStatements, options: CoalescerOptions | None = None
    ) -> None:
        self._gateway = gateway
        self._statements = statements
        append = AppendOutput(statements.append_live_output)
        options = options or CoalescerOptions()
        self._appends: Coalescer[OutputPart, bool] = Coalescer(gateway, append, options)
        read = ReadOutput(statements.select_live_output)
        self._reads: Coalescer[ReadCall, LiveState[Any]] = Coalescer(gateway, read, options, share=True)

    @property
    def coalescers(self) -> Sequence[Coalescer[Any, Any]]:
        """All coalescers of this repository, for metrics and to be closed."""
        return [self._appends, self._reads]

    @override
    async def append(self, part: OutputPart) -> bool:
        return await self._appends.submit(part)

    @override
    async def read(self, session_id: UUID, execution_id: UUID, position: Position) -> LiveState[Any]:
        return await self._reads.submit((session_id, execution_id, position))

    @override
    async def drop(self, executions: Collection[tuple[UUID, UUID]]) -> None:
        named = {
            "request_ids": codec.uuids(session_id for session_id, _ in executions),
            "execution_ids": codec.uuids(execution_id for _, execution_id in executions),
        }
        await self._gateway.fetch(self._statements.delete_live_output, named)


def _state(position: Position, parts: Sequence[Row]) -> LiveState[Any]:
    progress, count = None, position.progress
    for *_, number, value, message in parts:
        if number > count:
            progress, count = ScriptProgress(value, message or ""), number
    stdout = KeptText.continued(position.stdout, [(part[0], part[1]) for part in parts])
    stderr = KeptText.continued(position.stderr, [(part[2], part[3]) for part in parts])
    return LiveState(stdout, stderr, progress, count)


def _storable(progress: ScriptProgress) -> str:
    """Return a message without what text in PostgreSQL cannot have: NUL and half surrogate pairs."""
    return progress.message.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
