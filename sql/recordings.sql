-- Statements about recorded calls; sessions.sql describes the format.

-- name: select_recording()
SELECT r.recording_until, r.uncopied, r.too_large, r.unreadable FROM meta.recording AS r;

-- name: start_recording(now, recording_until)
-- One that is going on ends at the later instant, and keeps its numbers.
INSERT INTO meta.recording AS r (recording_until)
SELECT :recording_until::timestamptz
FROM meta.takeover AS t
WHERE t.stage <> 'finished'
ON CONFLICT (only_row) DO UPDATE SET
    recording_until = greatest(r.recording_until, excluded.recording_until),
    uncopied = CASE WHEN r.recording_until > :now::timestamptz THEN r.uncopied ELSE 0 END,
    too_large = CASE WHEN r.recording_until > :now::timestamptz THEN r.too_large ELSE 0 END,
    unreadable = CASE WHEN r.recording_until > :now::timestamptz THEN r.unreadable ELSE 0 END
RETURNING recording_until, uncopied, too_large, unreadable;

-- name: record_calls(call_ids, request_ids, params, results, too_large, unreadable, calls_max, bytes_max, script_calls_max)
-- A row for each session of which no more calls are wanted, or one without a session. There is none if the recording was
-- discarded. The fuller the table is, the fewer calls of each script are kept, so that all scripts have some. The lock on
-- a copy lets a purge wait that removes it, so that the purge finds the calls; a copy that is being removed counts as none.
WITH stored AS MATERIALIZED (
    SELECT c.script_hash, count(*) AS calls, sum(c.size_bytes) AS size_bytes
    FROM meta.recorded_calls AS c
    GROUP BY c.script_hash
),
total AS MATERIALIZED (
    SELECT coalesce(sum(s.calls), 0) AS calls, coalesce(sum(s.size_bytes), 0) AS size_bytes FROM stored AS s
),
copies AS MATERIALIZED (
    SELECT i.request_id, i.owner, encode(sha256(convert_to(i.script, 'UTF8')), 'hex') AS script_hash
    FROM meta.inbound_sessions AS i
    WHERE i.request_id = any(:request_ids::uuid[])
    ORDER BY i.request_id
    FOR KEY SHARE SKIP LOCKED
),
given AS MATERIALIZED (
    SELECT
        g.call_id, g.request_id, g.params, g.result, i.owner, i.script_hash,
        octet_length(g.params) + coalesce(octet_length(g.result), 0) AS size_bytes
    FROM
        unnest(:call_ids::uuid[], :request_ids::uuid[], :params::text[], :results::text[])
            AS g (call_id, request_id, params, result)
    LEFT JOIN copies AS i ON g.request_id = i.request_id
),
recording AS (
    UPDATE meta.recording AS r
    SET
        uncopied = r.uncopied + (SELECT count(*) FROM given AS g WHERE g.script_hash IS NULL),
        too_large = r.too_large + :too_large::bigint,
        unreadable = r.unreadable + :unreadable::bigint
    RETURNING r.recording_until
),
placed AS MATERIALIZED (
    SELECT
        g.call_id,
        row_number() OVER (PARTITION BY g.script_hash ORDER BY g.call_id) + coalesce(s.calls, 0) AS script_place,
        row_number() OVER (ORDER BY g.call_id) + t.calls AS place,
        sum(g.size_bytes) OVER (ORDER BY g.call_id) + t.size_bytes AS end_bytes,
        1 + (:script_calls_max::bigint - 1) * greatest(:calls_max::bigint - t.calls, 0) / :calls_max::bigint
            AS script_share
    FROM given AS g
    CROSS JOIN total AS t
    LEFT JOIN stored AS s ON g.script_hash = s.script_hash
    WHERE g.script_hash IS NOT NULL
),
added AS (
    INSERT INTO meta.recorded_calls (call_id, request_id, owner, script_hash, params, result, size_bytes)
    SELECT g.call_id, g.request_id, g.owner, g.script_hash, g.params, g.result, g.size_bytes
    FROM given AS g
    INNER JOIN placed AS p ON g.call_id = p.call_id
    WHERE
        EXISTS (SELECT FROM recording)
        AND p.script_place <= p.script_share
        AND p.place <= :calls_max::bigint
        AND p.end_bytes <= :bytes_max::bigint
    ON CONFLICT (call_id) DO NOTHING
    RETURNING call_id
),
unwanted AS (
    SELECT DISTINCT g.request_id
    FROM given AS g
    LEFT JOIN added AS a ON g.call_id = a.call_id
    WHERE a.call_id IS NULL
)
SELECT r.recording_until, u.request_id
FROM recording AS r
LEFT JOIN unwanted AS u ON TRUE;

-- name: select_unjudged(after, rows_max)
SELECT c.call_id, c.request_id, c.params, c.result
FROM meta.recorded_calls AS c
WHERE c.judgement IS NULL AND c.call_id > coalesce(:after::uuid, '00000000-0000-0000-0000-000000000000')
ORDER BY c.call_id
LIMIT :rows_max::bigint;

-- name: update_judgements(call_ids, judgements)!
UPDATE meta.recorded_calls AS c
SET judgement = g.judgement
FROM unnest(:call_ids::uuid[], :judgements::text[]) AS g (call_id, judgement)
WHERE c.call_id = g.call_id;

-- name: delete_judgements()!
UPDATE meta.recorded_calls AS c SET judgement = NULL WHERE c.judgement IS NOT NULL;

-- name: select_judgements(after, rows_max)
SELECT c.call_id, c.request_id, c.script_hash, c.judgement
FROM meta.recorded_calls AS c
WHERE c.judgement IS NOT NULL AND c.call_id > coalesce(:after::uuid, '00000000-0000-0000-0000-000000000000')
ORDER BY c.call_id
LIMIT :rows_max::bigint;

-- name: select_recorded_counts()
SELECT count(*) AS calls, count(c.judgement) AS judged, count(DISTINCT c.script_hash) AS scripts
FROM meta.recorded_calls AS c;

-- name: delete_recording()!
-- Waits for calls that are being stored; afterwards no more are.
DELETE FROM meta.recording;

-- name: delete_recorded_calls()
WITH removed AS (
    DELETE FROM meta.recorded_calls RETURNING call_id
)
SELECT count(*) FROM removed;
