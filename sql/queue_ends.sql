-- Statements that end executions which were accepted to run later; queue.sql says what entitles to it, sessions.sql describes
-- the format.

-- name: finish_queued_executions(request_ids, owners, execution_ids, partitions, finished_ats, outcomes, execution_times_ms, cpu_times_ms, memory_usages_bytes, cold_starts, params, params_lengths, results, results_lengths, errors, errors_lengths, stdouts, stdouts_lengths, stderrs, stderrs_lengths, answers, whole_results, error_texts, attempts, next_ids, next_partitions, next_not_befores, next_expiries, next_priorities_s, next_options, waits)
-- Parts that have the same name as in finish_executions do the same. `following` has the next attempts that are accepted:
-- those of sessions that live at the end of the execution, and until the next start, unless the cancel was requested.
-- Their results are kept for as long as that of this one, from the expiry on. Webhooks hear of the last attempt.
WITH call AS (
    SELECT *
    FROM
        unnest(
            :request_ids::uuid[], :owners::text[], :execution_ids::uuid[], :partitions::smallint[],
            :finished_ats::timestamptz[], :outcomes::text[], :execution_times_ms::double precision[],
            :cpu_times_ms::double precision[], :memory_usages_bytes::bigint[], :cold_starts::boolean[],
            :params::text[], :params_lengths::integer[], :results::text[], :results_lengths::integer[],
            :errors::text[], :errors_lengths::integer[], :stdouts::text[], :stdouts_lengths::integer[],
            :stderrs::text[], :stderrs_lengths::integer[], :answers::text[], :whole_results::text[], :error_texts::text[],
            :attempts::smallint[], :next_ids::uuid[], :next_partitions::smallint[], :next_not_befores::timestamptz[],
            :next_expiries::timestamptz[], :next_priorities_s::integer[], :next_options::text[]
        ) WITH ORDINALITY AS c (
            request_id, owner, execution_id, slot, finished_at, outcome, execution_time_ms, cpu_time_ms,
            memory_usage_bytes, cold_start, params, params_length, result, result_length, error, error_length,
            stdout, stdout_length, stderr, stderr_length, answer, whole_result, error_text, attempt, next_id, next_slot,
            next_not_before, next_start_before, next_priority_s, next_options, ordinal
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
    RETURNING
        h.*, o.deadline_at, o.in_order, o.cancel_requested_at, o.language_title, o.ready_at, o.start_until, o.kept_until,
        o.params AS accepted_params, o.options, o.key, o.payload_hash
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
        stdout_length, stderr, stderr_length, attempt
    )
    SELECT
        c.slot, c.request_id, c.execution_id, c.owner, c.outcome, c.count_with_it, c.execution_time_ms,
        c.cpu_time_ms, c.memory_usage_bytes, c.cold_start, c.params, c.params_length, c.result, c.result_length,
        c.error, c.error_length, c.stdout, c.stdout_length, c.stderr, c.stderr_length, c.attempt
    FROM counted AS c
    ON CONFLICT (slot, request_id, execution_id) DO NOTHING
),
used AS (
    INSERT INTO meta.usage_additions (owner, day, executions, failed, unknown, execution_time_ms, cpu_time_ms)
    SELECT
        c.owner, (c.finished_at AT TIME ZONE 'UTC')::date, count(*), count(*) FILTER (WHERE c.outcome = 'failed'),
        count(*) FILTER (WHERE c.outcome = 'unknown'), coalesce(sum(c.execution_time_ms), 0),
        coalesce(sum(c.cpu_time_ms), 0)
    FROM counted AS c
    GROUP BY c.owner, (c.finished_at AT TIME ZONE 'UTC')::date
),
following AS MATERIALIZED (
    SELECT c.*, s.language, s.title, least(c.next_start_before, s.expires_at) AS next_start_until
    FROM counted AS c
    CROSS JOIN LATERAL (
        SELECT s.language, s.title, s.expires_at, s.closed_at
        FROM meta.sessions AS s
        WHERE s.request_id = c.request_id AND s.owner = c.owner
        LIMIT 1
    ) AS s
    WHERE
        c.next_id IS NOT NULL
        AND c.cancel_requested_at IS NULL
        AND s.closed_at IS NULL
        AND c.finished_at < s.expires_at
        AND c.next_not_before < s.expires_at
),
queued AS (
    INSERT INTO meta.queued_executions (
        execution_id, request_id, ready_at, not_before, expires_at, kept_until, slot, in_order, owner, language, title,
        params, options
    )
    SELECT
        f.next_id, f.request_id, f.next_not_before - f.next_priority_s * interval '1 s', f.next_not_before, f.next_start_until,
        f.next_start_until + (f.kept_until - f.start_until), f.next_slot, f.in_order, f.owner, f.language, f.title,
        f.accepted_params, f.next_options::jsonb
    FROM following AS f
    ORDER BY f.next_id
    ON CONFLICT DO NOTHING
),
answered AS (
    INSERT INTO meta.idempotency_keys AS k (
        request_id, owner, key, payload_hash, winner, language_title, deadline_at, expires_at, execution_count, answer,
        result, outcome, ready_at, start_until, params, options, next_attempt
    )
    SELECT
        c.request_id, c.owner, coalesce(c.key, ' ' || c.execution_id), coalesce(c.payload_hash, sha256('')),
        c.execution_id, c.language_title, c.deadline_at, c.kept_until, c.count_with_it, c.answer, c.whole_result,
        c.outcome, c.ready_at, c.start_until, c.accepted_params, c.options,
        CASE WHEN c.next_id IN (SELECT f.next_id FROM following AS f) THEN c.next_id END
    FROM counted AS c
    ORDER BY c.request_id, c.owner, coalesce(c.key, ' ' || c.execution_id)
    ON CONFLICT (request_id, owner, key) DO UPDATE SET
        execution_count = excluded.execution_count,
        answer = excluded.answer,
        result = excluded.result,
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
    FROM counted AS c
    CROSS JOIN LATERAL meta.deliveries_of(
        c.owner, (c.options ->> 'webhook_id')::uuid, c.request_id, c.execution_id, c.outcome, c.finished_at,
        c.language_title, c.attempt, c.error_text, c.whole_result
    ) AS d
    WHERE NOT EXISTS (SELECT FROM following AS f WHERE f.next_id = c.next_id)
    ON CONFLICT (delivery_id, request_id) DO NOTHING
)
SELECT c.ordinal, c.count_with_it AS execution_count FROM counted AS c
UNION ALL
SELECT c.ordinal, NULL AS execution_count
FROM call AS c
WHERE
    c.ordinal NOT IN (SELECT h.ordinal FROM held AS h)
    AND (SELECT TRUE FROM meta.sessions AS s WHERE s.request_id = c.request_id AND s.owner = c.owner LIMIT 1);

-- name: cancel_executions(owners, execution_ids, nows, cancelled, cancelled_error)
-- A call has no row if the execution is in another state than the snapshot shows, has ended, or is past its deadline; its
-- caller then reads the state in a new statement. The owner "*" stands for every owner.
WITH call AS (
    SELECT *
    FROM
        unnest(:owners::text[], :execution_ids::uuid[], :nows::timestamptz[]) WITH ORDINALITY
            AS c (owner, execution_id, now, ordinal)
),
waiting AS MATERIALIZED (
    SELECT q.execution_id, q.request_id, c.ordinal, c.now
    FROM call AS c
    INNER JOIN meta.queued_executions AS q ON c.execution_id = q.execution_id
    WHERE q.execution_id = any(:execution_ids::uuid[]) AND c.owner IN (q.owner, '*')
    ORDER BY q.execution_id
    FOR UPDATE OF q
),
removed AS (
    DELETE FROM meta.queued_executions AS q
    USING waiting AS w
    WHERE
        -- Without it PostgreSQL 15 plans to read the whole primary key while the table is empty.
        q.request_id = any(array(SELECT w.request_id FROM waiting AS w))
        AND q.execution_id = any(:execution_ids::uuid[])
        AND q.execution_id = w.execution_id
        AND q.request_id = w.request_id
    RETURNING
        q.*, w.ordinal, w.now, q.language || '-' || q.title AS language_title,
        coalesce((q.options ->> 'attempt')::smallint, 1::smallint) AS attempt
),
recorded AS (
    INSERT INTO meta.executions (slot, request_id, execution_id, owner, outcome, attempt)
    SELECT r.slot, r.request_id, r.execution_id, r.owner, 'cancelled', r.attempt
    FROM removed AS r
    ON CONFLICT (slot, request_id, execution_id) DO NOTHING
),
answered AS (
    INSERT INTO meta.idempotency_keys AS k (
        request_id, owner, key, payload_hash, winner, language_title, deadline_at, expires_at, answer, outcome, ready_at,
        start_until, params, options
    )
    SELECT
        r.request_id, r.owner, coalesce(r.key, ' ' || r.execution_id), coalesce(r.payload_hash, sha256('')),
        r.execution_id, r.language_title, r.kept_until AS deadline_at, r.kept_until, :cancelled::text, 'cancelled', r.ready_at,
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
        r.owner, (r.options ->> 'webhook_id')::uuid, r.request_id, r.execution_id, 'cancelled', r.now, r.language_title,
        r.attempt, :cancelled_error::text, NULL
    ) AS d
    ON CONFLICT (delivery_id, request_id) DO NOTHING
),
running AS MATERIALIZED (
    SELECT o.request_id, o.execution_id, o.cancel_requested_at, c.ordinal, c.now
    FROM call AS c
    INNER JOIN meta.open_executions AS o ON c.execution_id = o.execution_id
    WHERE
        o.execution_id = any(:execution_ids::uuid[])
        AND o.claim_id IS NOT NULL
        AND c.owner IN (o.owner, '*')
        AND o.deadline_at > c.now
    -- As a row, because PostgreSQL 15 would read the primary key for the order of its columns.
    ORDER BY row(o.request_id, o.execution_id)
    FOR UPDATE OF o
),
marked AS (
    UPDATE meta.open_executions AS o
    SET cancel_requested_at = r.now
    FROM running AS r
    WHERE
        o.request_id = any(ARRAY[r.request_id]) AND o.execution_id = r.execution_id AND r.cancel_requested_at IS NULL
)
SELECT r.ordinal, 'cancelled' AS fate FROM removed AS r
UNION ALL
SELECT r.ordinal, 'cancelling' AS fate FROM running AS r;

-- name: request_cancel(request_id, execution_id, now)
-- For an execution that was never in the queue. Returns no row if it has no open record.
UPDATE meta.open_executions AS o
SET cancel_requested_at = coalesce(o.cancel_requested_at, :now::timestamptz)
WHERE
    o.request_id = :request_id::uuid
    AND o.execution_id = :execution_id::uuid
    AND o.deadline_at > :now::timestamptz
RETURNING o.execution_id;

-- name: request_cancels(request_id, owner, now)
-- For all open executions of a session. The owner "*" stands for every owner.
WITH running AS MATERIALIZED (
    SELECT o.request_id, o.execution_id
    FROM meta.open_executions AS o
    WHERE o.request_id = :request_id::uuid AND :owner::text IN (o.owner, '*') AND o.deadline_at > :now::timestamptz
    ORDER BY o.request_id, o.execution_id
    FOR UPDATE OF o
)
UPDATE meta.open_executions AS o
SET cancel_requested_at = coalesce(o.cancel_requested_at, :now::timestamptz)
FROM running AS r
WHERE o.request_id = any(ARRAY[r.request_id]) AND o.execution_id = r.execution_id
RETURNING o.execution_id;

-- name: erase_execution(request_id, execution_id, partition, owner, act_id, actor, origin, act)!
-- Of an execution that has ended. An empty text in place of the result, which is JSON, marks the key of an erased call. A
-- message to a webhook has result and error at its end, and its receiver may have echoed them. A controller that died may
-- have left live output. Files that its script has left are removed as by remove_file. The owner "*" stands for every
-- owner. Never prepared: a plan for the given partition of the history locks only that one.
WITH history AS (
    UPDATE meta.executions AS e
    SET
        params = NULL, params_length = NULL, result = NULL, result_length = NULL, error = NULL, error_length = NULL,
        stdout = NULL, stdout_length = NULL, stderr = NULL, stderr_length = NULL
    WHERE
        e.slot = :partition::smallint
        AND e.request_id = :request_id::uuid
        AND e.execution_id = :execution_id::uuid
        AND :owner::text IN (e.owner, '*')
    RETURNING e.owner
),
keys AS (
    UPDATE meta.idempotency_keys AS k
    SET answer = NULL, result = '', params = NULL, options = k.options - 'files'
    WHERE
        k.request_id = :request_id::uuid
        AND k.winner = :execution_id::uuid
        AND :owner::text IN (k.owner, '*')
    RETURNING k.owner
),
erased AS (
    SELECT h.owner FROM history AS h
    UNION
    SELECT k.owner FROM keys AS k
),
live AS (
    DELETE FROM meta.live_output AS l
    USING erased AS e
    WHERE l.request_id = :request_id::uuid AND l.execution_id = :execution_id::uuid
),
files AS (
    UPDATE meta.files AS f
    SET complete = FALSE, expires_at = '-infinity'
    FROM erased AS e
    WHERE f.request_id = :request_id::uuid AND f.execution_id = :execution_id::uuid
),
uses AS (
    UPDATE meta.execution_uses AS u
    SET uses = (u.uses::jsonb - 'files')::text
    FROM erased AS e
    WHERE
        u.slot = :partition::smallint
        AND u.execution_id = :execution_id::uuid
        AND u.uses::jsonb -> 'files' IS NOT NULL
),
messages AS (
    UPDATE meta.deliveries AS d
    SET payload = regexp_replace(d.payload, ',"(error|result)":.*$', '}}'), answer = NULL
    FROM erased AS e
    WHERE d.request_id = :request_id::uuid AND d.execution_id = :execution_id::uuid
)
INSERT INTO meta.audit (act_id, actor, origin, act, owner, subject, details)
SELECT
    :act_id::uuid, :actor::text, :origin::text, :act::text, e.owner, :execution_id::uuid::text,
    jsonb_build_object('request_id', :request_id::uuid)
FROM erased AS e
ON CONFLICT (act_id) DO NOTHING;
