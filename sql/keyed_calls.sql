-- Statements about calls with idempotency keys; sessions.sql describes the format.
--
-- A call holds its key if the row names its id as the winner. `kept` contains the calls whose keys other calls hold.
-- `taken` contains the calls that take their keys in this statement. If several calls in a batch have one key, the
-- first call takes it. A call may be in neither part: another call in the batch took its key, or the row of the key is
-- newer than the snapshot of this statement. The service sends such a call again in a new statement. Rows of keys are
-- locked after all sessions, in the order of the primary key, so two batches cannot deadlock. A subquery with LIMIT
-- looks up each key by the index. PostgreSQL may make this plan while the table is small; it stays fast when the table
-- is large.

-- name: begin_keyed_executions(request_ids, owners, keys, payload_hashes, execution_ids, partitions, started_ats, allowances, kept_for, waits)
-- The parts `seen` to `judged` are the same as in begin_executions; a test compares them. The statement may be sent
-- twice, and its second copy may arrive after the execution ended. That copy then gets the response of a repeated call.
WITH asked AS (
    SELECT *
    FROM
        unnest(
            :request_ids::uuid[], :owners::text[], :keys::text[], :payload_hashes::text[], :execution_ids::uuid[],
            :partitions::smallint[], :started_ats::timestamptz[], :allowances::interval[]
        ) WITH ORDINALITY AS a (
            request_id, owner, key, payload_hash, execution_id, slot, started_at, allowance, ordinal
        )
),
kept AS (
    SELECT a.ordinal, k.*
    FROM asked AS a
    CROSS JOIN LATERAL (
        SELECT
            k.payload_hash, k.winner, k.deadline_at, k.expires_at, k.language_title, k.execution_count, k.answer,
            k.result, k.ready_at
        FROM meta.idempotency_keys AS k
        WHERE k.request_id = a.request_id AND k.owner = a.owner AND k.key = a.key
        LIMIT 1
    ) AS k
    WHERE a.started_at < k.expires_at AND (a.execution_id <> k.winner OR k.answer IS NOT NULL)
),
call AS (
    SELECT a.* FROM asked AS a WHERE a.ordinal NOT IN (SELECT k.ordinal FROM kept AS k)
),
seen AS (
    SELECT
        c.key, c.payload_hash,
        c.ordinal, c.execution_id, c.slot, c.started_at, c.allowance,
        max(c.started_at) FILTER (
            WHERE s.renewal = 'sliding'
            AND s.closed_at IS NULL
            AND c.started_at < s.expires_at
            AND s.expires_at < least(c.started_at + interval '900 ms' * s.ttl_seconds, s.expires_max_at)
        ) OVER (PARTITION BY c.request_id) AS renewed_from,
        s.request_id, s.owner, s.language, s.title, s.script_hash, s.context, s.metadata, s.timeout_ms, s.memory_mb,
        s.isolation, s.renewal, s.ttl_seconds, s.expires_at, s.expires_max_at, s.closed_at, s.last_executed_at,
        s.execution_count, s.version, s.function_version, s.function_id, s.hidden, s.convention,
        s.created_at, s.grants
    FROM call AS c
    INNER JOIN meta.sessions AS s ON s.request_id = any(ARRAY[c.request_id]) AND s.owner = any(ARRAY[c.owner, c.owner])
),
passing AS (
    SELECT
        c.key, c.payload_hash,
        c.ordinal, c.execution_id, c.slot, c.started_at, c.allowance, c.renewed_from,
        s.request_id, s.owner, s.language, s.title, s.script_hash, s.context, s.metadata, s.timeout_ms, s.memory_mb,
        s.isolation, s.renewal, s.ttl_seconds, s.expires_at, s.expires_max_at, s.closed_at, s.last_executed_at,
        s.execution_count, s.version, s.function_version, s.function_id, s.hidden, s.convention,
        s.created_at, s.grants
    FROM seen AS c
    INNER JOIN meta.sessions AS s ON s.request_id = any(ARRAY[c.request_id]) AND s.owner = any(ARRAY[c.owner, c.owner])
    WHERE NOT :waits::boolean AND c.renewed_from IS NOT NULL
    ORDER BY c.request_id, c.ordinal
    FOR NO KEY UPDATE OF s SKIP LOCKED
),
waiting AS (
    SELECT
        c.key, c.payload_hash,
        c.ordinal, c.execution_id, c.slot, c.started_at, c.allowance, c.renewed_from,
        s.request_id, s.owner, s.language, s.title, s.script_hash, s.context, s.metadata, s.timeout_ms, s.memory_mb,
        s.isolation, s.renewal, s.ttl_seconds, s.expires_at, s.expires_max_at, s.closed_at, s.last_executed_at,
        s.execution_count, s.version, s.function_version, s.function_id, s.hidden, s.convention,
        s.created_at, s.grants
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
taken AS (
    INSERT INTO meta.idempotency_keys AS k (
        request_id, owner, key, payload_hash, winner, language_title, deadline_at, expires_at
    )
    SELECT DISTINCT ON (j.request_id, j.owner, j.key)
        j.request_id, j.owner, j.key, decode(j.payload_hash, 'hex'), j.execution_id, j.language || '-' || j.title,
        j.started_at + interval '1 ms' * j.timeout_ms + j.allowance, j.started_at + :kept_for::interval
    FROM judged AS j
    WHERE j.admitted
    ORDER BY j.request_id, j.owner, j.key, j.ordinal
    ON CONFLICT (request_id, owner, key) DO UPDATE SET
        payload_hash = excluded.payload_hash,
        winner = excluded.winner,
        language_title = excluded.language_title,
        deadline_at = excluded.deadline_at,
        expires_at = excluded.expires_at,
        execution_count = NULL,
        answer = NULL,
        result = NULL,
        ready_at = NULL,
        start_until = NULL,
        params = NULL,
        options = NULL,
        next_attempt = NULL,
        outcome = NULL
    WHERE
        (k.winner = excluded.winner AND k.answer IS NULL)
        OR k.expires_at <= excluded.expires_at - :kept_for::interval
    RETURNING k.winner
),
decided AS (
    SELECT j.*, j.execution_id IN (SELECT t.winner FROM taken AS t) AS won FROM judged AS j
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
opened AS (
    INSERT INTO meta.open_executions (request_id, execution_id, owner, slot, deadline_at)
    SELECT
        d.request_id, d.execution_id, d.owner, d.slot,
        d.started_at + interval '1 ms' * d.timeout_ms + d.allowance
    FROM decided AS d
    WHERE d.won
    ORDER BY d.request_id, d.execution_id
    ON CONFLICT (request_id, execution_id) DO NOTHING
)
SELECT
    d.ordinal,
    CASE WHEN d.won OR NOT d.admitted THEN 'judged' ELSE 'missed' END AS fate,
    d.started_at + interval '1 ms' * d.timeout_ms + d.allowance AS deadline_at,
    d.request_id, d.owner, d.language, d.title, d.script_hash, d.context, d.metadata, d.timeout_ms,
    d.memory_mb, d.isolation, d.renewal, d.ttl_seconds,
    CASE WHEN d.won THEN coalesce(d.renewed_until, d.expires_at) ELSE d.expires_at END AS expires_at,
    d.expires_max_at, d.closed_at, d.last_executed_at, d.execution_count, d.version,
    d.function_version, d.function_id, d.hidden, d.convention, d.created_at, d.grants,
    NULL::text AS payload_hash, NULL::uuid AS winner, NULL::timestamptz AS kept_until, NULL::text AS language_title,
    NULL::bigint AS kept_count, NULL::text AS answer, NULL::text AS result, NULL::timestamptz AS ready_at
FROM decided AS d
UNION ALL
SELECT
    s.ordinal, 'skipped', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM seen AS s
WHERE s.renewed_from IS NOT NULL AND s.ordinal NOT IN (SELECT h.ordinal FROM held AS h)
UNION ALL
SELECT
    k.ordinal, 'kept', k.deadline_at, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, encode(k.payload_hash, 'hex'), k.winner,
    k.expires_at, k.language_title, k.execution_count, k.answer, k.result, k.ready_at
FROM kept AS k;

-- name: withdraw_keyed_executions(request_ids, owners, keys, execution_ids)!
WITH call AS (
    SELECT *
    FROM
        unnest(:request_ids::uuid[], :owners::text[], :keys::text[], :execution_ids::uuid[])
            AS c (request_id, owner, key, execution_id)
),
forgotten AS (
    DELETE FROM meta.open_executions AS o
    USING call AS c
    WHERE o.request_id = any(ARRAY[c.request_id]) AND o.owner = c.owner AND o.execution_id = c.execution_id
)
DELETE FROM meta.idempotency_keys AS k
USING call AS c
WHERE
    k.request_id = any(ARRAY[c.request_id]) AND k.owner = c.owner AND k.key = c.key AND k.winner = c.execution_id
    AND k.answer IS NULL;

-- name: finish_keyed_executions(request_ids, owners, keys, execution_ids, partitions, finished_ats, outcomes, execution_times_ms, cpu_times_ms, memory_usages_bytes, cold_starts, params, params_lengths, results, results_lengths, errors, errors_lengths, stdouts, stdouts_lengths, stderrs, stderrs_lengths, answers, whole_results, waits)
-- Parts that have the same name as in finish_executions do the same. `answered` stores the response under the key, for
-- calls that repeat the key.
WITH call AS (
    SELECT *
    FROM
        unnest(
            :request_ids::uuid[], :owners::text[], :execution_ids::uuid[], :partitions::smallint[],
            :finished_ats::timestamptz[], :outcomes::text[], :execution_times_ms::double precision[],
            :cpu_times_ms::double precision[], :memory_usages_bytes::bigint[], :cold_starts::boolean[],
            :params::text[], :params_lengths::integer[], :results::text[], :results_lengths::integer[],
            :errors::text[], :errors_lengths::integer[], :stdouts::text[], :stdouts_lengths::integer[],
            :stderrs::text[], :stderrs_lengths::integer[], :keys::text[], :answers::text[], :whole_results::text[]
        ) WITH ORDINALITY AS c (
            request_id, owner, execution_id, slot, finished_at, outcome, execution_time_ms, cpu_time_ms,
            memory_usage_bytes, cold_start, params, params_length, result, result_length, error, error_length,
            stdout, stdout_length, stderr, stderr_length, key, answer, whole_result, ordinal
        )
),
passing AS (
    SELECT c.*, s.execution_count
    FROM call AS c
    INNER JOIN meta.sessions AS s ON s.request_id = any(ARRAY[c.request_id]) AND s.owner = any(ARRAY[c.owner, c.owner])
    WHERE NOT :waits::boolean
    ORDER BY c.request_id, c.ordinal
    FOR NO KEY UPDATE OF s SKIP LOCKED
),
waiting AS (
    SELECT c.*, s.execution_count
    FROM call AS c
    INNER JOIN meta.sessions AS s ON s.request_id = any(ARRAY[c.request_id]) AND s.owner = any(ARRAY[c.owner, c.owner])
    WHERE :waits::boolean
    ORDER BY c.request_id, c.ordinal
    FOR NO KEY UPDATE OF s
),
held AS (
    SELECT p.* FROM passing AS p
    UNION ALL
    SELECT w.* FROM waiting AS w
),
removed AS (
    DELETE FROM meta.open_executions AS o
    USING held AS h
    WHERE o.request_id = any(ARRAY[h.request_id]) AND o.execution_id = h.execution_id
    RETURNING h.*
),
counted AS (
    SELECT
        r.*,
        r.execution_count + row_number() OVER (PARTITION BY r.request_id ORDER BY r.ordinal) AS count_with_it
    FROM removed AS r
),
stored AS (
    UPDATE meta.sessions AS s
    SET
        execution_count = n.execution_count,
        last_executed_at = greatest(s.last_executed_at, n.finished_at)
    FROM (
        SELECT c.request_id, c.owner, max(c.count_with_it) AS execution_count, max(c.finished_at) AS finished_at
        FROM counted AS c
        GROUP BY c.request_id, c.owner
    ) AS n
    WHERE s.request_id = any(ARRAY[n.request_id]) AND s.owner = any(ARRAY[n.owner, n.owner])
),
recorded AS (
    INSERT INTO meta.executions (
        slot, request_id, execution_id, owner, outcome, execution_count, execution_time_ms, cpu_time_ms,
        memory_usage_bytes, cold_start, params, params_length, result, result_length, error, error_length, stdout,
        stdout_length, stderr, stderr_length
    )
    SELECT
        c.slot, c.request_id, c.execution_id, c.owner, c.outcome, c.count_with_it, c.execution_time_ms,
        c.cpu_time_ms, c.memory_usage_bytes, c.cold_start, c.params, c.params_length, c.result, c.result_length,
        c.error, c.error_length, c.stdout, c.stdout_length, c.stderr, c.stderr_length
    FROM counted AS c
    ON CONFLICT (slot, request_id, execution_id) DO NOTHING
),
answered AS (
    UPDATE meta.idempotency_keys AS k
    SET execution_count = c.count_with_it, answer = c.answer, result = c.whole_result
    FROM counted AS c
    WHERE
        k.request_id = any(ARRAY[c.request_id]) AND k.owner = c.owner AND k.key = c.key AND k.winner = c.execution_id
)
SELECT c.ordinal, c.count_with_it AS execution_count FROM counted AS c
UNION ALL
SELECT c.ordinal, NULL AS execution_count
FROM call AS c
WHERE
    c.ordinal NOT IN (SELECT h.ordinal FROM held AS h)
    AND (SELECT TRUE FROM meta.sessions AS s WHERE s.request_id = c.request_id AND s.owner = c.owner LIMIT 1);

-- name: insert_keyed_sessions(request_ids, owners, languages, titles, script_hashes, timeouts_ms, memories_mb, isolations, renewals, ttls_seconds, expiries, expiries_max, contexts, metadatas, scripts, function_versions, function_ids, conventions, grants, keys, payload_hashes, created_ats, answers, no_session, kept_for)
-- Stores a session and its key together, or neither.
WITH asked AS (
    SELECT *
    FROM
        unnest(
            :request_ids::uuid[], :owners::text[], :languages::text[], :titles::text[], :script_hashes::text[],
            :timeouts_ms::integer[], :memories_mb::integer[], :isolations::text[], :renewals::text[],
            :ttls_seconds::integer[], :expiries::timestamptz[], :expiries_max::timestamptz[], :contexts::text[],
            :metadatas::text[], :scripts::text[], :function_versions::bigint[], :function_ids::uuid[],
            :conventions::text[], :grants::text[], :keys::text[], :payload_hashes::text[], :created_ats::timestamptz[],
            :answers::text[]
        ) WITH ORDINALITY AS a (
            request_id, owner, language, title, script_hash, timeout_ms, memory_mb, isolation, renewal, ttl_seconds,
            expires_at, expires_max_at, context, metadata, script, function_version, function_id, convention,
            grants, key, payload_hash, created_at, answer, ordinal
        )
),
kept AS (
    SELECT a.ordinal, k.*
    FROM asked AS a
    CROSS JOIN LATERAL (
        SELECT k.payload_hash, k.winner, k.deadline_at, k.expires_at, k.language_title, k.answer
        FROM meta.idempotency_keys AS k
        WHERE k.request_id = :no_session::uuid AND k.owner = a.owner AND k.key = a.key
        LIMIT 1
    ) AS k
    WHERE a.created_at < k.expires_at AND a.request_id <> k.winner
),
call AS (
    SELECT a.* FROM asked AS a WHERE a.ordinal NOT IN (SELECT k.ordinal FROM kept AS k)
),
taken AS (
    INSERT INTO meta.idempotency_keys AS k (
        request_id, owner, key, payload_hash, winner, language_title, deadline_at, expires_at, answer
    )
    SELECT DISTINCT ON (c.owner, c.key)
        :no_session::uuid, c.owner, c.key, decode(c.payload_hash, 'hex'), c.request_id, c.language || '-' || c.title,
        c.created_at, c.created_at + :kept_for::interval, c.answer
    FROM call AS c
    ORDER BY c.owner, c.key, c.ordinal
    ON CONFLICT (request_id, owner, key) DO UPDATE SET
        payload_hash = excluded.payload_hash,
        winner = excluded.winner,
        language_title = excluded.language_title,
        deadline_at = excluded.deadline_at,
        expires_at = excluded.expires_at,
        answer = excluded.answer
    WHERE k.winner = excluded.winner OR k.expires_at <= excluded.expires_at - :kept_for::interval
    RETURNING k.winner
),
decided AS (
    SELECT c.*, c.request_id IN (SELECT t.winner FROM taken AS t) AS won FROM call AS c
),
added AS (
    INSERT INTO meta.sessions (
        request_id, owner, language, title, script_hash, timeout_ms, memory_mb, isolation, renewal, ttl_seconds,
        expires_at, expires_max_at, context, metadata, script, function_version, function_id, convention, grants
    )
    SELECT
        d.request_id, d.owner, d.language, d.title, d.script_hash, d.timeout_ms, d.memory_mb, d.isolation, d.renewal,
        d.ttl_seconds, d.expires_at, d.expires_max_at, d.context, d.metadata, d.script,
        d.function_version, d.function_id, d.convention, d.grants
    FROM decided AS d
    WHERE d.won
    ORDER BY d.request_id
    ON CONFLICT (request_id) DO NOTHING
)
SELECT
    d.ordinal, NULL::text AS payload_hash, NULL::uuid AS winner, NULL::timestamptz AS deadline_at,
    NULL::timestamptz AS expires_at, NULL::text AS language_title, NULL::text AS answer
FROM decided AS d
WHERE d.won
UNION ALL
SELECT
    k.ordinal, encode(k.payload_hash, 'hex'), k.winner, k.deadline_at, k.expires_at, k.language_title, k.answer
FROM kept AS k;

-- name: select_keyed_sessions(owners, keys, nows, no_session)
SELECT c.ordinal, encode(k.payload_hash, 'hex'), k.winner, k.deadline_at, k.expires_at, k.language_title, k.answer
FROM
    unnest(:owners::text[], :keys::text[], :nows::timestamptz[]) WITH ORDINALITY AS c (owner, key, now, ordinal)
CROSS JOIN LATERAL (
    SELECT k.payload_hash, k.winner, k.deadline_at, k.expires_at, k.language_title, k.answer
    FROM meta.idempotency_keys AS k
    WHERE k.request_id = :no_session::uuid AND k.owner = c.owner AND k.key = c.key
    LIMIT 1
) AS k
WHERE c.now < k.expires_at;
