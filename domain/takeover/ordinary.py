"""Ordinary rows of the origin: what becomes of each depends on its kind alone, so they pass as columns.

A row is ordinary if its id is canonical and not of version 7, its instants are in order and in the range of sessions,
its length fits in ttl_seconds, its status is active, its count is not negative, and it has no artifact. If it is live,
its context is a JSON object, it has a script, both are within the limits, and `script_hash` is null or that of the
script. A reader may call an ordinary row odd, and never the reverse.
"""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import astuple, field, frozen, validators

from domain.json_text import JsonText
from domain.scripts.script import Script
from domain.takeover.leftovers import ACTIVE
from domain.takeover.source_session import SourceSession

ROWS_MAX = 1000

_EXAMPLE_ID = "00000000-0000-4000-8000-000000000001"
_EXAMPLE_AT = datetime(2000, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)


@frozen
class PageLimits:
    """The rows and bytes of one page; a row that is larger than a page is not read."""

    rows_max: int = field(default=ROWS_MAX, validator=[validators.ge(1), validators.le(ROWS_MAX)])
    bytes_max: int = field(default=8 * 1024 * 1024, validator=validators.ge(1))


@frozen
class RowKind:
    """What ordinary rows of one kind share."""

    language_title: str
    user_id: str | None
    compile_options: str | None = field(repr=False)
    compile_status: str | None
    compile_error: str | None = field(repr=False)
    metadata: str | None = field(repr=False)
    has_hash: bool
    """Whether `script_hash` is not null."""
    is_expired: bool

    @property
    def script(self) -> Script:
        """The script of the example. It depends on the texts of the kind, so none of them has its hash."""
        return Script.of(Script.of(repr(astuple(self)), sys.maxsize).hash, sys.maxsize)

    def example(self) -> tuple[SourceSession, datetime]:
        """Return a row of this kind, and an instant at which it has just expired or is live."""
        script = self.script
        row = SourceSession(
            request_id=_EXAMPLE_ID,
            language_title=self.language_title,
            user_id=self.user_id,
            created_at=_EXAMPLE_AT,
            expires_at=_EXAMPLE_AT + _SECOND,
            last_executed_at=None,
            instants_fit=True,
            execution_count=0,
            status=ACTIVE,
            context="{}",
            script_content=script.source,
            script_hash=script.hash if self.has_hash else None,
            compile_options=self.compile_options,
            compile_status=self.compile_status,
            compile_error=self.compile_error,
            metadata=self.metadata,
            artifact_bytes=None,
        )
        return row, _EXAMPLE_AT + _SECOND if self.is_expired else _EXAMPLE_AT


@frozen
class OrdinaryRows:
    """Ordinary rows: their ids, the number of the kind of each, from 0 in `kinds`, and all else in `content`.

    Only the adapters know its form. It has what a session has of its own: its instants, count, context and script, and
    the hash of the script if the row has it.
    """

    ids: Sequence[str] = ()
    kinds: Sequence[RowKind] = ()
    kind_numbers: Sequence[int] = ()
    content: Any = field(default=None, repr=False)


@frozen
class RowPage:
    """Consecutive rows. `odd` are the ids of those that must be read whole, `large` of those larger than a page."""

    examined: int
    size_bytes: int
    cursor: JsonText
    """The cursor behind the last row."""
    odd: Sequence[str]
    large: Sequence[str]
    ordinary: OrdinaryRows = OrdinaryRows()
