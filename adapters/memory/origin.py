"""The origin's sessions in memory."""

from collections.abc import Sequence
from datetime import datetime

from attrs import define, field
from typing_extensions import override

from domain.json_text import JsonText
from domain.takeover.reader_ports import OriginReader, RowHead
from domain.takeover.source_session import SourceSession


@define(eq=False)
class MemoryOriginReader(OriginReader):
    """Reads `rows`, by id; while `failure` is set, every call raises it."""

    rows: dict[str, SourceSession] = field(factory=dict)
    failure: Exception | None = None

    @override
    async def count(self, expired_after: datetime | None) -> int:
        return len(await self.heads(None, expired_after, len(self.rows)))

    @override
    async def heads(self, after: JsonText | None, expired_after: datetime | None, size: int) -> Sequence[RowHead]:
        if self.failure is not None:
            raise self.failure
        rows = [row for row in self.rows.values() if expired_after is None or _expires_after(row, expired_after)]
        heads = [_head(row) for row in sorted(rows, key=lambda row: row.request_id)]
        if after is not None:
            found = [place for place, head in enumerate(heads) if head.cursor <= after]
            heads = heads[len(found) :]
        return heads[:size]

    @override
    async def sessions(self, ids: Sequence[str]) -> Sequence[SourceSession]:
        if self.failure is not None:
            raise self.failure
        return [self.rows[request_id] for request_id in ids if request_id in self.rows]


def _expires_after(row: SourceSession, instant: datetime) -> bool:
    return row.expires_at is None or row.expires_at > instant


def _head(row: SourceSession) -> RowHead:
    texts = (row.script_content, row.context, row.compile_error, row.metadata)
    return RowHead(row.request_id, "", sum(len(text.encode()) for text in texts if text is not None))
