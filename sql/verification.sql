-- Statements of the comparison with the origin; sessions.sql describes the format. No request runs them.

-- name: select_stored_digests(after, lifetime_max, rows_max)
-- What identifies and describes each copy and each taken session, as select_digests of origin_rows.sql makes it for the
-- origin's row. The contents of a session that was emptied are null. A copy has the text that jsonb gives in the origin,
-- and keeps it until its owner replaces it; only a session that was taken has a hash of its script. So contexts are not cast, and one that is no JSON any more is found too.
WITH inbound AS (
    SELECT
        i.request_id, coalesce(t.state, 'inbound') AS state, i.owner, i.language, i.title, TRUE AS is_copy,
        NULL AS script_hash, i.timeout_ms,
        i.memory_mb, i.isolation, i.renewal, i.ttl_seconds, i.created_at, i.expires_at, i.expires_max_at, i.closed_at,
        i.last_executed_at, i.execution_count, i.version, i.convention, i.function_id, i.context, i.metadata, i.script,
        i.spelled_title, i.user_id, i.leftovers
    FROM meta.inbound_sessions AS i
    LEFT JOIN meta.taken_sessions AS t ON i.request_id = t.request_id
    WHERE i.request_id > :after::uuid
    ORDER BY i.request_id
    LIMIT :rows_max::bigint
),
taken AS (
    SELECT
        t.request_id, t.state, s.owner, s.language, s.title, FALSE AS is_copy, s.script_hash, s.timeout_ms, s.memory_mb, s.isolation,
        s.renewal, s.ttl_seconds, s.created_at, s.expires_at, s.expires_max_at, s.closed_at, s.last_executed_at,
        s.execution_count, s.version, s.convention, s.function_id, s.context, s.metadata, s.script, t.spelled_title,
        t.user_id, t.leftovers
    FROM meta.taken_sessions AS t
    INNER JOIN meta.sessions AS s ON t.request_id = s.request_id
    WHERE t.request_id > :after::uuid
    ORDER BY t.request_id
    LIMIT :rows_max::bigint
),
picked AS (
    SELECT * FROM inbound
    UNION ALL
    SELECT * FROM taken
    ORDER BY request_id
    LIMIT :rows_max::bigint
),
parsed AS MATERIALIZED (
    SELECT p.*, p.leftovers::jsonb AS members FROM picked AS p
),
shown AS MATERIALIZED (
    SELECT
        p.request_id, p.state, p.owner, p.language, p.title, p.is_copy, p.script_hash, p.created_at, p.expires_at,
        p.last_executed_at, p.execution_count, p.script, p.spelled_title, p.user_id, p.members,
        p.expires_max_at = greatest(p.expires_at, p.created_at + :lifetime_max::interval) AS has_lifetime,
        concat_ws(
            ' ', p.timeout_ms, p.memory_mb, p.isolation, p.renewal, p.convention, p.version,
            p.ttl_seconds - extract(EPOCH FROM p.expires_at - p.created_at)::bigint,
            p.closed_at, p.function_id
        ) AS settings,
        p.context,
        CASE
            WHEN p.members -> 'absent' ? 'script_content' THEN NULL
            WHEN p.members ? 'script_content' THEN p.members ->> 'script_content'
            ELSE p.script
        END AS script_content,
        CASE
            WHEN p.members -> 'absent' ? 'metadata' THEN NULL
            ELSE coalesce((p.members -> 'metadata')::text, p.metadata)
        END AS metadata,
        (p.members -> 'compile_options')::text AS compile_options,
        p.members ->> 'compile_error' AS compile_error
    FROM parsed AS p
)
SELECT
    s.request_id::text,
    s.state,
    concat_ws(
        ' ', quote_nullable(s.spelled_title), quote_nullable(s.user_id),
        to_char(s.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'),
        to_char(s.expires_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')
    ) AS identity,
    concat_ws(
        ' ', coalesce(to_char(s.last_executed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US'), '-'),
        coalesce(s.members ->> 'execution_count', s.execution_count::text)
    ) AS use,
    CASE WHEN s.script IS NOT NULL THEN sha256(convert_to(concat(
        concat_ws(
            ' ', coalesce(octet_length(s.context)::text, '-'), coalesce(octet_length(s.script_content)::text, '-'),
            coalesce(octet_length(s.metadata)::text, '-'), coalesce(octet_length(s.compile_options)::text, '-'),
            coalesce(octet_length(s.compile_error)::text, '-'),
            quote_nullable(coalesce(s.members ->> 'status', 'active')), quote_nullable(s.members ->> 'script_hash'),
            quote_nullable(s.members ->> 'compile_status')
        ),
        s.context, s.script_content, s.metadata, s.compile_options, s.compile_error
    ), 'UTF8')) END AS content,
    s.has_lifetime
    AND (s.is_copy OR coalesce(encode(sha256(convert_to(s.script, 'UTF8')), 'hex'), '') = coalesce(s.script_hash, ''))
        AS is_sound,
    s.owner, s.language, s.title, s.spelled_title, s.user_id, s.settings
FROM shown AS s
ORDER BY s.request_id;

-- name: select_next_stored(after)
SELECT n.request_id::text
FROM (
    (
        SELECT i.request_id FROM meta.inbound_sessions AS i
        WHERE i.request_id > :after::uuid ORDER BY i.request_id LIMIT 1
    )
    UNION ALL
    (
        SELECT t.request_id
        FROM meta.taken_sessions AS t
        INNER JOIN meta.sessions AS s ON t.request_id = s.request_id
        WHERE t.request_id > :after::uuid ORDER BY t.request_id LIMIT 1
    )
) AS n
ORDER BY n.request_id
LIMIT 1;

-- name: select_taken_contents(request_ids)
-- Taken sessions as they are stored here, with what they had in the origin.
SELECT
    t.state, t.count_at_fence, t.late_count,
    t.spelled_title, t.user_id, t.leftovers, s.script,
    s.request_id, s.owner, s.language, s.title, s.script_hash, s.context, s.metadata, s.timeout_ms, s.memory_mb,
    s.isolation, s.renewal, s.ttl_seconds, s.expires_at, s.expires_max_at, s.closed_at, s.last_executed_at,
    s.execution_count, s.version, s.function_version, s.function_id, s.hidden, s.convention, s.created_at,
    s.grants
FROM meta.taken_sessions AS t
INNER JOIN meta.sessions AS s ON t.request_id = s.request_id
WHERE t.request_id = any(:request_ids::uuid[]);
