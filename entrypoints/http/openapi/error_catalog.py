"""The meaning of each error code, and a sample of each kind of error."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from uuid import UUID

from domain.access.credentials import CredentialMissing, CredentialRefused, JwksUnavailable
from domain.access.principal import FunctionsOfAnother, Scope, ScopeMissing
from domain.environments.environment import EnvironmentConflict, EnvironmentNotFound, EnvironmentNotReady
from domain.environments.lock import LockProblem
from domain.environments.service import BuildsUnavailable, InvalidLock
from domain.environments.tree import TreeUnavailable
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
from domain.files.file import DigestMismatch, FileExpired, FileNotFound, StorageFull
from domain.files.left import files_lost
from domain.functions.function import (
    FunctionConditionFailed,
    FunctionConflict,
    FunctionNotFound,
    FunctionVersionNotFound,
)
from domain.functions.schema import ParamsRefused, PinnedVersionNotFound, SchemaUnusable
from domain.grants.ceilings import EgressNotAllowed
from domain.grants.grants import GrantsUnknown
from domain.idempotency import IdempotencyConflict, KeyInFlight, KeyInterrupted
from domain.identity import Owner, SessionRef
from domain.json_text import JsonText
from domain.limits.rate import RateDecision, RateLimited, RatePolicy
from domain.queue.entry import CallbackNotFound, ResponsesNotKept, ScheduleRefused
from domain.queue.following import EventsNotKept
from domain.queue.state import EXPIRED, ExecutionNotEnded, ExecutionNotKept
from domain.schedules.schedule import ScheduleConflict, ScheduleElsewhere, ScheduleMismatch, ScheduleNotFound
from domain.schedules.timing import TimingRefused
from domain.scripts.files import refused
from domain.scripts.language import InvalidLanguageTitle, Language, LanguageNotServed, LanguageTitle
from domain.scripts.report import CANCELLED, ExecutionStatus, ExecutionUnknown, Failure, FailureCode, ScriptReport
from domain.scripts.script import ScriptSyntaxError, SyntaxFault
from domain.secrets.run import STATE_HOLDS_SECRET
from domain.secrets.secret import SecretConflict, SecretNotAllowed, SecretNotFound, without_key
from domain.sessions.session import SessionClosed, SessionExpired, SessionNotFound, UpdateConflict, VersionMismatch
from domain.states.limits import StateFault, StateFaultKind
from domain.states.state import StateKeyNotFound, StateMismatch, StateNotFound, StateRefused, StateTaken
from domain.storage.faults import StorageFault
from domain.webhooks.delivery import DeliveryNotFound
from domain.webhooks.webhook import (
    DisabledReason,
    WebhookConflict,
    WebhookDisabled,
    WebhookNotFound,
    WebhooksUnavailable,
)
from entrypoints.http.errors import (
    INTERNAL_ERROR,
    HostNotAllowed,
    InvalidParams,
    RangeNotSatisfiable,
    UnsupportedMediaType,
    invalid,
)

MEANINGS: Mapping[str, str] = {
    "CONFLICT": "another call changed it first, or the first call with the Idempotency-Key has not ended, or the "
    "execution of details.running writes the state of the session",
    "CPU_LIMIT": "the script used more CPU time than its limit",
    "DELIVERY_NOT_FOUND": "this owner has no such message to a webhook, or it is kept no longer",
    "EGRESS_NOT_ALLOWED": "the script would reach a host that EGRESS_RULES do not allow to the owner of the session",
    "ENVIRONMENT_NOT_FOUND": "there is no such environment, or the owner of the session may not use it",
    "ENVIRONMENT_NOT_READY": "the environment is not built yet, could not be built, or is retired",
    "EXECUTION_CANCELLED": "the execution was cancelled; details.stdout has what its script wrote until then",
    "EXECUTION_EXPIRED": "the execution did not start in time, so its script never ran",
    "EXECUTION_NOT_FOUND": "the history has no such execution of this owner, or no longer has it",
    "EXECUTION_TIMEOUT": "the script ran longer than its limit, and its sandbox was killed",
    "EXPECTATION_FAILED": "the header Expect has something else than 100-continue",
    "FILES_LOST": "the script ran, and the files that it left could not be stored, so none was kept",
    "FILES_REFUSED": "a file that the script left cannot be collected, so none was",
    "FILES_TOO_LARGE": "the script left more files, or larger ones, than its limit, so none was collected",
    "FILE_DIGEST_MISMATCH": "the body does not have the SHA-256 that Content-Digest declares, so nothing was stored",
    "FILE_EXPIRED": "the file was kept for its time, and has expired",
    "FILE_NOT_FOUND": "this owner has no such file, or it was removed",
    "FORBIDDEN": "the token or key does not have a required scope, or the function belongs to another owner",
    "FUNCTION_NOT_FOUND": "the request has no script, and no function is registered under the title, for the caller or "
    "as a shared one; or the version of the session is no longer stored",
    "FUNCTION_VERSION_NOT_FOUND": "the function has no such version, or no longer keeps it; details.kept_versions has "
    "those that it keeps",
    "IDEMPOTENCY_CONFLICT": "the Idempotency-Key was used for a call with another payload",
    INTERNAL_ERROR: "the server failed because of a bug; the log has the cause under the error_id",
    "INVALID_LANGUAGE_TITLE": "the language-title does not have the required form",
    "INVALID_LOCK": "the lock of the environment is not accepted; details.problems has the lines",
    "INVALID_PARAMS": "the params are not valid for the script",
    "INVALID_REQUEST": "the request is not valid; details.problems has each problem with its JSON pointer",
    "KEYS_UNAVAILABLE": "the keys that verify tokens cannot be fetched now",
    "MEMORY_LIMIT": "the script used more memory than its limit",
    "METHOD_NOT_ALLOWED": "the path does not accept the method; Allow lists its methods",
    "NOT_FOUND": "no route has this path",
    "OUTPUT_LIMIT": "the script wrote more output than its limit",
    "OVERLOADED": "too many calls are waiting, and this one did not begin",
    "PAYLOAD_TOO_LARGE": "the body, or a field of it, is larger than its limit",
    "PRECONDITION_FAILED": "the current version is not one of If-Match, or it exists although If-None-Match forbids it",
    "PROCESS_LIMIT": "the script tried to start a process",
    "RANGE_NOT_SATISFIABLE": "the range begins behind the end of the content, whose size Content-Range says",
    "RATE_LIMITED": "the caller has used up a rate limit, a quota or its fair share",
    "RESULT_NOT_SERIALIZABLE": "the result cannot be written as JSON",
    "RESULT_TOO_LARGE": "the result is larger than its limit",
    "RUNTIME_NOT_FOUND": "the service does not run this language",
    "RUNTIME_UNAVAILABLE": "no sandbox or runtime host can run the script, or the host ended its worker; "
    "details.executed says whether the script may have run",
    "SCHEDULE_NOT_FOUND": "this owner has no such schedule",
    "SCRIPT_ERROR": "the script raised an error",
    "SCRIPT_EXITED": "the script ended its process",
    "SCRIPT_SYNTAX_ERROR": "the script has a syntax error",
    "SECRETS_UNAVAILABLE": "the operator has not set SECRETS_KEY, or no longer has the key that sealed the secret",
    "SECRET_NOT_ALLOWED": "the secret is limited to functions, and the session is not pinned to one of them",
    "SECRET_NOT_FOUND": "the owner of the session has no such secret",
    "SESSION_CLOSED": "the session was closed",
    "SESSION_EXPIRED": "the session has expired",
    "SESSION_NOT_FOUND": "this owner has no such session, or its retention has ended",
    "SHUTTING_DOWN": "this process is about to stop and accepts no calls",
    "STATE_HOLDS_SECRET": "the state that the script left holds the value of a secret, so nothing was saved",
    "STATE_NOT_FOUND": "no state was granted to the session, or the state has no such key",
    "STATE_NOT_SERIALIZABLE": "the state that the script left cannot be written as JSON, so nothing was saved",
    "STATE_TOO_LARGE": "the state, or a part of it, is larger than its limit, so nothing was saved",
    "STORAGE_FULL": "the files of all owners take the space that they may take",
    "STORAGE_UNAVAILABLE": "the database did not respond in time, or does not serve for the details.reason; "
    "details.stored says whether a write is stored; "
    "details.bucket names the part of a distributed database that is away",
    "UNAUTHORIZED": "the request has no valid token or key",
    "UNSUPPORTED_MEDIA_TYPE": "the headers do not declare the body as JSON in UTF-8",
    "WEBHOOK_DISABLED": "the webhook is disabled, so nothing is sent to it",
    "WEBHOOKS_UNAVAILABLE": "the operator has not set WEBHOOK_KEY, without which there are no secrets",
    "WEBHOOK_NOT_FOUND": "this owner has no such webhook",
}
"""The meaning of each code."""

_ID = UUID("01a2101f-9ff2-79ec-8000-000000000001")
_KEY = "order 4711"
_DIGEST = "492d5ea496056f1a6a6592241032fab764c321596317930b4fa0e1e8bc3b7470"
_OTHER_DIGEST = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
_RUN = UUID("01a2101f-a3da-7b64-8000-000000000002")
_AT = datetime(2026, 11, 25, 13, tzinfo=UTC)
_ADDER = LanguageTitle(Language.PYTHON, "adder")
_POLICY = RatePolicy("execute", 100, 60)
_REPORT = ScriptReport(JsonText("8"), None, 0.9, memory_usage_bytes=11_534_336, cpu_time_ms=0.6)
_FAILURES: Mapping[FailureCode, Failure] = {
    failure.code: failure
    for failure in (
        Failure(FailureCode.SCRIPT_ERROR, "division by zero", "ZeroDivisionError", line=2),
        Failure(FailureCode.SCRIPT_EXITED, "The script ended its process with exit code 3. Return a value instead."),
        Failure(
            FailureCode.EXECUTION_TIMEOUT,
            "The script was still running at its limit of 5000 ms and was stopped. Do less in one execution, or give "
            "the session a higher limits.timeout_ms.",
            limit=5000,
            observed=5003,
        ),
        Failure(
            FailureCode.CPU_LIMIT,
            "The script was stopped because its threads had used more than 10000 ms of CPU time together. Compute less "
            "in one execution, or give the session a higher limits.timeout_ms, which this limit follows.",
            limit=10_000,
            observed=10_021,
        ),
        Failure(
            FailureCode.MEMORY_LIMIT,
            "The script needed more memory than its limit of 128 MiB. Use less, or give the session a higher "
            "limits.memory_mb.",
            limit=134_217_728,
            observed=134_217_728,
        ),
        Failure(
            FailureCode.OUTPUT_LIMIT,
            "The script was stopped because it wrote more than 262144 bytes to stdout or stderr. Write less.",
            limit=262_144,
        ),
        Failure(
            FailureCode.PROCESS_LIMIT,
            "A script cannot start processes, and can have 32 threads at most. Use fewer threads. can't start new "
            "thread",
            "RuntimeError",
            limit=32,
        ),
        Failure(
            FailureCode.RESULT_NOT_SERIALIZABLE,
            "The result is nested too deeply: more than 99 levels, as many as params may have. Return a flatter value.",
        ),
        Failure(
            FailureCode.RESULT_TOO_LARGE,
            "The result has 2097152 bytes as JSON; at most 1048576 are allowed. Return less.",
            limit=1_048_576,
            observed=2_097_152,
        ),
        refused("it is no regular file, or lies in more than 7 folders", "plots/latest"),
        Failure(
            FailureCode.FILES_TOO_LARGE,
            "The script left files of 20971520 bytes below /files/out, and 16777216 are allowed (files.size_mb), so "
            "none was collected. Write less, or remove what nobody needs.",
            limit=16_777_216,
            observed=20_971_520,
        ),
        files_lost(QuotaReached("stored_file_bytes", 1_073_741_824, 1_073_807_360)),
        Failure(
            FailureCode.STATE_NOT_SERIALIZABLE,
            "state['seen'] is a value of type set, which JSON cannot hold.",
        ),
        Failure(
            FailureCode.STATE_TOO_LARGE,
            "The state has 300000 bytes as JSON; at most 262144 are allowed. Keep less in it.",
            limit=262_144,
            observed=300_000,
        ),
        STATE_HOLDS_SECRET,
        CANCELLED,
        EXPIRED.failure,
    )
    if failure is not None
}


def failure_sample(code: FailureCode) -> ExecutionFailed:
    """Return the error of an execution that failed in this way, with the message of the sandbox."""
    failure = _FAILURES[code]
    return ExecutionFailed(_ID, _RUN, 1, ScriptReport(None, failure, 5.2, stdout="so far"), failure)


SAMPLES: tuple[DomainError, ...] = (
    HostNotAllowed("elsewhere.example"),
    invalid([Problem("/context", "must be an object"), Problem("/ttl_seconds", "must be at most 86400")]),
    invalid([Problem("/params/a", "must be a number within the range of a double")], InvalidParams),
    InvalidLanguageTitle("calculator"),
    ScriptSyntaxError(SyntaxFault("invalid syntax", 3, 7)),
    CredentialMissing(),
    CredentialRefused("it has expired"),
    EgressNotAllowed(Owner("alice"), "api.example.com:443", 0),
    InvalidLock([LockProblem(2, "numpy has no --hash")]),
    EnvironmentNotFound("data", 3),
    EnvironmentNotReady("data", 3, "building"),
    EnvironmentConflict("data"),
    BuildsUnavailable(Language.PYTHON),
    TreeUnavailable("0" * 64, "they are being fetched. Repeat the call after a moment."),
    ScopeMissing((Scope.EXECUTE_ALL, Scope.EXECUTE_PYTHON)),
    SessionNotFound(),
    FileNotFound(),
    FileExpired(_AT),
    DigestMismatch(_DIGEST, _OTHER_DIGEST),
    StorageFull(21_474_836_480, 21_474_800_000),
    RangeNotSatisfiable(8),
    WebhookNotFound(),
    DeliveryNotFound(),
    WebhookConflict(),
    WebhookDisabled(DisabledReason.FAILING),
    WebhooksUnavailable(),
    SecretNotFound("API_KEY"),
    SecretNotAllowed("API_KEY", ("alice/python-adder",)),
    SecretConflict(),
    without_key(),
    LanguageNotServed("ruby-adder"),
    FunctionsOfAnother(Owner("bob")),
    FunctionNotFound(_ADDER),
    FunctionVersionNotFound(Owner("alice"), _ADDER, 3, [25, 24]),
    PinnedVersionNotFound(_ADDER, 1),
    FunctionConditionFailed(_ADDER, 2),
    FunctionConflict(),
    ParamsRefused((Problem("/params/a", "must be of type number"),), _ADDER, 1),  # type: ignore[arg-type]  # attrs' plugin cannot type a generic converter
    SchemaUnusable(_ADDER, 1, "/pattern: is not a supported pattern"),
    GrantsUnknown(("network",)),
    ExecutionNotFound(),
    ExecutionNotEnded(_RUN, ExecutionStatus.RUNNING),
    ExecutionNotKept(_RUN),
    ResponsesNotKept(),
    EventsNotKept(_RUN),
    CallbackNotFound(_ID),
    ScheduleRefused("its delay of 31 days is not between 0 and 30 days."),
    TimingRefused("its time zone is unknown here. Use a name of the IANA database, such as Europe/Berlin, or UTC."),
    ScheduleNotFound(),
    ScheduleMismatch(2),
    ScheduleConflict(),
    ScheduleElsewhere(SessionRef(Owner("alice"), _ID)),
    UpdateConflict(),
    KeyInFlight(_KEY, _ID, execution_id=_RUN),
    KeyInterrupted(_KEY, _ID, _RUN),
    IdempotencyConflict(_KEY, _ID),
    SessionExpired(_AT, _AT),
    SessionClosed(_AT),
    VersionMismatch(2),
    StateNotFound(),
    StateKeyNotFound("count"),
    StateMismatch(2),
    StateTaken(_RUN),
    StateRefused(
        StateFault(
            StateFaultKind.TOO_LARGE,
            "The state has 1,001 keys, and at most 1,000 are allowed. Keep less in it.",
            1000,
            1001,
        )
    ),
    FieldTooLarge("/script_content", 1_048_576, 1_048_577),
    UnsupportedMediaType("content-type", "text/plain"),
    *(failure_sample(code) for code in FailureCode),
    QuotaReached("live_sessions", 1000, 1000),
    QuotaReached("schedules", 100, 100),
    QuotaReached("stored_file_bytes", 1_073_741_824, 1_073_800_000),
    QuotaReached("concurrent_calls", 16, 16, "the sandbox", retry_after_ms=1000),
    RateLimited(_POLICY, RateDecision(False, 0, 0, 600_000_000)),
    JwksUnavailable(),
    StorageUnavailable(stored="no", executed="no"),
    StorageUnavailable.of(StorageFault.SCHEMA_MISSING, stored="no", executed="no"),
    ExecutionLost(),
    ExecutionNotStored(_RUN, _REPORT),
    RuntimeUnavailable("python", "the sandbox does not work. Ask the operator to run `pglambda selftest`."),
    ExecutionUnknown("the runtime did not respond in time", _RUN),
    Overloaded("a worker"),
    ShuttingDown(),
)
"""One error of each kind, as callers may get it."""


def samples_of(kinds: Iterable[type[DomainError]]) -> tuple[DomainError, ...]:
    """Return the samples of these kinds of errors; raises LookupError if one has no sample."""
    wanted = tuple(dict.fromkeys(kinds))
    missing = [kind.__name__ for kind in wanted if not any(type(sample) is kind for sample in SAMPLES)]
    if missing:
        raise LookupError(f"Add a sample of {', '.join(missing)} to SAMPLES in {__name__}.")
    return tuple(sample for sample in SAMPLES if type(sample) in wanted)
