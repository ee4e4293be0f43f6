"""The statements of executions that run later: the queue, schedules and webhooks."""

from attrs import field, frozen

from adapters.postgres.connections.statement import Statement
from adapters.postgres.statements.files import UNPREPARED


@frozen
class QueueStatements:
    """Statements of `queue.sql`."""

    accept_plain_executions: Statement
    accept_executions: Statement
    announce_repeated_accepts: Statement
    wait_for_accepts: Statement = field(metadata=UNPREPARED)


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
    erase_execution: Statement = field(metadata=UNPREPARED)


@frozen
class QueueSweepStatements:
    """Statements of `queue_sweeps.sql`."""

    select_expired_entries: Statement
    select_entries_of: Statement
    select_blocking_entries: Statement
    end_entries: Statement
    move_overdue_executions: Statement = field(metadata=UNPREPARED)


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
    select_keyed_schedule: Statement
    update_schedule: Statement
    delete_schedule: Statement
    select_schedule_page: Statement = field(metadata=UNPREPARED)
    select_firings: Statement
    select_due_schedules: Statement
    fire_schedule: Statement
    settle_schedule: Statement


@frozen
class WebhookStatements:
    """Statements of `webhooks.sql`."""

    insert_webhook: Statement
    select_webhook: Statement
    select_keyed_webhook: Statement
    update_webhook: Statement
    copy_webhook: Statement
    delete_webhook: Statement
    select_webhook_page: Statement = field(metadata=UNPREPARED)
    insert_delivery: Statement
    select_delivery: Statement
    select_delivery_page: Statement
    update_delivery: Statement
    claim_webhooks: Statement
    record_attempt: Statement
    release_webhook: Statement
