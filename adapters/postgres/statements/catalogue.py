"""All statements: a field for each file of `sql/`, with its name."""

from functools import cache
from typing import get_type_hints

from attrs import frozen

from adapters.postgres.statements.administration import (
    AuditStatements,
    BucketStatements,
    CleanupStatements,
    ExplainStatements,
    InspectionStatements,
    MigrationStatements,
    OwnerStatements,
    PurgeStatements,
    StorageStatements,
)
from adapters.postgres.statements.calls import (
    ApiKeyStatements,
    ClockStatements,
    EgressRuleStatements,
    EnvironmentStatements,
    ExecutionStatements,
    FileStatements,
    FunctionStatements,
    KeyedCallStatements,
    LimitStatements,
    LiveOutputStatements,
    RuntimeHostStatements,
    SecretStatements,
    ServerStatements,
    SessionStatements,
    StateStatements,
    UsageStatements,
)
from adapters.postgres.statements.files import load
from adapters.postgres.statements.queue import (
    QueueClaimStatements,
    QueueEndStatements,
    QueueStatements,
    QueueStateStatements,
    QueueSweepStatements,
    ScheduleStatements,
    WebhookStatements,
)
from adapters.postgres.statements.takeover import (
    RecordingStatements,
    SessionReturnStatements,
    TakeoverStatements,
    VerificationStatements,
)


@frozen
class Statements:
    """All statements, by their file."""

    clock: ClockStatements
    server: ServerStatements
    sessions: SessionStatements
    executions: ExecutionStatements
    states: StateStatements
    files: FileStatements
    keyed_calls: KeyedCallStatements
    queue: QueueStatements
    queue_claims: QueueClaimStatements
    queue_ends: QueueEndStatements
    queue_sweeps: QueueSweepStatements
    queue_states: QueueStateStatements
    schedules: ScheduleStatements
    live_output: LiveOutputStatements
    runtime_hosts: RuntimeHostStatements
    environments: EnvironmentStatements
    functions: FunctionStatements
    api_keys: ApiKeyStatements
    secrets: SecretStatements
    egress_rules: EgressRuleStatements
    owners: OwnerStatements
    purges: PurgeStatements
    audit: AuditStatements
    cleanup: CleanupStatements
    storage: StorageStatements
    limits: LimitStatements
    usage: UsageStatements
    takeover: TakeoverStatements
    recordings: RecordingStatements
    session_returns: SessionReturnStatements
    verification: VerificationStatements
    webhooks: WebhookStatements
    explain: ExplainStatements
    inspection: InspectionStatements
    migrations: MigrationStatements
    buckets: BucketStatements


@cache
def load_statements() -> Statements:
    """Read the SQL files, once in a process; raises StatementsDiffer if a statement is missing or unused."""
    return Statements(**{name: load(holder, f"{name}.sql") for name, holder in get_type_hints(Statements).items()})
