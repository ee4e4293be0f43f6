-- Statements about what owners are granted; sessions.sql says how to read them.

-- name: settle_rates(owners, policies, firsts_at, spents)
-- The row being replaced is only known to the update, what is added only to the proposed row, which therefore says both
-- its sum and its part. Rows are locked in the order of the key.
INSERT INTO meta.rates AS r (owner, policy, full_at, spent)
SELECT c.owner, c.policy, c.first_at + c.spent, c.spent
FROM
    unnest(:owners::text[], :policies::text[], :firsts_at::timestamptz[], :spents::interval[])
    AS c (owner, policy, first_at, spent)
ORDER BY c.owner, c.policy
ON CONFLICT (owner, policy) DO UPDATE
SET full_at = greatest(r.full_at, excluded.full_at - excluded.spent) + excluded.spent, spent = excluded.spent
RETURNING r.owner, r.policy, r.full_at;

-- name: forget_rates(full_before, after_owner, after_policy, rows_max)
-- Walks the key, so that one statement looks at a bounded number of rows; answers the last one, and how many they were.
-- Never prepared, so that it is planned for few rows.
WITH looked_at AS MATERIALIZED (
    SELECT r.owner, r.policy, r.full_at
    FROM meta.rates AS r
    WHERE (r.owner, r.policy) > (:after_owner::text, :after_policy::text)
    ORDER BY r.owner, r.policy
    LIMIT :rows_max::bigint
),
locked AS MATERIALIZED (
    SELECT r.owner, r.policy
    FROM meta.rates AS r
    INNER JOIN looked_at AS l ON r.owner = l.owner AND r.policy = l.policy
    WHERE l.full_at < :full_before::timestamptz
    ORDER BY r.owner, r.policy
    FOR UPDATE OF r SKIP LOCKED
),
removed AS (
    DELETE FROM meta.rates AS r
    USING locked AS l
    WHERE r.owner = l.owner AND r.policy = l.policy AND r.full_at < :full_before::timestamptz
)
SELECT l.owner, l.policy, count(*) OVER () AS looked_at
FROM looked_at AS l
ORDER BY l.owner DESC, l.policy DESC
LIMIT 1;

-- name: select_usage(owners, now, rows_max)
-- Looks at an owner's newest sessions. A value that is kept apart from its row tells its size without being read. Who
-- has nothing is not answered.
WITH call AS (
    SELECT * FROM unnest(:owners::text[]) WITH ORDINALITY AS c (owner, ordinal)
)
SELECT
    c.ordinal,
    count(*) FILTER (WHERE n.closed_at IS NULL AND n.expires_at > :now::timestamptz) AS live_sessions,
    sum(n.stored_bytes)::bigint AS stored_bytes
FROM call AS c
CROSS JOIN LATERAL (
    SELECT
        s.closed_at, s.expires_at,
        pg_column_size(s.context) + pg_column_size(s.metadata) + coalesce(pg_column_size(s.script), 0) AS stored_bytes
    FROM meta.sessions AS s
    WHERE s.owner = c.owner
    ORDER BY s.request_id DESC
    LIMIT :rows_max::bigint
) AS n
GROUP BY c.ordinal;

-- name: select_open_executions(owners, now)
-- The table holds what is open right now, which is little: it is read whole. Who has nothing is not answered.
SELECT o.owner, count(*)
FROM meta.open_executions AS o
WHERE o.owner = any(:owners::text[]) AND o.deadline_at > :now::timestamptz
GROUP BY o.owner;
