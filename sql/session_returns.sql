-- Statements about sessions that move between the two sides of a takeover; sessions.sql describes the format, and
-- takeover.sql has the statements about copies.

-- name: hold_takeover(holder, now, until)
-- Returns the present holder: the given one, unless another one has a claim that is not over. Without a takeover it
-- returns no row.
WITH held AS (
    UPDATE meta.takeover AS t
    SET holder = :holder::text, held_until = :until::timestamptz
    WHERE t.holder IS NULL OR t.holder = :holder::text OR t.held_until <= :now::timestamptz
    RETURNING t.holder, t.held_until
)
SELECT h.holder, h.held_until FROM held AS h
UNION ALL
SELECT t.holder, t.held_until FROM meta.takeover AS t WHERE NOT EXISTS (SELECT FROM held);

-- name: leave_takeover(holder)!
UPDATE meta.takeover AS t SET holder = NULL, held_until = NULL WHERE t.holder = :holder::text;

-- name: select_held(request_ids)
-- A session that was made here has no expiry at the origin, even if a copy has its id.
SELECT
    c.request_id,
    CASE
        WHEN t.state = 'owned' THEN 'served'
        WHEN t.state IS NOT NULL THEN t.state
        WHEN s.request_id IS NOT NULL THEN 'served'
        WHEN i.request_id IS NOT NULL THEN 'inbound'
        ELSE 'unknown'
    END AS holding,
    CASE WHEN t.request_id IS NOT NULL OR s.request_id IS NULL THEN coalesce(i.expires_at, t.expires_at) END AS known_at
FROM unnest(:request_ids::uuid[]) AS c (request_id)
LEFT JOIN meta.taken_sessions AS t ON c.request_id = t.request_id
LEFT JOIN meta.inbound_sessions AS i ON c.request_id = i.request_id
LEFT JOIN meta.sessions AS s ON c.request_id = s.request_id;

-- name: select_returnable(now, after, rows_max)
-- A session with grants stays, because the origin has none. Sessions whose late executions were not looked at stay: the origin may still write an older count. The subquery is
-- looked up for each row, while a join could read all taken sessions for each page.
SELECT s.request_id
FROM meta.sessions AS s
WHERE
    s.request_id > coalesce(:after::uuid, '00000000-0000-0000-0000-000000000000')
    AND NOT s.hidden
    AND s.closed_at IS NULL
    AND s.script_hash IS NOT NULL
    AND s.expires_at > :now::timestamptz
    AND s.grants IS NULL
    AND coalesce(
        (
            SELECT t.state = 'owned' AND t.late_count IS NOT NULL
            FROM meta.taken_sessions AS t
            WHERE t.request_id = s.request_id
        ),
        TRUE
    )
ORDER BY s.request_id
LIMIT :rows_max::bigint;

-- name: select_user_ids(request_ids)
-- As close_sessions gives a session that was made here what a taken one has of the origin.
SELECT u.request_id, u.user_id
FROM (
    SELECT
        s.request_id,
        CASE
            WHEN t.request_id IS NOT NULL THEN t.user_id
            WHEN s.owner <> 'anonymous' AND char_length(s.owner) <= 128 THEN s.owner
        END AS user_id
    FROM meta.sessions AS s
    LEFT JOIN meta.taken_sessions AS t ON s.request_id = t.request_id
    WHERE s.request_id = any(:request_ids::uuid[])
) AS u
WHERE u.user_id IS NOT NULL;

-- name: select_return_census(now)
-- Numbers of the sessions that select_returnable returns, and of those that stay for their grants.
SELECT
    count(*) AS sessions,
    count(*) FILTER (WHERE t.request_id IS NULL) AS made_here,
    count(*) FILTER (WHERE s.renewal = 'sliding') AS sliding,
    count(*) FILTER (WHERE s.function_id IS NOT NULL) AS pinned,
    count(*) FILTER (WHERE s.convention <> 'origin' AND s.function_id IS NULL) AS unlike,
    count(*) FILTER (WHERE t.request_id IS NULL AND char_length(s.owner) > 128) AS nameless,
    count(*) FILTER (WHERE s.execution_count > 2147483647) AS capped,
    count(*) FILTER (
        WHERE EXISTS (
            SELECT FROM meta.idempotency_keys AS k WHERE k.request_id = s.request_id AND k.expires_at > :now::timestamptz
        )
    ) AS keyed,
    count(*) FILTER (
        WHERE EXISTS (SELECT FROM meta.open_executions AS o WHERE o.request_id = s.request_id)
    ) AS executing,
    count(*) FILTER (
        WHERE EXISTS (SELECT FROM meta.queued_executions AS q WHERE q.request_id = s.request_id)
    ) AS waiting,
    count(*) FILTER (WHERE EXISTS (SELECT FROM meta.schedules AS c WHERE c.session_id = s.request_id)) AS scheduled,
    (
        SELECT count(*)
        FROM meta.sessions AS g
        WHERE
            NOT g.hidden
            AND g.closed_at IS NULL
            AND g.script_hash IS NOT NULL
            AND g.expires_at > :now::timestamptz
            AND g.grants IS NOT NULL
    ) AS granted
FROM meta.sessions AS s
LEFT JOIN meta.taken_sessions AS t ON s.request_id = t.request_id
WHERE
    NOT s.hidden
    AND s.closed_at IS NULL
    AND s.script_hash IS NOT NULL
    AND s.expires_at > :now::timestamptz
    AND s.grants IS NULL
    AND (t.request_id IS NULL OR (t.state = 'owned' AND t.late_count IS NOT NULL));

-- name: close_sessions(request_ids, now)
-- A closed session admits no execution, and one in progress still counts. So no other statement needs to know of returns.
-- A session that was made here gets what a taken one has of the origin. A title that begins with = is the whole text of
-- its client.
WITH picked AS MATERIALIZED (
    SELECT s.request_id
    FROM meta.sessions AS s
    WHERE
        s.request_id = any(:request_ids::uuid[])
        AND NOT s.hidden
        AND s.closed_at IS NULL
        AND s.script_hash IS NOT NULL
        AND s.expires_at > :now::timestamptz
        AND s.grants IS NULL
        AND NOT EXISTS (
            SELECT FROM meta.taken_sessions AS t
            WHERE t.request_id = s.request_id AND (t.state <> 'owned' OR t.late_count IS NULL)
        )
    ORDER BY s.request_id
    FOR NO KEY UPDATE OF s
),
closed AS (
    UPDATE meta.sessions AS s
    SET closed_at = :now::timestamptz, version = s.version + 1
    FROM picked AS p
    WHERE s.request_id = p.request_id
    RETURNING s.request_id, s.owner, s.language, s.title, s.expires_at
),
marked AS (
    INSERT INTO meta.taken_sessions (
        request_id, owner, state, spelled_title, user_id, leftovers, expires_at, late_count, returned_at
    )
    SELECT
        c.request_id, c.owner, 'returning',
        CASE WHEN starts_with(c.title, '=') THEN substr(c.title, 2) ELSE c.language || '-' || c.title END,
        CASE WHEN c.owner <> 'anonymous' AND char_length(c.owner) <= 128 THEN c.owner END,
        '{}', c.expires_at, 0, :now::timestamptz
    FROM closed AS c
    ORDER BY c.request_id
    ON CONFLICT (request_id) DO UPDATE SET
        state = excluded.state, expires_at = excluded.expires_at, returned_at = excluded.returned_at
    RETURNING request_id
)
SELECT m.request_id FROM marked AS m
UNION ALL
SELECT t.request_id
FROM meta.taken_sessions AS t
WHERE t.request_id = any(:request_ids::uuid[]) AND t.state = 'returning';

-- name: divert_sessions(request_ids, now)!
WITH copies AS (
    DELETE FROM meta.inbound_sessions AS i
    WHERE i.request_id = any(:request_ids::uuid[])
    RETURNING i.request_id, i.owner, i.spelled_title, i.user_id, i.leftovers, i.expires_at
),
marked AS (
    UPDATE meta.taken_sessions AS t
    SET state = 'returning', returned_at = :now::timestamptz
    WHERE t.request_id = any(:request_ids::uuid[]) AND t.state IN ('fencing', 'returned')
)
INSERT INTO meta.taken_sessions (
    request_id, owner, state, spelled_title, user_id, leftovers, expires_at, returned_at
)
SELECT
    c.request_id, c.owner, 'returning', c.spelled_title, c.user_id, c.leftovers, c.expires_at, :now::timestamptz
FROM copies AS c
ORDER BY c.request_id
ON CONFLICT (request_id) DO NOTHING;

-- name: await_begins()!
-- A begin that found a session open does not lock it, and may commit its open record after the session was closed. This
-- waits for all begins in progress. Those that follow find the session closed. New begins wait meanwhile, for as long as
-- the slowest begin in progress takes. The block gives LOCK the transaction that it needs, which holds nothing else.
DO $$ BEGIN LOCK TABLE meta.open_executions IN SHARE MODE; END $$;

-- name: select_outgoing(request_ids)
-- Runs after await_begins, in another snapshot.
SELECT
    t.request_id AS session_id,
    EXISTS (SELECT FROM meta.open_executions AS o WHERE o.request_id = t.request_id) AS is_executing,
    s.request_id IS NOT NULL AS is_stored,
    t.spelled_title, t.user_id, t.leftovers, s.script,
    s.request_id, s.owner, s.language, s.title, s.script_hash, s.context, s.metadata, s.timeout_ms, s.memory_mb,
    s.isolation, s.renewal, s.ttl_seconds, s.expires_at, s.expires_max_at, s.closed_at, s.last_executed_at,
    s.execution_count, s.version, s.function_version, s.function_id, s.hidden, s.convention, s.created_at,
    s.grants
FROM meta.taken_sessions AS t
LEFT JOIN meta.sessions AS s ON t.request_id = s.request_id
WHERE t.request_id = any(:request_ids::uuid[]) AND t.state = 'returning';

-- name: release_sessions(request_ids, now)!
UPDATE meta.taken_sessions AS t
SET state = 'returned', returned_at = :now::timestamptz
WHERE t.request_id = any(:request_ids::uuid[]) AND t.state = 'returning';

-- name: reopen_sessions(request_ids)!
-- A session that has no content here is forgotten: it is the origin's, or its owner has erased it.
WITH picked AS MATERIALIZED (
    SELECT s.request_id
    FROM meta.sessions AS s
    INNER JOIN meta.taken_sessions AS t ON s.request_id = t.request_id
    WHERE
        s.request_id = any(:request_ids::uuid[])
        AND s.script_hash IS NOT NULL
        AND t.state IN ('returning', 'returned')
    ORDER BY s.request_id
    FOR NO KEY UPDATE OF s
),
opened AS (
    UPDATE meta.sessions AS s
    SET closed_at = NULL, version = s.version + 1
    FROM picked AS p
    WHERE s.request_id = p.request_id
),
owned AS (
    UPDATE meta.taken_sessions AS t
    SET state = 'owned', late_count = coalesce(t.late_count, 0), returned_at = NULL
    FROM picked AS p
    WHERE t.request_id = p.request_id AND t.state IN ('returning', 'returned')
)
DELETE FROM meta.taken_sessions AS t
WHERE
    t.request_id = any(:request_ids::uuid[])
    AND t.state IN ('returning', 'returned')
    AND t.request_id NOT IN (SELECT p.request_id FROM picked AS p);

-- name: select_unsettled(owned_before, after, rows_max)
SELECT
    t.request_id, t.owner, t.state, t.spelled_title, t.user_id, t.leftovers, t.expires_at, t.count_at_fence,
    t.late_count, t.fenced_at, t.owned_at, t.returned_at
FROM meta.taken_sessions AS t
WHERE
    t.state = 'owned'
    AND t.late_count IS NULL
    AND t.owned_at <= :owned_before::timestamptz
    AND t.request_id > coalesce(:after::uuid, '00000000-0000-0000-0000-000000000000')
ORDER BY t.request_id
LIMIT :rows_max::bigint;

-- name: add_late_counts(request_ids, counts, lasts)
-- Once: the statement that adds a count also records that it was added. A session that was removed here has no count. An
-- expression hides the state from the planner: by the index of states it would read all owned sessions for each call.
WITH call AS (
    SELECT *
    FROM
        unnest(:request_ids::uuid[], :counts::bigint[], :lasts::timestamptz[])
            AS c (request_id, late, last_at)
),
picked AS MATERIALIZED (
    SELECT c.request_id, c.late, c.last_at
    FROM call AS c
    INNER JOIN meta.sessions AS s ON c.request_id = s.request_id
    INNER JOIN meta.taken_sessions AS t ON c.request_id = t.request_id
    WHERE t.state || '' = 'owned' AND t.late_count IS NULL
    ORDER BY c.request_id
    FOR NO KEY UPDATE OF s, t
),
recorded AS (
    UPDATE meta.taken_sessions AS t
    SET late_count = p.late
    FROM picked AS p
    WHERE t.request_id = p.request_id
),
removed AS (
    UPDATE meta.taken_sessions AS t
    SET late_count = c.late
    FROM call AS c
    WHERE
        t.request_id = c.request_id
        AND t.state || '' = 'owned'
        AND t.late_count IS NULL
        AND NOT EXISTS (SELECT FROM meta.sessions AS s WHERE s.request_id = t.request_id)
),
added AS (
    UPDATE meta.sessions AS s
    SET execution_count = s.execution_count + p.late, last_executed_at = greatest(s.last_executed_at, p.last_at)
    FROM picked AS p
    WHERE s.request_id = p.request_id AND p.late > 0
)
SELECT coalesce(sum(p.late), 0)::bigint AS executions FROM picked AS p;
