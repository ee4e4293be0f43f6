-- Statements about executions; sessions.sql describes the format.

-- name: begin_executions(request_ids, owners, execution_ids, partitions, started_ats, allowances, waits)
-- Checks that each session is live at the instant of the call, renews it if due, and stores an open record. The rules
-- are Session.require_live and Session.admit of the domain; tests compare them. A session is locked only if a renewal
-- is due. Of several renewals of one session, the latest applies. A locked session is checked and returned as it is
-- after the lock was taken. `is_current` says of a hidden session whether its version is what its owner's calls by name
-- run now, as select_callable_versions finds it; it is null if there is none.
WITH call AS (
    SELECT *
    FROM
        unnest(
            :request_ids::uuid[], :owners::text[], :execution_ids::uuid[], :partitions::smallint[],
            :started_ats::timestamptz[], :allowances::interval[]
        ) WITH ORDINALITY AS c (request_id, owner, execution_id, slot, started_at, allowance, ordinal)
),
seen AS (
    SELECT
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
renewed AS (
    UPDATE meta.sessions AS s
    SET expires_at = greatest(s.expires_at, n.renewed_until)
    FROM (
        SELECT j.request_id, j.owner, max(j.renewed_until) AS renewed_until
        FROM judged AS j
        WHERE j.renewed_until IS NOT NULL
        GROUP BY j.request_id, j.owner
    ) AS n
    WHERE s.request_id = any(ARRAY[n.request_id]) AND s.owner = any(ARRAY[n.owner, n.owner])
),
opened AS (
    INSERT INTO meta.open_executions (request_id, execution_id, owner, slot, deadline_at)
    SELECT
        j.request_id, j.execution_id, j.owner, j.slot,
        j.started_at + interval '1 ms' * j.timeout_ms + j.allowance
    FROM judged AS j
    WHERE j.admitted
    ORDER BY j.request_id, j.execution_id
    ON CONFLICT (request_id, execution_id) DO NOTHING
)
SELECT
    j.ordinal,
    j.started_at + interval '1 ms' * j.timeout_ms + j.allowance AS deadline_at,
    CASE
        WHEN j.hidden
            THEN (
                SELECT f.function_id = j.function_id AND f.version = j.function_version
                FROM meta.functions AS f
                WHERE
                    f.owner IN (j.owner, 'shared')
                    AND f.language = j.language
                    AND f.title = j.title
                    AND f.deactivated_at IS NULL
                ORDER BY f.owner <> j.owner
                LIMIT 1
            )
    END AS is_current,
    j.request_id, j.owner, j.language, j.title, j.script_hash, j.context, j.metadata, j.timeout_ms,
    j.memory_mb, j.isolation, j.renewal, j.ttl_seconds,
    CASE WHEN j.admitted THEN coalesce(j.renewed_until, j.expires_at) ELSE j.expires_at END AS expires_at,
    j.expires_max_at, j.closed_at, j.last_executed_at, j.execution_count, j.version,
    j.function_version, j.function_id, j.hidden, j.convention,
    j.created_at, j.grants
FROM judged AS j
UNION ALL
SELECT
    s.ordinal, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM seen AS s
WHERE s.renewed_from IS NOT NULL AND s.ordinal NOT IN (SELECT h.ordinal FROM held AS h);

-- name: delete_open_executions(request_ids, owners, execution_ids)!
DELETE FROM meta.open_executions AS o
USING unnest(:request_ids::uuid[], :owners::text[], :execution_ids::uuid[]) AS c (request_id, owner, execution_id)
WHERE o.request_id = any(ARRAY[c.request_id]) AND o.owner = c.owner AND o.execution_id = c.execution_id;

-- name: finish_executions(request_ids, owners, execution_ids, partitions, finished_ats, outcomes, execution_times_ms, cpu_times_ms, memory_usages_bytes, cold_starts, params, params_lengths, results, results_lengths, errors, errors_lengths, stdouts, stdouts_lengths, stderrs, stderrs_lengths, waits)
-- Only the call that removes the open record increments the count, so a repeated finish counts once. Executions of one
-- session that finish in one batch get their counts in the order of the calls. The count under the lock is the latest.
-- A skipped call returns a row with a null count. A call without an open record returns no row; its caller then reads
-- the history in a new statement.
WITH call AS (
    SELECT *
    FROM
        unnest(
            :request_ids::uuid[], :owners::text[], :execution_ids::uuid[], :partitions::smallint[],
            :finished_ats::timestamptz[], :outcomes::text[], :execution_times_ms::double precision[],
            :cpu_times_ms::double precision[], :memory_usages_bytes::bigint[], :cold_starts::boolean[],
            :params::text[], :params_lengths::integer[], :results::text[], :results_lengths::integer[],
            :errors::text[], :errors_lengths::integer[], :stdouts::text[], :stdouts_lengths::integer[],
            :stderrs::text[], :stderrs_lengths::integer[]
        ) WITH ORDINALITY AS c (
            request_id, owner, execution_id, slot, finished_at, outcome, execution_time_ms, cpu_time_ms,
            memory_usage_bytes, cold_start, params, params_length, result, result_length, error, error_length,
            stdout, stdout_length, stderr, stderr_length, ordinal
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
)
SELECT c.ordinal, c.count_with_it AS execution_count FROM counted AS c
UNION ALL
SELECT c.ordinal, NULL AS execution_count
FROM call AS c
WHERE
    c.ordinal NOT IN (SELECT h.ordinal FROM held AS h)
    AND (SELECT TRUE FROM meta.sessions AS s WHERE s.request_id = c.request_id AND s.owner = c.owner LIMIT 1);

-- name: save_states_and_uses(request_ids, owners, execution_ids, partitions, states, uses, nows)!
-- Runs in front of a finish and in its transaction, so states and uses are stored if and only if their executions count.
-- It has the locks of the sessions and of the open records of all calls, also of those with a null state or null uses, so
-- the finish behind it finds what it has found. A call without an open record changes nothing, and does not count. An
-- execution past its deadline may have lost the slot to another one: then NULL breaks the constraint of the column, and the
-- transaction fails. So do two states for one session, of which the update would apply only one. The caller divides the
-- batch until such a call stands alone.
WITH call AS (
    SELECT c.*, count(c.state) OVER (PARTITION BY c.request_id) AS states_of_session
    FROM
        unnest(
            :request_ids::uuid[], :owners::text[], :execution_ids::uuid[], :partitions::smallint[], :states::text[],
            :uses::text[], :nows::timestamptz[]
        ) AS c (request_id, owner, execution_id, slot, state, uses, now)
),
held AS (
    SELECT c.*
    FROM call AS c
    INNER JOIN meta.sessions AS s ON s.request_id = any(ARRAY[c.request_id]) AND s.owner = any(ARRAY[c.owner, c.owner])
    ORDER BY c.request_id
    FOR NO KEY UPDATE OF s
),
opened AS (
    SELECT h.*
    FROM held AS h
    INNER JOIN meta.open_executions AS o ON o.request_id = any(ARRAY[h.request_id]) AND h.execution_id = o.execution_id
    ORDER BY h.request_id, h.execution_id
    FOR UPDATE OF o
),
written AS (
    SELECT o.*, t.writer
    FROM opened AS o
    INNER JOIN meta.session_states AS t ON t.request_id = any(ARRAY[o.request_id])
    WHERE o.state IS NOT NULL
    ORDER BY o.request_id
    FOR UPDATE OF t
),
used AS (
    INSERT INTO meta.execution_uses (slot, execution_id, request_id, uses)
    SELECT o.slot, o.execution_id, o.request_id, o.uses
    FROM opened AS o
    WHERE o.uses IS NOT NULL
    ON CONFLICT (slot, execution_id) DO NOTHING
)
UPDATE meta.session_states AS t
SET
    state = CASE WHEN w.writer = w.execution_id AND w.states_of_session = 1 THEN w.state END,
    version = t.version + 1,
    writer = NULL,
    writer_until = NULL,
    updated_at = w.now
FROM written AS w
WHERE t.request_id = any(ARRAY[w.request_id]);

-- name: add_network_usage(request_ids, owners, execution_ids, nows, connections, sent_bytes, received_bytes)!
-- Runs in front of a finish and in its transaction, behind save_states_and_uses, which has taken the locks. So what the
-- connections of an execution have used counts if and only if the execution does. A call without an open record adds
-- nothing.
WITH call AS (
    SELECT *
    FROM
        unnest(
            :request_ids::uuid[], :owners::text[], :execution_ids::uuid[], :nows::timestamptz[], :connections::bigint[],
            :sent_bytes::bigint[], :received_bytes::bigint[]
        ) AS c (request_id, owner, execution_id, now, connections, sent_bytes, received_bytes)
)
INSERT INTO meta.usage_additions (
    owner, day, executions, failed, unknown, execution_time_ms, cpu_time_ms, connections, sent_bytes, received_bytes
)
SELECT
    c.owner, (c.now AT TIME ZONE 'UTC')::date, 0, 0, 0, 0, 0, sum(c.connections), sum(c.sent_bytes),
    sum(c.received_bytes)
FROM call AS c
WHERE
    (
        SELECT TRUE
        FROM meta.open_executions AS o
        WHERE o.request_id = c.request_id AND o.execution_id = c.execution_id
        LIMIT 1
    )
GROUP BY c.owner, (c.now AT TIME ZONE 'UTC')::date;

-- name: complete_files(request_ids, execution_ids, slots, file_ids, sizes, sha256s, expiries, now)!
-- Runs in front of a finish and in its transaction, behind save_states_and_uses, which has taken the locks. So files are
-- seen if and only if their execution counts. A call without an open record changes nothing. Neither does one for a file
-- past its deadline, of which chunks may be erased; a removed one has the deadline -infinity.
WITH call AS (
    SELECT *
    FROM
        unnest(
            :request_ids::uuid[], :execution_ids::uuid[], :slots::smallint[], :file_ids::uuid[], :sizes::bigint[],
            :sha256s::text[], :expiries::timestamptz[]
        ) AS c (request_id, execution_id, slot, file_id, size, sha256, expires_at)
),
opened AS (
    SELECT c.*
    FROM call AS c
    INNER JOIN meta.open_executions AS o ON o.request_id = any(ARRAY[c.request_id]) AND c.execution_id = o.execution_id
)
UPDATE meta.files AS f
SET bytes = c.size, sha256 = decode(c.sha256, 'hex'), expires_at = c.expires_at, complete = TRUE
FROM opened AS c
WHERE
    f.slot = c.slot
    AND f.file_id = c.file_id
    AND f.execution_id = c.execution_id
    AND NOT f.complete
    AND f.expires_at > :now::timestamptz;

-- name: select_execution_counts(partitions, request_ids, owners, execution_ids, named_partitions)
-- Never prepared: a plan for the given partitions locks only these.
SELECT c.ordinal, e.execution_count
FROM
    unnest(:partitions::smallint[], :request_ids::uuid[], :owners::text[], :execution_ids::uuid[]) WITH ORDINALITY
        AS c (slot, request_id, owner, execution_id, ordinal)
INNER JOIN meta.executions AS e
    ON c.slot = e.slot AND c.request_id = e.request_id AND c.owner = e.owner AND c.execution_id = e.execution_id
WHERE e.slot = any(:named_partitions::smallint[]) AND e.execution_count IS NOT NULL;

-- name: select_execution_page(partitions, request_ids, owner, after, since, outcome, rows_max, size, bytes_max, now)
-- Never prepared: a plan for the given partitions locks only these. Reads each partition from its index, newest first.
-- The filter by outcome applies to a bounded number of rows. An open record outlives its execution if its statement was
-- sent twice and the second copy arrived late. NOT EXISTS skips such records. A page ends early if its payloads exceed
-- bytes_max together. `next_after` is the same in every row. A page without executions is one row with nulls beside it.
WITH candidate AS (
    SELECT e.request_id, e.execution_id, e.slot, e.outcome, e.bytes
    FROM unnest(:partitions::smallint[]) AS d (slot)
    CROSS JOIN unnest(:request_ids::uuid[]) AS r (request_id)
    CROSS JOIN LATERAL (
        SELECT
            e.request_id, e.execution_id, e.slot, e.outcome,
            coalesce(octet_length(e.params), 0) + coalesce(octet_length(e.result), 0)
            + coalesce(octet_length(e.error), 0) + coalesce(octet_length(e.stdout), 0)
            + coalesce(octet_length(e.stderr), 0) AS bytes
        FROM meta.executions AS e
        WHERE
            e.slot = d.slot
            AND e.slot = any(:partitions::smallint[])
            AND e.request_id = r.request_id
            AND e.owner = :owner::text
            AND e.execution_id < coalesce(:after::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
            AND e.execution_id >= coalesce(:since::uuid, '00000000-0000-0000-0000-000000000000')
        ORDER BY e.execution_id DESC
        LIMIT :rows_max::bigint + 1
    ) AS e
    UNION ALL
    SELECT o.request_id, o.execution_id, NULL AS slot, 'unknown' AS outcome, 0 AS bytes
    FROM meta.open_executions AS o
    WHERE
        o.request_id = any(:request_ids::uuid[])
        AND o.owner = :owner::text
        AND o.deadline_at <= :now::timestamptz
        AND o.execution_id < coalesce(:after::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
        AND o.execution_id >= coalesce(:since::uuid, '00000000-0000-0000-0000-000000000000')
        AND NOT EXISTS (
            SELECT FROM meta.executions AS e
            WHERE
                e.slot = o.slot
                AND e.slot = any(:partitions::smallint[])
                AND e.request_id = o.request_id
                AND e.execution_id = o.execution_id
        )
),
examined AS (
    SELECT
        c.request_id, c.execution_id, c.slot, c.outcome, c.bytes,
        row_number() OVER (ORDER BY c.execution_id DESC) AS position
    FROM candidate AS c
    ORDER BY c.execution_id DESC
    LIMIT :rows_max::bigint + 1
),
matching AS (
    SELECT e.request_id, e.execution_id, e.slot, e.bytes
    FROM examined AS e
    WHERE
        (e.position <= :rows_max::bigint OR :outcome::text IS NULL)
        AND (:outcome::text IS NULL OR e.outcome = :outcome::text)
    ORDER BY e.execution_id DESC
    LIMIT :size::bigint + 1
),
measured AS (
    SELECT
        m.request_id, m.execution_id, m.slot,
        row_number() OVER (ORDER BY m.execution_id DESC) AS nth,
        sum(m.bytes) OVER (ORDER BY m.execution_id DESC) AS bytes
    FROM matching AS m
),
shown AS (
    SELECT m.request_id, m.execution_id, m.slot, m.nth
    FROM measured AS m
    WHERE m.nth = 1 OR (m.nth <= :size::bigint AND m.bytes <= :bytes_max::bigint)
)
SELECT
    CASE
        WHEN (SELECT count(*) FROM matching) > (SELECT count(*) FROM shown)
            THEN (SELECT s.execution_id FROM shown AS s ORDER BY s.nth DESC LIMIT 1)
        WHEN (SELECT count(*) FROM examined) > :rows_max::bigint
            THEN (SELECT e.execution_id FROM examined AS e WHERE e.position = :rows_max::bigint)
    END AS next_after,
    s.request_id, s.execution_id, coalesce(e.outcome, 'unknown') AS outcome, e.execution_count, e.execution_time_ms,
    e.cpu_time_ms, e.memory_usage_bytes, e.cold_start, e.params, e.params_length, e.result, e.result_length, e.error,
    e.error_length, e.stdout, e.stdout_length, e.stderr, e.stderr_length, u.uses
FROM (SELECT 1) AS page
LEFT JOIN shown AS s ON TRUE
LEFT JOIN meta.executions AS e
    ON
        s.slot = e.slot
        AND e.slot = any(:partitions::smallint[])
        AND s.request_id = e.request_id
        AND s.execution_id = e.execution_id
LEFT JOIN meta.execution_uses AS u
    ON e.slot = u.slot AND u.slot = any(:partitions::smallint[]) AND e.execution_id = u.execution_id
ORDER BY s.nth;

-- name: select_execution(partition, owner, execution_id)
-- Never prepared: a plan for the given partition locks only that one. The owner "*" selects the executions of all
-- owners.
SELECT
    e.request_id, e.execution_id, e.outcome, e.execution_count, e.execution_time_ms, e.cpu_time_ms,
    e.memory_usage_bytes, e.cold_start, e.params, e.params_length, e.result, e.result_length, e.error,
    e.error_length, e.stdout, e.stdout_length, e.stderr, e.stderr_length, u.uses
FROM meta.executions AS e
LEFT JOIN meta.execution_uses AS u
    ON e.execution_id = u.execution_id AND e.slot = u.slot AND u.slot = :partition::smallint
WHERE e.slot = :partition::smallint AND e.execution_id = :execution_id::uuid AND :owner::text IN (e.owner, '*');

-- name: select_overdue_execution(owner, execution_id, now)
-- Runs only for an execution that the history does not contain. It needs no index, because the table is small: it holds
-- only executions that have begun and not finished.
SELECT
    o.request_id, o.execution_id, 'unknown' AS outcome, NULL AS execution_count, NULL AS execution_time_ms,
    NULL AS cpu_time_ms, NULL AS memory_usage_bytes, NULL AS cold_start, NULL AS params, NULL AS params_length,
    NULL AS result, NULL AS result_length, NULL AS error, NULL AS error_length, NULL AS stdout,
    NULL AS stdout_length, NULL AS stderr, NULL AS stderr_length, NULL AS uses
FROM meta.open_executions AS o
WHERE o.execution_id = :execution_id::uuid AND :owner::text IN (o.owner, '*') AND o.deadline_at <= :now::timestamptz;
