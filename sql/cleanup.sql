-- Statements of the cleanup; sessions.sql describes the format. Several controllers may run them at the same time.
-- Batch statements are never prepared: a plan for any number of rows reads whole indexes to remove a few rows.

-- name: delete_expired_sessions(expired_before, rows_max)
-- The deletion checks the expiry again after it has the lock. The next cleanup removes the rows that are locked now.
WITH picked AS MATERIALIZED (
    SELECT s.request_id
    FROM meta.sessions AS s
    WHERE s.expires_at <= :expired_before::timestamptz
    ORDER BY s.expires_at
    LIMIT :rows_max::bigint
    FOR UPDATE SKIP LOCKED
),
removed AS (
    DELETE FROM meta.sessions AS s
    USING picked AS p
    WHERE s.request_id = p.request_id AND s.expires_at <= :expired_before::timestamptz
    RETURNING s.request_id
)
SELECT count(*) FROM removed;

-- name: select_oldest_expiry()
SELECT s.expires_at FROM meta.sessions AS s ORDER BY s.expires_at LIMIT 1;

-- name: move_overdue_executions(now, rows_max)
-- Their ends were not recorded in time. They enter the history as unknown, and their sessions do not count them.
WITH picked AS MATERIALIZED (
    SELECT o.request_id, o.execution_id
    FROM meta.open_executions AS o
    WHERE o.deadline_at <= :now::timestamptz
    LIMIT :rows_max::bigint
    FOR UPDATE SKIP LOCKED
),
removed AS (
    DELETE FROM meta.open_executions AS o
    USING picked AS p
    WHERE o.request_id = p.request_id AND o.execution_id = p.execution_id
    RETURNING o.slot, o.request_id, o.execution_id, o.owner
),
recorded AS (
    INSERT INTO meta.executions (slot, request_id, execution_id, owner, outcome)
    SELECT r.slot, r.request_id, r.execution_id, r.owner, 'unknown' FROM removed AS r
    ON CONFLICT (slot, request_id, execution_id) DO NOTHING
)
SELECT count(*) FROM removed;

-- name: delete_expired_keys(now, rows_max)
-- Another call may take an expired key meanwhile. The deletion checks the expiry again after it has the lock.
WITH picked AS MATERIALIZED (
    SELECT k.request_id, k.owner, k.key
    FROM meta.idempotency_keys AS k
    WHERE k.expires_at <= :now::timestamptz
    ORDER BY k.expires_at
    LIMIT :rows_max::bigint
    FOR UPDATE SKIP LOCKED
),
removed AS (
    DELETE FROM meta.idempotency_keys AS k
    USING picked AS p
    WHERE
        k.request_id = p.request_id AND k.owner = p.owner AND k.key = p.key
        AND k.expires_at <= :now::timestamptz
    RETURNING k.key
)
SELECT count(*) FROM removed;

-- name: select_oldest_session()
SELECT s.request_id FROM meta.sessions AS s ORDER BY s.request_id LIMIT 1;

-- name: delete_replaced_versions(replaced_before, rows_max)
-- A version was replaced before any newer version was registered, or at that instant. The current version has no newer
-- one, so it stays.
WITH picked AS MATERIALIZED (
    SELECT v.language, v.title, v.version
    FROM meta.functions AS f
    INNER JOIN meta.function_versions AS v
        ON f.language = v.language AND f.title = v.title AND f.version > v.version
    WHERE
        f.version > 1
        AND EXISTS (
            SELECT FROM meta.function_versions AS n
            WHERE
                n.language = v.language AND n.title = v.title AND n.version > v.version
                AND n.registered_at < :replaced_before::timestamptz
        )
    LIMIT :rows_max::bigint
    FOR UPDATE OF v SKIP LOCKED
),
removed AS (
    DELETE FROM meta.function_versions AS v
    USING picked AS p
    WHERE v.language = p.language AND v.title = p.title AND v.version = p.version
    RETURNING v.version
)
SELECT count(*) FROM removed;

-- name: select_filled_partitions(partitions)
-- Never prepared: a plan for the given partitions locks only these.
SELECT d.slot
FROM unnest(:partitions::smallint[]) AS d (slot)
WHERE EXISTS (SELECT FROM meta.executions AS e WHERE e.slot = d.slot AND e.slot = any(:partitions::smallint[]));

-- name: empty_partition(partition, kept_from)
SELECT meta.empty_slot(:partition::smallint, :kept_from::uuid);
