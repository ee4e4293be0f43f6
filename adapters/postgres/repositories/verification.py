"""Reads copies and taken sessions for the comparison with the origin."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from attrs import define
from typing_extensions import override

from adapters.postgres import codec
from adapters.postgres.connections.errors import StatementRefused
from adapters.postgres.gateway import Gateway
from adapters.postgres.repositories.takeover import inbound_of
from adapters.postgres.statements.takeover import TakeoverStatements, VerificationStatements
from domain.takeover.moving import TakenState
from domain.takeover.reader_ports import StoredReader
from domain.takeover.verification import StoredDigest, StoredSession


@define(eq=False)
class PostgresStoredReader(StoredReader):
    """Each page is one statement."""

    _gateway: Gateway
    _statements: VerificationStatements
    _takeover: TakeoverStatements

    @override
    async def digests(self, after: UUID, lifetime_max: timedelta, size: int) -> Sequence[StoredDigest]:
        parameters = {"after": after, "lifetime_max": lifetime_max, "rows_max": size}
        try:
            rows = await self._gateway.fetch(self._statements.select_stored_digests, parameters)
        except StatementRefused:
            # One of the rows has leftovers that are no JSON: it is found by halving, and stands for a difference.
            return await self.digests(after, lifetime_max, size // 2) if size > 1 else await self._unreadable(after)
        return [StoredDigest(*row) for row in rows]

    async def _unreadable(self, after: UUID) -> Sequence[StoredDigest]:
        ((request_id,),) = await self._gateway.fetch(self._statements.select_next_stored, {"after": after})
        return [StoredDigest(request_id, "unreadable", "", "", None, False, "", "", "", "", None, "")]

    @override
    async def sessions(self, ids: Sequence[UUID]) -> Mapping[UUID, StoredSession]:
        named = {"request_ids": codec.uuids(ids)}
        # Copies are read first: a session that is adopted in between is found twice, and counts as taken.
        copies = [inbound_of(row) for row in await self._gateway.fetch(self._takeover.select_inbound, named)]
        found = {copy.session.ref.session_id: StoredSession(None, copy) for copy in copies}
        taken = await self._gateway.fetch(self._statements.select_taken_contents, named)
        for state, count_at_fence, late_count, *columns in taken:
            stored = StoredSession(TakenState(state), inbound_of(tuple(columns)), count_at_fence, late_count)
            found[stored.inbound.session.ref.session_id] = stored
        return found
