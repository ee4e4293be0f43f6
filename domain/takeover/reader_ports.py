"""Ports to the rows that the origin has stored."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Protocol
from uuid import UUID

from attrs import frozen

from domain.json_text import JsonText
from domain.takeover.ordinary import PageLimits, RowPage
from domain.takeover.source_session import SourceSession, TakeoverPolicy
from domain.takeover.verification import OriginDigest, StoredDigest, StoredSession


@frozen
class RowHead:
    """The id of a row of the origin, its expiry as the origin writes it, and its size."""

    request_id: str
    expires_at: str
    size_bytes: int

    @property
    def cursor(self) -> JsonText:
        """The cursor behind this row."""
        return JsonText(json.dumps({"expires_at": self.expires_at, "request_id": self.request_id}))


def first_page(heads: Sequence[RowHead], limits: PageLimits) -> RowPage | None:
    """Return the first of these rows that fit in a page, all of them to be read whole; None if there are none."""
    read_bytes = accumulate(head.size_bytes if head.size_bytes <= limits.bytes_max else 0 for head in heads)
    found = [head for head, before in zip(heads, read_bytes, strict=True) if before <= limits.bytes_max]
    if not found:
        return None
    odd = [head.request_id for head in found if head.size_bytes <= limits.bytes_max]
    large = [head.request_id for head in found if head.size_bytes > limits.bytes_max]
    return RowPage(len(found), sum(head.size_bytes for head in found), found[-1].cursor, odd, large)


class OriginReader(Protocol):
    """Reads all sessions that the origin has stored, whether it serves them or not.

    Every method is one short transaction that reads, and may raise SourceUnavailable or SourceRefused.
    """

    async def estimate(self, expired_after: datetime | None) -> int:
        """Return about how many rows expire after an instant, None: how many there are; for a bar of progress only."""
        ...

    async def heads(self, after: JsonText | None, expired_after: datetime | None, size: int) -> Sequence[RowHead]:
        """Return at most `size` heads behind the cursor `after`, of rows that expire after an instant; None: of all.

        The order is always the same. A row that appears or changes later may be missed until the next pass.
        """
        ...

    async def page(
        self, after: JsonText | None, limits: PageLimits, policy: TakeoverPolicy, now: datetime
    ) -> RowPage | None:
        """Return rows behind the cursor `after`, in the order of `heads`; None if there are no more.

        Rows that expired before `policy.expired_after(now)` are left out. `policy` and `now` say which rows are
        ordinary.
        """
        ...

    async def sessions(self, ids: Sequence[str]) -> Sequence[SourceSession]:
        """Return the rows with these ids, in no order; one that is gone is left out.

        A session that the takeover has hidden has the expiry that it had before.
        """
        ...

    async def hidden(self, ids: Sequence[str]) -> Mapping[str, bool]:
        """Return whether a takeover has hidden each of these sessions; one that is gone is left out."""
        ...

    async def digests(self, after: str, expired_after: datetime | None, size: int) -> Sequence[OriginDigest]:
        """Return at most `size` digests in the order of their ids, greater than `after`; none if there are no more.

        Rows that expired before an instant are EXPIRED, unless the takeover has hidden them; None: none is. The bytes
        of a page are bounded, so a page of large rows has fewer.
        """
        ...


class StoredReader(Protocol):
    """Reads copies and taken sessions for the comparison with the origin.

    Every method may raise StorageUnavailable or Overloaded.
    """

    async def digests(self, after: UUID, lifetime_max: timedelta, size: int) -> Sequence[StoredDigest]:
        """Return at most `size` digests in the order of their ids, greater than `after`; none if there are no more.

        `lifetime_max` is the maximum lifetime of sessions by the present settings.
        """
        ...

    async def sessions(self, ids: Sequence[UUID]) -> Mapping[UUID, StoredSession]:
        """Return what is stored of these ids; one of which nothing is stored is left out."""
        ...
