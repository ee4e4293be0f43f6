"""The output of running executions in memory."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from attrs import define, field
from typing_extensions import override

from adapters.memory.store import MemoryStore
from domain.live.events import KeptText, LiveState, OutputPart
from domain.live.ports import LiveOutputStore
from domain.live.position import Position


@define
class MemoryLiveOutput(LiveOutputStore):
    """Stores parts of the executions that are open in the store."""

    _store: MemoryStore
    parts: dict[tuple[UUID, int], OutputPart] = field(factory=dict)

    @override
    async def append(self, part: OutputPart) -> bool:
        self._store.require_available()
        if part.execution_id not in self._store.open_executions:
            return False
        self.parts[part.execution_id, part.number] = part
        return True

    @override
    async def read(self, session_id: UUID, execution_id: UUID, position: Position) -> LiveState[Any]:
        self._store.require_available()
        accepted = self._store.accepted.get(execution_id)
        is_erased = accepted is not None and accepted.erased_status is not None
        parts = [self.parts[each] for each in sorted(self.parts) if each[0] == execution_id and not is_erased]
        newest = next((each for each in reversed(parts) if each.progress_count > position.progress), None)
        return LiveState(
            KeptText.continued(position.stdout, [(each.stdout.offset, each.stdout.text) for each in parts]),
            KeptText.continued(position.stderr, [(each.stderr.offset, each.stderr.text) for each in parts]),
            None if newest is None else newest.progress,
            position.progress if newest is None else newest.progress_count,
        )

    @override
    async def drop(self, executions: Collection[tuple[UUID, UUID]]) -> None:
        self._store.require_available()
        dropped = {execution_id for _, execution_id in executions}
        for key in [each for each in self.parts if each[0] in dropped]:
            del self.parts[key]
