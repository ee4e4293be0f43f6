"""Ports to the rows that the origin has stored."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from attrs import frozen

from domain.json_text import JsonText
from domain.takeover.source_session import SourceSession


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


class OriginReader(Protocol):
    """Reads all sessions that the origin has stored, whether it serves them or not.

    Every method is one short transaction that reads, and may raise SourceUnavailable or SourceRefused.
    """

    async def count(self, expired_after: datetime | None) -> int:
        """Return the number of rows that expire after an instant; None counts all."""
        ...

    async def heads(self, after: JsonText | None, expired_after: datetime | None, size: int) -> Sequence[RowHead]:
        """Return at most `size` heads behind the cursor `after`, of rows that expire after an instant; None: of all.

        The order is always the same. A row that appears or changes later may be missed until the next pass.
        """
        ...

    async def sessions(self, ids: Sequence[str]) -> Sequence[SourceSession]:
        """Return the rows with these ids, in no order; one that is gone is left out."""
        ...
