"""Sessions and executions as rows of the database."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from adapters.postgres.codec import array_literals
from domain.errors import Gone
from domain.executions.execution import Execution, OpenExecution, Payload
from domain.executions.ports import Admission, ExecutionRequest
from domain.identity import Owner, SessionRef
from domain.json_text import JsonText
from domain.scripts.language import Language, LanguageTitle
from domain.scripts.limits import Isolation, Limits
from domain.scripts.report import Outcome
from domain.scripts.script import Script
from domain.sessions.session import Renewal, Session

Row = Sequence[Any]

_LANGUAGES = {str(language): language for language in Language}
_ISOLATIONS = {str(isolation): isolation for isolation in Isolation}
_RENEWALS = {str(renewal): renewal for renewal in Renewal}


def session_of(row: Row) -> Session:
    """Return the session in the last columns of a row, which every statement has in the same order."""
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
    ) = row
    return Session(
        SessionRef(Owner(owner), session_id),
        LanguageTitle(_LANGUAGES[language], title),
        script_hash,
        JsonText(context),
        JsonText(metadata),
        Limits(timeout_ms, memory_mb, _ISOLATIONS[isolation]),
        _RENEWALS[renewal],
        *lifetime,
    )


def admission_of(call: ExecutionRequest, deadline_at: datetime, row: Row) -> Admission | Exception:
    """Return the admission, or what the domain's rule says of the session as it was judged."""
    session = session_of(row)
    try:
        session.require_live(call.started_at)
    except Gone as verdict:
        return verdict
    return Admission(OpenExecution(call.ref, call.execution_id, deadline_at), session)


def new_session_columns(calls: Sequence[tuple[Session, Script]]) -> Mapping[str, object]:
    """Return the parameters that insert sessions with their scripts."""
    sessions = [session for session, _ in calls]
    return {
        **key_columns([session.ref for session in sessions]),
        "languages": array_literals.texts(session.language_title.language for session in sessions),
        "titles": array_literals.texts(session.language_title.title for session in sessions),
        "script_hashes": array_literals.texts(session.script_hash for session in sessions),
        "timeouts_ms": array_literals.numbers(session.limits.timeout_ms for session in sessions),
        "memories_mb": array_literals.numbers(session.limits.memory_mb for session in sessions),
        "isolations": array_literals.texts(session.limits.isolation for session in sessions),
        "renewals": array_literals.texts(session.renewal for session in sessions),
        "ttls_seconds": array_literals.numbers(session.ttl_seconds for session in sessions),
        "expiries": array_literals.instants(session.expires_at for session in sessions),
        "expiries_max": array_literals.instants(session.expires_max_at for session in sessions),
        "contexts": array_literals.texts(session.context for session in sessions),
        "metadatas": array_literals.texts(session.metadata for session in sessions),
        "scripts": array_literals.texts(script.source for _, script in calls),
        "function_versions": array_literals.numbers(session.function_version for session in sessions),
    }


def changed_session_columns(calls: Sequence[tuple[Session, Session]]) -> Mapping[str, object]:
    """Return the parameters that replace sessions (as read, as changed)."""
    changed = [after for _, after in calls]
    return {
        **key_columns([session.ref for session in changed]),
        "versions_read": array_literals.numbers(read.version for read, _ in calls),
        "versions": array_literals.numbers(session.version for session in changed),
        "script_hashes": array_literals.texts(session.script_hash for session in changed),
        "renewals": array_literals.texts(session.renewal for session in changed),
        "ttls_seconds": array_literals.numbers(session.ttl_seconds for session in changed),
        "expiries": array_literals.instants(session.expires_at for session in changed),
        "closings": array_literals.instants(session.closed_at for session in changed),
        "contexts": array_literals.texts(_replaced(read.context, after.context) for read, after in calls),
        "metadatas": array_literals.texts(_replaced(read.metadata, after.metadata) for read, after in calls),
    }


def key_columns(keys: Sequence[SessionRef]) -> Mapping[str, object]:
    """Return the parameters that say which sessions are meant."""
    return {
        "request_ids": array_literals.uuids(key.session_id for key in keys),
        "owners": array_literals.texts(key.owner for key in keys),
    }


def execution_columns(executions: Sequence[Execution]) -> Mapping[str, object]:
    """Return the parameters that write executions into the history."""
    return {
        "outcomes": array_literals.texts(execution.outcome for execution in executions),
        "execution_times_ms": array_literals.numbers(execution.execution_time_ms for execution in executions),
        "cpu_times_ms": array_literals.numbers(execution.cpu_time_ms for execution in executions),
        "memory_usages_bytes": array_literals.numbers(execution.memory_usage_bytes for execution in executions),
        "cold_starts": array_literals.booleans(execution.cold_start for execution in executions),
        **_payload_columns("params", "params_lengths", [execution.params for execution in executions]),
        **_payload_columns("results", "results_lengths", [execution.result for execution in executions]),
        **_payload_columns("errors", "errors_lengths", [execution.error for execution in executions]),
        **_payload_columns("stdouts", "stdouts_lengths", [execution.stdout for execution in executions]),
        **_payload_columns("stderrs", "stderrs_lengths", [execution.stderr for execution in executions]),
    }


def execution_of(ref: SessionRef, row: Row) -> Execution:
    """Return the execution in a row of a history page."""
    execution_id, outcome, count, execution_time_ms, cpu_time_ms, memory_usage_bytes, cold_start, *payloads = row
    texts, lengths = payloads[::2], payloads[1::2]
    return Execution(
        ref,
        execution_id,
        Outcome(outcome),
        count,
        execution_time_ms,
        cpu_time_ms,
        memory_usage_bytes,
        cold_start,
        *(None if text is None else Payload(text, length) for text, length in zip(texts, lengths, strict=True)),
    )


def _payload_columns(text: str, length: str, payloads: Sequence[Payload | None]) -> Mapping[str, object]:
    return {
        text: array_literals.texts(None if payload is None else payload.text for payload in payloads),
        length: array_literals.numbers(None if payload is None else payload.length for payload in payloads),
    }


def _replaced(read: JsonText, changed: JsonText) -> JsonText | None:
    """Return what is to be written; None leaves what is stored."""
    return None if changed == read else changed
