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
-- What an execution was accepted with, wherever it is. The owner "*" stands for every owner.
SELECT
    e.owner, e.request_id, e.execution_id, e.key, encode(e.payload_hash, 'hex') AS payload_hash, e.params,
    e.options::text, e.ready_at, e.start_until
FROM (
    SELECT
        q.owner, q.request_id, q.execution_id, q.key, q.payload_hash, q.params, q.options, q.ready_at,
        q.expires_at AS start_until, q.kept_until
    FROM meta.queued_executions AS q
    WHERE q.execution_id = :execution_id::uuid
    UNION ALL
    SELECT
        o.owner, o.request_id, o.execution_id, o.key, o.payload_hash, o.params, o.options, o.ready_at, o.start_until,
        o.kept_until
    FROM meta.open_executions AS o
    WHERE o.execution_id = :execution_id::uuid AND o.claim_id IS NOT NULL
    UNION ALL
    SELECT
        k.owner, k.request_id, k.winner, nullif(k.key, ' ' || k.winner), k.payload_hash, k.params, k.options, k.ready_at,
        k.start_until, k.expires_at
    FROM meta.idempotency_keys AS k
    WHERE k.winner = :execution_id::uuid AND k.outcome IS NOT NULL
    LIMIT 1
) AS e
WHERE :owner::text IN (e.owner, '*') AND e.params IS NOT NULL AND e.kept_until > :now::timestamptz;

-- name: select_states(owners, execution_ids, nows, position_max)
-- The states of asynchronous executions whose results are kept: each is in one of three tables. `is_ended` says that the
-- state is about to end: of an entry that can no longer run, and of an open record past its deadline. The owner "*" stands
-- for every owner. Files, which may have content, are only read to run them.
SELECT
    c.ordinal, e.request_id, e.owner, e.execution_id, e.language_title, (e.options - 'files'::text)::text AS options, e.ready_at,
    e.start_until, e.next_attempt, e.is_erased, e.status, e.is_ended, e.position, e.cancel_requested, e.execution_count, e.answer,
    e.result, e.kept_until
FROM
    unnest(:owners::text[], :execution_ids::uuid[], :nows::timestamptz[]) WITH ORDINALITY
        AS c (owner, execution_id, now, ordinal)
CROSS JOIN LATERAL ( -- noqa: ST05
    SELECT
        q.request_id, q.owner, q.execution_id, q.language || '-' || q.title AS language_title, q.options, q.ready_at,
        q.expires_at AS start_until, NULL::uuid AS next_attempt, FALSE AS is_erased, 'queued' AS status,
        q.expires_at <= c.now
        OR (
            SELECT TRUE FROM meta.sessions AS s
            WHERE s.request_id = any(ARRAY[q.request_id]) AND s.closed_at IS NULL AND s.expires_at > c.now
            ORDER BY s.request_id
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
        ) AS position,
        FALSE AS cancel_requested, NULL::bigint AS execution_count, NULL::text AS answer, NULL::text AS result,
        q.kept_until
    FROM meta.queued_executions AS q
    WHERE q.execution_id = c.execution_id
    UNION ALL
    SELECT
        o.request_id, o.owner, o.execution_id, o.language_title, o.options, o.ready_at, o.start_until, NULL, FALSE,
        'running', o.deadline_at <= c.now, NULL, o.cancel_requested_at IS NOT NULL, NULL, NULL, NULL, o.kept_until
    FROM meta.open_executions AS o
    WHERE o.execution_id = c.execution_id AND o.claim_id IS NOT NULL
    UNION ALL
    SELECT
        k.request_id, k.owner, k.winner, k.language_title, k.options, k.ready_at, k.start_until, k.next_attempt,
        coalesce(k.result = '', FALSE), k.outcome, FALSE, NULL, FALSE, k.execution_count, k.answer, k.result,
        k.expires_at
    FROM meta.idempotency_keys AS k
    WHERE k.winner = c.execution_id AND k.outcome IS NOT NULL
    LIMIT 1
) AS e
WHERE c.owner IN (e.owner, '*') AND e.kept_until > c.now;

-- name: select_open_execution(owner, execution_id)
-- Runs only for an execution that was never in the queue. It needs no index, because the table is small.
SELECT o.request_id, o.cancel_requested_at IS NOT NULL AS cancel_requested
FROM meta.open_executions AS o
WHERE o.execution_id = :execution_id::uuid AND :owner::text IN (o.owner, '*');

-- name: select_kept_call(request_id, owner, key, now)
-- The call that holds a key, as accept_executions finds it.
SELECT
    k.start_until, encode(k.payload_hash, 'hex') AS payload_hash, k.winner, k.deadline_at, k.expires_at AS kept_until,
    k.language_title, k.execution_count, k.answer, k.result, k.start_until IS NOT NULL AS is_asynchronous
FROM meta.idempotency_keys AS k
WHERE
    k.request_id = :request_id::uuid
    AND k.owner = :owner::text
    AND k.key = :key::text
    AND k.expires_at > :now::timestamptz;

-- name: select_state_page(owner, languages, after, since, request_id, status, now, entries_max, rows_max, size)
-- The filters apply to a bounded number of rows, newest first. Up to entries_max entries of the owner are all read, and
-- sorted. Of an owner with more, the newest entries of all owners are read, as many, and the page reaches down to the last
-- one of these. `next_after` is the same in every row. A page without executions is one row with nulls beside it.
-- `is_ended` says of an entry that it can no longer run.
WITH first AS MATERIALIZED (
    SELECT q.execution_id
    FROM meta.queued_executions AS q
    WHERE q.language = any(:languages::text[]) AND q.owner = :owner::text
    LIMIT :entries_max::bigint + 1
),
many AS MATERIALIZED (
    SELECT count(*) > :entries_max::bigint AS is_many FROM first
),
walked AS MATERIALIZED (
    SELECT q.execution_id, q.owner
    FROM meta.queued_executions AS q
    WHERE
        (SELECT m.is_many FROM many AS m)
        AND q.execution_id < coalesce(:after::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
        AND q.execution_id >= coalesce(:since::uuid, '00000000-0000-0000-0000-000000000000')
    ORDER BY q.execution_id DESC
    LIMIT :entries_max::bigint
),
reached AS MATERIALIZED (
    SELECT w.execution_id FROM walked AS w ORDER BY w.execution_id DESC LIMIT 1 OFFSET :entries_max::bigint - 1
),
newest AS MATERIALIZED (
    SELECT q.execution_id
    FROM (
        SELECT f.execution_id FROM first AS f WHERE NOT (SELECT m.is_many FROM many AS m)
        UNION ALL
        SELECT w.execution_id FROM walked AS w WHERE w.owner = :owner::text
    ) AS q
    WHERE
        q.execution_id < coalesce(:after::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
        AND q.execution_id >= coalesce(:since::uuid, '00000000-0000-0000-0000-000000000000')
    ORDER BY q.execution_id DESC
    LIMIT :rows_max::bigint + 1
),
known AS MATERIALIZED (
    SELECT
        q.request_id, q.owner, q.execution_id, q.language || '-' || q.title AS language_title, q.options, q.ready_at,
        q.expires_at AS start_until, NULL::uuid AS next_attempt, FALSE AS is_erased, 'queued' AS status,
        FALSE AS cancel_requested, NULL::bigint AS execution_count, q.kept_until
    FROM meta.queued_executions AS q
    WHERE q.execution_id = any(array(SELECT n.execution_id FROM newest AS n))
    UNION ALL
    SELECT
        o.request_id, o.owner, o.execution_id, o.language_title, o.options, o.ready_at, o.start_until, NULL, FALSE,
        'running', o.cancel_requested_at IS NOT NULL, NULL, o.kept_until
    FROM meta.open_executions AS o
    WHERE
        o.claim_id IS NOT NULL
        AND o.owner = :owner::text
        AND o.execution_id < coalesce(:after::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
        AND o.execution_id >= coalesce(:since::uuid, '00000000-0000-0000-0000-000000000000')
    UNION ALL
    (
        SELECT
            k.request_id, k.owner, k.winner, k.language_title, k.options, k.ready_at, k.start_until, k.next_attempt,
            coalesce(k.result = '', FALSE), k.outcome, FALSE, k.execution_count, k.expires_at
        FROM meta.idempotency_keys AS k
        WHERE
            k.owner = :owner::text
            AND k.outcome IS NOT NULL
            AND k.winner < coalesce(:after::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
            AND k.winner >= coalesce(:since::uuid, '00000000-0000-0000-0000-000000000000')
        ORDER BY k.winner DESC
        LIMIT :rows_max::bigint + 1
    )
),
examined AS MATERIALIZED (
    SELECT n.* FROM known AS n
    WHERE n.execution_id >= coalesce((SELECT r.execution_id FROM reached AS r), '00000000-0000-0000-0000-000000000000')
    ORDER BY n.execution_id DESC
    LIMIT :rows_max::bigint + 1
),
numbered AS (
    SELECT e.*, row_number() OVER (ORDER BY e.execution_id DESC) AS position FROM examined AS e
),
matching AS (
    SELECT n.*, row_number() OVER (ORDER BY n.execution_id DESC) AS nth
    FROM numbered AS n
    WHERE
        n.position <= :rows_max::bigint
        AND n.kept_until > :now::timestamptz
        AND (:request_id::uuid IS NULL OR n.request_id = :request_id::uuid)
        AND (:status::text IS NULL OR n.status = :status::text)
    ORDER BY n.execution_id DESC
    LIMIT :size::bigint + 1
)
SELECT
    CASE
        WHEN (SELECT count(*) FROM matching) > :size::bigint
            THEN (SELECT m.execution_id FROM matching AS m WHERE m.nth = :size::bigint)
        WHEN (SELECT count(*) FROM examined) > :rows_max::bigint
            THEN (SELECT n.execution_id FROM numbered AS n WHERE n.position = :rows_max::bigint)
        ELSE (SELECT r.execution_id FROM reached AS r)
    END AS next_after,
    m.request_id, m.owner, m.execution_id, m.language_title, (m.options - 'files'::text)::text AS options, m.ready_at, m.start_until,
    m.next_attempt, m.is_erased, m.status, m.cancel_requested, m.execution_count, m.kept_until,
    m.status = 'queued'
    AND (
        m.start_until <= :now::timestamptz
        OR (
            SELECT TRUE FROM meta.sessions AS s
            WHERE s.request_id = any(ARRAY[m.request_id]) AND s.closed_at IS NULL AND s.expires_at > :now::timestamptz
            ORDER BY s.request_id
            LIMIT 1
        ) IS NULL
    ) AS is_ended
FROM (SELECT 1) AS page
LEFT JOIN matching AS m ON m.nth <= :size::bigint
ORDER BY m.nth;

-- name: select_queue_facts(owner, languages, now, counted_max)
SELECT
    l.language, q.queued, q.due_at,
    (
        SELECT count(*)
        FROM meta.open_executions AS o
        INNER JOIN meta.sessions AS s
            ON s.request_id = any(ARRAY[o.request_id]) AND s.owner = any(ARRAY[o.owner, o.owner])
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
        INNER JOIN meta.sessions AS s
            ON s.request_id = any(ARRAY[o.request_id]) AND s.owner = any(ARRAY[o.owner, o.owner])
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
