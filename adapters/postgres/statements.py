"""All statements, by name, as the SQL files contain them."""

from functools import cache
from typing import TypeVar

from attrs import field, fields, frozen

from adapters.postgres.connections.connection import Statement
from adapters.sql_files import read_statements

Holder = TypeVar("Holder")

_UNPREPARED = {"prepare": False}
"""Planned for each set of values."""


@frozen
class ClockStatements:
    """Statements of `clock.sql`."""

    select_clock: Statement


@frozen
class ServerStatements:
    """Statements of `server.sql`."""

    select_connections_max: Statement
    try_write: Statement


@frozen
class SessionStatements:
    """Statements of `sessions.sql`."""

    insert_sessions: Statement
    open_hidden_sessions: Statement
    select_hidden_sessions: Statement
    select_key_holder: Statement
    select_sessions: Statement
    select_session_owner: Statement
    select_scripts: Statement
    update_sessions: Statement
    select_session_page: Statement


@frozen
class ExecutionStatements:
    """Statements of `executions.sql`; those that name partitions are planned for these partitions alone."""

    begin_executions: Statement
    delete_open_executions: Statement
    finish_executions: Statement
    select_execution_counts: Statement = field(metadata=_UNPREPARED)
    select_execution_page: Statement = field(metadata=_UNPREPARED)
    select_execution: Statement = field(metadata=_UNPREPARED)
    select_overdue_execution: Statement


@frozen
class KeyedCallStatements:
    """Statements of `keyed_calls.sql`."""

    begin_keyed_executions: Statement
    withdraw_keyed_executions: Statement
    finish_keyed_executions: Statement
    insert_keyed_sessions: Statement
    select_keyed_sessions: Statement


@frozen
class QueueStatements:
    """Statements of `queue.sql`."""

    accept_executions: Statement
    fence_accepts: Statement = field(metadata=_UNPREPARED)


@frozen
class QueueClaimStatements:
    """Statements of `queue_claims.sql`."""

    claim_executions: Statement
    put_back_executions: Statement
    select_claimed: Statement


@frozen
class QueueEndStatements:
    """Statements of `queue_ends.sql`."""

    finish_queued_executions: Statement
    cancel_executions: Statement
    request_cancel: Statement
    request_cancels: Statement
    erase_execution: Statement = field(metadata=_UNPREPARED)


@frozen
class QueueSweepStatements:
    """Statements of `queue_sweeps.sql`."""

    select_expired_entries: Statement
    select_entries_of: Statement
    select_blocking_entries: Statement
    end_entries: Statement
    move_overdue_executions: Statement = field(metadata=_UNPREPARED)


@frozen
class QueueStateStatements:
    """Statements of `queue_states.sql`."""

    select_to_stop: Statement
    select_entry: Statement
    select_states: Statement
    select_open_execution: Statement
    select_kept_call: Statement
    select_state_page: Statement
    select_queue_facts: Statement
    select_all_queue_facts: Statement
    select_queued_count: Statement
    select_all_queued_count: Statement


@frozen
class ScheduleStatements:
    """Statements of `schedules.sql`."""

    insert_schedule: Statement
    select_schedule: Statement
    update_schedule: Statement
    delete_schedule: Statement
    select_schedule_page: Statement = field(metadata=_UNPREPARED)
    select_firings: Statement
    select_due_schedules: Statement
    fire_schedule: Statement
    settle_schedule: Statement


@frozen
class LiveOutputStatements:
    """Statements of `live_output.sql`."""

    append_live_output: Statement
    select_live_output: Statement
    delete_live_output: Statement


@frozen
class FunctionStatements:
    """Statements of `functions.sql`."""

    select_functions: Statement
    select_callable_versions: Statement
    select_function_schemas: Statement
    select_function_versions: Statement
    upsert_function: Statement
    deactivate_function: Statement
    select_function_page: Statement
    select_function_usage: Statement


@frozen
class ApiKeyStatements:
    """Statements of `api_keys.sql`."""

    insert_api_key: Statement
    select_api_keys: Statement
    revoke_api_key: Statement
    record_api_key_uses: Statement
    select_api_key_page: Statement


@frozen
class OwnerStatements:
    """Statements of `owners.sql`."""

    select_session_count: Statement
    select_schedule_count: Statement
    select_key_count: Statement
    select_history_count: Statement = field(metadata=_UNPREPARED)
    select_owned_function_count: Statement
    select_webhook_count: Statement
    select_function_collisions: Statement
    move_sessions: Statement = field(metadata=_UNPREPARED)
    move_queue: Statement = field(metadata=_UNPREPARED)
    move_schedules: Statement = field(metadata=_UNPREPARED)
    move_takings: Statement = field(metadata=_UNPREPARED)
    move_initialize_keys: Statement = field(metadata=_UNPREPARED)
    move_history: Statement = field(metadata=_UNPREPARED)
    move_functions: Statement = field(metadata=_UNPREPARED)
    move_webhooks: Statement = field(metadata=_UNPREPARED)


@frozen
class PurgeStatements:
    """Statements of `purges.sql`."""

    select_writers: Statement
    purge_session: Statement = field(metadata=_UNPREPARED)
    purge_sessions: Statement = field(metadata=_UNPREPARED)
    purge_keys: Statement = field(metadata=_UNPREPARED)
    purge_history: Statement = field(metadata=_UNPREPARED)
    purge_functions: Statement = field(metadata=_UNPREPARED)
    purge_queue: Statement = field(metadata=_UNPREPARED)
    purge_webhooks: Statement = field(metadata=_UNPREPARED)
    purge_inbound: Statement = field(metadata=_UNPREPARED)
    purge_schedules: Statement = field(metadata=_UNPREPARED)
    purge_takings: Statement = field(metadata=_UNPREPARED)
    select_inbound_count: Statement
    select_filled_session_count: Statement


@frozen
class AuditStatements:
    """Statements of `audit.sql`."""

    select_audit_page: Statement
    insert_act: Statement


@frozen
class CleanupStatements:
    """Statements of `cleanup.sql`."""

    delete_expired_sessions: Statement = field(metadata=_UNPREPARED)
    delete_expired_inbound: Statement = field(metadata=_UNPREPARED)
    delete_old_recordings: Statement = field(metadata=_UNPREPARED)
    delete_expired_takings: Statement = field(metadata=_UNPREPARED)
    select_oldest_expiry: Statement
    select_unserved: Statement
    delete_expired_keys: Statement = field(metadata=_UNPREPARED)
    delete_old_versions: Statement = field(metadata=_UNPREPARED)
    delete_deactivated_functions: Statement = field(metadata=_UNPREPARED)
    delete_old_acts: Statement = field(metadata=_UNPREPARED)
    delete_old_live_output: Statement = field(metadata=_UNPREPARED)
    delete_old_deliveries: Statement = field(metadata=_UNPREPARED)
    settle_deliveries: Statement = field(metadata=_UNPREPARED)
    select_webhooks_to_trim: Statement
    select_delivery_facts: Statement
    delete_excess_deliveries: Statement = field(metadata=_UNPREPARED)
    select_archiving: Statement
    select_filled_partitions: Statement = field(metadata=_UNPREPARED)
    empty_partition: Statement = field(metadata=_UNPREPARED)


@frozen
class StorageStatements:
    """Statements of `storage.sql`."""

    select_table_sizes: Statement
    select_first_executions: Statement = field(metadata=_UNPREPARED)
    shorten_history: Statement = field(metadata=_UNPREPARED)
    select_shortened_days: Statement
    select_session_sample: Statement
    select_oldest_execution: Statement = field(metadata=_UNPREPARED)
    select_oldest_open_execution: Statement
    select_oldest_key_expiry: Statement
    select_oldest_session: Statement
    select_oldest_act: Statement


@frozen
class LimitStatements:
    """Statements of `limits.sql`."""

    settle_rates: Statement
    forget_rates: Statement = field(metadata=_UNPREPARED)
    select_rates: Statement
    select_usage: Statement
    select_open_executions: Statement
    select_holdings: Statement


@frozen
class UsageStatements:
    """Statements of `usage.sql`."""

    select_usage_progress: Statement
    count_usage: Statement = field(metadata=_UNPREPARED)
    count_added_usage: Statement = field(metadata=_UNPREPARED)
    delete_old_usage: Statement = field(metadata=_UNPREPARED)
    select_usage_days: Statement
    select_owners: Statement


@frozen
class TakeoverStatements:
    """Statements of `takeover.sql`."""

    select_takeover: Statement
    insert_takeover: Statement
    update_takeover_stage: Statement
    update_takeover_options: Statement
    update_takeover_source: Statement
    update_takeover_progress: Statement
    load_inbound: Statement = field(metadata=_UNPREPARED)
    receive_inbound: Statement
    select_made_here: Statement
    select_inbound: Statement
    select_live_inbound: Statement
    delete_inbound: Statement
    take_sessions: Statement
    untake_sessions: Statement
    own_sessions: Statement
    delete_fencing: Statement
    select_taken: Statement
    select_taken_page: Statement
    select_takeover_counts: Statement
    select_stage: Statement
    select_holding: Statement


@frozen
class VerificationStatements:
    """Statements of `verification.sql`."""

    select_stored_digests: Statement
    select_next_stored: Statement
    select_taken_contents: Statement


@frozen
class RecordingStatements:
    """Statements of `recordings.sql`."""

    select_recording: Statement
    start_recording: Statement
    record_calls: Statement
    select_unjudged: Statement
    update_judgements: Statement
    delete_judgements: Statement
    select_judgements: Statement
    select_recorded_counts: Statement
    delete_recording: Statement
    delete_recorded_calls: Statement


@frozen
class SessionReturnStatements:
    """Statements of `session_returns.sql`."""

    hold_takeover: Statement
    leave_takeover: Statement
    select_held: Statement
    select_returnable: Statement
    select_return_census: Statement
    close_sessions: Statement
    divert_sessions: Statement
    await_begins: Statement
    select_outgoing: Statement
    release_sessions: Statement
    reopen_sessions: Statement
    select_unsettled: Statement
    add_late_counts: Statement


@frozen
class WebhookStatements:
    """Statements of `webhooks.sql`."""

    insert_webhook: Statement
    select_webhook: Statement
    update_webhook: Statement
    delete_webhook: Statement
    select_webhook_page: Statement = field(metadata=_UNPREPARED)
    insert_delivery: Statement
    select_delivery: Statement
    select_delivery_page: Statement
    update_delivery: Statement
    claim_webhooks: Statement
    record_attempt: Statement
    release_webhook: Statement


@frozen
class ExplainStatements:
    """Statements of `explain.sql`."""

    select_session_trace: Statement
    select_open_traces: Statement
    select_open_trace: Statement
    select_accepted_trace: Statement
    select_queued_trace: Statement
    count_schedules_of: Statement
    select_message_trace: Statement
    select_execution_trace: Statement = field(metadata=_UNPREPARED)
    select_history_trace: Statement = field(metadata=_UNPREPARED)
    select_key_traces: Statement
    select_taken_key: Statement
    select_function_trace: Statement
    select_move_trace: Statement
    count_recorded_calls: Statement
    select_purge: Statement


@frozen
class InspectionStatements:
    """Statements of `inspection.sql`."""

    select_server_facts: Statement
    select_indexes: Statement
    select_table_health: Statement
    select_standbys: Statement
    select_idle_slots: Statement
    select_horizon_holders: Statement
    select_webhook_facts: Statement
    select_schedule_facts: Statement
    select_prepared_names: Statement
    select_rights: Statement
    select_other_owner: Statement
    select_archiver: Statement
    select_last_act: Statement
    select_contents: Statement
    count_api_keys: Statement
    select_recorded: Statement


@frozen
class MigrationStatements:
    """Statements of `migrations.sql`."""

    lock_migrations: Statement
    lock_build: Statement
    create_schema: Statement
    create_migrations: Statement
    select_migrations_exist: Statement
    select_migrations: Statement
    insert_migration: Statement
    delete_migration: Statement
    select_audit_exists: Statement
    insert_migration_act: Statement
    set_timeouts: Statement


@frozen
class Statements:
    """All statements, by their file."""

    clock: ClockStatements
    server: ServerStatements
    sessions: SessionStatements
    executions: ExecutionStatements
    keyed_calls: KeyedCallStatements
    queue: QueueStatements
    queue_claims: QueueClaimStatements
    queue_ends: QueueEndStatements
    queue_sweeps: QueueSweepStatements
    queue_states: QueueStateStatements
    schedules: ScheduleStatements
    live_output: LiveOutputStatements
    functions: FunctionStatements
    api_keys: ApiKeyStatements
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


@cache
def load_statements() -> Statements:
    """Read the SQL files, once in a process; raises StatementsDiffer if a statement is missing or unused."""
    return Statements(
        clock=load(ClockStatements, "clock.sql"),
        server=load(ServerStatements, "server.sql"),
        sessions=load(SessionStatements, "sessions.sql"),
        executions=load(ExecutionStatements, "executions.sql"),
        keyed_calls=load(KeyedCallStatements, "keyed_calls.sql"),
        queue=load(QueueStatements, "queue.sql"),
        queue_claims=load(QueueClaimStatements, "queue_claims.sql"),
        queue_ends=load(QueueEndStatements, "queue_ends.sql"),
        queue_sweeps=load(QueueSweepStatements, "queue_sweeps.sql"),
        queue_states=load(QueueStateStatements, "queue_states.sql"),
        schedules=load(ScheduleStatements, "schedules.sql"),
        live_output=load(LiveOutputStatements, "live_output.sql"),
        functions=load(FunctionStatements, "functions.sql"),
        api_keys=load(ApiKeyStatements, "api_keys.sql"),
        owners=load(OwnerStatements, "owners.sql"),
        purges=load(PurgeStatements, "purges.sql"),
        audit=load(AuditStatements, "audit.sql"),
        cleanup=load(CleanupStatements, "cleanup.sql"),
        storage=load(StorageStatements, "storage.sql"),
        limits=load(LimitStatements, "limits.sql"),
        usage=load(UsageStatements, "usage.sql"),
        takeover=load(TakeoverStatements, "takeover.sql"),
        recordings=load(RecordingStatements, "recordings.sql"),
        session_returns=load(SessionReturnStatements, "session_returns.sql"),
        verification=load(VerificationStatements, "verification.sql"),
        webhooks=load(WebhookStatements, "webhooks.sql"),
        explain=load(ExplainStatements, "explain.sql"),
        inspection=load(InspectionStatements, "inspection.sql"),
        migrations=load(MigrationStatements, "migrations.sql"),
    )


def load(holder: type[Holder], file_name: str, package: str = "sql") -> Holder:
    """Read one file into its holder; raises StatementsDiffer if a statement is missing or unused."""
    prepared = {wanted.name: wanted.metadata.get("prepare", True) for wanted in fields(holder)}  # type: ignore[arg-type]  # each is an attrs class
    read = read_statements(file_name, prepared, package)
    return holder(**{name: Statement(name, sql, prepared[name]) for name, sql in read.items()})
