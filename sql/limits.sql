-- Statements about the limits of owners: rates and usage; sessions.sql describes the format.

-- name: settle_rates(owners, policies, firsts_at, spents)
-- An update on conflict reads the stored row and the proposed row only. Therefore the proposed row contains the sum in
-- `full_at` and the added part in `spent`. Rows are locked in the order of the key.
INSERT INTO meta.rates AS r (owner, policy, full_at, spent)
SELECT c.owner, c.policy, c.first_at + c.spent, c.spent
FROM
    unnest(:owners::text[], :policies::text[], :firsts_at::timestamptz[], :spents::interval[])
    AS c (owner, policy, first_at, spent)
ORDER BY c.owner, c.policy
ON CONFLICT (owner, policy) DO UPDATE
SET full_at = greatest(r.full_at, excluded.full_at - excluded.spent) + excluded.spent, spent = excluded.spent
RETURNING r.owner, r.policy, r.full_at;

-- name: reserve_parts(owners, limits, replaced, versions, slots, reserved, reserved_before, expiries)
-- Repeating it changes nothing. A row that was not changed is returned as it was when the statement began. Rows are
-- locked in the order of the key.
WITH proposed AS MATERIALIZED (
    SELECT * FROM
        unnest(
            :owners::text[], :limits::text[], :replaced::bigint[], :versions::bigint[], :slots::bigint[],
            :reserved::bigint[], :reserved_before::bigint[], :expiries::timestamptz[]
        ) AS c (owner, policy, replaced, version, slot, reserved, reserved_before, expires_at)
),
stored AS (
    INSERT INTO meta.rates AS r (
        owner, policy, full_at, spent, replaced, version, slot, reserved, reserved_before
    )
    SELECT
        p.owner, p.policy, p.expires_at, interval '0', p.replaced, p.version, p.slot, p.reserved, p.reserved_before
    FROM proposed AS p
    ORDER BY p.owner, p.policy
    ON CONFLICT (owner, policy) DO UPDATE
        SET
            full_at = excluded.full_at, replaced = excluded.replaced, version = excluded.version,
            slot = excluded.slot, reserved = excluded.reserved, reserved_before = excluded.reserved_before
        WHERE r.version = excluded.replaced
    RETURNING r.owner, r.policy, r.version, r.slot, r.reserved, r.reserved_before
)
SELECT s.owner, s.policy, s.version, s.slot, s.reserved, s.reserved_before FROM stored AS s
UNION ALL
SELECT r.owner, r.policy, r.version, r.slot, r.reserved, r.reserved_before
FROM proposed AS p
INNER JOIN meta.rates AS r ON p.owner = r.owner AND p.policy = r.policy
WHERE (p.owner, p.policy) NOT IN (SELECT s.owner, s.policy FROM stored AS s);

-- name: forget_rates(full_before, after_owner, after_policy, rows_max)
-- Reads rows in the order of the key, at most rows_max in one statement. Returns the last key and the number of rows
-- read. Never prepared, so that the plan is for few rows.
WITH examined AS MATERIALIZED (
    SELECT r.owner, r.policy, r.full_at
    FROM meta.rates AS r
    WHERE (r.owner, r.policy) > (:after_owner::text, :after_policy::text)
    ORDER BY r.owner, r.policy
    LIMIT :rows_max::bigint
),
locked AS MATERIALIZED (
    SELECT r.owner, r.policy
    FROM meta.rates AS r
    INNER JOIN examined AS e ON r.owner = e.owner AND r.policy = e.policy
    WHERE e.full_at < :full_before::timestamptz
    ORDER BY r.owner, r.policy
    FOR UPDATE OF r SKIP LOCKED
),
removed AS (
    DELETE FROM meta.rates AS r
    USING locked AS l
    WHERE r.owner = l.owner AND r.policy = l.policy AND r.full_at < :full_before::timestamptz
)
SELECT e.owner, e.policy, count(*) OVER () AS examined
FROM examined AS e
ORDER BY e.owner DESC, e.policy DESC
LIMIT 1;

-- name: select_rates(owners)
SELECT r.owner, r.policy, r.full_at FROM meta.rates AS r WHERE r.owner = any(:owners::text[]);

-- name: select_usage(owners, languages, now, rows_max)
-- Reads at most rows_max sessions of each owner, as many executions that run later, and as many messages to webhooks,
-- newest first; messages by webhook. The size of a value that is stored outside its row is known without reading the
-- value. A state is looked for only of a session with grants. There may be more of one kind if as many as rows_max were read. A subquery with LIMIT reads the messages of the
-- owner's webhooks alone, where a join may read those of all owners in the order of the index.
WITH call AS (
    SELECT * FROM unnest(:owners::text[]) WITH ORDINALITY AS c (owner, ordinal)
)
SELECT
    s.live_sessions, (s.stored_bytes + k.stored_bytes + d.stored_bytes)::bigint AS stored_bytes,
    greatest(s.examined, k.examined, d.examined) AS examined
FROM call AS c
CROSS JOIN LATERAL ( -- noqa: ST05
    SELECT
        count(*) FILTER (
            WHERE NOT n.hidden AND n.closed_at IS NULL AND n.expires_at > :now::timestamptz
        ) AS live_sessions,
        coalesce(sum(n.stored_bytes), 0) AS stored_bytes,
        count(*) AS examined
    FROM (
        SELECT
            s.hidden, s.closed_at, s.expires_at,
            pg_column_size(s.context) + pg_column_size(s.metadata) + coalesce(pg_column_size(s.script), 0)
            + CASE
                WHEN s.grants IS NULL THEN 0
                ELSE
                    coalesce(
                        (
                            SELECT pg_column_size(t.state)
                            FROM meta.session_states AS t
                            WHERE t.request_id = s.request_id
                        ),
                        0
                    )
            END AS stored_bytes
        FROM meta.sessions AS s
        WHERE s.owner = c.owner
        ORDER BY s.request_id DESC
        LIMIT :rows_max::bigint
    ) AS n
) AS s
CROSS JOIN LATERAL ( -- noqa: ST05
    SELECT coalesce(sum(n.stored_bytes), 0) AS stored_bytes, count(*) AS examined
    FROM (
        (
            SELECT coalesce(pg_column_size(q.params), 0) + coalesce(pg_column_size(q.options), 0) AS stored_bytes
            FROM meta.queued_executions AS q
            WHERE q.language = any(:languages::text[]) AND q.owner = c.owner
            LIMIT :rows_max::bigint
        )
        UNION ALL
        SELECT coalesce(pg_column_size(o.params), 0) + coalesce(pg_column_size(o.options), 0) AS stored_bytes
        FROM meta.open_executions AS o
        WHERE o.claim_id IS NOT NULL AND o.owner = c.owner
        UNION ALL
        (
            SELECT
                coalesce(pg_column_size(k.params), 0) + coalesce(pg_column_size(k.options), 0)
                + coalesce(pg_column_size(k.answer), 0) + coalesce(pg_column_size(k.result), 0) AS stored_bytes
            FROM meta.idempotency_keys AS k
            WHERE k.owner = c.owner AND k.outcome IS NOT NULL
            ORDER BY k.winner DESC
            LIMIT :rows_max::bigint
        )
        LIMIT :rows_max::bigint
    ) AS n
) AS k
CROSS JOIN LATERAL ( -- noqa: ST05
    SELECT coalesce(sum(n.stored_bytes), 0) AS stored_bytes, count(*) AS examined
    FROM (
        SELECT d.stored_bytes
        FROM meta.webhooks AS w
        CROSS JOIN LATERAL (
            SELECT pg_column_size(d.payload) AS stored_bytes
            FROM meta.deliveries AS d
            WHERE d.webhook_id = w.webhook_id
            ORDER BY d.delivery_id DESC
            LIMIT :rows_max::bigint
        ) AS d
        WHERE w.owner = c.owner
        LIMIT :rows_max::bigint
    ) AS n
) AS d
ORDER BY c.ordinal;

-- name: select_open_executions(owners, now)
-- Reads the whole table, which is small: it holds only executions that have begun and not finished. An owner without
-- open executions returns no row.
SELECT o.owner, count(*)
FROM meta.open_executions AS o
WHERE o.owner = any(:owners::text[]) AND o.deadline_at > :now::timestamptz
GROUP BY o.owner;

-- name: select_holdings(owners, languages, queued_max)
SELECT
    (SELECT count(*) FROM meta.schedules AS s WHERE s.owner = c.owner) AS schedules,
    (SELECT count(*) FROM meta.webhooks AS w WHERE w.owner = c.owner) AS webhooks,
    (
        SELECT least(sum(f.queued), :queued_max::bigint)::bigint
        FROM unnest(:languages::text[]) AS l (language)
        CROSS JOIN LATERAL ( -- noqa: ST05
            SELECT count(*) AS queued
            FROM (
                SELECT FROM meta.queued_executions AS q
                WHERE q.language = l.language AND q.owner = c.owner
                LIMIT :queued_max::bigint
            ) AS n
        ) AS f
    ) AS queued_executions
FROM unnest(:owners::text[]) WITH ORDINALITY AS c (owner, ordinal)
ORDER BY c.ordinal;
