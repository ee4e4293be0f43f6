-- Statements about what owners have executed, counted from the history; sessions.sql describes the format.

-- name: select_usage_progress()
SELECT p.counted_until FROM meta.usage_progress AS p;

-- name: count_usage(partition, day, progress, after, until, rows_max)
-- Counts executions of one day behind `after` and before `until`, and moves the progress in the same statement, so each
-- counts once. It counts nothing if the progress has moved since it was read, or if another controller counts. An
-- execution that has not ended stays in front of the progress: the oldest open record is a bound. Executions that were
-- accepted to run later are counted by count_added_usage. Never prepared: a plan for the given partition locks only that
-- one.
WITH claimed AS MATERIALIZED (
    SELECT p.counted_until FROM meta.usage_progress AS p WHERE p.counted_until = :progress::uuid FOR UPDATE SKIP LOCKED
),
bound AS MATERIALIZED (
    SELECT
        least(
            :until::uuid,
            (
                SELECT o.execution_id
                FROM meta.open_executions AS o
                WHERE o.claim_id IS NULL
                ORDER BY o.execution_id
                LIMIT 1
            )
        ) AS execution_id
    FROM claimed
),
examined AS MATERIALIZED (
    SELECT e.execution_id, e.owner, e.outcome, e.execution_time_ms, e.cpu_time_ms, e.attempt
    FROM meta.executions AS e
    WHERE
        e.slot = :partition::smallint
        AND e.execution_id > :after::uuid
        AND e.execution_id < (SELECT b.execution_id FROM bound AS b)
    ORDER BY e.execution_id
    LIMIT :rows_max::bigint
),
counted AS (
    INSERT INTO meta.usage AS u (owner, day, executions, failed, unknown, execution_time_ms, cpu_time_ms)
    SELECT
        e.owner, :day::date, count(*), count(*) FILTER (WHERE e.outcome = 'failed'),
        count(*) FILTER (WHERE e.outcome = 'unknown'), coalesce(sum(e.execution_time_ms), 0),
        coalesce(sum(e.cpu_time_ms), 0)
    FROM examined AS e
    WHERE e.attempt IS NULL
    GROUP BY e.owner
    ORDER BY e.owner
    ON CONFLICT (owner, day) DO UPDATE
        SET
            executions = u.executions + excluded.executions,
            failed = u.failed + excluded.failed,
            unknown = u.unknown + excluded.unknown,
            execution_time_ms = u.execution_time_ms + excluded.execution_time_ms,
            cpu_time_ms = u.cpu_time_ms + excluded.cpu_time_ms
),
reached AS MATERIALIZED (
    SELECT
        CASE
            WHEN b.execution_id = :until::uuid AND (SELECT count(*) FROM examined) < :rows_max::bigint
                THEN b.execution_id
            ELSE
                coalesce(
                    (SELECT e.execution_id FROM examined AS e ORDER BY e.execution_id DESC LIMIT 1), :after::uuid
                )
        END AS execution_id
    FROM bound AS b
),
moved AS (
    UPDATE meta.usage_progress AS p
    SET counted_until = r.execution_id
    FROM reached AS r
    WHERE p.counted_until = :progress::uuid
)
SELECT (SELECT count(*) FROM examined) AS counted, (SELECT r.execution_id FROM reached AS r) AS reached;

-- name: count_added_usage(rows_max)
-- Each row counts once: the deletion and the sum are one statement.
WITH picked AS MATERIALIZED (
    SELECT a.addition_id
    FROM meta.usage_additions AS a
    ORDER BY a.addition_id
    LIMIT :rows_max::bigint
    FOR UPDATE SKIP LOCKED
),
removed AS (
    DELETE FROM meta.usage_additions AS a
    USING picked AS p
    WHERE a.addition_id = p.addition_id
    RETURNING
        a.owner, a.day, a.executions, a.failed, a.unknown, a.execution_time_ms, a.cpu_time_ms, a.connections,
        a.sent_bytes, a.received_bytes
),
counted AS (
    INSERT INTO meta.usage AS u (
        owner, day, executions, failed, unknown, execution_time_ms, cpu_time_ms, connections, sent_bytes, received_bytes
    )
    SELECT
        r.owner, r.day, sum(r.executions), sum(r.failed), sum(r.unknown), sum(r.execution_time_ms), sum(r.cpu_time_ms),
        sum(r.connections), sum(r.sent_bytes), sum(r.received_bytes)
    FROM removed AS r
    GROUP BY r.owner, r.day
    ORDER BY r.owner, r.day
    ON CONFLICT (owner, day) DO UPDATE
        SET
            executions = u.executions + excluded.executions,
            failed = u.failed + excluded.failed,
            unknown = u.unknown + excluded.unknown,
            execution_time_ms = u.execution_time_ms + excluded.execution_time_ms,
            cpu_time_ms = u.cpu_time_ms + excluded.cpu_time_ms,
            connections = u.connections + excluded.connections,
            sent_bytes = u.sent_bytes + excluded.sent_bytes,
            received_bytes = u.received_bytes + excluded.received_bytes
)
SELECT count(*) FROM removed;

-- name: delete_old_usage(day, rows_max)
WITH picked AS MATERIALIZED (
    SELECT u.owner, u.day
    FROM meta.usage AS u
    WHERE u.day < :day::date
    ORDER BY u.day
    LIMIT :rows_max::bigint
    FOR UPDATE SKIP LOCKED
),
removed AS (
    DELETE FROM meta.usage AS u
    USING picked AS p
    WHERE u.owner = p.owner AND u.day = p.day
    RETURNING u.day
)
SELECT count(*) FROM removed;

-- name: select_usage_days(owners, day_from)
SELECT
    c.ordinal, u.day, u.executions, u.failed, u.unknown, u.execution_time_ms, u.cpu_time_ms, u.connections,
    u.sent_bytes, u.received_bytes
FROM unnest(:owners::text[]) WITH ORDINALITY AS c (owner, ordinal)
INNER JOIN meta.usage AS u ON c.owner = u.owner
WHERE u.day >= :day_from::date
ORDER BY c.ordinal, u.day;

-- name: select_owners(after, rows_max)
-- Each step finds the next owner in five indexes, so it reads no row twice.
WITH RECURSIVE found (owner, position) AS (
    SELECT :after::text, 0
    UNION ALL
    SELECT
        least(
            (SELECT s.owner FROM meta.sessions AS s WHERE s.owner > f.owner ORDER BY s.owner LIMIT 1),
            (SELECT n.owner FROM meta.functions AS n WHERE n.owner > f.owner ORDER BY n.owner LIMIT 1),
            (SELECT c.owner FROM meta.schedules AS c WHERE c.owner > f.owner ORDER BY c.owner LIMIT 1),
            (SELECT w.owner FROM meta.webhooks AS w WHERE w.owner > f.owner ORDER BY w.owner LIMIT 1),
            (SELECT u.owner FROM meta.usage AS u WHERE u.owner > f.owner ORDER BY u.owner LIMIT 1)
        ),
        f.position + 1
    FROM found AS f
    WHERE f.owner IS NOT NULL AND f.position < :rows_max::bigint
)
SELECT f.owner FROM found AS f WHERE f.position > 0 AND f.owner IS NOT NULL ORDER BY f.position;

-- name: sort_owners(owners)
-- The collation is that of the columns in select_owners.
SELECT o.owner FROM unnest(:owners::text[]) AS o (owner) ORDER BY o.owner;
