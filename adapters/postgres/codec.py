"""Values and entities as parameters of statements and as rows, and the partitions of the history by day.

The columns of a batch are array literals. For an array the driver would choose a type by its values (small numbers,
large numbers, only nulls), and for the server each choice would be a statement of its own. A literal has the one
type that the statement states.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from domain.audit import Act
from domain.executions.execution import Execution, Payload
from domain.grants.grants import Grants
from domain.identity import Owner, SessionRef, is_own_id, uuid7_at, uuid7_ms
from domain.json_text import JsonText
from domain.scripts.convention import Convention
from domain.scripts.language import Language, LanguageTitle
from domain.scripts.limits import Isolation, Limits
from domain.scripts.report import ExecutionStatus
from domain.scripts.script import Script
from domain.sessions.session import Renewal, Session

Row = Sequence[Any]

PARTITIONS = 32
"""Days in the ring of the history; the table has a partition for each."""

FILE_SLOTS = 9
"""Days in the ring of files; their tables have a partition for each."""

_MS_PER_DAY = 86_400_000
_FIRST_DATE = date(1970, 1, 1)

_LANGUAGES = {str(language): language for language in Language}
_ISOLATIONS = {str(isolation): isolation for isolation in Isolation}
_CONVENTIONS = {str(convention): convention for convention in Convention}
_RENEWALS = {str(renewal): renewal for renewal in Renewal}
_MICROSECOND = timedelta(microseconds=1)


def uuids(values: Iterable[UUID | None]) -> str:
    """Return a literal of `uuid[]`."""
    return "{" + ",".join(["NULL" if value is None else value.hex for value in values]) + "}"


def texts(values: Iterable[str | None]) -> str:
    """Return a literal of `text[]`."""
    known = list(values)
    if not known or None in known:
        return "{" + ",".join(["NULL" if value is None else f'"{_escaped(value)}"' for value in known]) + "}"
    # No text has a NUL character, so all of them are escaped at once.
    return '{"' + _escaped("\0".join(known)).replace("\0", '","') + '"}'  # type: ignore[arg-type]  # None is not among them


def binaries(values: Iterable[bytes]) -> str:
    """Return a literal of `bytea[]`."""
    return "{" + ",".join([f'"\\\\x{value.hex()}"' for value in values]) + "}"


def numbers(values: Iterable[float | None]) -> str:
    """Return a literal of an array of integers or of double precision."""
    return "{" + ",".join(["NULL" if value is None else repr(value) for value in values]) + "}"


def booleans(values: Iterable[bool | None]) -> str:
    """Return a literal of `boolean[]`."""
    return "{" + ",".join(["NULL" if value is None else "t" if value else "f" for value in values]) + "}"


def instants(values: Iterable[datetime | None]) -> str:
    """Return a literal of `timestamptz[]`."""
    return "{" + ",".join(["NULL" if value is None else f'"{value.isoformat()}"' for value in values]) + "}"


def intervals(values: Iterable[timedelta]) -> str:
    """Return a literal of `interval[]`, exact to the microsecond."""
    return "{" + ",".join([f'"{value // _MICROSECOND} us"' for value in values]) + "}"


def ref_columns(refs: Sequence[SessionRef]) -> dict[str, object]:
    """Return the parameters that name sessions."""
    return {
        "request_ids": uuids(ref.session_id for ref in refs),
        "owners": texts(ref.owner for ref in refs),
    }


def act_columns(act: Act) -> dict[str, object]:
    """Return the parameters that record an act."""
    return {"act_id": act.act_id, "actor": act.actor.name, "origin": act.actor.origin, "act": act.name}


def new_session_columns(sessions: Sequence[Session], scripts: Sequence[Script]) -> dict[str, object]:
    """Return the parameters that insert sessions with their scripts."""
    return {
        **ref_columns([session.ref for session in sessions]),
        "languages": texts(session.language_title.language for session in sessions),
        "titles": texts(session.language_title.title for session in sessions),
        "script_hashes": texts(session.script_hash for session in sessions),
        "timeouts_ms": numbers(session.limits.timeout_ms for session in sessions),
        "memories_mb": numbers(session.limits.memory_mb for session in sessions),
        "isolations": texts(session.limits.isolation for session in sessions),
        "renewals": texts(session.renewal for session in sessions),
        "ttls_seconds": numbers(session.ttl_seconds for session in sessions),
        "expiries": instants(session.expires_at for session in sessions),
        "expiries_max": instants(session.expires_max_at for session in sessions),
        "contexts": texts(session.context for session in sessions),
        "metadatas": texts(session.metadata for session in sessions),
        "scripts": texts(script.source for script in scripts),
        "function_versions": numbers(session.function_version for session in sessions),
        "function_ids": uuids(session.function_id for session in sessions),
        "conventions": texts(session.convention for session in sessions),
        "grants": texts(None if session.grants is None else session.grants.text() for session in sessions),
    }


def session_of(row: Row) -> Session:
    """Return the session in the last columns of a row, which all statements have in the same order."""
    (
        session_id,
        owner,
        language,
        title,
        script_hash,
        context,
        metadata,
        timeout_ms,
        memory_mb,
        isolation,
        renewal,
        *lifetime,
        convention,
        created_at,
        grants,
    ) = row
    return Session(
        SessionRef(Owner(owner), session_id),
        LanguageTitle(_LANGUAGES[language], title),
        script_hash,
        JsonText(context),
        JsonText(metadata),
        Limits(timeout_ms, memory_mb, _ISOLATIONS[isolation]),
        _RENEWALS[renewal],
        *(*lifetime, _CONVENTIONS[convention], created_at, None if grants is None else Grants.of(grants)),
    )


def history_columns(executions: Sequence[Execution]) -> dict[str, object]:
    """Return the parameters that write rows of the history."""
    return {
        "outcomes": texts(execution.status for execution in executions),
        "execution_times_ms": numbers(execution.execution_time_ms for execution in executions),
        "cpu_times_ms": numbers(execution.cpu_time_ms for execution in executions),
        "memory_usages_bytes": numbers(execution.memory_usage_bytes for execution in executions),
        "cold_starts": booleans(execution.cold_start for execution in executions),
        **_payload_columns("params", "params_lengths", [execution.params for execution in executions]),
        **_payload_columns("results", "results_lengths", [execution.result for execution in executions]),
        **_payload_columns("errors", "errors_lengths", [execution.error for execution in executions]),
        **_payload_columns("stdouts", "stdouts_lengths", [execution.stdout for execution in executions]),
        **_payload_columns("stderrs", "stderrs_lengths", [execution.stderr for execution in executions]),
    }


def execution_of(ref: SessionRef, row: Row) -> Execution:
    """Return the execution in a row of the history."""
    execution_id, outcome, count, execution_time_ms, cpu_time_ms, memory_usage_bytes, cold_start, *payloads, uses = row
    payload_texts, lengths = payloads[::2], payloads[1::2]
    return Execution(
        ref,
        execution_id,
        ExecutionStatus(outcome),
        count,
        execution_time_ms,
        cpu_time_ms,
        memory_usage_bytes,
        cold_start,
        *(None if text is None else Payload(text, length) for text, length in zip(payload_texts, lengths, strict=True)),
        uses=uses,
    )


def _payload_columns(text: str, length: str, payloads: Sequence[Payload | None]) -> Mapping[str, object]:
    return {
        text: texts(None if payload is None else payload.text for payload in payloads),
        length: numbers(None if payload is None else payload.length for payload in payloads),
    }


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


def day_of(identifier: UUID) -> int:
    """Return the day of the time in an id, in UTC, counted from 1970-01-01."""
    return uuid7_ms(identifier) // _MS_PER_DAY


def first_day_of(session_id: UUID, now: datetime) -> int:
    """Return a day before which the session has no executions, counted from 1970-01-01; 0 if its id does not say."""
    day = day_of(session_id)
    return day if is_own_id(session_id) and day <= day_at(now) else 0


def day_at(now: datetime) -> int:
    """Return the day of an instant, in UTC, counted from 1970-01-01."""
    return day_of(uuid7_at(now, 0))


def date_of(day: int) -> date:
    """Return the date of a day that is counted from 1970-01-01."""
    return _FIRST_DATE + timedelta(days=day)


def day_number(day: date) -> int:
    """Return the number of days from 1970-01-01 to a date."""
    return (day - _FIRST_DATE).days


def partition_of(identifier: UUID) -> int:
    """Return the number of the partition to which an execution's row belongs."""
    return day_of(identifier) % PARTITIONS


def file_slot_of(file_id: UUID) -> int:
    """Return the number of the partition to which a file belongs."""
    return day_of(file_id) % FILE_SLOTS


def first_id_of(day: int) -> UUID:
    """Return the least UUIDv7 of a day."""
    return UUID(int=day * _MS_PER_DAY << 80 | 0x7 << 76 | 0b10 << 62)


def partitions_between(first_day: int, last_day: int) -> Iterator[int]:
    """Yield the partitions of these days, the latest first; if there are more days than partitions, the latest ones."""
    for day in range(last_day, max(first_day, last_day - PARTITIONS + 1) - 1, -1):
        yield day % PARTITIONS
