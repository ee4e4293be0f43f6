-- Statements that read sessions of the origin; sessions.sql describes the format, origin_connection.sql what is special
-- about these files, and origin_inspection.sql how columns are read that a table may lack.

-- name: select_has_expiry_index(schema)
SELECT EXISTS (
    SELECT 1
    FROM pg_index AS x
    INNER JOIN pg_class AS c ON x.indrelid = c.oid
    INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
    INNER JOIN pg_attribute AS a ON c.oid = a.attrelid AND a.attnum = x.indkey[0]
    WHERE n.nspname = :schema AND c.relname = 'sessions' AND a.attname = 'expires_at' AND x.indisvalid
        AND x.indpred IS NULL
);

-- name: select_row_count(expired_after)
SELECT count(*) FROM sessions AS s WHERE s.expires_at > :expired_after;

-- name: select_heads_by_expiry(after_at, after_id, expired_after, rows_max)
-- The ids of rows with their sizes, by expiry: live rows come without reading dead ones. The size of a text is known
-- without reading it. A small context, which may be compressed, counts as twice its size.
WITH picked AS (
    SELECT s.* FROM sessions AS s
    WHERE (s.expires_at, s.request_id) > (:after_at, :after_id) AND s.expires_at > :expired_after
    ORDER BY s.expires_at, s.request_id
    LIMIT :rows_max
),
absent AS (SELECT NULL::text AS compile_error, NULL::jsonb AS metadata)
SELECT
    s.request_id::text,
    s.expires_at::text,
    coalesce(octet_length(s.script_content), 0)
    + CASE
        WHEN pg_column_size(s.context) > 1000 THEN octet_length(s.context::text)
        ELSE coalesce(2 * pg_column_size(s.context), 0)
    END
    + coalesce(octet_length(o.compile_error), 0) + coalesce(octet_length(o.metadata::text), 0) AS size_bytes
FROM picked AS s
CROSS JOIN absent
CROSS JOIN LATERAL (SELECT compile_error, metadata FROM (SELECT s.*) AS own) AS o -- noqa: ST05
ORDER BY s.expires_at, s.request_id;

-- name: select_heads_by_id(after_id, expired_after, rows_max)
-- As select_heads_by_expiry, by id: for all rows, or where no index has the expiry.
WITH picked AS (
    SELECT s.* FROM sessions AS s
    WHERE s.request_id > :after_id AND s.expires_at > :expired_after
    ORDER BY s.request_id
    LIMIT :rows_max
),
absent AS (SELECT NULL::text AS compile_error, NULL::jsonb AS metadata)
SELECT
    s.request_id::text,
    s.expires_at::text,
    coalesce(octet_length(s.script_content), 0)
    + CASE
        WHEN pg_column_size(s.context) > 1000 THEN octet_length(s.context::text)
        ELSE coalesce(2 * pg_column_size(s.context), 0)
    END
    + coalesce(octet_length(o.compile_error), 0) + coalesce(octet_length(o.metadata::text), 0) AS size_bytes
FROM picked AS s
CROSS JOIN absent
CROSS JOIN LATERAL (SELECT compile_error, metadata FROM (SELECT s.*) AS own) AS o -- noqa: ST05
ORDER BY s.request_id;

-- name: select_rows(request_ids)
-- Whole sessions without the artifact, which nothing reads. Instants that Python cannot have are null.
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
    octet_length(o.compiled_artifact)
FROM sessions AS s
CROSS JOIN absent
CROSS JOIN LATERAL ( -- noqa: ST05
    SELECT last_executed_at, execution_count, script_hash, compiled_artifact, compile_status, compile_error, metadata
    FROM (SELECT s.*) AS own -- noqa: ST05
) AS o
CROSS JOIN LATERAL ( -- noqa: ST05
    SELECT
        s.created_at::timestamptz AS created_at, s.expires_at::timestamptz AS expires_at,
        o.last_executed_at::timestamptz AS executed_at,
        '1970-01-01 00:00:00+00'::timestamptz AS first_at, '10000-01-01 00:00:00+00'::timestamptz AS end_at
) AS i
WHERE s.request_id = ANY(:request_ids);
