"""The output of running executions in PostgreSQL."""

from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import Any, ClassVar
from uuid import UUID

from typing_extensions import override

from adapters.postgres import codec
from adapters.postgres.batching.coalescer import Coalescer, CoalescerOptions
from adapters.postgres.batching.statement import BatchStatement, Row
from adapters.postgres.gateway import Gateway
from adapters.postgres.statements import LiveOutputStatements
from domain.live.events import KeptText, LiveState, OutputPart
from domain.live.ports import LiveOutputStore
from domain.live.position import Position
from domain.scripts.output import ScriptProgress

_PART_BYTES = 256
_PARTS_READ_MAX = 8


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


class PostgresLiveOutput(LiveOutputStore):
    """Stores parts in `meta.live_output`."""

    def __init__(
        self, gateway: Gateway, statements: LiveOutputStatements, options: CoalescerOptions | None = None
    ) -> None:
        self._gateway = gateway
        self._statements = statements
        append = AppendOutput(statements.append_live_output)
        self._appends: Coalescer[OutputPart, bool] = Coalescer(gateway, append, options or CoalescerOptions())

    @property
    def coalescers(self) -> Sequence[Coalescer[Any, Any]]:
        """The coalescer of this repository, for metrics and to be closed."""
        return [self._appends]

    @override
    async def append(self, part: OutputPart) -> bool:
        return await self._appends.submit(part)

    @override
    async def read(self, session_id: UUID, execution_id: UUID, position: Position) -> LiveState[Any]:
        rows = await self._gateway.fetch(
            self._statements.select_live_output,
            {
                "request_id": session_id,
                "execution_id": execution_id,
                "stdout_bytes": position.stdout,
                "stderr_bytes": position.stderr,
                "progress_count": position.progress,
                "parts_max": _PARTS_READ_MAX,
            },
        )
        progress, count = None, position.progress
        for *_, number, value, message in rows:
            if number > count:
                progress, count = ScriptProgress(value, message or ""), number
        stdout = KeptText.continued(position.stdout, [(row[0], row[1]) for row in rows])
        stderr = KeptText.continued(position.stderr, [(row[2], row[3]) for row in rows])
        return LiveState(stdout, stderr, progress, count)

    @override
    async def drop(self, executions: Collection[tuple[UUID, UUID]]) -> None:
        named = {
            "request_ids": codec.uuids(session_id for session_id, _ in executions),
            "execution_ids": codec.uuids(execution_id for _, execution_id in executions),
        }
        await self._gateway.fetch(self._statements.delete_live_output, named)


def _storable(progress: ScriptProgress) -> str:
    """Return a message without what text in PostgreSQL cannot have: NUL and half surrogate pairs."""
    return progress.message.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
