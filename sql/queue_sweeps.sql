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
            WHERE s.request_id = q.request_id AND s.closed_at IS NULL AND s.expires_at > :now::timestamptz
            LIMIT 1
        ) IS NULL
    )
ORDER BY q.execution_id
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
        WHERE s.request_id = f.request_id AND s.closed_at IS NULL AND s.expires_at > :now::timestamptz
        LIMIT 1
    ) IS NULL
LIMIT :ended_max::bigint;

-- name: end_entries(request_ids, execution_ids, now, cancelled, expired, cancelled_error, expired_error)
-- Ends those of the entries that can no longer run. The next call ends the rows that are locked now.
WITH picked AS MATERIALIZED (
    SELECT q.execution_id, q.request_id, q.slot, q.expires_at
    FROM unnest(:request_ids::uuid[], :execution_ids::uuid[]) AS c (request_id, execution_id)
    INNER JOIN meta.queued_executions AS q ON c.execution_id = q.execution_id AND c.request_id = q.request_id
    ORDER BY q.execution_id
    FOR UPDATE OF q SKIP LOCKED
),
judged AS (
    SELECT
        p.execution_id, p.request_id, p.slot,
        CASE
            WHEN s.closed_at < p.expires_at THEN 'cancelled'
            WHEN p.expires_at <= :now::timestamptz OR s.expires_at IS NULL OR s.expires_at <= :now::timestamptz
                THEN 'expired'
        END AS outcome
    FROM picked AS p
    LEFT JOIN LATERAL (
        SELECT s.closed_at, s.expires_at FROM meta.sessions AS s WHERE s.request_id = p.request_id LIMIT 1
    ) AS s ON TRUE
),
removed AS (
    DELETE FROM meta.queued_executions AS q
    USING judged AS j
    WHERE q.execution_id = j.execution_id AND q.request_id = j.request_id AND j.outcome IS NOT NULL
    RETURNING j.*
),
answered AS (
    UPDATE meta.idempotency_keys AS k
    SET
        outcome = r.outcome,
        answer = CASE r.outcome WHEN 'cancelled' THEN :cancelled::text ELSE :expired::text END
    FROM removed AS r
    WHERE k.winner = r.execution_id AND k.asynchronous IS NOT NULL
    RETURNING
        r.slot, r.request_id, r.execution_id, k.owner, r.outcome, k.language_title,
        (k.asynchronous ->> 'attempt')::smallint AS attempt, (k.asynchronous ->> 'webhook_id')::uuid AS webhook_id
),
announced AS (
    INSERT INTO meta.deliveries (
        delivery_id, request_id, webhook_id, execution_id, event, payload, state, next_at, error
    )
    SELECT d.*
    FROM answered AS a
    CROSS JOIN LATERAL meta.deliveries_of(
        a.owner, a.webhook_id, a.request_id, a.execution_id, a.outcome, :now::timestamptz, a.language_title, a.attempt,
        CASE a.outcome WHEN 'cancelled' THEN :cancelled_error::text ELSE :expired_error::text END, NULL
    ) AS d
    ON CONFLICT (delivery_id, request_id) DO NOTHING
),
recorded AS (
    INSERT INTO meta.executions (slot, request_id, execution_id, owner, outcome, attempt)
    SELECT a.slot, a.request_id, a.execution_id, a.owner, a.outcome, a.attempt FROM answered AS a
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
    WHERE o.request_id = p.request_id AND o.execution_id = p.execution_id
    RETURNING o.slot, o.request_id, o.execution_id, o.owner, o.in_order, o.claim_id, o.cancel_requested_at
),
known AS MATERIALIZED (
    SELECT
        r.*, k.key, k.payload_hash, k.params, k.language_title, k.asynchronous,
        (k.asynchronous ->> 'attempt')::smallint AS attempt
    FROM removed AS r
    LEFT JOIN LATERAL (
        SELECT k.key, k.payload_hash, k.params, k.language_title, k.asynchronous
        FROM meta.idempotency_keys AS k
        WHERE k.winner = r.execution_id AND k.asynchronous IS NOT NULL AND r.claim_id IS NOT NULL
        LIMIT 1
    ) AS k ON TRUE
),
recorded AS (
    INSERT INTO meta.executions (slot, request_id, execution_id, owner, outcome, attempt)
    SELECT n.slot, n.request_id, n.execution_id, n.owner, 'unknown', n.attempt FROM known AS n
    ON CONFLICT (slot, request_id, execution_id) DO NOTHING
),
used AS (
    INSERT INTO meta.usage_additions (execution_id, request_id, owner, day, outcome)
    SELECT n.execution_id, n.request_id, n.owner, (:now::timestamptz AT TIME ZONE 'UTC')::date, 'unknown'
    FROM known AS n
    WHERE n.attempt IS NOT NULL
    ON CONFLICT (request_id, execution_id) DO NOTHING
),
repeated AS (
    SELECT n.*, row_number() OVER (ORDER BY n.execution_id) AS nth
    FROM known AS n
    WHERE
        n.cancel_requested_at IS NULL
        AND n.asynchronous -> 'retry' -> 'causes' @> '["unknown"]'
        AND n.attempt < (n.asynchronous -> 'retry' ->> 'attempts_max')::integer
),
following AS MATERIALIZED (
    SELECT
        r.*, i.next_id, s.language, s.title, s.timeout_ms,
        :now::timestamptz + interval '1 s' * i.jitter * least(3600, 2 ^ (r.attempt - 1)) AS not_before,
        least((r.asynchronous ->> 'expires_at')::timestamptz, s.expires_at) AS start_until
    FROM repeated AS r
    INNER JOIN
        unnest(:next_ids::uuid[], :jitters::double precision[]) WITH ORDINALITY AS i (next_id, jitter, nth)
        ON r.nth = i.nth
    CROSS JOIN LATERAL (
        SELECT s.language, s.title, s.timeout_ms, s.expires_at
        FROM meta.sessions AS s
        WHERE s.request_id = r.request_id AND s.owner = r.owner AND s.closed_at IS NULL
        LIMIT 1
    ) AS s
    WHERE :now::timestamptz < least((r.asynchronous ->> 'expires_at')::timestamptz, s.expires_at)
),
keyed AS (
    INSERT INTO meta.idempotency_keys (
        request_id, owner, key, payload_hash, winner, language_title, deadline_at, expires_at, params, asynchronous
    )
    SELECT
        f.request_id, f.owner, f.next_id::text, f.payload_hash, f.next_id, f.language || '-' || f.title,
        f.start_until + interval '1 ms' * f.timeout_ms + (f.asynchronous ->> 'allowance')::interval,
        f.start_until + interval '1 ms' * f.timeout_ms + (f.asynchronous ->> 'allowance')::interval
        + (f.asynchronous ->> 'retention')::interval,
        f.params,
        f.asynchronous || jsonb_build_object(
            'accepted_at', :now::timestamptz, 'expires_at', f.start_until, 'not_before', f.not_before,
            'attempt', f.attempt + 1, 'retry_of', f.execution_id
        )
    FROM following AS f
    ORDER BY f.request_id, f.owner, f.next_id
    ON CONFLICT (request_id, owner, key) DO NOTHING
),
queued AS (
    INSERT INTO meta.queued_executions (
        execution_id, request_id, owner, language, key, slot, ready_at, not_before, expires_at, in_order
    )
    SELECT
        f.next_id, f.request_id, f.owner, f.language, f.next_id::text, :next_partition::smallint,
        f.not_before - interval '1 s' * (f.asynchronous ->> 'priority_s')::integer, f.not_before, f.start_until,
        f.in_order
    FROM following AS f
    ORDER BY f.next_id
    ON CONFLICT (request_id, execution_id) DO NOTHING
),
answered AS (
    UPDATE meta.idempotency_keys AS k
    SET outcome = 'unknown', asynchronous = coalesce(n.followed, k.asynchronous)
    FROM (
        SELECT
            n.execution_id, n.request_id, n.owner, n.key,
            n.asynchronous || jsonb_build_object('next_attempt', f.next_id) AS followed
        FROM known AS n
        LEFT JOIN following AS f ON n.execution_id = f.execution_id
        WHERE n.attempt IS NOT NULL
    ) AS n
    WHERE k.winner = n.execution_id AND k.asynchronous IS NOT NULL
),
announced AS (
    INSERT INTO meta.deliveries (
        delivery_id, request_id, webhook_id, execution_id, event, payload, state, next_at, error
    )
    SELECT d.*
    FROM known AS n
    CROSS JOIN LATERAL meta.deliveries_of(
        n.owner, (n.asynchronous ->> 'webhook_id')::uuid, n.request_id, n.execution_id, 'unknown', :now::timestamptz,
        n.language_title, n.attempt, NULL, NULL
    ) AS d
    WHERE n.attempt IS NOT NULL AND n.execution_id NOT IN (SELECT f.execution_id FROM following AS f)
    ON CONFLICT (delivery_id, request_id) DO NOTHING
)
SELECT count(*) FROM removed;
