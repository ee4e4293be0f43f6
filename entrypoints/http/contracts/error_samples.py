"""One of each kind of error, as callers may get it."""

from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import UUID

from domain.access.credentials import CredentialMissing, CredentialRefused, JwksUnavailable
from domain.access.principal import Scope, ScopeMissing
from domain.errors import (
    DomainError,
    FieldTooLarge,
    Overloaded,
    Problem,
    QuotaReached,
    RuntimeUnavailable,
    ShuttingDown,
    StorageUnavailable,
)
from domain.executions.execution import ExecutionFailed, ExecutionLost, ExecutionNotFound, ExecutionNotStored
from domain.functions.function import FunctionConditionFailed, FunctionConflict, FunctionNotFound
from domain.functions.schema import FunctionVersionNotFound, ParamsRefused, SchemaUnusable
from domain.idempotency import IdempotencyConflict, KeyInFlight, KeyInterrupted
from domain.json_text import JsonText
from domain.limits.rate import RateLimited, RatePolicy, RateVerdict
from domain.scripts.language import InvalidLanguageTitle, Language, LanguageNotServed, LanguageTitle
from domain.scripts.report import ExecutionUnknown, Failure, FailureCode, ScriptReport
from domain.scripts.script import ScriptSyntaxError, SyntaxFault
from domain.sessions.session import SessionClosed, SessionExpired, SessionNotFound, UpdateConflict, VersionMismatch
from entrypoints.http.contracts.error_codes import MEANINGS
from entrypoints.http.errors import HostNotAllowed, InvalidParams, UnsupportedMediaType, invalid

_ID = UUID("01a2101f-9ff2-79ec-8000-000000000001")
_RUN = UUID("01a2101f-a3da-7b64-8000-000000000002")
_AT = datetime(2026, 11, 25, 13, tzinfo=UTC)
_ADDER = LanguageTitle(Language.PYTHON, "adder")
_POLICY = RatePolicy("execute", 100, 60)
_REPORT = ScriptReport(JsonText("8"), None, 0.9, memory_usage_bytes=11_534_336, cpu_time_ms=0.6)
_LIMITS = {
    FailureCode.EXECUTION_TIMEOUT: (5000, 5003),
    FailureCode.CPU_LIMIT: (5000, 5001),
    FailureCode.MEMORY_LIMIT: (134_217_728, 134_217_728),
    FailureCode.OUTPUT_LIMIT: (1_048_576, 1_048_577),
    FailureCode.RESULT_TOO_LARGE: (1_048_576, 2_097_152),
}


def _failed(code: FailureCode) -> ExecutionFailed:
    limit, observed = _LIMITS.get(code, (None, None))
    name = "ZeroDivisionError" if code is FailureCode.SCRIPT_ERROR else None
    message = "division by zero" if name else MEANINGS[code]
    failure = Failure(code, message, name, line=2 if name else None, limit=limit, observed=observed)
    return ExecutionFailed(_ID, _RUN, 1, ScriptReport(None, failure, 5.2, stdout="so far"), failure)


SAMPLES: tuple[DomainError, ...] = (
    HostNotAllowed("elsewhere.example"),
    invalid([Problem("/context", "must be an object"), Problem("/ttl_seconds", "must be at most 86400")]),
    invalid([Problem("/params/a", "is not a number that a double holds")], InvalidParams),
    InvalidLanguageTitle("calculator"),
    ScriptSyntaxError(SyntaxFault("invalid syntax", 3, 7)),
    CredentialMissing(),
    CredentialRefused("it has expired"),
    ScopeMissing((Scope.EXECUTE_ALL, Scope.EXECUTE_PYTHON)),
    SessionNotFound(),
    LanguageNotServed("ruby-adder"),
    FunctionNotFound(_ADDER),
    FunctionVersionNotFound(_ADDER, 1),
    FunctionConditionFailed(_ADDER, 2),
    FunctionConflict(),
    ParamsRefused((Problem("/params/a", "must be of type number"),), _ADDER, 1),  # type: ignore[arg-type]  # attrs' plugin cannot type a generic converter
    SchemaUnusable(_ADDER, 1, "/pattern: is no pattern that is taken here"),
    ExecutionNotFound(),
    UpdateConflict(),
    KeyInFlight(),
    KeyInterrupted(_RUN),
    IdempotencyConflict(),
    SessionExpired(_AT, _AT),
    SessionClosed(_AT),
    VersionMismatch(2),
    FieldTooLarge("/script_content", 1_048_576, 1_048_577),
    UnsupportedMediaType("content-type", "text/plain"),
    *(_failed(code) for code in FailureCode),
    QuotaReached("live_sessions", 1000, 1000),
    QuotaReached("concurrent_calls", 16, 16, "the sandbox", retry_after_ms=1000),
    RateLimited(_POLICY, RateVerdict(False, 0, 0, 600_000_000)),
    JwksUnavailable(),
    StorageUnavailable(stored="no", executed="no"),
    ExecutionLost(),
    ExecutionNotStored(_RUN, _REPORT),
    RuntimeUnavailable("python", "the sandbox is not there. Ask the operator to run `pglambda selftest`."),
    ExecutionUnknown("the runtime did not answer in time", _RUN),
    Overloaded("a worker"),
    ShuttingDown(),
)
"""One of each kind of error, as callers may get it."""


def samples_of(kinds: Iterable[type[DomainError]]) -> tuple[DomainError, ...]:
    """Return the samples of these kinds of errors; raises LookupError, saying what to add, where there is none."""
    wanted = tuple(dict.fromkeys(kinds))
    missing = [kind.__name__ for kind in wanted if not any(type(sample) is kind for sample in SAMPLES)]
    if missing:
        raise LookupError(f"Add a sample of {', '.join(missing)} to SAMPLES in {__name__}.")
    return tuple(sample for sample in SAMPLES if type(sample) in wanted)
