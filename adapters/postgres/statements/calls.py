"""The statements of calls: sessions, executions, functions, and what limits them."""

from attrs import field, frozen

from adapters.postgres.connections.statement import Statement
from adapters.postgres.statements.files import UNPREPARED


@frozen
class ClockStatements:
    """Statements of `clock.sql`."""

    select_clock: Statement
    select_server_clock: Statement
    select_node_clock: Statement
    select_node_facts: Statement
    limit_node_connects: Statement
    settle_clock: Statement


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
    save_states_and_uses: Statement
    add_network_usage: Statement
    complete_files: Statement
    select_execution_counts: Statement = field(metadata=UNPREPARED)
    select_execution_page: Statement = field(metadata=UNPREPARED)
    select_execution: Statement = field(metadata=UNPREPARED)
    select_overdue_execution: Statement


@frozen
class StateStatements:
    """Statements of `states.sql`."""

    take_states: Statement
    select_session_states: Statement
    write_state: Statement


@frozen
class FileStatements:
    """Statements of `files.sql`; those that name a slot are planned for it alone."""

    insert_file: Statement
    insert_file_chunk: Statement
    complete_file: Statement = field(metadata=UNPREPARED)
    select_file: Statement = field(metadata=UNPREPARED)
    select_file_chunk: Statement = field(metadata=UNPREPARED)
    select_file_page: Statement
    select_file_bytes: Statement
    abandon_file: Statement = field(metadata=UNPREPARED)
    remove_file: Statement = field(metadata=UNPREPARED)
    erase_files: Statement = field(metadata=UNPREPARED)
    select_ended_file_slots: Statement = field(metadata=UNPREPARED)
    empty_file_slot: Statement = field(metadata=UNPREPARED)


@frozen
class KeyedCallStatements:
    """Statements of `keyed_calls.sql`."""

    begin_keyed_executions: Statement
    withdraw_keyed_executions: Statement
    finish_keyed_executions: Statement
    insert_keyed_sessions: Statement
    select_keyed_sessions: Statement


@frozen
class LiveOutputStatements:
    """Statements of `live_output.sql`."""

    append_live_output: Statement
    select_live_output: Statement
    delete_live_output: Statement


@frozen
class RuntimeHostStatements:
    """Statements of `runtime_hosts.sql`."""

    register_runtime_host: Statement
    select_runtime_hosts: Statement


@frozen
class EnvironmentStatements:
    """Statements of `environments.sql`."""

    insert_environment: Statement
    select_environment: Statement
    select_environments: Statement
    retire_environment: Statement
    select_retired_environments: Statement
    delete_retired_environment: Statement = field(metadata=UNPREPARED)
    delete_failed_builds: Statement
    claim_environment_build: Statement
    renew_environment_build: Statement
    end_environment_build: Statement
    select_waiting_builds: Statement
    insert_tree: Statement
    insert_tree_chunk: Statement
    select_tree: Statement
    select_tree_chunk: Statement
    delete_unused_trees: Statement = field(metadata=UNPREPARED)


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
class LimitStatements:
    """Statements of `limits.sql`."""

    settle_rates: Statement
    reserve_parts: Statement
    forget_rates: Statement = field(metadata=UNPREPARED)
    select_rates: Statement
    select_usage: Statement
    select_open_executions: Statement
    select_holdings: Statement


@frozen
class UsageStatements:
    """Statements of `usage.sql`."""

    select_usage_progress: Statement
    count_usage: Statement = field(metadata=UNPREPARED)
    count_added_usage: Statement = field(metadata=UNPREPARED)
    delete_old_usage: Statement = field(metadata=UNPREPARED)
    select_usage_days: Statement
    select_owners: Statement
    sort_owners: Statement


@frozen
class SecretStatements:
    """Statements of `secrets.sql`."""

    select_secrets: Statement
    select_secret_page: Statement
    store_secret: Statement
    delete_secret: Statement
    record_secret_uses: Statement
    select_secret_keys: Statement
    select_sealed_secrets: Statement
    reseal_secrets: Statement


@frozen
class EgressRuleStatements:
    """Statements of `egress_rules.sql`."""

    allow_egress: Statement
    deny_egress: Statement
    select_egress_rules: Statement
    select_egress_rule_page: Statement


@frozen
class ApiKeyStatements:
    """Statements of `api_keys.sql`."""

    insert_api_key: Statement
    select_api_keys: Statement
    revoke_api_key: Statement
    record_api_key_uses: Statement
    select_api_key_page: Statement
