-- Statements about the size of stored data; sessions.sql describes the format. No request runs them.

-- name: select_table_sizes()
-- Sizes include indexes and out-of-line values. Row counts are estimates from statistics. Never prepared: a node of a
-- distributed database shows shards in the catalogue only behind select_shards_open.
SELECT
    c.relname AS table_name, pg_total_relation_size(c.oid) AS size_bytes,
    coalesce(nullif(pg_stat_get_live_tuples(c.oid), 0), greatest(c.reltuples::bigint, 0)) AS rows_estimated
FROM pg_class AS c
INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
WHERE n.nspname = 'meta' AND c.relkind = 'r'
ORDER BY c.relname;

-- name: select_first_executions(partitions)
-- Any row of a partition shows the day that the partition holds. Never prepared: a plan for the given partitions locks
-- only these.
SELECT d.slot, e.execution_id
FROM unnest(:partitions::smallint[]) AS d (slot)
CROSS JOIN LATERAL (
    SELECT e.execution_id
    FROM meta.executions AS e
    WHERE e.slot = d.slot AND e.slot = any(:partitions::smallint[])
    LIMIT 1
) AS e;

-- name: shorten_history(partition, kept_from, day, shortened_at, size_bytes)
-- Empties the partition and records its day in one statement. If a process stops or a response is lost, both happened
-- or neither did.
WITH emptied AS (
    SELECT meta.empty_slot(:partition::smallint, :kept_from::uuid) AS is_done
),
noted AS (
    INSERT INTO meta.shortened_days AS s (slot, day, shortened_at, size_bytes)
    SELECT :partition::smallint, :day::date, :shortened_at::timestamptz, :size_bytes::bigint
    FROM emptied AS e
    WHERE e.is_done
    ON CONFLICT (slot) DO UPDATE
        SET day = excluded.day, shortened_at = excluded.shortened_at, size_bytes = excluded.size_bytes
        WHERE s.day <= excluded.day
)
SELECT e.is_done FROM emptied AS e;

-- name: select_shortened_days()
SELECT s.day, s.shortened_at, s.size_bytes FROM meta.shortened_days AS s ORDER BY s.day;

-- name: select_session_sample(newest, rows_max)
-- The newest sessions, and as many with ids of another service. Nearly all of these are random ids that are greater than
-- the newest id of this service.
(
    SELECT s.request_id, s.created_at, s.expires_at
    FROM meta.sessions AS s
    WHERE s.request_id <= :newest::uuid
    ORDER BY s.request_id DESC
    LIMIT :rows_max::bigint
)
UNION ALL
(
    SELECT s.request_id, s.created_at, s.expires_at
    FROM meta.sessions AS s
    WHERE s.request_id > :newest::uuid
    ORDER BY s.request_id
    LIMIT :rows_max::bigint
);

-- name: select_oldest_execution(partition)
-- Never prepared: a plan for the given partition locks only that one.
SELECT e.execution_id FROM meta.executions AS e WHERE e.slot = :partition::smallint ORDER BY e.execution_id LIMIT 1;

-- name: select_oldest_open_execution()
SELECT o.execution_id FROM meta.open_executions AS o ORDER BY o.execution_id LIMIT 1;

-- name: select_oldest_key_expiry()
SELECT k.expires_at FROM meta.idempotency_keys AS k ORDER BY k.expires_at LIMIT 1;

-- name: select_oldest_session(newest)
-- Passes over the few ids of another service that are less than those of this one.
SELECT s.request_id
FROM meta.sessions AS s
WHERE s.created_at IS NULL AND s.request_id <= :newest::uuid
ORDER BY s.request_id
LIMIT 1;

-- name: select_oldest_act()
SELECT a.act_id FROM meta.audit AS a ORDER BY a.act_id LIMIT 1;
