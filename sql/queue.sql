-- Statements about the queue of executions; sessions.sql describes the format.
--
-- Deleting the row in meta.queued_executions entitles to begin the execution, or to end it. So each execution either
-- begins or ends in the queue, whatever runs at the same time. Claims and ends skip rows that another transaction has
-- locked. Whatever waits for several rows locks those of the queue in the order of execution_id, and then open records
-- in the order of (request_id, execution_id). An entry whose row in meta.idempotency_keys is gone was purged: it leaves
-- nothing.

-- name: accept_executions(request_ids, owners, keys, payload_hashes, execution_ids, partitions, started_ats, allowances, retentions, not_befores, expiries, head_starts, in_orders, params, options, waits)
-- The parts `seen` to `judged` are the same as in begin_executions; a test compares them. `kept` contains every call
-- whose key is held, also by the call itself: it was sent twice, and its entry may have left the queue since. An entry
-- expires with its session at the latest. If several calls in a batch have one key, the first call takes it; another
-- call is in no part, and is sent again, as in begin_keyed_executions.
WITH asked AS (
    SELECT *
    FROM
        unnest(
            :request_ids::uuid[], :owners::text[], :keys::text[], :payload_hashes::text[], :execution_ids::uuid[],
            :partitions::smallint[], :started_ats::timestamptz[], :allowances::interval[], :retentions::interval[],
            :not_befores::timestamptz[], :expiries::timestamptz[], :head_starts::interval[], :in_orders::boolean[],
            :params::text[], :options::text[]
        ) WITH ORDINALITY AS a (
            request_id, owner, key, payload_hash, execution_id, slot, started_at, allowance, retention, not_before,
            start_before, head_start, in_order, params, options, ordinal
        )
),
kept AS (
    SELECT a.ordinal, k.*
    FROM asked AS a
    CROSS JOIN LATERAL (
        SELECT
            k.payload_hash, k.winner, k.deadline_at, k.expires_at, k.language_title, k.execution_count, k.answer,
            k.result, k.asynchronous
        FROM meta.idempotency_keys AS k
        WHERE k.request_id = a.request_id AND k.owner = a.owner AND k.key = a.key
        LIMIT 1
    ) AS k
    WHERE a.started_at < k.expires_at
),
call AS (
    SELECT a.* FROM asked AS a WHERE a.ordinal NOT IN (SELECT k.ordinal FROM kept AS k)
),
seen AS (
    SELECT
        c.key, c.payload_hash, c.retention, c.not_before, c.start_before, c.head_start, c.in_order, c.params, c.options,
        c.ordinal, c.execution_id, c.slot, c.started_at, c.allowance,
        max(c.started_at) FILTER (
            WHERE s.renewal = 'sliding'
            AND s.closed_at IS NULL
            AND c.started_at < s.expires_at
            AND s.expires_at < least(c.started_at + interval '900 ms' * s.ttl_seconds, s.expires_max_at)
        ) OVER (PARTITION BY s.request_id) AS renewed_from,
        s.request_id, s.owner, s.language, s.title, s.script_hash, s.context, s.metadata, s.timeout_ms, s.memory_mb,
        s.isolation, s.renewal, s.ttl_seconds, s.expires_at, s.expires_max_at, s.closed_at, s.last_executed_at,
        s.execution_count, s.version, s.function_version, s.function_id, s.hidden, s.convention,
        s.created_at
    FROM call AS c
    INNER JOIN meta.sessions AS s ON c.request_id = s.request_id AND c.owner = s.owner
),
passing AS (
    SELECT
        c.key, c.payload_hash, c.retention, c.not_before, c.start_before, c.head_start, c.in_order, c.params, c.options,
        c.ordinal, c.execution_id, c.slot, c.started_at, c.allowance, c.renewed_from,
        s.request_id, s.owner, s.language, s.title, s.script_hash, s.context, s.metadata, s.timeout_ms, s.memory_mb,
        s.isolation, s.renewal, s.ttl_seconds, s.expires_at, s.expires_max_at, s.closed_at, s.last_executed_at,
        s.execution_count, s.version, s.function_version, s.function_id, s.hidden, s.convention,
        s.created_at
    FROM seen AS c
    INNER JOIN meta.sessions AS s ON c.request_id = s.request_id
    WHERE NOT :waits::boolean AND c.renewed_from IS NOT NULL
    ORDER BY s.request_id, c.ordinal
    FOR NO KEY UPDATE OF s SKIP LOCKED
),
waiting AS (
    SELECT
        c.key, c.payload_hash, c.retention, c.not_before, c.start_before, c.head_start, c.in_order, c.params, c.options,
        c.ordinal, c.execution_id, c.slot, c.started_at, c.allowance, c.renewed_from,
        s.request_id, s.owner, s.language, s.title, s.script_hash, s.context, s.metadata, s.timeout_ms, s.memory_mb,
        s.isolation, s.renewal, s.ttl_seconds, s.expires_at, s.expires_max_at, s.closed_at, s.last_executed_at,
        s.execution_count, s.version, s.function_version, s.function_id, s.hidden, s.convention,
        s.created_at
    FROM seen AS c
    INNER JOIN meta.sessions AS s ON c.request_id = s.request_id
    WHERE :waits::boolean AND c.renewed_from IS NOT NULL
    ORDER BY s.request_id, c.ordinal
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
fitted AS (
    SELECT
        j.*,
        coalesce(j.renewed_until, j.expires_at) AS session_until,
        j.admitted AND j.not_before < coalesce(j.renewed_until, j.expires_at) AS fits,
        least(j.start_before, coalesce(j.renewed_until, j.expires_at)) AS start_until
    FROM judged AS j
),
taken AS (
    INSERT INTO meta.idempotency_keys AS k (
        request_id, owner, key, payload_hash, winner, language_title, deadline_at, expires_at, params, asynchronous
    )
    SELECT DISTINCT ON (f.request_id, f.owner, f.key)
        f.request_id, f.owner, f.key, decode(f.payload_hash, 'hex'), f.execution_id, f.language || '-' || f.title,
        f.start_until + interval '1 ms' * f.timeout_ms + f.allowance,
        f.start_until + interval '1 ms' * f.timeout_ms + f.allowance + f.retention,
        f.params,
        f.options::jsonb || jsonb_build_object(
            'accepted_at', f.started_at, 'expires_at', f.start_until, 'allowance', f.allowance, 'retention', f.retention
        )
    FROM fitted AS f
    WHERE f.fits
    ORDER BY f.request_id, f.owner, f.key, f.ordinal
    ON CONFLICT (request_id, owner, key) DO UPDATE SET
        payload_hash = excluded.payload_hash,
        winner = excluded.winner,
        language_title = excluded.language_title,
        deadline_at = excluded.deadline_at,
        expires_at = excluded.expires_at,
        params = excluded.params,
        asynchronous = excluded.asynchronous,
        outcome = NULL,
        execution_count = NULL,
        answer = NULL,
        result = NULL
    WHERE k.expires_at <= (excluded.asynchronous ->> 'accepted_at')::timestamptz
    RETURNING k.winner
),
decided AS (
    SELECT f.*, f.execution_id IN (SELECT t.winner FROM taken AS t) AS won FROM fitted AS f
),
renewed AS (
    UPDATE meta.sessions AS s
    SET expires_at = greatest(s.expires_at, n.renewed_until)
    FROM (
        SELECT d.request_id, max(d.renewed_until) AS renewed_until
        FROM decided AS d
        WHERE d.won AND d.renewed_until IS NOT NULL
        GROUP BY d.request_id
    ) AS n
    WHERE s.request_id = n.request_id
),
queued AS (
    INSERT INTO meta.queued_executions (
        execution_id, request_id, owner, language, key, slot, ready_at, not_before, expires_at, in_order
    )
    SELECT
        d.execution_id, d.request_id, d.owner, d.language, d.key, d.slot, d.not_before - d.head_start, d.not_before,
        d.start_until, d.in_order
    FROM decided AS d
    WHERE d.won
    ORDER BY d.execution_id
    ON CONFLICT (request_id, execution_id) DO NOTHING
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
    d.start_until, d.session_until, d.closed_at, NULL::text AS payload_hash, NULL::uuid AS winner,
    NULL::timestamptz AS deadline_at, NULL::timestamptz AS kept_until, NULL::text AS language_title,
    NULL::bigint AS execution_count, NULL::text AS answer, NULL::text AS result, FALSE AS is_asynchronous
FROM decided AS d
UNION ALL
SELECT s.ordinal, 'skipped', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM seen AS s
WHERE s.renewed_from IS NOT NULL AND s.ordinal NOT IN (SELECT h.ordinal FROM held AS h)
UNION ALL
SELECT
    k.ordinal, 'kept', (k.asynchronous ->> 'expires_at')::timestamptz, NULL, NULL, encode(k.payload_hash, 'hex'),
    k.winner, k.deadline_at, k.expires_at, k.language_title, k.execution_count, k.answer, k.result,
    k.asynchronous IS NOT NULL
FROM kept AS k;
