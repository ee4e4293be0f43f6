-- Statements about the queue of executions; sessions.sql describes the format.
--
-- Deleting the row in meta.queued_executions entitles to begin the execution, or to end it. So each execution either
-- begins or ends in the queue, whatever runs at the same time. What the execution was accepted with moves along: from the
-- entry into the open record, and at the end into meta.idempotency_keys. There it has the key of its call, which was
-- stored when it was accepted. Without one it has a key that no caller can send: its id behind a space. Claims and ends
-- skip rows that another transaction has locked. Whatever waits for several rows locks those of the queue in the order
-- of execution_id, and then open records in the order of (request_id, execution_id).

-- name: accept_plain_executions(request_ids, owners, execution_ids, partitions, started_ats, kept_fors, not_befores, expiries, priorities_s, in_orders, params, options)
-- For calls without a key. Stores those of sessions that live until the start and need no renewal, unless they were
-- announced. What it leaves out is judged by accept_executions, which would take half as much time again for all.
INSERT INTO meta.queued_executions (
    execution_id, request_id, ready_at, not_before, expires_at, kept_until, slot, in_order, owner, language, title,
    params, options
)
SELECT
    a.execution_id, a.request_id, a.not_before - a.priority_s * interval '1 s', a.not_before, least(a.start_before, s.expires_at),
    least(a.start_before, s.expires_at) + interval '1 ms' * s.timeout_ms + a.kept_for, a.slot, a.in_order,
    s.owner, s.language, s.title, a.params, a.options::jsonb
FROM
    unnest(
        :request_ids::uuid[], :owners::text[], :execution_ids::uuid[], :partitions::smallint[],
        :started_ats::timestamptz[], :kept_fors::interval[], :not_befores::timestamptz[], :expiries::timestamptz[],
        :priorities_s::integer[], :in_orders::boolean[], :params::text[], :options::text[]
    ) AS a (
        request_id, owner, execution_id, slot, started_at, kept_for, not_before, start_before, priority_s,
        in_order, params, options
    )
INNER JOIN meta.sessions AS s ON s.request_id = any(ARRAY[a.request_id]) AND s.owner = any(ARRAY[a.owner, a.owner])
WHERE
    s.closed_at IS NULL
    -- A condition on `expires_at` alone might be looked up by the index for cleanup.
    AND (a.started_at < s.expires_at AND a.not_before < s.expires_at) IS TRUE
    AND (
        s.renewal <> 'sliding'
        OR s.expires_at >= least(a.started_at + interval '900 ms' * s.ttl_seconds, s.expires_max_at)
    )
    AND (
        SELECT TRUE
        FROM meta.repeated_accepts AS r
        WHERE r.request_id = a.request_id AND r.execution_id = a.execution_id
        LIMIT 1
        FOR KEY SHARE
    ) IS NULL
RETURNING execution_id, expires_at;

-- name: accept_executions(copy, request_ids, owners, keys, payload_hashes, execution_ids, partitions, started_ats, allowances, retentions, not_befores, expiries, priorities_s, in_orders, params, options, waits)
-- The parts `seen` to `judged` are as in begin_executions, with the columns that are used here; a test compares them. The
-- statement may be sent twice, and the entry may have left the queue since: announce_repeated_accepts runs before the
-- second copy. `asked` leaves out what a later copy was announced for: its caller gets the response of that one. `kept`
-- contains every call whose key is held, also by the call itself, `own` every announced call without a key that was stored
-- before. So each id is inserted once. An entry expires with its session at the latest; the row has its expiry if it is
-- earlier than what was asked for. If several calls in a batch have one key, the first call takes it; another call is in
-- no part, and is sent again, as in begin_keyed_executions.
WITH asked AS (
    SELECT a.*, r.copy IS NOT NULL AS is_repeated
    FROM
        unnest(
            :request_ids::uuid[], :owners::text[], :keys::text[], :payload_hashes::text[], :execution_ids::uuid[],
            :partitions::smallint[], :started_ats::timestamptz[], :allowances::interval[], :retentions::interval[],
            :not_befores::timestamptz[], :expiries::timestamptz[], :priorities_s::integer[], :in_orders::boolean[],
            :params::text[], :options::text[]
        ) WITH ORDINALITY AS a (
            request_id, owner, key, payload_hash, execution_id, slot, started_at, allowance, retention, not_before,
            start_before, priority_s, in_order, params, options, ordinal
        )
    LEFT JOIN LATERAL (
        SELECT r.copy
        FROM meta.repeated_accepts AS r
        WHERE r.request_id = a.request_id AND r.execution_id = a.execution_id
        LIMIT 1
        FOR KEY SHARE
    ) AS r ON TRUE
    WHERE coalesce(r.copy <= :copy::bigint, TRUE)
),
kept AS (
    SELECT a.ordinal, k.*
    FROM asked AS a
    CROSS JOIN LATERAL (
        SELECT
            k.payload_hash, k.winner, k.deadline_at, k.expires_at, k.language_title, k.execution_count, k.answer,
            k.result, k.start_until
        FROM meta.idempotency_keys AS k
        WHERE k.request_id = a.request_id AND k.owner = a.owner AND k.key = a.key
        LIMIT 1
    ) AS k
    WHERE a.key IS NOT NULL AND a.started_at < k.expires_at
),
own AS (
    SELECT a.ordinal, e.start_until
    FROM asked AS a
    CROSS JOIN LATERAL (
        SELECT q.expires_at AS start_until
        FROM meta.queued_executions AS q
        WHERE q.request_id = a.request_id AND q.execution_id = a.execution_id
        UNION ALL
        SELECT o.start_until
        FROM meta.open_executions AS o
        WHERE o.request_id = a.request_id AND o.execution_id = a.execution_id
        UNION ALL
        SELECT k.start_until
        FROM meta.idempotency_keys AS k
        WHERE k.winner = a.execution_id AND k.outcome IS NOT NULL
        LIMIT 1
    ) AS e
    WHERE a.is_repeated AND a.key IS NULL
),
call AS (
    SELECT a.*
    FROM asked AS a
    WHERE a.ordinal NOT IN (SELECT k.ordinal FROM kept AS k) AND a.ordinal NOT IN (SELECT o.ordinal FROM own AS o)
),
seen AS (
    SELECT
        c.key, c.payload_hash, c.retention, c.not_before, c.start_before, c.priority_s, c.in_order, c.params, c.options,
        c.ordinal, c.execution_id, c.slot, c.started_at, c.allowance,
        max(c.started_at) FILTER (
            WHERE s.renewal = 'sliding'
            AND s.closed_at IS NULL
            AND c.started_at < s.expires_at
            AND s.expires_at < least(c.started_at + interval '900 ms' * s.ttl_seconds, s.expires_max_at)
        ) OVER (PARTITION BY c.request_id) AS renewed_from,
        s.request_id, s.owner, s.language, s.title, s.timeout_ms, s.renewal, s.ttl_seconds, s.expires_at,
        s.expires_max_at, s.closed_at
    FROM call AS c
    INNER JOIN meta.sessions AS s ON s.request_id = any(ARRAY[c.request_id]) AND s.owner = any(ARRAY[c.owner, c.owner])
),
passing AS (
    SELECT
        c.key, c.payload_hash, c.retention, c.not_before, c.start_before, c.priority_s, c.in_order, c.params, c.options,
        c.ordinal, c.execution_id, c.slot, c.started_at, c.allowance, c.renewed_from,
        s.request_id, s.owner, s.language, s.title, s.timeout_ms, s.renewal, s.ttl_seconds, s.expires_at,
        s.expires_max_at, s.closed_at
    FROM seen AS c
    INNER JOIN meta.sessions AS s ON s.request_id = any(ARRAY[c.request_id]) AND s.owner = any(ARRAY[c.owner, c.owner])
    WHERE NOT :waits::boolean AND c.renewed_from IS NOT NULL
    ORDER BY c.request_id, c.ordinal
    FOR NO KEY UPDATE OF s SKIP LOCKED
),
waiting AS (
    SELECT
        c.key, c.payload_hash, c.retention, c.not_before, c.start_before, c.priority_s, c.in_order, c.params, c.options,
        c.ordinal, c.execution_id, c.slot, c.started_at, c.allowance, c.renewed_from,
        s.request_id, s.owner, s.language, s.title, s.timeout_ms, s.renewal, s.ttl_seconds, s.expires_at,
        s.expires_max_at, s.closed_at
    FROM seen AS c
    INNER JOIN meta.sessions AS s ON s.request_id = any(ARRAY[c.request_id]) AND s.owner = any(ARRAY[c.owner, c.owner])
    WHERE :waits::boolean AND c.renewed_from IS NOT NULL
    ORDER BY c.request_id, c.ordinal
    FOR NO KEY UPDATE OF s
),
held AS (
    SELECT p.* FROM passing AS p
    UNION ALL
    SELECT w.* FROM waiting AS w
),
judged AS (
    SELECT
        h.*,
        h.closed_at IS NULL AND h.started_at < h.expires_at AS admitted,
        CASE
            WHEN
                h.renewal = 'sliding'
                AND h.closed_at IS NULL
                AND h.renewed_from < h.expires_at
                AND h.expires_at < least(h.renewed_from + interval '900 ms' * h.ttl_seconds, h.expires_max_at)
                THEN greatest(
                    h.expires_at, least(h.renewed_from + interval '1 s' * h.ttl_seconds, h.expires_max_at)
                )
        END AS renewed_until
    FROM held AS h
    UNION ALL
    SELECT s.*, s.closed_at IS NULL AND s.started_at < s.expires_at AS admitted, NULL AS renewed_until
    FROM seen AS s
    WHERE s.renewed_from IS NULL
),
timed AS (
    SELECT
        j.*,
        coalesce(j.renewed_until, j.expires_at) AS session_until,
        least(j.start_before, coalesce(j.renewed_until, j.expires_at)) AS start_until
    FROM judged AS j
),
fitted AS (
    SELECT
        t.*,
        t.admitted AND t.not_before < t.session_until AS fits,
        t.start_until + interval '1 ms' * t.timeout_ms + t.allowance AS deadline_at
    FROM timed AS t
),
taken AS (
    INSERT INTO meta.idempotency_keys AS k (
        request_id, owner, key, payload_hash, winner, language_title, deadline_at, expires_at, ready_at, start_until
    )
    SELECT DISTINCT ON (f.request_id, f.owner, f.key)
        f.request_id, f.owner, f.key, decode(f.payload_hash, 'hex'), f.execution_id, f.language || '-' || f.title,
        f.deadline_at, f.deadline_at + f.retention, f.not_before - f.priority_s * interval '1 s', f.start_until
    FROM fitted AS f
    WHERE f.fits AND f.key IS NOT NULL
    ORDER BY f.request_id, f.owner, f.key, f.ordinal
    ON CONFLICT (request_id, owner, key) DO UPDATE SET
        payload_hash = excluded.payload_hash,
        winner = excluded.winner,
        language_title = excluded.language_title,
        deadline_at = excluded.deadline_at,
        expires_at = excluded.expires_at,
        ready_at = excluded.ready_at,
        start_until = excluded.start_until,
        params = NULL,
        options = NULL,
        next_attempt = NULL,
        outcome = NULL,
        execution_count = NULL,
        answer = NULL,
        result = NULL
    WHERE k.expires_at <= (SELECT min(a.started_at) FROM asked AS a)
    RETURNING k.winner
),
decided AS (
    SELECT f.*, f.fits AND (f.key IS NULL OR f.execution_id IN (SELECT t.winner FROM taken AS t)) AS won
    FROM fitted AS f
),
renewed AS (
    UPDATE meta.sessions AS s
    SET expires_at = greatest(s.expires_at, n.renewed_until)
    FROM (
        SELECT d.request_id, d.owner, max(d.renewed_until) AS renewed_until
        FROM decided AS d
        WHERE d.won AND d.renewed_until IS NOT NULL
        GROUP BY d.request_id, d.owner
    ) AS n
    WHERE s.request_id = any(ARRAY[n.request_id]) AND s.owner = any(ARRAY[n.owner, n.owner])
),
queued AS (
    INSERT INTO meta.queued_executions (
        execution_id, request_id, ready_at, not_before, expires_at, kept_until, slot, in_order, owner, language, title,
        params, options, key, payload_hash
    )
    SELECT
        d.execution_id, d.request_id, d.not_before - d.priority_s * interval '1 s', d.not_before, d.start_until,
        d.deadline_at + d.retention, d.slot, d.in_order, d.owner, d.language, d.title, d.params, d.options::jsonb, d.key,
        decode(d.payload_hash, 'hex')
    FROM decided AS d
    WHERE d.won
    ORDER BY d.execution_id
)
SELECT
    d.ordinal,
    CASE
        WHEN d.won THEN 'accepted'
        WHEN d.closed_at IS NOT NULL THEN 'closed'
        WHEN NOT d.admitted THEN 'expired'
        WHEN NOT d.fits THEN 'late'
        ELSE 'missed'
    END AS fate,
    CASE WHEN d.start_until < d.start_before THEN d.start_until END AS start_until,
    CASE WHEN NOT d.won THEN d.session_until END AS session_until, d.closed_at, NULL::text AS payload_hash, NULL::uuid AS winner,
    NULL::timestamptz AS deadline_at, NULL::timestamptz AS kept_until, NULL::text AS language_title,
    NULL::bigint AS execution_count, NULL::text AS answer, NULL::text AS result, FALSE AS is_asynchronous
FROM decided AS d
UNION ALL
SELECT s.ordinal, 'skipped', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM seen AS s
WHERE s.renewed_from IS NOT NULL AND s.ordinal NOT IN (SELECT h.ordinal FROM held AS h)
UNION ALL
SELECT o.ordinal, 'accepted', o.start_until, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM own AS o
UNION ALL
SELECT
    k.ordinal, 'kept', k.start_until, NULL, NULL, encode(k.payload_hash, 'hex'), k.winner, k.deadline_at, k.expires_at,
    k.language_title, k.execution_count, k.answer, k.result, k.start_until IS NOT NULL
FROM kept AS k;

-- name: announce_repeated_accepts(copy, request_ids, execution_ids)!
-- Runs before an accept is sent again, because an earlier copy may still run, or run later. Copies have increasing
-- numbers. Every copy that begins after this one is committed sees it, and stores nothing if its number is lower.
INSERT INTO meta.repeated_accepts AS r (request_id, execution_id, copy)
SELECT a.request_id, a.execution_id, :copy::bigint AS copy
FROM unnest(:request_ids::uuid[], :execution_ids::uuid[]) AS a (request_id, execution_id)
ORDER BY a.request_id, a.execution_id
ON CONFLICT (request_id, execution_id) DO UPDATE SET copy = greatest(r.copy, excluded.copy);

-- name: wait_for_accepts()!
-- Then this waits for the accepts that have begun before, so that the repetition finds what they store. A statement takes
-- its snapshot after the locks of its tables, and accepts lock rows of this one. Neither reads nor a backup do. Accepts
-- that come meanwhile wait behind this one, so it waits for a short time only.
SET LOCAL lock_timeout = '100ms';
LOCK TABLE meta.repeated_accepts IN EXCLUSIVE MODE;
