-- Statements about the states of sessions; sessions.sql describes the format. save_states_and_uses of executions.sql stores them.
-- The slot of a session belongs to the execution in `writer` while that has an open record and `writer_until` has not
-- passed. So a withdrawal, an end and a purge free it by removing the record, without a write of their own.

-- name: take_states(request_ids, execution_ids, nows, untils, waits)
-- Takes the slot for executions with an open record; the first one of a session stores its row. `writer` is that of the
-- latest row, under the lock. The open record of a writer is judged by the snapshot, so it counts only if the snapshot
-- has the same writer: one that took the slot later has a record that the snapshot lacks. Of several calls of a session
-- the first one takes it. A call without an open record returns no row.
WITH call AS (
    SELECT *
    FROM
        unnest(:request_ids::uuid[], :execution_ids::uuid[], :nows::timestamptz[], :untils::timestamptz[])
        WITH ORDINALITY AS c (request_id, execution_id, now, until, ordinal)
),
seen AS MATERIALIZED (
    SELECT
        c.ordinal, c.request_id, c.execution_id, c.now, c.until, t.request_id IS NOT NULL AS is_stored,
        t.writer AS writer_seen, w.execution_id IS NOT NULL AS writer_is_open
    FROM call AS c
    CROSS JOIN LATERAL (
        SELECT TRUE AS is_open
        FROM meta.open_executions AS o
        WHERE o.request_id = c.request_id AND o.execution_id = c.execution_id
        LIMIT 1
    ) AS o
    LEFT JOIN meta.session_states AS t ON t.request_id = any(ARRAY[c.request_id])
    LEFT JOIN LATERAL (
        SELECT w.execution_id
        FROM meta.open_executions AS w
        WHERE w.request_id = t.request_id AND w.execution_id = t.writer
        LIMIT 1
    ) AS w ON TRUE
),
passing AS (
    SELECT c.*, t.version, t.state, t.writer, t.writer_until
    FROM seen AS c
    INNER JOIN meta.session_states AS t ON t.request_id = any(ARRAY[c.request_id])
    WHERE NOT :waits::boolean
    ORDER BY c.request_id, c.ordinal
    FOR UPDATE OF t SKIP LOCKED
),
waiting AS (
    SELECT c.*, t.version, t.state, t.writer, t.writer_until
    FROM seen AS c
    INNER JOIN meta.session_states AS t ON t.request_id = any(ARRAY[c.request_id])
    WHERE :waits::boolean
    ORDER BY c.request_id, c.ordinal
    FOR UPDATE OF t
),
held AS (
    SELECT p.* FROM passing AS p
    UNION ALL
    SELECT w.* FROM waiting AS w
),
judged AS (
    SELECT
        h.*,
        h.writer IS NULL
        OR h.writer = h.execution_id
        OR h.writer_until <= h.now
        OR (h.writer = h.writer_seen AND NOT h.writer_is_open) AS is_free
    FROM held AS h
),
ranked AS (
    SELECT
        j.*,
        row_number() OVER (PARTITION BY j.request_id, j.is_free ORDER BY j.ordinal) AS nth,
        first_value(j.execution_id) OVER (PARTITION BY j.request_id, j.is_free ORDER BY j.ordinal) AS taker,
        first_value(j.until) OVER (PARTITION BY j.request_id, j.is_free ORDER BY j.ordinal) AS taker_until
    FROM judged AS j
),
taken AS (
    UPDATE meta.session_states AS t
    SET writer = r.execution_id, writer_until = r.until
    FROM ranked AS r
    WHERE t.request_id = any(ARRAY[r.request_id]) AND r.is_free AND r.nth = 1
),
fresh AS (
    INSERT INTO meta.session_states AS t (request_id, version, state, writer, writer_until, updated_at)
    SELECT DISTINCT ON (c.request_id) c.request_id, 0, '{}', c.execution_id, c.until, c.now
    FROM seen AS c
    WHERE NOT c.is_stored
    ORDER BY c.request_id, c.ordinal
    ON CONFLICT (request_id) DO NOTHING
    RETURNING t.request_id, t.writer
)
SELECT
    r.ordinal, r.is_free AND r.nth = 1 AS is_taken, r.version,
    CASE WHEN r.is_free AND r.nth = 1 THEN r.state END AS state,
    CASE WHEN r.is_free THEN r.taker ELSE r.writer END AS writer,
    CASE WHEN r.is_free THEN r.taker_until ELSE r.writer_until END AS writer_until
FROM ranked AS r
UNION ALL
SELECT c.ordinal, TRUE, 0, '{}', c.execution_id, c.until
FROM fresh AS f
INNER JOIN seen AS c ON f.request_id = c.request_id AND f.writer = c.execution_id
UNION ALL
SELECT c.ordinal, NULL, NULL, NULL, NULL, NULL
FROM seen AS c
WHERE
    c.ordinal NOT IN (SELECT h.ordinal FROM held AS h)
    AND c.execution_id NOT IN (SELECT f.writer FROM fresh AS f);

-- name: select_session_states(request_ids, owners, nows)
-- A session without a row has an empty state of version 0.
SELECT
    c.ordinal, coalesce(t.version, 0) AS version, coalesce(t.state, '{}') AS state, t.writer,
    CASE WHEN w.execution_id IS NOT NULL AND t.writer_until > c.now THEN t.writer_until END AS held_until
FROM
    unnest(:request_ids::uuid[], :owners::text[], :nows::timestamptz[])
    WITH ORDINALITY AS c (request_id, owner, now, ordinal)
CROSS JOIN LATERAL (
    SELECT TRUE AS is_there FROM meta.sessions AS s WHERE s.request_id = c.request_id AND s.owner = c.owner LIMIT 1
) AS s
LEFT JOIN meta.session_states AS t ON t.request_id = any(ARRAY[c.request_id])
LEFT JOIN LATERAL (
    SELECT w.execution_id
    FROM meta.open_executions AS w
    WHERE w.request_id = t.request_id AND w.execution_id = t.writer
    LIMIT 1
) AS w ON TRUE;

-- name: write_state(request_id, owner, version_read, writer_read, state, now)
-- Compare and set by the version and the writer that were read; a reader has judged that this writer does not hold the
-- slot. A session that was emptied gets no state.
INSERT INTO meta.session_states AS t (request_id, version, state, updated_at)
SELECT s.request_id, 1, :state::text, :now::timestamptz
FROM meta.sessions AS s
WHERE
    s.request_id = :request_id::uuid
    AND s.owner = :owner::text
    AND s.script_hash IS NOT NULL
    AND (
        :version_read::bigint = 0
        OR EXISTS (SELECT FROM meta.session_states AS e WHERE e.request_id = :request_id::uuid)
    )
ON CONFLICT (request_id) DO UPDATE
    SET
        version = t.version + 1, state = excluded.state, writer = NULL, writer_until = NULL,
        updated_at = excluded.updated_at
    WHERE
        t.version = :version_read::bigint
        AND (t.writer IS NULL OR t.writer = :writer_read::uuid)
RETURNING t.version;
