-- Statements that read what became of executions which were accepted to run later, and how many wait; sessions.sql describes
-- the format.

-- name: select_to_stop(request_ids, execution_ids)
SELECT c.execution_id
FROM unnest(:request_ids::uuid[], :execution_ids::uuid[]) AS c (request_id, execution_id)
LEFT JOIN LATERAL (
    SELECT TRUE AS is_open, o.cancel_requested_at
    FROM meta.open_executions AS o
    WHERE o.request_id = c.request_id AND o.execution_id = c.execution_id
    LIMIT 1
) AS o ON TRUE
WHERE o.is_open IS NULL OR o.cancel_requested_at IS NOT NULL;

-- name: select_entry(owner, execution_id, now)
-- The owner "*" stands for every owner.
SELECT
    k.owner, k.request_id, k.winner, k.key, encode(k.payload_hash, 'hex') AS payload_hash, k.params,
    k.asynchronous::text,
    (k.asynchronous ->> 'not_before')::timestamptz AS not_before,
    (k.asynchronous ->> 'expires_at')::timestamptz AS start_until
FROM meta.idempotency_keys AS k
WHERE
    k.winner = :execution_id::uuid
    AND k.asynchronous IS NOT NULL
    AND :owner::text IN (k.owner, '*')
    AND k.params IS NOT NULL
    AND k.expires_at > :now::timestamptz;

-- name: select_states(owners, execution_ids, nows, position_max)
-- The states of asynchronous executions whose results are kept. `is_ended` says that the state is about to end: of an entry
-- that can no longer run, and of an open record past its deadline. The owner "*" stands for every owner.
SELECT
    c.ordinal, k.request_id, k.owner, k.winner, k.language_title, k.asynchronous::text,
    (k.asynchronous ->> 'not_before')::timestamptz AS not_before,
    (k.asynchronous ->> 'expires_at')::timestamptz AS start_until,
    CASE
        WHEN k.outcome IS NOT NULL THEN k.outcome
        WHEN q.slot IS NOT NULL THEN 'queued'
        WHEN o.is_open THEN 'running'
        ELSE 'unknown'
    END AS status,
    coalesce(q.is_ended, o.is_overdue, FALSE) AS is_ended, q.position,
    coalesce(o.cancel_requested_at IS NOT NULL, FALSE) AS cancel_requested,
    k.execution_count, k.answer, k.result, k.expires_at AS kept_until
FROM
    unnest(:owners::text[], :execution_ids::uuid[], :nows::timestamptz[]) WITH ORDINALITY
        AS c (owner, execution_id, now, ordinal)
CROSS JOIN LATERAL (
    SELECT
        k.request_id, k.owner, k.winner, k.language_title, k.asynchronous, k.outcome, k.execution_count, k.answer,
        k.result, k.expires_at
    FROM meta.idempotency_keys AS k
    WHERE k.winner = c.execution_id AND k.asynchronous IS NOT NULL AND c.owner IN (k.owner, '*') AND k.expires_at > c.now
    LIMIT 1
) AS k
LEFT JOIN LATERAL (
    SELECT
        q.slot,
        q.expires_at <= c.now
        OR (
            SELECT TRUE FROM meta.sessions AS s
            WHERE s.request_id = q.request_id AND s.closed_at IS NULL AND s.expires_at > c.now
            LIMIT 1
        ) IS NULL AS is_ended,
        (
            SELECT count(*)
            FROM (
                SELECT FROM meta.queued_executions AS b
                WHERE
                    b.language = q.language
                    AND b.owner = q.owner
                    AND (b.ready_at, b.execution_id) < (q.ready_at, q.execution_id)
                LIMIT :position_max::bigint
            ) AS before
        ) AS position
    FROM meta.queued_executions AS q
    WHERE q.execution_id = k.winner AND q.request_id = k.request_id AND k.outcome IS NULL
    LIMIT 1
) AS q ON TRUE
LEFT JOIN LATERAL (
    SELECT TRUE AS is_open, o.deadline_at <= c.now AS is_overdue, o.cancel_requested_at
    FROM meta.open_executions AS o
    WHERE o.request_id = k.request_id AND o.execution_id = k.winner AND k.outcome IS NULL
    LIMIT 1
) AS o ON TRUE;

-- name: select_open_execution(owner, execution_id)
-- Runs only for an execution that was never in the queue. It needs no index, because the table is small.
SELECT o.request_id, o.cancel_requested_at IS NOT NULL AS cancel_requested
FROM meta.open_executions AS o
WHERE o.execution_id = :execution_id::uuid AND :owner::text IN (o.owner, '*');

-- name: select_kept_call(request_id, owner, key, now)
-- The call that holds a key, as accept_executions finds it.
SELECT
    (k.asynchronous ->> 'expires_at')::timestamptz AS start_until, encode(k.payload_hash, 'hex') AS payload_hash,
    k.winner, k.deadline_at, k.expires_at AS kept_until, k.language_title, k.execution_count, k.answer, k.result,
    k.asynchronous IS NOT NULL AS is_asynchronous
FROM meta.idempotency_keys AS k
WHERE
    k.request_id = :request_id::uuid
    AND k.owner = :owner::text
    AND k.key = :key::text
    AND k.expires_at > :now::timestamptz;

-- name: select_state_page(owner, after, since, request_id, status, now, rows_max, size)
-- The filters apply to a bounded number of rows, newest first. `next_after` is the same in every row. A page without
-- executions is one row with nulls beside it.
WITH examined AS MATERIALIZED (
    SELECT
        k.request_id, k.owner, k.winner, k.language_title, k.asynchronous, k.outcome, k.execution_count, k.expires_at
    FROM meta.idempotency_keys AS k
    WHERE
        k.owner = :owner::text
        AND k.asynchronous IS NOT NULL
        AND k.winner < coalesce(:after::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
        AND k.winner >= coalesce(:since::uuid, '00000000-0000-0000-0000-000000000000')
    ORDER BY k.winner DESC
    LIMIT :rows_max::bigint + 1
),
numbered AS (
    SELECT e.*, row_number() OVER (ORDER BY e.winner DESC) AS position FROM examined AS e
),
judged AS (
    SELECT
        n.*,
        CASE
            WHEN n.outcome IS NOT NULL THEN n.outcome
            WHEN q.execution_id IS NOT NULL THEN 'queued'
            WHEN o.execution_id IS NOT NULL THEN 'running'
            ELSE 'unknown'
        END AS status,
        coalesce(o.cancel_requested_at IS NOT NULL, FALSE) AS cancel_requested
    FROM numbered AS n
    LEFT JOIN meta.queued_executions AS q ON n.winner = q.execution_id AND n.request_id = q.request_id
    LEFT JOIN meta.open_executions AS o ON n.request_id = o.request_id AND n.winner = o.execution_id
    WHERE n.position <= :rows_max::bigint
),
matching AS (
    SELECT j.*, row_number() OVER (ORDER BY j.winner DESC) AS nth
    FROM judged AS j
    WHERE
        j.expires_at > :now::timestamptz
        AND (:request_id::uuid IS NULL OR j.request_id = :request_id::uuid)
        AND (:status::text IS NULL OR j.status = :status::text)
    ORDER BY j.winner DESC
    LIMIT :size::bigint + 1
)
SELECT
    CASE
        WHEN (SELECT count(*) FROM matching) > :size::bigint
            THEN (SELECT m.winner FROM matching AS m WHERE m.nth = :size::bigint)
        WHEN (SELECT count(*) FROM examined) > :rows_max::bigint
            THEN (SELECT n.winner FROM numbered AS n WHERE n.position = :rows_max::bigint)
    END AS next_after,
    m.request_id, m.owner, m.winner, m.language_title, m.asynchronous::text,
    (m.asynchronous ->> 'not_before')::timestamptz AS not_before,
    (m.asynchronous ->> 'expires_at')::timestamptz AS start_until,
    m.status, m.cancel_requested, m.execution_count, m.expires_at AS kept_until
FROM (SELECT 1) AS page
LEFT JOIN matching AS m ON m.nth <= :size::bigint
ORDER BY m.nth;

-- name: select_queue_facts(owner, languages, now, counted_max)
SELECT
    l.language, q.queued, q.due_at,
    (
        SELECT count(*)
        FROM meta.open_executions AS o
        INNER JOIN meta.sessions AS s ON o.request_id = s.request_id
        WHERE o.claim_id IS NOT NULL AND o.owner = :owner::text AND s.language = l.language
    ) AS running
FROM unnest(:languages::text[]) AS l (language)
CROSS JOIN LATERAL ( -- noqa: ST05
    SELECT
        count(*) AS queued,
        min(f.not_before) FILTER (
            WHERE f.not_before <= :now::timestamptz AND f.expires_at > :now::timestamptz
        ) AS due_at
    FROM (
        SELECT q.not_before, q.expires_at
        FROM meta.queued_executions AS q
        WHERE q.language = l.language AND q.owner = :owner::text
        ORDER BY q.ready_at
        LIMIT :counted_max::bigint
    ) AS f
) AS q;

-- name: select_all_queue_facts(languages, now, counted_max)
-- Examines the entries in the order of their expiry, which is mostly that of acceptance.
WITH first AS MATERIALIZED (
    SELECT q.language, q.not_before, q.expires_at
    FROM meta.queued_executions AS q
    ORDER BY q.expires_at
    LIMIT :counted_max::bigint
)
SELECT
    l.language,
    (SELECT count(*) FROM first AS f WHERE f.language = l.language) AS queued,
    (
        SELECT min(f.not_before)
        FROM first AS f
        WHERE
            f.language = l.language AND f.not_before <= :now::timestamptz AND f.expires_at > :now::timestamptz
    ) AS due_at,
    (
        SELECT count(*)
        FROM meta.open_executions AS o
        INNER JOIN meta.sessions AS s ON o.request_id = s.request_id
        WHERE o.claim_id IS NOT NULL AND s.language = l.language
    ) AS running
FROM unnest(:languages::text[]) AS l (language);

-- name: select_queued_count(owner, languages, counted_max)
SELECT least(sum(q.queued), :counted_max::bigint)::bigint
FROM unnest(:languages::text[]) AS l (language)
CROSS JOIN LATERAL ( -- noqa: ST05
    SELECT count(*) AS queued
    FROM (
        SELECT FROM meta.queued_executions AS q
        WHERE q.language = l.language AND q.owner = :owner::text
        LIMIT :counted_max::bigint
    ) AS f
) AS q;

-- name: select_all_queued_count(counted_max)
SELECT count(*)
FROM (SELECT q.expires_at FROM meta.queued_executions AS q ORDER BY q.expires_at LIMIT :counted_max::bigint) AS f;
