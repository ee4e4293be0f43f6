"""Copies as parameters of statements, and as rows that a COPY stores."""

from collections.abc import Iterable, Sequence
from itertools import accumulate

from adapters.copied_rows import COPY_END, COPY_HEAD, CopiedRows, columns, sent_fields
from adapters.postgres import codec
from adapters.postgres.connections.connection import SentValue
from domain.takeover.moving import InboundSession
from domain.takeover.ordinary import OrdinaryRows

_UUID, _INTEGER, _INSTANT, _BIGINT, _TEXT = 2950, 23, 1184, 20, 25
"""OIDs of PostgreSQL's types."""

_COLUMNS = (
    "request_ids",
    "owners",
    "languages",
    "titles",
    "script_hashes",
    "timeouts_ms",
    "memories_mb",
    "isolations",
    "renewals",
    "ttls_seconds",
    "created_ats",
    "expiries",
    "expiries_max",
    "closings",
    "executions",
    "counts",
    "versions",
    "conventions",
    "function_ids",
    "function_versions",
    "contexts",
    "metadatas",
    "spelled_titles",
    "user_ids",
    "leftovers",
)
"""The parameters of copies, in the order of `_texts`; the script follows."""


def _texts(inbound: InboundSession) -> tuple[str | None, ...]:
    """Return what is stored of a copy beside its script, as texts that PostgreSQL reads."""
    session, limits, original = inbound.session, inbound.session.limits, inbound.original
    return (
        session.ref.session_id.hex,
        session.ref.owner,
        session.language_title.language,
        session.language_title.title,
        session.script_hash,
        str(limits.timeout_ms),
        str(limits.memory_mb),
        limits.isolation,
        session.renewal,
        str(session.ttl_seconds),
        session.created_at.isoformat(),
        session.expires_at.isoformat(),
        session.expires_max_at.isoformat(),
        None if session.closed_at is None else session.closed_at.isoformat(),
        None if session.last_executed_at is None else session.last_executed_at.isoformat(),
        str(session.execution_count),
        str(session.version),
        session.convention,
        None if session.function_id is None else session.function_id.hex,
        None if session.function_version is None else str(session.function_version),
        session.context,
        session.metadata,
        original.spelled_title,
        original.user_id,
        original.leftovers,
    )


def columns_of(inbound: Sequence[InboundSession]) -> dict[str, object]:
    """Return the parameters of copies."""
    rows = [_texts(each) for each in inbound]
    columns = zip(*rows, strict=True) if rows else [()] * len(_COLUMNS)
    return {
        **{name: codec.texts(column) for name, column in zip(_COLUMNS, columns, strict=True)},
        "scripts": codec.texts(None if each.script is None else each.script.source for each in inbound),
    }


_OWN_COLUMNS = {
    "request_ids": _UUID,
    "ttls_seconds": _INTEGER,
    "created_ats": _INSTANT,
    "expiries": _INSTANT,
    "expiries_max": _INSTANT,
    "executions": _INSTANT,
    "counts": _BIGINT,
    "contexts": _TEXT,
    "scripts": _TEXT,
}
"""The parameters of what a row has of its own, in the order of its fields, with the OIDs of their types."""


_SAMPLE = 8


def kind_columns(rows: OrdinaryRows, copies: Sequence[InboundSession | None]) -> dict[str, object]:
    """Return the parameters of `receive_inbound` for rows that share what their kinds have."""
    copied: CopiedRows = rows.content
    numbers = accumulate(int(copy is not None) for copy in copies)
    kinds = [0 if copy is None else number for copy, number in zip(copies, numbers, strict=True)]
    hashes = [kind.script.hash for kind, copy in zip(rows.kinds, copies, strict=True) if copy is not None]
    own = zip(_OWN_COLUMNS, columns(copied.tails, list(_OWN_COLUMNS.values())), strict=True)
    return {
        **columns_of([copy for copy in copies if copy is not None]),
        **{name: SentValue(column) for name, column in own},
        "own_hashes": codec.texts(None if each is None else each.decode() for each in copied.own_hashes),
        "kinds": codec.numbers(kinds[number] for number in rows.kind_numbers),
        "example_hashes": codec.texts(hashes),
        "waits": False,
    }


def hexadecimal_ids(rows: OrdinaryRows, numbers: Iterable[int]) -> str:
    """Return a literal of `uuid[]` with the ids of some rows."""
    copied: CopiedRows = rows.content
    return "{" + copied.id_bytes(numbers).hex(",", 16) + "}"


def sample_of(numbers: Sequence[int]) -> Sequence[int]:
    """Return a few of these numbers of rows, from the first one on at equal distances."""
    return numbers[:: max(1, len(numbers) // _SAMPLE)]


def loaded_rows(rows: OrdinaryRows, copies: Sequence[InboundSession | None]) -> bytes:
    """Return what `load_inbound` stores: of each row what its kind has, and then its own fields as they came.

    A kind has the hash of its example where a row has its own, of the same length.
    """
    copied: CopiedRows = rows.content
    fronts = [None if copy is None else _front(copy) for copy in copies]
    hashes = [kind.script.hash.encode() for kind in rows.kinds]
    parts: list[bytes | memoryview] = [COPY_HEAD]
    for number, tail, own_hash in zip(rows.kind_numbers, copied.tails, copied.own_hashes, strict=True):
        front = fronts[number]
        if front is not None:
            parts += (front if own_hash is None else front.replace(hashes[number], own_hash), tail)
    return b"".join([*parts, COPY_END])


def _front(copy: InboundSession) -> bytes:
    """Return the number of fields of a row, and those that all rows of a kind share."""
    session, limits, original = copy.session, copy.session.limits, copy.original
    texts = (session.ref.owner, session.language_title.language, session.language_title.title)
    numbers = (_integer(limits.timeout_ms), _integer(limits.memory_mb))
    values = [
        *(each.encode() for each in texts),
        *numbers,
        limits.isolation.encode(),
        session.renewal.encode(),
        session.version.to_bytes(8, "big"),
        session.convention.encode(),
        session.metadata.encode(),
        original.spelled_title.encode(),
        None if original.user_id is None else original.user_id.encode(),
        original.leftovers.encode(),
    ]
    return (len(values) + len(_OWN_COLUMNS)).to_bytes(2, "big") + sent_fields(values)


def _integer(value: int) -> bytes:
    return value.to_bytes(4, "big")
