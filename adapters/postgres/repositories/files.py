"""Files in PostgreSQL: rows and chunks in a ring of days."""

from datetime import datetime
from typing import Any
from uuid import UUID

from attrs import define, evolve
from typing_extensions import override

from adapters.postgres import codec
from adapters.postgres.codec import FILE_SLOTS, Row, file_slot_of
from adapters.postgres.gateway import Gateway
from adapters.postgres.statements.calls import FileStatements
from domain.errors import StorageUnavailable
from domain.files.file import FileNotFound, StoredFile
from domain.files.ports import COUNTED_MIN, ERASED_MAX, FileRepository, FileStart
from domain.identity import Owner
from domain.paging import Page

_ERASED_FILES_MAX = 200


@define(eq=False)
class PostgresFileRepository(FileRepository):
    """Stores files in `meta.files` and `meta.file_chunks`."""

    _gateway: Gateway
    _statements: FileStatements

    @override
    async def start(self, file: FileStart) -> None:
        facts = {
            "owner": file.owner,
            "name": file.name,
            "content_type": file.content_type,
            "size": file.size,
            "request_id": file.session_id,
            "execution_id": file.execution_id,
            "expires_at": file.expires_at,
        }
        await self._gateway.fetch(self._statements.insert_file, _named(file.file_id) | facts)

    @override
    async def add_chunk(self, file_id: UUID, seq: int, content: bytes, now: datetime, expires_at: datetime) -> None:
        facts = {"seq": seq, "content": content, "now": now, "expires_at": expires_at}
        if not await self._gateway.fetch(self._statements.insert_file_chunk, _named(file_id) | facts):
            raise FileNotFound

    @override
    async def complete(self, file: StoredFile, now: datetime) -> StoredFile:
        facts = {
            "size": file.size,
            "sha256": bytes.fromhex(file.sha256),
            "now": now,
            "expires_at": file.expires_at,
        }
        rows = await self._gateway.fetch(self._statements.complete_file, _named(file.file_id) | facts)
        if not rows:
            raise FileNotFound
        return evolve(file, expires_at=rows[0][0])

    @override
    async def find(self, owner: Owner, file_id: UUID) -> StoredFile:
        rows = await self._gateway.fetch(self._statements.select_file, _named(file_id) | {"owner": owner})
        if not rows:
            raise FileNotFound
        return _file_of(rows[0])

    @override
    async def chunk(self, file_id: UUID, seq: int, first: int, size: int) -> bytes:
        facts = {"seq": seq, "first": first + 1, "size": size}
        rows = await self._gateway.fetch(self._statements.select_file_chunk, _named(file_id) | facts)
        if not rows:
            raise FileNotFound
        content: bytes = rows[0][0]
        return content

    @override
    async def page(self, owner: Owner, after: UUID | None, size: int, now: datetime) -> Page[StoredFile]:
        facts = {"owner": owner, "after": after, "now": now, "rows_max": size + 1}
        rows = await self._gateway.fetch(self._statements.select_file_page, facts)
        found = [_file_of(row) for row in rows[:size]]
        return Page(found, found[-1].file_id if len(rows) > size else None)

    @override
    async def stored_bytes(self, owner: Owner, now: datetime) -> int:
        facts = {"owner": owner, "now": now, "counted_min": COUNTED_MIN}
        ((stored,),) = await self._gateway.fetch(self._statements.select_file_bytes, facts)
        return int(stored)

    @override
    async def abandon(self, file_id: UUID) -> None:
        await self._gateway.fetch(self._statements.abandon_file, _named(file_id))

    @override
    async def remove(self, owner: Owner, file_id: UUID, now: datetime) -> None:
        facts = {"owner": owner, "now": now}
        # A second copy would find nothing, and the file is gone: so it is not repeated.
        if not await self._gateway.fetch(self._statements.remove_file, _named(file_id) | facts, repeatable=False):
            raise FileNotFound

    @override
    async def erase(self, now: datetime, file_id: UUID | None = None, chunks_max: int = ERASED_MAX) -> int:
        facts = {
            "file_id": file_id,
            "owner": None,
            "now": now,
            "rows_max": _ERASED_FILES_MAX,
            "chunks_max": chunks_max,
        }
        ((chunks, files),) = await self._gateway.fetch(self._statements.erase_files, facts)
        return int(chunks + files)

    @override
    async def empty_slots(self, now: datetime) -> int:
        emptied = 0
        slots = {"slots": codec.numbers(range(FILE_SLOTS)), "now": now}
        for (slot,) in await self._gateway.fetch(self._statements.select_ended_file_slots, slots):
            try:
                ((done,),) = await self._gateway.fetch(
                    self._statements.empty_file_slot, {"slot": slot, "now": now}, repeatable=False
                )
                emptied += done
            except StorageUnavailable:  # another transaction uses it; the next cleanup tries again
                continue
        return emptied


def _named(file_id: UUID) -> dict[str, Any]:
    return {"slot": file_slot_of(file_id), "file_id": file_id}


def _file_of(row: Row) -> StoredFile:
    file_id, owner, name, content_type, size, sha256, expires_at, session_id, execution_id = row
    return StoredFile(
        file_id, Owner(owner), name, content_type, size, sha256.hex(), expires_at, session_id, execution_id
    )
