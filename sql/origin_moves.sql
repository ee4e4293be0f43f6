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

-- name: select_seen(request_ids, shift, hidden_before)
-- Whole sessions as select_rows in origin_rows.sql has them, with the expiry before the fence. Then what is stored, and
-- whether the origin serves the session, or would without the fence.
WITH absent AS (
    SELECT
        NULL::timestamptz AS last_executed_at, NULL::integer AS execution_count, NULL::text AS script_hash,
        NULL::bytea AS compiled_artifact, NULL::text AS compile_status, NULL::text AS compile_error,
        NULL::jsonb AS metadata
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
    s.context::jsonb::text,
    s.script_content,
    o.script_hash::text,
    s.compile_options::text,
    o.compile_status::text,
    o.compile_error,
    o.metadata::text,
    octet_length(o.compiled_artifact),
    CASE WHEN i.stored_at >= '0001-01-01' AND i.stored_at < i.end_at THEN i.stored_at AT TIME ZONE 'UTC' END,
    i.stored_at > now() AS is_live,
    i.stored_at < :hidden_before AND i.expires_at > now() AS would_live,
    now() AT TIME ZONE 'UTC' AS seen_at
FROM sessions AS s
CROSS JOIN absent
CROSS JOIN LATERAL ( -- noqa: ST05
    SELECT last_executed_at, execution_count, script_hash, compiled_artifact, compile_status, compile_error, metadata
    FROM (SELECT s.*) AS own -- noqa: ST05
) AS o
CROSS JOIN LATERAL ( -- noqa: ST05
    SELECT
        s.created_at::timestamptz AS created_at,
        s.expires_at::timestamptz AS stored_at,
        CASE WHEN s.expires_at < :hidden_before AND isfinite(s.expires_at)
            THEN s.expires_at::timestamptz + :shift::interval
            ELSE s.expires_at::timestamptz
        END AS expires_at,
        o.last_executed_at::timestamptz AS executed_at,
        '1970-01-01 00:00:00+00'::timestamptz AS first_at,
        '10000-01-01 00:00:00+00'::timestamptz AS end_at
) AS i
WHERE s.request_id = ANY(:request_ids);

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
