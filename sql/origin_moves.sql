-- Statements that change which sessions the origin serves; sessions.sql describes the format, origin_connection.sql what
-- is special about these files, and origin_inspection.sql how columns are read that a table may lack.
--
-- A fence is an exact shift of expires_at into the past. The shift is in hours and seconds, so no time zone and no leap
-- day enters, and servers before PostgreSQL 15 can read it.
--
-- These statements use now(), unlike all others: the origin judges its sessions by the clock of its own database. By
-- another clock a session could live there and here, or nowhere.

-- name: select_live_ids(after, rows_max)
-- Only canonical ids: others cannot be kept here.
SELECT s.request_id::text
FROM sessions AS s
WHERE
    s.request_id > :after
    AND s.expires_at > now()
    AND s.request_id ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
ORDER BY s.request_id
LIMIT :rows_max;

-- name: select_fenced_ids(after, rows_max, shift, hidden_before)
SELECT s.request_id::text
FROM sessions AS s
WHERE
    s.request_id > :after
    AND s.expires_at < :hidden_before
    AND s.expires_at > now() - :shift::interval
    AND s.request_id ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
ORDER BY s.request_id
LIMIT :rows_max;

-- name: select_counts(request_ids)
SELECT s.request_id::text, s.execution_count FROM sessions AS s WHERE s.request_id = ANY(:request_ids);

-- name: fence_sessions(request_ids, shift)
-- A row that a transaction of the origin has locked is left out; the caller tries it again.
WITH picked AS (
    SELECT s.request_id
    FROM sessions AS s
    WHERE s.request_id = ANY(:request_ids) AND s.expires_at > now() AND isfinite(s.expires_at)
    ORDER BY s.request_id
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE sessions AS s
SET expires_at = s.expires_at - :shift::interval
FROM picked AS p
WHERE s.request_id = p.request_id
RETURNING s.request_id::text;

-- name: unfence_sessions(request_ids, stored_ats, shift)!
UPDATE sessions AS s
SET expires_at = s.expires_at + :shift::interval
FROM unnest(:request_ids::text[], :stored_ats::timestamptz[]) AS c (request_id, stored_at)
WHERE s.request_id = c.request_id AND s.expires_at = c.stored_at;

-- name: lock_sessions(request_ids)
SELECT s.request_id::text, s.execution_count, s.last_executed_at AT TIME ZONE 'UTC'
FROM sessions AS s
WHERE s.request_id = ANY(:request_ids)
ORDER BY s.request_id
FOR NO KEY UPDATE;

-- name: update_sessions(request_ids, expiries, counts, lasts, statuses, contexts, metadatas)!
-- What can have changed here, and the status: generation 1 writes another one to a row that it finds hidden. Everything
-- else of the row is as it was.
UPDATE sessions AS s
SET
    expires_at = c.expires_at,
    execution_count = c.execution_count,
    last_executed_at = c.last_executed_at,
    status = c.status,
    context = c.context::jsonb,
    metadata = c.metadata::jsonb
FROM
    unnest(
        :request_ids::text[], :expiries::timestamptz[], :counts::integer[], :lasts::timestamptz[], :statuses::text[],
        :contexts::text[], :metadatas::text[]
    ) AS c (request_id, expires_at, execution_count, last_executed_at, status, context, metadata)
WHERE s.request_id = c.request_id;

-- name: correct_counts(request_ids, counts, lasts)!
-- A trigger that some operators have adds one more to a count that grows. It does not touch a count that becomes less.
UPDATE sessions AS s
SET execution_count = c.execution_count, last_executed_at = c.last_executed_at
FROM
    unnest(:request_ids::text[], :counts::integer[], :lasts::timestamptz[])
        AS c (request_id, execution_count, last_executed_at)
WHERE
    s.request_id = c.request_id
    AND (s.execution_count <> c.execution_count OR s.last_executed_at IS DISTINCT FROM c.last_executed_at);

-- name: select_user_reference()
-- Whether each session must have a user of the table of users, as in variant B.
SELECT EXISTS (
    SELECT 1
    FROM pg_constraint AS x
    INNER JOIN pg_class AS u ON x.confrelid = u.oid
    WHERE x.contype = 'f' AND x.conrelid = to_regclass('sessions') AND u.relname = 'users'
) AS refers;

-- name: select_missing_users(user_ids)
SELECT c.user_id
FROM unnest(:user_ids::text[]) AS c (user_id)
WHERE NOT EXISTS (SELECT 1 FROM users AS u WHERE u.user_id = c.user_id);

-- name: insert_users(user_ids)!
INSERT INTO users (user_id)
SELECT DISTINCT c.user_id
FROM unnest(:user_ids::text[]) AS c (user_id)
WHERE c.user_id IS NOT NULL
ON CONFLICT DO NOTHING;

-- name: insert_sessions(request_ids, titles, user_ids, creations, expiries, lasts, counts, statuses, contexts, scripts, script_hashes, options, compile_statuses, compile_errors, metadatas)!
INSERT INTO sessions (
    request_id, language_title, user_id, created_at, expires_at, last_executed_at, execution_count, status, context,
    script_content, script_hash, compile_options, compile_status, compile_error, metadata
)
SELECT
    c.request_id, c.language_title, c.user_id, c.created_at, c.expires_at, c.last_executed_at, c.execution_count,
    c.status, c.context::jsonb, c.script_content, c.script_hash, c.compile_options::jsonb, c.compile_status,
    c.compile_error, c.metadata::jsonb
FROM
    unnest(
        :request_ids::text[], :titles::text[], :user_ids::text[], :creations::timestamptz[], :expiries::timestamptz[],
        :lasts::timestamptz[], :counts::integer[], :statuses::text[], :contexts::text[], :scripts::text[],
        :script_hashes::text[], :options::text[], :compile_statuses::text[], :compile_errors::text[], :metadatas::text[]
    ) AS c (
        request_id, language_title, user_id, created_at, expires_at, last_executed_at, execution_count, status, context,
        script_content, script_hash, compile_options, compile_status, compile_error, metadata
    )
ORDER BY c.request_id
ON CONFLICT (request_id) DO NOTHING;

-- name: select_now()
SELECT now() AT TIME ZONE 'UTC';

-- name: select_runs_ahead(schema, trigger_name)
SELECT EXISTS (
    SELECT 1
    FROM pg_trigger AS t
    INNER JOIN pg_class AS c ON t.tgrelid = c.oid
    INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
    WHERE n.nspname = :schema AND c.relname = 'sessions' AND t.tgname = :trigger_name AND t.tgenabled <> 'D'
);

-- name: select_executions(request_ids)
-- An origin with Redis has all columns of the variants A to C.
SELECT s.request_id::text, coalesce(s.execution_count, 0) AS execution_count, s.last_executed_at AT TIME ZONE 'UTC'
FROM sessions AS s
WHERE s.request_id = ANY(:request_ids);
