"""The statements of commands and of the cleanup."""

from attrs import field, frozen

from adapters.postgres.connections.statement import Statement
from adapters.postgres.statements.files import UNPREPARED


@frozen
class OwnerStatements:
    """Statements of `owners.sql`."""

    select_session_count: Statement
    select_oldest_of_owner: Statement
    select_schedule_count: Statement
    select_egress_rule_count: Statement
    select_secret_count: Statement
    select_key_count: Statement
    select_history_count: Statement = field(metadata=UNPREPARED)
    select_owned_function_count: Statement
    select_webhook_count: Statement
    select_function_collisions: Statement
    move_sessions: Statement = field(metadata=UNPREPARED)
    move_queue: Statement = field(metadata=UNPREPARED)
    move_schedules: Statement = field(metadata=UNPREPARED)
    move_egress_rules: Statement = field(metadata=UNPREPARED)
    share_environments: Statement = field(metadata=UNPREPARED)
    move_takings: Statement = field(metadata=UNPREPARED)
    move_initialize_keys: Statement = field(metadata=UNPREPARED)
    move_history: Statement = field(metadata=UNPREPARED)
    move_functions: Statement = field(metadata=UNPREPARED)
    move_webhooks: Statement = field(metadata=UNPREPARED)
    select_file_count: Statement
    move_files: Statement = field(metadata=UNPREPARED)


@frozen
class PurgeStatements:
    """Statements of `purges.sql`."""

    select_writers: Statement
    purge_session: Statement = field(metadata=UNPREPARED)
    purge_sessions: Statement = field(metadata=UNPREPARED)
    purge_keys: Statement = field(metadata=UNPREPARED)
    purge_history: Statement = field(metadata=UNPREPARED)
    purge_functions: Statement = field(metadata=UNPREPARED)
    purge_queue: Statement = field(metadata=UNPREPARED)
    purge_webhooks: Statement = field(metadata=UNPREPARED)
    purge_egress_rules: Statement = field(metadata=UNPREPARED)
    purge_environments: Statement = field(metadata=UNPREPARED)
    select_environment_count: Statement
    purge_inbound: Statement = field(metadata=UNPREPARED)
    purge_schedules: Statement = field(metadata=UNPREPARED)
    purge_takings: Statement = field(metadata=UNPREPARED)
    hide_files: Statement = field(metadata=UNPREPARED)
    purge_files: Statement = field(metadata=UNPREPARED)
    purge_secrets: Statement = field(metadata=UNPREPARED)
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

    delete_expired_sessions: Statement = field(metadata=UNPREPARED)
    delete_expired_inbound: Statement = field(metadata=UNPREPARED)
    delete_old_recordings: Statement = field(metadata=UNPREPARED)
    delete_expired_takings: Statement = field(metadata=UNPREPARED)
    select_oldest_expiry: Statement
    select_unserved: Statement
    delete_expired_keys: Statement = field(metadata=UNPREPARED)
    select_pinned_versions: Statement = field(metadata=UNPREPARED)
    select_environment_use: Statement = field(metadata=UNPREPARED)
    delete_old_versions: Statement = field(metadata=UNPREPARED)
    delete_deactivated_functions: Statement = field(metadata=UNPREPARED)
    delete_old_acts: Statement = field(metadata=UNPREPARED)
    delete_old_live_output: Statement = field(metadata=UNPREPARED)
    delete_old_runtime_hosts: Statement = field(metadata=UNPREPARED)
    delete_old_deliveries: Statement = field(metadata=UNPREPARED)
    settle_deliveries: Statement = field(metadata=UNPREPARED)
    select_webhooks_to_trim: Statement
    select_delivery_facts: Statement
    select_queue_backlogs: Statement = field(metadata=UNPREPARED)
    delete_excess_deliveries: Statement = field(metadata=UNPREPARED)
    select_archiving: Statement
    select_filled_partitions: Statement = field(metadata=UNPREPARED)
    empty_partition: Statement = field(metadata=UNPREPARED)


@frozen
class StorageStatements:
    """Statements of `storage.sql`."""

    select_table_sizes: Statement = field(metadata=UNPREPARED)
    select_first_executions: Statement = field(metadata=UNPREPARED)
    shorten_history: Statement = field(metadata=UNPREPARED)
    select_shortened_days: Statement
    select_session_sample: Statement
    select_oldest_execution: Statement = field(metadata=UNPREPARED)
    select_oldest_open_execution: Statement
    select_oldest_key_expiry: Statement
    select_oldest_session: Statement
    select_oldest_act: Statement


@frozen
class ExplainStatements:
    """Statements of `explain.sql`."""

    select_session_trace: Statement
    select_open_traces: Statement
    select_state_trace: Statement
    select_tree_traces: Statement
    select_open_trace: Statement
    select_accepted_trace: Statement
    select_queued_trace: Statement
    count_schedules_of: Statement
    select_message_trace: Statement
    select_execution_trace: Statement = field(metadata=UNPREPARED)
    select_history_trace: Statement = field(metadata=UNPREPARED)
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
class BucketStatements:
    """Statements of `buckets.sql`."""

    select_buckets: Statement
    select_owner_moves: Statement
    insert_owner_move: Statement
    delete_owner_move: Statement
    select_buckets_exist: Statement
    select_placements: Statement
    select_nodes_exist: Statement
    select_workers: Statement
    select_hold: Statement
    select_shards_open: Statement
    create_hold: Statement
    close_hold: Statement
    select_missing_grants: Statement
    select_column_options: Statement
    alter_shard: Statement
    keep_changes_here: Statement
    empty_bucket: Statement
    select_is_distributed: Statement
    distribute_schema: Statement
    move_schema: Statement
    select_shards: Statement
    select_group: Statement
    select_location: Statement
    leave_bodies_unchecked: Statement
    select_function_texts: Statement
    insert_buckets: Statement
    exclude_older_releases: Statement
    commit_locally: Statement
    write_durably: Statement
    select_cluster: Statement
    select_unaware: Statement
    select_is_coordinator: Statement
    select_nodes: Statement
    select_bucket_locations: Statement
    select_shard_sizes: Statement
    select_home_size: Statement
