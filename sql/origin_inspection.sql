-- Statements about the database of the origin, for the plan of a takeover; sessions.sql describes the format, and
-- origin_connection.sql what is special about these files.
--
-- A table of the origin may lack columns. A subquery takes such a column from its own rows if they have it, and else
-- from `absent`, which has it as null.

-- name: select_server()
SELECT
    current_setting('server_version_num')::integer AS version_number,
    quote_ident(current_user) AS role,
    current_database()::text AS database,
    d.oid::text AS database_oid,
    pg_postmaster_start_time() AS started_at,
    pg_is_in_recovery() AS is_standby,
    has_function_privilege('pg_control_system()', 'EXECUTE') AS shows_identifier
FROM pg_database AS d
WHERE d.datname = current_database();

-- name: select_system_identifier()
SELECT c.system_identifier::text FROM pg_control_system() AS c;

-- name: select_clock()
SELECT clock_timestamp();

-- name: select_relations(schema)
SELECT
    c.relname::text AS name,
    c.relkind::text AS kind,
    c.relrowsecurity AND row_security_active(c.oid) AS hides_rows,
    greatest(c.reltuples, 0)::bigint AS rows_estimated,
    pg_relation_size(c.oid) AS table_bytes,
    pg_indexes_size(c.oid) AS index_bytes,
    (SELECT count(*) FROM pg_index AS x WHERE x.indrelid = c.oid) AS indexes,
    has_schema_privilege(n.oid, 'USAGE') AS can_use,
    has_table_privilege(c.oid, 'SELECT') AS can_select,
    has_table_privilege(c.oid, 'INSERT') AS can_insert,
    has_table_privilege(c.oid, 'UPDATE') AS can_update,
    EXISTS (
        SELECT 1 FROM pg_attribute AS a
        WHERE a.attrelid = c.oid AND a.attname = 'expires_at' AND has_column_privilege(c.oid, a.attnum, 'UPDATE')
    ) AS can_fence
FROM pg_class AS c
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
WHERE n.nspname = :schema AND c.relname IN ('sessions', 'functions', 'scripts', 'users')
    AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
ORDER BY c.relname;

-- name: select_columns(schema)
SELECT a.attname::text AS name, format_type(a.atttypid, -1) AS type, a.attnotnull AND NOT a.atthasdef AS is_required
FROM pg_attribute AS a
INNER JOIN pg_class AS c ON a.attrelid = c.oid
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
WHERE n.nspname = :schema AND c.relname = 'sessions' AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum;

-- name: select_constraints(schema)
SELECT k.conname::text AS name, k.contype::text AS kind, pg_get_constraintdef(k.oid) AS definition
FROM pg_constraint AS k
INNER JOIN pg_class AS c ON k.conrelid = c.oid
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
WHERE n.nspname = :schema AND c.relname = 'sessions' AND k.contype IN ('p', 'u', 'f', 'c')
ORDER BY k.conname;

-- name: select_triggers(schema)
-- With the rules of the table: both change what a write does.
SELECT t.tgname::text AS name, 'trigger' AS kind
FROM pg_trigger AS t
INNER JOIN pg_class AS c ON t.tgrelid = c.oid
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
WHERE n.nspname = :schema AND c.relname = 'sessions' AND NOT t.tgisinternal AND t.tgenabled <> 'D'
UNION ALL
SELECT r.rulename::text AS name, 'rule' AS kind
FROM pg_rules AS r
WHERE r.schemaname = :schema AND r.tablename = 'sessions'
ORDER BY name;

-- name: select_schemas()
-- The schemas whose table of sessions has the columns of the origin, or of this service.
SELECT
    n.nspname::text AS name,
    bool_or(a.attname = 'language_title') AS is_of_origin,
    bool_or(a.attname = 'renewal') AS is_own
FROM pg_class AS c
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
INNER JOIN pg_attribute AS a ON c.oid = a.attrelid
WHERE c.relname = 'sessions' AND c.relkind IN ('r', 'p', 'v') AND a.attname IN ('language_title', 'renewal')
GROUP BY n.nspname
ORDER BY n.nspname;

-- name: select_counts(retained_after, fenced_before)
-- By the index of expires_at: expired rows pile up in the origin, so a count of all would take too long.
SELECT
    (SELECT count(*) FROM sessions AS s WHERE s.expires_at > now()) AS live,
    (SELECT count(*) FROM sessions AS s WHERE s.expires_at <= now() AND s.expires_at > :retained_after) AS retained,
    (SELECT count(*) FROM sessions AS s WHERE s.expires_at < :fenced_before AND isfinite(s.expires_at)) AS fenced,
    (
        SELECT extract(EPOCH FROM max(s.expires_at)::timestamptz - now())::bigint
        FROM sessions AS s
        WHERE s.expires_at > now() AND s.expires_at < '10000-01-01 00:00:00+00'
    ) AS last_live_seconds;

-- name: select_written_by_older(rows_max)
-- An execution leaves compile_status 'pending' only if the session was read from Redis or from memory.
WITH picked AS (SELECT s.* FROM sessions AS s WHERE s.expires_at > now() LIMIT :rows_max),
absent AS (SELECT NULL::text AS compile_status, 0 AS execution_count)
SELECT count(*) > 0
FROM picked AS s
CROSS JOIN absent
CROSS JOIN LATERAL (SELECT compile_status, execution_count FROM (SELECT s.*) AS own) AS o -- noqa: ST05
WHERE o.compile_status = 'pending' AND o.execution_count > 0;

-- name: select_session_heads(request_ids)
-- Sessions without their bodies. A context is given as '{}' or 'null', a script as 'x' or ''. The size of an artifact is
-- known without reading it. The first columns are those of select_rows in origin_rows.sql.
WITH picked AS (SELECT s.* FROM sessions AS s WHERE s.request_id = ANY(:request_ids)),
absent AS (
    SELECT
        NULL::timestamptz AS last_executed_at, 0 AS execution_count, NULL::bytea AS compiled_artifact,
        NULL::jsonb AS metadata, NULL::text AS script_hash
)
SELECT
    s.request_id::text,
    s.language_title::text,
    s.user_id::text,
    CASE WHEN i.created_at >= i.first_at AND i.created_at < i.end_at THEN i.created_at AT TIME ZONE 'UTC' END,
    CASE WHEN i.expires_at >= i.first_at AND i.expires_at < i.end_at THEN i.expires_at AT TIME ZONE 'UTC' END,
    CASE WHEN i.executed_at >= i.first_at AND i.executed_at < i.end_at THEN i.executed_at AT TIME ZONE 'UTC' END,
    i.created_at >= i.first_at AND i.created_at < i.end_at AND i.expires_at >= i.first_at AND i.expires_at < i.end_at
    AND coalesce(i.executed_at >= i.first_at AND i.executed_at < i.end_at, TRUE),
    o.execution_count,
    s.status::text,
    CASE jsonb_typeof(s.context) WHEN 'object' THEN '{}' ELSE left(jsonb_typeof(s.context), 0) || 'null' END,
    CASE WHEN s.script_content <> '' THEN 'x' ELSE s.script_content END,
    NULL AS script_hash,
    NULL AS compile_options,
    NULL AS compile_status,
    NULL AS compile_error,
    CASE WHEN octet_length(o.metadata::text) > 16384 THEN 'null' ELSE o.metadata::text END,
    octet_length(o.compiled_artifact),
    octet_length(s.script_content),
    octet_length(s.context::text),
    md5(s.script_content),
    o.script_hash::text
FROM picked AS s
CROSS JOIN absent
CROSS JOIN LATERAL ( -- noqa: ST05
    SELECT last_executed_at, execution_count, compiled_artifact, metadata, script_hash
    FROM (SELECT s.*) AS own -- noqa: ST05
) AS o
CROSS JOIN LATERAL ( -- noqa: ST05
    SELECT
        s.created_at::timestamptz AS created_at, s.expires_at::timestamptz AS expires_at,
        o.last_executed_at::timestamptz AS executed_at,
        '1970-01-01 00:00:00+00'::timestamptz AS first_at, '10000-01-01 00:00:00+00'::timestamptz AS end_at
) AS i;

-- name: select_scripts(request_ids)
SELECT s.request_id::text, s.script_content
FROM sessions AS s
WHERE s.request_id = ANY(:request_ids);

-- name: select_sample(rows_max)
-- Whole rows, to measure how fast they come.
WITH picked AS (
    SELECT s.context::text AS context, s.script_content FROM sessions AS s WHERE s.expires_at > now() LIMIT :rows_max
)
SELECT coalesce(octet_length(p.context), 0) + coalesce(octet_length(p.script_content), 0), p.context, p.script_content
FROM picked AS p;

-- name: select_functions(rows_max)
SELECT f.language_title::text, f.language::text, f.is_active, s.content IS NOT NULL AS has_script
FROM functions AS f
LEFT JOIN scripts AS s ON f.id = s.function_id
ORDER BY f.language_title
LIMIT :rows_max;

-- name: select_logs()
SELECT c.relname::text AS name, greatest(c.reltuples, 0)::bigint AS rows_estimated
FROM pg_class AS c
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
WHERE n.nspname = 'public' AND c.relname IN ('request_logs', 'error_logs')
ORDER BY c.relname;
