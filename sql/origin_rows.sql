-- Statements that read what the origin has stored; sessions.sql describes the format, origin_connection.sql what is special
-- about these files, and origin_inspection.sql how columns are read that a table may lack.

-- name: select_abilities(schema)
-- Whether rows can be read by expiry and by column. Before PostgreSQL 13, each page by expiry would sort all rows that
-- are left. Before PostgreSQL 11 there is no sha256.
SELECT current_setting('server_version_num')::integer >= 130000 AND EXISTS (
    SELECT 1
    FROM pg_index AS x
    INNER JOIN pg_class AS c ON x.indrelid = c.oid
    INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
    INNER JOIN pg_attribute AS a ON c.oid = a.attrelid AND a.attnum = x.indkey[0]
    WHERE n.nspname = :schema AND c.relname = 'sessions' AND a.attname = 'expires_at' AND x.indisvalid
        AND x.indpred IS NULL
) AS by_expiry, current_setting('server_version_num')::integer >= 110000 AS by_column;

-- name: explain_rows(expired_after)
-- The planner's estimate: a count of millions of rows takes longer than a statement may.
EXPLAIN (FORMAT JSON) SELECT 1 FROM sessions AS s WHERE s.expires_at > :expired_after;

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
    + coalesce(octet_length(s.compile_options::text), 0) + coalesce(octet_length(o.compile_error), 0)
    + coalesce(octet_length(o.metadata::text), 0) AS size_bytes
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
    + coalesce(octet_length(s.compile_options::text), 0) + coalesce(octet_length(o.compile_error), 0)
    + coalesce(octet_length(o.metadata::text), 0) AS size_bytes
FROM picked AS s
CROSS JOIN absent
CROSS JOIN LATERAL (SELECT compile_error, metadata FROM (SELECT s.*) AS own) AS o -- noqa: ST05
ORDER BY s.request_id;

-- name: copy_page(after_at, after_id, expired_after, by_expiry, rows_max, bytes_max, now, kept_after, lifetime_max, script_size_max, context_size_max)
-- A page of rows, one each. adapters/copied_rows.py names the fields, and domain/takeover/ordinary.py says which rows are
-- ordinary. The last fields of an ordinary row are those of a copy, and are passed on as they are. A page has rows of about
-- bytes_max; those that are larger by themselves are not read. The limits of `found` and `judged` keep PostgreSQL from
-- making a text again for each use: of a jsonb, that takes long.
COPY (
    WITH picked AS (
        (
            SELECT s.* FROM sessions AS s
            WHERE
                :by_expiry
                AND (s.expires_at, s.request_id) > (:after_at, :after_id) AND s.expires_at > :expired_after
            ORDER BY s.expires_at, s.request_id
            LIMIT :rows_max
        )
        UNION ALL
        (
            SELECT s.* FROM sessions AS s
            WHERE NOT :by_expiry AND s.request_id > :after_id AND s.expires_at > :expired_after
            ORDER BY s.request_id
            LIMIT :rows_max
        )
    ),
    absent AS (
        SELECT
            NULL::timestamptz AS last_executed_at, NULL::integer AS execution_count, NULL::text AS script_hash,
            NULL::bytea AS compiled_artifact, NULL::text AS compile_status, NULL::text AS compile_error,
            NULL::jsonb AS metadata
    ),
    found AS (
        SELECT
            s.request_id::text, s.language_title::text, s.user_id::text, s.created_at::timestamptz,
            s.expires_at::timestamptz, s.expires_at AS stored_expiry, o.last_executed_at::timestamptz,
            coalesce(o.execution_count, 0)::bigint AS execution_count, s.status, s.context::jsonb::text AS context,
            s.script_content, o.script_hash::text AS own_hash, s.compile_options::text, o.compile_status::text,
            o.compile_error, o.metadata::text, o.compiled_artifact IS NULL AS is_source,
            s.expires_at::timestamptz <= cast(:now AS timestamptz) AS is_expired
        FROM picked AS s
        CROSS JOIN absent
        CROSS JOIN LATERAL ( -- noqa: ST05
            SELECT
                last_executed_at, execution_count, script_hash, compiled_artifact, compile_status, compile_error,
                metadata
            FROM (SELECT s.*) AS own -- noqa: ST05
        ) AS o
        LIMIT :rows_max
    ),
    measured AS (
        SELECT
            s.*,
            (
                coalesce(octet_length(s.script_content), 0) + coalesce(octet_length(s.context), 0)
                + coalesce(octet_length(s.compile_options), 0) + coalesce(octet_length(s.compile_error), 0)
                + coalesce(octet_length(s.metadata), 0)
            )::bigint AS size_bytes
        FROM found AS s
    ),
    sized AS (
        SELECT
            s.*,
            s.size_bytes > :bytes_max AS is_large,
            sum(CASE WHEN s.size_bytes > :bytes_max THEN 0 ELSE s.size_bytes END) OVER (
                ORDER BY TRUE ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            ) AS read_bytes
        FROM measured AS s
    ),
    judged AS (
        SELECT
            s.*,
            coalesce(
                NOT s.is_large AND s.is_source AND s.status = 'active' AND s.execution_count >= 0
                AND s.request_id LIKE '________-____-____-____-____________'
                AND translate(s.request_id, '0123456789abcdef', '') = '----'
                AND substr(s.request_id, 15, 1) <> '7'
                AND s.request_id <> '00000000-0000-0000-0000-000000000000'
                AND s.request_id <> 'ffffffff-ffff-ffff-ffff-ffffffffffff'
                AND s.expires_at > cast(:kept_after AS timestamptz) AND s.expires_at < '10000-01-01 00:00:00+00'
                AND s.created_at >= '1970-01-01 00:00:00+00' AND s.created_at <= s.expires_at
                AND coalesce(
                    s.last_executed_at >= '1970-01-01 00:00:00+00' AND s.last_executed_at < '10000-01-01 00:00:00+00',
                    TRUE
                )
                AND CASE
                    WHEN s.is_expired THEN
                        coalesce(length(s.own_hash) = 64 AND translate(s.own_hash, '0123456789abcdef', '') = '', TRUE)
                    ELSE
                        date_part('epoch', s.expires_at - s.created_at) <= 2147483647
                        AND s.context LIKE '{%%' AND octet_length(s.context) <= :context_size_max
                        AND octet_length(s.script_content) BETWEEN 1 AND :script_size_max
                        AND CASE
                            WHEN s.own_hash IS NULL THEN TRUE
                            ELSE s.own_hash = encode(sha256(convert_to(s.script_content, 'UTF8')), 'hex')
                        END
                END,
                FALSE
            ) AS passes
        FROM sized AS s
        WHERE s.read_bytes <= :bytes_max
        LIMIT :rows_max
    )
    SELECT
        CASE
            WHEN j.passes THEN
                34 + octet_length(j.language_title) + coalesce(octet_length(j.user_id), 0)
                + coalesce(octet_length(j.compile_options), 0) + coalesce(octet_length(j.compile_status), 0)
                + coalesce(octet_length(j.compile_error), 0) + coalesce(octet_length(j.metadata), 0)
            WHEN j.is_large THEN -2
            ELSE -1
        END AS kind_bytes,
        j.size_bytes,
        j.stored_expiry,
        CASE WHEN NOT j.passes THEN j.stored_expiry::text END AS odd_expiry,
        CASE WHEN NOT j.passes THEN j.request_id END AS odd_id,
        CASE WHEN j.passes THEN j.language_title END AS language_title,
        CASE WHEN j.passes THEN j.user_id END AS user_id,
        CASE WHEN j.passes THEN j.compile_options END AS compile_options,
        CASE WHEN j.passes THEN j.compile_status END AS compile_status,
        CASE WHEN j.passes THEN j.compile_error END AS compile_error,
        CASE WHEN j.passes THEN j.metadata END AS metadata,
        j.own_hash IS NOT NULL AS has_hash,
        j.is_expired,
        CASE WHEN j.passes THEN j.own_hash END AS own_hash,
        CASE WHEN j.passes THEN j.request_id::uuid END AS request_id,
        CASE
            WHEN j.passes THEN
                least(greatest(round(date_part('epoch', j.expires_at - j.created_at)), 1), 2147483647)::integer
        END AS ttl_seconds,
        j.created_at,
        j.expires_at,
        CASE
            WHEN j.passes THEN greatest(
                j.expires_at, least(j.created_at + cast(:lifetime_max AS interval), '9999-12-31 23:59:59.999999+00')
            )
        END AS expires_max_at,
        j.last_executed_at,
        j.execution_count,
        CASE WHEN j.passes THEN CASE WHEN j.is_expired THEN '{}' ELSE j.context END END AS context,
        CASE WHEN j.passes AND NOT j.is_expired THEN j.script_content END AS script
    FROM judged AS j
) TO STDOUT (FORMAT "binary");

-- name: select_rows(request_ids, shift)
-- Whole sessions without the artifact, which nothing reads. Instants that Python cannot have are null. A session that a
-- takeover has hidden has the expiry that it had before, `shift` later. Then comes what is stored, and whether the origin
-- serves the session, or would without the fence: by now(), because the origin judges by the clock of its own database.
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
    i.stored_at < '1500-01-01 00:00:00+00' AND i.expires_at > now() AS would_live,
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
        CASE WHEN s.expires_at < '1500-01-01 00:00:00+00' AND isfinite(s.expires_at)
            THEN s.expires_at::timestamptz + :shift::interval
            ELSE s.expires_at::timestamptz
        END AS expires_at,
        o.last_executed_at::timestamptz AS executed_at,
        '1970-01-01 00:00:00+00'::timestamptz AS first_at,
        '10000-01-01 00:00:00+00'::timestamptz AS end_at
) AS i
WHERE s.request_id = ANY(:request_ids);

-- name: select_digests(after_id, expired_after, shift, rows_max, bytes_max)
-- What identifies and describes each session as text, and the SHA-256 of its contents. Both sides of a comparison make
-- them in the same way; verification.sql has the other one. Rows that expired earlier have null. A page has whole rows,
-- of about bytes_max, and at least one row. Instants are in UTC, and JSON is as jsonb writes it. The limit of `shown`
-- keeps PostgreSQL from making its texts twice.
WITH picked AS (
    SELECT s.* FROM sessions AS s
    WHERE s.request_id > :after_id
    ORDER BY s.request_id
    LIMIT :rows_max
),
absent AS (
    SELECT
        NULL::timestamptz AS last_executed_at, NULL::integer AS execution_count, NULL::text AS script_hash,
        NULL::text AS compile_status, NULL::text AS compile_error, NULL::jsonb AS metadata
),
measured AS (
    SELECT
        s.*,
        coalesce(octet_length(s.script_content), 0) + coalesce(pg_column_size(s.context), 0)
        + coalesce(pg_column_size(s.compile_options), 0) + coalesce(octet_length(o.compile_error), 0)
        + coalesce(pg_column_size(o.metadata), 0) AS size_bytes
    FROM picked AS s
    CROSS JOIN absent
    CROSS JOIN LATERAL (SELECT compile_error, metadata FROM (SELECT s.*) AS own) AS o -- noqa: ST05
),
sized AS (
    SELECT
        s.*,
        sum(s.size_bytes) OVER (
            ORDER BY s.request_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS before_bytes
    FROM measured AS s
),
shown AS (
    SELECT
        s.request_id, s.size_bytes, h.is_hidden, h.is_hidden OR s.expires_at > :expired_after AS is_examined,
        s.language_title, s.user_id, s.created_at::timestamptz AS created_at,
        CASE
            WHEN h.is_hidden THEN s.expires_at::timestamptz + cast(:shift AS interval)
            ELSE s.expires_at::timestamptz
        END AS expires_at,
        o.last_executed_at::timestamptz AS executed_at, coalesce(o.execution_count, 0) AS execution_count, s.status,
        s.script_content, o.script_hash, o.compile_status, o.compile_error,
        CASE WHEN h.is_hidden OR s.expires_at > :expired_after THEN s.context::text END AS context,
        CASE WHEN h.is_hidden OR s.expires_at > :expired_after THEN o.metadata::text END AS metadata,
        CASE WHEN h.is_hidden OR s.expires_at > :expired_after THEN s.compile_options::text END AS compile_options
    FROM sized AS s
    CROSS JOIN absent
    CROSS JOIN LATERAL ( -- noqa: ST05
        SELECT last_executed_at, execution_count, script_hash, compile_status, compile_error, metadata
        FROM (SELECT s.*) AS own -- noqa: ST05
    ) AS o
    CROSS JOIN LATERAL ( -- noqa: ST05
        SELECT s.expires_at < '1500-01-01 00:00:00+00' AND isfinite(s.expires_at) AS is_hidden
    ) AS h
    WHERE coalesce(s.before_bytes, 0) < :bytes_max
    ORDER BY s.request_id
    LIMIT :rows_max
)
SELECT
    s.request_id::text,
    CASE WHEN s.is_hidden THEN 'hidden' WHEN s.is_examined THEN 'shown' ELSE 'expired' END AS standing,
    CASE WHEN s.is_examined THEN concat_ws(
        ' ', quote_nullable(s.language_title), quote_nullable(s.user_id),
        to_char(s.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'),
        to_char(s.expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')
    ) END AS identity,
    CASE WHEN s.is_examined THEN concat_ws(
        ' ', coalesce(to_char(s.executed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), '-'), s.execution_count
    ) END AS use,
    CASE WHEN s.is_examined THEN sha256(convert_to(concat(
        concat_ws(
            ' ', coalesce(octet_length(s.context)::text, '-'), coalesce(octet_length(s.script_content)::text, '-'),
            coalesce(octet_length(s.metadata)::text, '-'), coalesce(octet_length(s.compile_options)::text, '-'),
            coalesce(octet_length(s.compile_error)::text, '-'), quote_nullable(s.status), quote_nullable(s.script_hash),
            quote_nullable(s.compile_status)
        ),
        s.context, s.script_content, s.metadata, s.compile_options, s.compile_error
    ), 'UTF8')) END AS content,
    s.size_bytes
FROM shown AS s
ORDER BY s.request_id;

-- name: select_hidden(request_ids)
-- Whether a takeover has hidden each of these sessions.
SELECT s.request_id::text, s.expires_at < '1500-01-01 00:00:00+00' AND isfinite(s.expires_at) AS is_hidden
FROM sessions AS s
WHERE s.request_id = ANY(:request_ids);

-- name: select_functions(after_title, bytes_max, rows_max)
-- A description of more than 4096 bytes is too long here, and 5000 characters show that. JSON over bytes_max becomes a
-- text that is no JSON, a script over bytes_max null beside its size. Times that cannot be kept are null.
SELECT
    f.language_title::text,
    left(f.description, 5000) AS description,
    CASE
        WHEN octet_length(f.schema_definition::text) > :bytes_max THEN 'too large' ELSE f.schema_definition::text
    END AS schema_definition,
    CASE WHEN octet_length(f.examples::text) > :bytes_max THEN 'too large' ELSE f.examples::text END AS examples,
    CASE
        WHEN f.created_at >= '1970-01-01 00:00:00+00' AND f.created_at < '10000-01-01 00:00:00+00'
            THEN f.created_at AT TIME ZONE 'UTC'
    END AS created_at,
    CASE
        WHEN f.updated_at >= '1970-01-01 00:00:00+00' AND f.updated_at < '10000-01-01 00:00:00+00'
            THEN f.updated_at AT TIME ZONE 'UTC'
    END AS updated_at,
    f.created_by::text,
    f.is_active,
    f.version::text,
    coalesce(f.tags, '{}')::text[] AS tags,
    CASE WHEN octet_length(s.content) <= :bytes_max THEN s.content END AS content,
    octet_length(s.content) AS content_bytes
FROM functions AS f
LEFT JOIN scripts AS s ON f.id = s.function_id
WHERE f.language_title > :after_title
ORDER BY f.language_title
LIMIT :rows_max;
