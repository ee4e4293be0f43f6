-- Statements about the output of running executions, for readers in other processes; sessions.sql describes the format.

-- name: append_live_output(request_ids, execution_ids, parts, stdouts_from, stdouts, stderrs_from, stderrs, progress_counts, progresses, messages)
-- Only an open execution has live output. A record that is being removed is skipped: its end has the output.
WITH call AS (
    SELECT *
    FROM
        unnest(
            :request_ids::uuid[], :execution_ids::uuid[], :parts::integer[], :stdouts_from::bigint[], :stdouts::text[],
            :stderrs_from::bigint[], :stderrs::text[], :progress_counts::integer[], :progresses::double precision[],
            :messages::text[]
        ) WITH ORDINALITY AS c (
            request_id, execution_id, part, stdout_from, stdout, stderr_from, stderr, progress_count, progress, message,
            ordinal
        )
),
open AS MATERIALIZED (
    SELECT c.*, o.deadline_at
    FROM call AS c
    INNER JOIN meta.open_executions AS o ON o.request_id = any(ARRAY[c.request_id]) AND c.execution_id = o.execution_id
    ORDER BY c.request_id, c.execution_id
    FOR KEY SHARE OF o SKIP LOCKED
),
stored AS (
    INSERT INTO meta.live_output (
        request_id, execution_id, part, stdout_from, stdout, stderr_from, stderr, progress_count, progress, message,
        kept_until
    )
    SELECT
        o.request_id, o.execution_id, o.part, o.stdout_from, o.stdout, o.stderr_from, o.stderr, o.progress_count,
        o.progress, o.message, o.deadline_at + interval '1 hour'
    FROM open AS o
    ORDER BY o.request_id, o.execution_id, o.part
    ON CONFLICT (request_id, execution_id, part) DO UPDATE SET
        stdout_from = excluded.stdout_from,
        stdout = excluded.stdout,
        stderr_from = excluded.stderr_from,
        stderr = excluded.stderr,
        progress_count = excluded.progress_count,
        progress = excluded.progress,
        message = excluded.message
)
SELECT o.ordinal FROM open AS o;

-- name: select_live_output(request_ids, execution_ids, stdout_bytes, stderr_bytes, progress_counts, parts_max)
-- Of each call the first parts that have more than its reader has.
SELECT c.ordinal, l.stdout_from, l.stdout, l.stderr_from, l.stderr, l.progress_count, l.progress, l.message
FROM
    unnest(
        :request_ids::uuid[], :execution_ids::uuid[], :stdout_bytes::bigint[], :stderr_bytes::bigint[],
        :progress_counts::bigint[]
    ) WITH ORDINALITY AS c (request_id, execution_id, stdout_bytes, stderr_bytes, progress_count, ordinal)
CROSS JOIN LATERAL (
    SELECT
        l.part, l.stdout_from, l.stdout, l.stderr_from, l.stderr, l.progress_count, l.progress, l.message
    FROM meta.live_output AS l
    WHERE
        l.request_id = c.request_id
        AND l.execution_id = c.execution_id
        AND (
            l.stdout_from + octet_length(l.stdout) > c.stdout_bytes
            OR l.stderr_from + octet_length(l.stderr) > c.stderr_bytes
            OR l.progress_count > c.progress_count
        )
    ORDER BY l.part
    LIMIT :parts_max::bigint
) AS l
ORDER BY c.ordinal, l.part;

-- name: delete_live_output(request_ids, execution_ids)!
DELETE FROM meta.live_output AS l
USING unnest(:request_ids::uuid[], :execution_ids::uuid[]) AS c (request_id, execution_id)
WHERE l.request_id = any(ARRAY[c.request_id]) AND l.execution_id = c.execution_id;
