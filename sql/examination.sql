-- Statements about how the server and the schema are, for an operator; sessions.sql says how to read them. All of them
-- read what the server keeps in its catalogues and statistics; none is on the path of a request.

-- name: select_server_facts()
-- Time limits in milliseconds, as this connection has them; the role as statements have to name it.
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
-- One for a partitioned table and all of its partitions: it is valid when each of them has its own.
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
-- Without the right to see it, the mode is null.
SELECT coalesce(r.application_name, '') AS name, r.sync_state FROM pg_stat_replication AS r ORDER BY r.application_name;

-- name: select_idle_slots()
SELECT s.slot_name FROM pg_replication_slots AS s WHERE NOT s.active ORDER BY s.slot_name;

-- name: select_oldest_transaction()
-- Of those that this role may see.
SELECT min(a.xact_start)
FROM pg_stat_activity AS a
WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.backend_type = 'client backend';

-- name: select_prepared_names()
-- A pooler that keeps prepared statements for its clients gives them names of its own.
SELECT p.name FROM pg_prepared_statements AS p;

-- name: select_rights()
-- What this role may not do: a right and the object, the schema first, tables by name. `truncate` empties old days, and
-- only the table of migrations is not written by the service. A database without the schema needs the right to make it.
SELECT 'CREATE' AS missing_right, 'DATABASE ' || quote_ident(current_database()) AS of_what, '' AS table_name
WHERE to_regnamespace('meta') IS NULL AND NOT has_database_privilege(current_database(), 'CREATE')
UNION ALL
SELECT 'USAGE' AS missing_right, 'SCHEMA meta' AS of_what, '' AS table_name
FROM pg_namespace AS n
WHERE n.nspname = 'meta' AND NOT has_schema_privilege(n.oid, 'USAGE')
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
-- Whose the schema is, where this role has not the rights of that one: only then can it take no migration.
SELECT quote_ident(pg_get_userbyid(n.nspowner)) AS owner
FROM pg_namespace AS n
WHERE n.nspname = 'meta' AND NOT pg_has_role(n.nspowner, 'USAGE');

-- name: select_api_keys_exist()
SELECT exists(SELECT FROM meta.api_keys AS k WHERE k.revoked_at IS NULL);
