-- Statements about the state of the server and of the schema, for an operator; sessions.sql describes the format. They
-- read catalogues and statistics. No request runs them.

-- name: select_server_facts()
-- Time limits are in milliseconds, as this connection has them. The role is quoted, ready for use in a statement.
SELECT
    current_setting('server_version') AS version,
    current_setting('server_version_num')::integer AS version_number,
    current_setting('server_encoding') AS encoding,
    quote_ident(current_user) AS role,
    current_database()::text AS database,
    pg_backend_pid() AS process_id,
    current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
        AS connections_max,
    r.rolconnlimit AS role_connections_max,
    d.datconnlimit AS database_connections_max,
    (SELECT count(*) FROM pg_stat_activity AS a WHERE a.backend_type = 'client backend') AS connections,
    (SELECT s.setting::bigint FROM pg_settings AS s WHERE s.name = 'lock_timeout') AS lock_timeout_ms,
    (SELECT s.setting::bigint FROM pg_settings AS s WHERE s.name = 'statement_timeout') AS statement_timeout_ms,
    -- As the role has it: the present value is always 0 over a Unix socket.
    (SELECT s.reset_val::bigint FROM pg_settings AS s WHERE s.name = 'tcp_user_timeout') AS tcp_user_timeout_ms,
    pg_is_in_recovery() AS is_standby,
    current_setting('default_transaction_read_only') = 'on' AS is_read_only,
    current_setting('fsync') = 'on' AS has_fsync,
    current_setting('full_page_writes') = 'on' AS has_full_page_writes,
    current_setting('synchronous_commit') AS synchronous_commit,
    current_setting('synchronous_standby_names') <> '' AS waits_for_standbys,
    current_setting('autovacuum') = 'on' AS has_autovacuum,
    age(d.datfrozenxid) AS transactions_unfrozen,
    pg_database_size(d.oid) AS size_bytes
FROM pg_roles AS r
CROSS JOIN pg_database AS d
WHERE r.rolname = current_user AND d.datname = current_database();

-- name: select_indexes()
-- The index of a partitioned table stands for the indexes of its partitions. It is valid if each of these is valid.
SELECT i.relname, x.indisvalid AND x.indisready AS is_valid
FROM pg_index AS x
INNER JOIN pg_class AS i ON x.indexrelid = i.oid
INNER JOIN pg_namespace AS n ON i.relnamespace = n.oid
WHERE n.nspname = 'meta' AND NOT i.relispartition
ORDER BY i.relname;

-- name: select_table_health()
SELECT
    s.relname, s.n_live_tup, s.n_dead_tup, s.n_tup_upd, s.n_tup_hot_upd,
    greatest(s.last_vacuum, s.last_autovacuum) AS last_vacuum_at,
    coalesce(array_to_string(c.reloptions, ' '), '') AS options
FROM pg_stat_user_tables AS s
INNER JOIN pg_class AS c ON s.relid = c.oid
WHERE s.schemaname = 'meta'
ORDER BY s.relname;

-- name: select_standbys()
-- The mode is null if this role may not see it.
SELECT coalesce(r.application_name, '') AS name, r.sync_state FROM pg_stat_replication AS r ORDER BY r.application_name;

-- name: select_idle_slots()
SELECT s.slot_name FROM pg_replication_slots AS s WHERE NOT s.active ORDER BY s.slot_name;

-- name: select_horizon_holders()
-- What keeps dead rows from being removed, with its age in transactions; the oldest first. Considers only the processes
-- that this role may see. Neither a slot nor a standby that holds rows through its connection says since when.
SELECT
    CASE WHEN a.backend_type = 'walsender' THEN 'standby' ELSE 'process' END AS kind, a.pid::text AS name,
    coalesce(a.application_name, '') AS application, coalesce(a.state, '') AS state, a.xact_start,
    age(coalesce(a.backend_xmin, a.backend_xid)) AS transactions
FROM pg_stat_activity AS a
WHERE
    a.pid <> pg_backend_pid()
    AND coalesce(a.backend_xmin, a.backend_xid) IS NOT NULL
    AND (a.datname = current_database() OR a.backend_type = 'walsender')
    AND a.backend_type IN ('client backend', 'walsender')
UNION ALL
SELECT 'prepared transaction', p.gid, '', p.owner::text, p.prepared, age(p.transaction)
FROM pg_prepared_xacts AS p
WHERE p.database = current_database()
UNION ALL
SELECT
    'replication slot', s.slot_name::text, coalesce(s.plugin::text, ''),
    CASE WHEN s.active THEN 'active' ELSE 'idle' END, NULL, age(s.xmin)
FROM pg_replication_slots AS s
WHERE s.xmin IS NOT NULL
ORDER BY transactions DESC;

-- name: select_prepared_names()
-- A pooler that keeps prepared statements for its clients gives them its own names.
SELECT p.name FROM pg_prepared_statements AS p;

-- name: select_rights()
-- Returns the rights that this role lacks, with their objects: the schema first, then tables by name. Emptying old days
-- needs TRUNCATE. The service writes every table except migrations. A database without the schema needs the right to
-- create it. Only a bucket has the function.
SELECT 'CREATE' AS missing_right, 'DATABASE ' || quote_ident(current_database()) AS of_what, '' AS table_name
WHERE to_regnamespace('meta') IS NULL AND NOT has_database_privilege(current_database(), 'CREATE')
UNION ALL
SELECT 'USAGE' AS missing_right, 'SCHEMA meta' AS of_what, '' AS table_name
FROM pg_namespace AS n
WHERE n.nspname = 'meta' AND NOT has_schema_privilege(n.oid, 'USAGE')
UNION ALL
SELECT 'EXECUTE' AS missing_right, 'FUNCTION meta.hold(bigint[])' AS of_what, '' AS table_name
FROM pg_proc AS p
INNER JOIN pg_namespace AS n ON p.pronamespace = n.oid
WHERE n.nspname = 'meta' AND p.proname = 'hold' AND NOT has_function_privilege(p.oid, 'EXECUTE')
UNION ALL
SELECT r.name AS missing_right, 'ALL TABLES IN SCHEMA meta' AS of_what, c.relname::text AS table_name
FROM pg_class AS c
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS r (name)
WHERE
    n.nspname = 'meta' AND c.relkind IN ('r', 'p')
    AND (r.name = 'SELECT' OR c.relname <> 'migrations')
    AND (r.name <> 'TRUNCATE' OR c.relispartition)
    AND NOT has_table_privilege(c.oid, r.name)
ORDER BY table_name, missing_right;

-- name: select_other_owner()
-- Returns the owner of the schema if this role lacks the rights of that owner. Such a role cannot apply migrations.
SELECT quote_ident(pg_get_userbyid(n.nspowner)) AS owner
FROM pg_namespace AS n
WHERE n.nspname = 'meta' AND NOT pg_has_role(n.nspowner, 'USAGE');

-- name: select_archiver()
-- Statistics since their last reset.
SELECT
    current_setting('archive_mode') <> 'off' AS is_on, a.last_archived_time, a.last_failed_time, a.failed_count
FROM pg_stat_archiver AS a;

-- name: select_last_act(act)
SELECT a.act_id, a.subject FROM meta.audit AS a WHERE a.act = :act::text ORDER BY a.act_id DESC LIMIT 1;

-- name: select_contents(after)
-- Ids that this service makes are UUIDv7, so that the greatest one is the newest. Sessions of other ids were taken over
-- from another service; their ids do not show when. A backup of the release before lacks the column of their creation.
SELECT
    (SELECT count(*) FROM meta.sessions) AS sessions,
    (SELECT count(*) FROM meta.executions) AS executions,
    (SELECT count(*) FROM meta.function_versions) AS functions,
    (SELECT count(*) FROM meta.api_keys) AS api_keys,
    greatest(
        (
            SELECT s.request_id FROM meta.sessions AS s
            WHERE substr(s.request_id::text, 15, 1) = '7'
            ORDER BY s.request_id DESC
            LIMIT 1
        ),
        (SELECT e.execution_id FROM meta.executions AS e ORDER BY e.execution_id DESC LIMIT 1),
        (SELECT k.key_id FROM meta.api_keys AS k ORDER BY k.key_id DESC LIMIT 1)
    ) AS newest_id,
    (
        SELECT count(*) FROM meta.sessions AS s
        WHERE s.request_id > :after::uuid AND substr(s.request_id::text, 15, 1) = '7'
    ) AS newer_sessions,
    (SELECT count(*) FROM meta.executions AS e WHERE e.execution_id > :after::uuid) AS newer_executions,
    (SELECT count(*) FROM meta.api_keys AS k WHERE k.key_id > :after::uuid) AS newer_api_keys,
    (SELECT count(*) FROM meta.sessions AS s WHERE substr(s.request_id::text, 15, 1) <> '7') AS foreign_sessions;

-- name: count_api_keys(now, expires_until, used_before, made_before)
-- A key without a recorded use is judged by its id, which has the instant at which it was made.
SELECT
    count(*) AS valid,
    count(*) FILTER (WHERE k.expires_at <= :expires_until::timestamptz) AS expiring,
    count(*) FILTER (
        WHERE CASE
            WHEN k.last_used_at IS NULL THEN k.key_id < :made_before::uuid
            ELSE k.last_used_at <= :used_before::timestamptz
        END
    ) AS unused
FROM meta.api_keys AS k
WHERE k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > :now::timestamptz);

-- name: select_recorded()
-- Fails on a standby, which does not have unlogged tables.
SELECT
    (SELECT count(*) FROM meta.recorded_calls) AS calls,
    (SELECT c.call_id FROM meta.recorded_calls AS c ORDER BY c.call_id LIMIT 1) AS oldest,
    (SELECT r.recording_until FROM meta.recording AS r) AS recording_until;

-- name: select_webhook_facts(key_id)
-- Without a key of webhooks all enabled ones count as unsignable.
SELECT
    count(*) FILTER (WHERE w.disabled_reason IN ('gone', 'failing')) AS disabled,
    count(*) FILTER (WHERE w.disabled_reason IS NULL AND w.key_id IS DISTINCT FROM :key_id::text) AS unsignable,
    min(greatest(f.next_at, w.claimed_until)) FILTER (WHERE f.next_at IS NOT NULL AND w.disabled_reason IS NULL)
        AS due_at
FROM meta.webhooks AS w
LEFT JOIN LATERAL (
    SELECT d.next_at
    FROM meta.deliveries AS d
    WHERE d.webhook_id = w.webhook_id AND d.state = 'pending'
    ORDER BY d.next_at
    LIMIT 1
) AS f ON TRUE;

-- name: select_schedule_facts(due_before, counted_max)
SELECT
    (
        SELECT count(*)
        FROM (
            SELECT
            FROM meta.schedules AS c
            WHERE c.next_at < :due_before::timestamptz AND NOT c.paused
            LIMIT :counted_max::bigint
        ) AS counted
    ) AS late,
    (
        SELECT min(c.next_at) FROM meta.schedules AS c WHERE c.next_at < :due_before::timestamptz AND NOT c.paused
    ) AS first_due_at,
    (SELECT count(*) FROM meta.schedules AS c WHERE c.end_reason = 'timing_unknown') AS unreadable;
