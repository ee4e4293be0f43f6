-- Statements that find executions which can no longer begin, or whose end was not recorded in time, and end them;
-- queue.sql says what entitles to it, sessions.sql describes the format.

-- name: select_expired_entries(now, rows_max)
SELECT q.request_id, q.execution_id
FROM meta.queued_executions AS q
WHERE q.expires_at <= :now::timestamptz
ORDER BY q.expires_at
LIMIT :rows_max::bigint;

-- name: select_entries_of(request_id, now, rows_max)
-- The entries of a session, if they can no longer run.
SELECT q.request_id, q.execution_id
FROM meta.queued_executions AS q
WHERE
    q.request_id = :request_id::uuid
    AND (
        q.expires_at <= :now::timestamptz
        OR (
            SELECT TRUE FROM meta.sessions AS s
            WHERE s.request_id = any(ARRAY[q.request_id]) AND s.closed_at IS NULL AND s.expires_at > :now::timestamptz
            ORDER BY s.request_id
            LIMIT 1
        ) IS NULL
    )
LIMIT :rows_max::bigint;

-- name: select_blocking_entries(now, turns_max, rows_max, ended_max)
-- Entries of closed sessions among the first ones of each owner: those that claims examine in vain. A session is closed
-- without its entries if the process ended between.
WITH RECURSIVE turn (language, owner, position) AS (
    SELECT '', '', 0
    UNION ALL
    SELECT n.language, n.owner, t.position + 1
    FROM turn AS t
    CROSS JOIN LATERAL (
        SELECT q.language, q.owner
        FROM meta.queued_executions AS q
        WHERE (q.language, q.owner) > (t.language, t.owner)
        ORDER BY q.language, q.owner
        LIMIT 1
    ) AS n
    WHERE t.position < :turns_max::bigint
)
SELECT f.request_id, f.execution_id
FROM turn AS t
CROSS JOIN LATERAL (
    SELECT q.request_id, q.execution_id
    FROM meta.queued_executions AS q
    WHERE q.language = t.language AND q.owner = t.owner AND q.ready_at <= :now::timestamptz
    ORDER BY q.ready_at, q.execution_id
    LIMIT :rows_max::bigint
) AS f
WHERE
    (
        SELECT TRUE FROM meta.sessions AS s
        WHERE s.request_id = any(ARRAY[f.request_id]) AND s.closed_at IS NULL AND s.expires_at > :now::timestamptz
        ORDER BY s.request_id
        LIMIT 1
    ) IS NULL
LIMIT :ended_max::bigint;

-- name: end_entries(request_ids, execution_ids, bytes_max, now, cancelled, expired, cancelled_error, expired_error)
-- Ends those of the entries that can no longer run. The next call ends the rows that are locked now, and those beyond
-- about bytes_max of params and options, which are stored again under the key.
WITH picked AS MATERIALIZED (
    SELECT
        q.execution_id, q.request_id, q.expires_at,
        pg_column_size(q.params) + coalesce(pg_column_size(q.options), 0) AS bytes
    FROM unnest(:request_ids::uuid[], :execution_ids::uuid[]) AS c (request_id, execution_id)
    INNER JOIN meta.queued_executions AS q ON c.execution_id = q.execution_id AND c.request_id = q.request_id
    WHERE q.execution_id = any(:execution_ids::uuid[])
    ORDER BY q.execution_id
    FOR UPDATE OF q SKIP LOCKED
),
judged AS (
    SELECT
        p.execution_id, p.request_id, p.bytes,
        CASE
            WHEN s.closed_at < p.expires_at THEN 'cancelled'
            WHEN
                p.expires_at <= :now::timestamptz
                OR s.expires_at IS NULL
                OR s.expires_at <= :now::timestamptz
                OR s.closed_at IS NOT NULL
                THEN 'expired'
        END AS outcome
    FROM picked AS p
    LEFT JOIN LATERAL (
        SELECT s.closed_at, s.expires_at
        FROM meta.sessions AS s
        WHERE s.request_id = any(ARRAY[p.request_id])
        ORDER BY s.request_id
        LIMIT 1
    ) AS s ON TRUE
),
ending AS (
    SELECT j.*, sum(j.bytes) OVER (ORDER BY j.execution_id) AS bytes_with_it
    FROM judged AS j
    WHERE j.outcome IS NOT NULL
),
removed AS (
    DELETE FROM meta.queued_executions AS q
    USING ending AS e
    WHERE
        -- Without it PostgreSQL 15 plans to read the whole primary key while the table is empty.
        q.request_id = any(array(SELECT p.request_id FROM picked AS p))
        AND q.execution_id = any(:execution_ids::uuid[])
        AND q.execution_id = e.execution_id
        AND q.request_id = e.request_id
        AND e.bytes_with_it - e.bytes < :bytes_max::bigint
    RETURNING
        q.*, e.outcome, q.language || '-' || q.title AS language_title,
        coalesce((q.options ->> 'attempt')::smallint, 1::smallint) AS attempt
),
answered AS (
    INSERT INTO meta.idempotency_keys AS k (
        request_id, owner, key, payload_hash, winner, language_title, deadline_at, expires_at, answer, outcome, ready_at,
        start_until, params, options
    )
    SELECT
        r.request_id, r.owner, coalesce(r.key, ' ' || r.execution_id), coalesce(r.payload_hash, sha256('')),
        r.execution_id, r.language_title, r.kept_until AS deadline_at, r.kept_until,
        CASE r.outcome WHEN 'cancelled' THEN :cancelled::text ELSE :expired::text END, r.outcome, r.ready_at,
        r.expires_at, r.params, r.options
    FROM removed AS r
    ORDER BY r.request_id, r.owner, coalesce(r.key, ' ' || r.execution_id)
    ON CONFLICT (request_id, owner, key) DO UPDATE SET
        answer = excluded.answer, outcome = excluded.outcome, params = excluded.params, options = excluded.options
    WHERE k.winner = excluded.winner
),
announced AS (
    INSERT INTO meta.deliveries (
        delivery_id, request_id, webhook_id, execution_id, event, payload, state, next_at, error
    )
    SELECT d.*
    FROM removed AS r
    CROSS JOIN LATERAL meta.deliveries_of(
        r.owner, (r.options ->> 'webhook_id')::uuid, r.request_id, r.execution_id, r.outcome, :now::timestamptz,
        r.language_title, r.attempt,
        CASE r.outcome WHEN 'cancelled' THEN :cancelled_error::text ELSE :expired_error::text END, NULL
    ) AS d
    ON CONFLICT (delivery_id, request_id) DO NOTHING
),
recorded AS (
    INSERT INTO meta.executions (slot, request_id, execution_id, owner, outcome, attempt)
    SELECT r.slot, r.request_id, r.execution_id, r.owner, r.outcome, r.attempt FROM removed AS r
    ON CONFLICT (slot, request_id, execution_id) DO NOTHING
)
SELECT count(*) FROM removed;

-- name: move_overdue_executions(now, rows_max, execution_id, next_ids, next_partition, jitters)
-- Their ends were not recorded in time. They enter the history as unknown, and their sessions do not count them. Those
-- that were accepted to run again after such an end get a next attempt, each with one of the ids and jitters, unless
-- their cancel was requested; `following` is as in finish_queued_executions, the pause as in RetryPolicy of the domain.
-- Without an execution_id it moves any of them. Never prepared: a plan for any number of rows reads whole indexes.
WITH picked AS MATERIALIZED (
    SELECT o.request_id, o.execution_id
    FROM meta.open_executions AS o
    WHERE
        o.deadline_at <= :now::timestamptz
        AND (:execution_id::uuid IS NULL OR o.execution_id = :execution_id::uuid)
    LIMIT :rows_max::bigint
    FOR UPDATE SKIP LOCKED
),
removed AS (
    DELETE FROM meta.open_executions AS o
    USING picked AS p
    WHERE o.request_id = any(ARRAY[p.request_id]) AND o.execution_id = p.execution_id
    RETURNING
        o.*,
        CASE WHEN o.claim_id IS NOT NULL THEN coalesce((o.options ->> 'attempt')::smallint, 1::smallint) END AS attempt
),
recorded AS (
    INSERT INTO meta.executions (slot, request_id, execution_id, owner, outcome, attempt)
    SELECT r.slot, r.request_id, r.execution_id, r.owner, 'unknown', r.attempt FROM removed AS r
    ON CONFLICT (slot, request_id, execution_id) DO NOTHING
),
accepted AS (
    SELECT r.* FROM removed AS r WHERE r.claim_id IS NOT NULL
),
used AS (
    INSERT INTO meta.usage_additions (owner, day, executions, failed, unknown, execution_time_ms, cpu_time_ms)
    SELECT a.owner, (:now::timestamptz AT TIME ZONE 'UTC')::date, count(*), 0, count(*), 0, 0
    FROM accepted AS a
    GROUP BY a.owner
),
repeated AS (
    SELECT a.*, row_number() OVER (ORDER BY a.execution_id) AS nth
    FROM accepted AS a
    WHERE
        a.cancel_requested_at IS NULL
        AND a.options -> 'retry' -> 'causes' @> '["unknown"]'
        AND a.attempt < (a.options -> 'retry' ->> 'attempts_max')::integer
),
following AS MATERIALIZED (
    SELECT
        r.*, i.next_id, s.language, s.title,
        :now::timestamptz + interval '1 s' * i.jitter * least(3600, 2 ^ (r.attempt - 1)) AS next_not_before,
        least(r.start_until, s.expires_at) AS next_start_until
    FROM repeated AS r
    INNER JOIN
        unnest(:next_ids::uuid[], :jitters::double precision[]) WITH ORDINALITY AS i (next_id, jitter, nth)
        ON r.nth = i.nth
    CROSS JOIN LATERAL (
        SELECT s.language, s.title, s.expires_at
        FROM meta.sessions AS s
        WHERE s.request_id = r.request_id AND s.owner = r.owner AND s.closed_at IS NULL
        LIMIT 1
    ) AS s
    WHERE :now::timestamptz < least(r.start_until, s.expires_at)
),
queued AS (
    INSERT INTO meta.queued_executions (
        execution_id, request_id, ready_at, not_before, expires_at, kept_until, slot, in_order, owner, language, title,
        params, options
    )
    SELECT
        f.next_id, f.request_id,
        f.next_not_before - interval '1 s' * coalesce((f.options ->> 'priority_s')::integer, 0), f.next_not_before,
        f.next_start_until, f.next_start_until + (f.kept_until - f.start_until), :next_partition::smallint, f.in_order,
        f.owner, f.language, f.title, f.params,
        f.options || jsonb_build_object('attempt', f.attempt + 1, 'retry_of', f.execution_id)
    FROM following AS f
    ORDER BY f.next_id
    ON CONFLICT DO NOTHING
),
answered AS (
    INSERT INTO meta.idempotency_keys AS k (
        request_id, owner, key, payload_hash, winner, language_title, deadline_at, expires_at, outcome, ready_at,
        start_until, params, options, next_attempt
    )
    SELECT
        a.request_id, a.owner, coalesce(a.key, ' ' || a.execution_id), coalesce(a.payload_hash, sha256('')),
        a.execution_id, a.language_title, a.deadline_at, a.kept_until, 'unknown', a.ready_at, a.start_until, a.params,
        a.options, f.next_id
    FROM accepted AS a
    LEFT JOIN following AS f ON a.execution_id = f.execution_id
    ORDER BY a.request_id, a.owner, coalesce(a.key, ' ' || a.execution_id)
    ON CONFLICT (request_id, owner, key) DO UPDATE SET
        outcome = excluded.outcome,
        params = excluded.params,
        options = excluded.options,
        next_attempt = excluded.next_attempt
    WHERE k.winner = excluded.winner
),
announced AS (
    INSERT INTO meta.deliveries (
        delivery_id, request_id, webhook_id, execution_id, event, payload, state, next_at, error
    )
    SELECT d.*
    FROM accepted AS a
    CROSS JOIN LATERAL meta.deliveries_of(
        a.owner, (a.options ->> 'webhook_id')::uuid, a.request_id, a.execution_id, 'unknown', :now::timestamptz,
        a.language_title, a.attempt, NULL, NULL
    ) AS d
    WHERE a.execution_id NOT IN (SELECT f.execution_id FROM following AS f)
    ON CONFLICT (delivery_id, request_id) DO NOTHING
)
SELECT count(*) FROM removed;
