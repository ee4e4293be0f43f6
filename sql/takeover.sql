-- Statements about a takeover; sessions.sql describes the format.

-- name: select_takeover()
SELECT
    t.takeover_id, t.source::text AS source, t.options::text AS options, t.stage, t.stage_at,
    t.progress::text AS progress
FROM meta.takeover AS t;

-- name: insert_takeover(takeover_id, source, options, stage, stage_at)!
-- One that is over is replaced, with its progress: it is finished, or of another source, and nothing of it is here.
INSERT INTO meta.takeover AS t (takeover_id, source, options, stage, stage_at)
VALUES (:takeover_id::uuid, :source::jsonb, :options::jsonb, :stage::text, :stage_at::timestamptz)
ON CONFLICT (only_row) DO UPDATE SET
    takeover_id = excluded.takeover_id,
    source = excluded.source,
    options = excluded.options,
    stage = excluded.stage,
    stage_at = excluded.stage_at,
    progress = '{}'
WHERE
    t.takeover_id <> excluded.takeover_id
    AND (
        t.stage = 'finished'
        OR (
            t.stage = 'look'
            AND t.source <> excluded.source
            AND NOT EXISTS (SELECT FROM meta.inbound_sessions)
            AND NOT EXISTS (SELECT FROM meta.taken_sessions AS s WHERE s.state IN ('fencing', 'returning'))
        )
    );

-- name: update_takeover_stage(before, stage, now, act_id, actor, origin, act, details)
-- Returns a row if the takeover is at the new stage now. The end of a takeover removes recorded calls.
WITH changed AS (
    UPDATE meta.takeover AS t
    SET stage = :stage::text, stage_at = :now::timestamptz
    WHERE t.stage = :before::text
    RETURNING t.stage, t.takeover_id
),
recorded AS (
    INSERT INTO meta.audit (act_id, actor, origin, act, subject, details)
    SELECT
        :act_id::uuid, :actor::text, :origin::text, :act::text, c.takeover_id::text,
        jsonb_build_object('from', :before::text, 'to', c.stage) || :details::jsonb
    FROM changed AS c
    WHERE :act_id::uuid IS NOT NULL AND :before::text <> c.stage
    ON CONFLICT (act_id) DO NOTHING
),
recording AS (
    DELETE FROM meta.recording
    WHERE EXISTS (SELECT FROM changed AS c WHERE c.stage IN ('look', 'finished'))
),
calls AS (
    DELETE FROM meta.recorded_calls
    WHERE EXISTS (SELECT FROM changed AS c WHERE c.stage IN ('look', 'finished'))
)
SELECT c.stage FROM changed AS c
UNION ALL
SELECT t.stage FROM meta.takeover AS t WHERE t.stage = :stage::text AND NOT EXISTS (SELECT FROM changed);

-- name: update_takeover_options(options)!
UPDATE meta.takeover AS t SET options = :options::jsonb, progress = '{}';

-- name: update_takeover_source(source, act_id, actor, origin, act)!
WITH stored AS (
    SELECT t.takeover_id, t.source
    FROM meta.takeover AS t
    WHERE t.source <> :source::jsonb
    FOR UPDATE
),
changed AS (
    UPDATE meta.takeover AS t
    SET source = :source::jsonb
    FROM stored AS s
    WHERE t.takeover_id = s.takeover_id
)
INSERT INTO meta.audit (act_id, actor, origin, act, subject, details)
SELECT
    :act_id::uuid, :actor::text, :origin::text, :act::text, s.takeover_id::text,
    jsonb_build_object('from', s.source, 'to', :source::jsonb)
FROM stored AS s
ON CONFLICT (act_id) DO NOTHING;

-- name: update_takeover_progress(command, progress)!
UPDATE meta.takeover AS t
SET progress = t.progress || jsonb_build_object(:command::text, :progress::jsonb);

-- name: load_inbound(request_ids, sample_ids, command, progress)
-- Stores rows that the command sends, with the progress, and returns a row, if no copy of them is stored and none of them
-- is taken. Otherwise nothing is sent or stored, which is no error: the server would log it, with all ids, for each page
-- of a repetition. Only the copies of a sample are looked up: each look-up costs a fifth of what a row costs, and the
-- primary key finds the rest, which is an error. The lock on the takeover keeps other copies away from the first
-- statement on, so the second one sees what they have stored. The commit does not wait for the disk, as in
-- receive_inbound. Columns that are not named are null in such rows.
SELECT set_config('synchronous_commit', 'off', TRUE) AS synchronous_commit FROM meta.takeover FOR NO KEY UPDATE;

UPDATE meta.takeover AS t
SET progress = t.progress || jsonb_build_object(:command::text, :progress::jsonb)
WHERE
    NOT EXISTS (SELECT FROM meta.inbound_sessions AS i WHERE i.request_id = any(:sample_ids::uuid[]))
    AND (
        NOT EXISTS (SELECT FROM meta.taken_sessions)
        OR NOT EXISTS (SELECT FROM meta.taken_sessions AS x WHERE x.request_id = any(:request_ids::uuid[]))
    )
RETURNING t.takeover_id;

COPY meta.inbound_sessions (
    owner, language, title, timeout_ms, memory_mb, isolation, renewal, version, convention, metadata, spelled_title,
    user_id, leftovers, request_id, ttl_seconds, created_at, expires_at, expires_max_at, last_executed_at,
    execution_count, context, script
) FROM STDIN (FORMAT "binary");

-- name: receive_inbound(request_ids, kinds, own_hashes, ttls_seconds, created_ats, expiries, expiries_max, executions, counts, contexts, scripts, owners, languages, titles, timeouts_ms, memories_mb, isolations, renewals, closings, versions, conventions, function_ids, function_versions, metadatas, spelled_titles, user_ids, leftovers, example_hashes, waits, command, progress)
-- Stores copies, each unless it is stored already or its session is taken. Rows of one kind share what the arrays of
-- kinds have; a row of no kind is left. The leftovers of a kind have its example's hash where those of a row have its own. A
-- row lock of a copy that is equal would be a write, so equal ones are left out before the insertion. Without `waits` the commit does not wait for the disk: a crash of the server can lose the last
-- batches together with their progress, until another statement has waited.
WITH arrived AS MATERIALIZED (
    SELECT c.request_id
    FROM unnest(:request_ids::uuid[], :kinds::integer[]) AS c (request_id, kind)
    WHERE c.kind > 0
),
taken AS MATERIALIZED (
    SELECT t.request_id, t.state
    FROM arrived AS a
    INNER JOIN meta.taken_sessions AS t ON a.request_id = t.request_id
),
given AS (
    SELECT
        c.request_id, k.owner, k.language, k.title, k.timeout_ms, k.memory_mb, k.isolation, k.renewal,
        c.ttl_seconds, c.created_at, c.expires_at, c.expires_max_at, k.closed_at, c.last_executed_at, c.execution_count,
        k.version, k.convention, k.function_id, k.function_version, c.context, k.metadata, c.script, k.spelled_title,
        k.user_id, l.leftovers
    FROM
        unnest(
            :request_ids::uuid[], :kinds::integer[], :own_hashes::text[], :ttls_seconds::integer[], :created_ats::timestamptz[], :expiries::timestamptz[],
            :expiries_max::timestamptz[], :executions::timestamptz[], :counts::bigint[], :contexts::text[],
            :scripts::text[]
        ) AS c (
            request_id, kind, own_hash, ttl_seconds, created_at, expires_at, expires_max_at,
            last_executed_at, execution_count, context, script
        )
    INNER JOIN
        unnest(
            :owners::text[], :languages::text[], :titles::text[], :timeouts_ms::integer[], :memories_mb::integer[],
            :isolations::text[], :renewals::text[], :closings::timestamptz[], :versions::bigint[], :conventions::text[],
            :function_ids::uuid[], :function_versions::bigint[], :metadatas::text[], :spelled_titles::text[],
            :user_ids::text[], :leftovers::text[], :example_hashes::text[]
        ) WITH ORDINALITY AS k (
            owner, language, title, timeout_ms, memory_mb, isolation, renewal, closed_at, version, convention,
            function_id, function_version, metadata, spelled_title, user_id, leftovers, example_hash, kind
        )
        ON c.kind = k.kind
    CROSS JOIN LATERAL ( -- noqa: ST05
        SELECT CASE
            WHEN c.own_hash IS NULL THEN k.leftovers
            ELSE replace(k.leftovers, k.example_hash, c.own_hash)
        END AS leftovers
    ) AS l
),
written AS (
    INSERT INTO meta.inbound_sessions (
        request_id, owner, language, title, timeout_ms, memory_mb, isolation, renewal, ttl_seconds,
        created_at, expires_at, expires_max_at, closed_at, last_executed_at, execution_count, version, convention,
        function_id, function_version, context, metadata, script, spelled_title, user_id, leftovers
    )
    SELECT
        c.request_id, c.owner, c.language, c.title, c.timeout_ms, c.memory_mb, c.isolation, c.renewal,
        c.ttl_seconds, c.created_at, c.expires_at, c.expires_max_at, c.closed_at, c.last_executed_at,
        c.execution_count, c.version, c.convention, c.function_id, c.function_version, c.context, c.metadata,
        c.script, c.spelled_title, c.user_id, c.leftovers
    FROM given AS c
    WHERE
        c.request_id NOT IN (SELECT t.request_id FROM taken AS t WHERE t.state <> 'returned')
        AND NOT EXISTS (
            SELECT FROM meta.inbound_sessions AS i
            WHERE
                i.request_id = c.request_id
                AND (
                    i.owner, i.language, i.title, i.timeout_ms, i.memory_mb, i.isolation, i.renewal,
                    i.ttl_seconds, i.created_at, i.expires_at, i.expires_max_at, i.closed_at, i.last_executed_at,
                    i.execution_count, i.version, i.convention, i.function_id, i.function_version, i.context,
                    i.metadata, i.script, i.spelled_title, i.user_id, i.leftovers
                ) IS NOT DISTINCT FROM (
                    c.owner, c.language, c.title, c.timeout_ms, c.memory_mb, c.isolation, c.renewal,
                    c.ttl_seconds, c.created_at, c.expires_at, c.expires_max_at, c.closed_at, c.last_executed_at,
                    c.execution_count, c.version, c.convention, c.function_id, c.function_version, c.context,
                    c.metadata, c.script, c.spelled_title, c.user_id, c.leftovers
                )
        )
    ORDER BY c.request_id
    ON CONFLICT (request_id) DO UPDATE SET
        (
            owner, language, title, timeout_ms, memory_mb, isolation, renewal, ttl_seconds, created_at,
            expires_at, expires_max_at, closed_at, last_executed_at, execution_count, version, convention,
            function_id, function_version, context, metadata, script, spelled_title, user_id, leftovers
        ) = (
            excluded.owner, excluded.language, excluded.title, excluded.timeout_ms,
            excluded.memory_mb, excluded.isolation, excluded.renewal, excluded.ttl_seconds, excluded.created_at,
            excluded.expires_at, excluded.expires_max_at, excluded.closed_at, excluded.last_executed_at,
            excluded.execution_count, excluded.version, excluded.convention, excluded.function_id,
            excluded.function_version, excluded.context, excluded.metadata, excluded.script, excluded.spelled_title,
            excluded.user_id, excluded.leftovers
        )
    RETURNING request_id
),
forgotten AS (
    DELETE FROM meta.taken_sessions AS t
    USING taken AS x
    WHERE t.request_id = x.request_id AND x.state = 'returned' AND t.state = 'returned'
    RETURNING t.request_id
),
emptied AS (
    -- What stayed here since the return. The copy that is stored now has the session as it is.
    DELETE FROM meta.sessions AS s
    USING forgotten AS f
    WHERE s.request_id = f.request_id AND s.closed_at IS NOT NULL
),
noted AS (
    UPDATE meta.takeover AS t
    SET progress = t.progress || jsonb_build_object(:command::text, :progress::jsonb)
)
SELECT
    (SELECT count(*) FROM written) AS written,
    (SELECT count(*) FROM arrived) - (SELECT count(*) FROM written)
    - (SELECT count(*) FROM taken AS t WHERE t.state <> 'returned') AS unchanged,
    (SELECT count(*) FROM taken AS t WHERE t.state <> 'returned') AS taken,
    CASE WHEN NOT :waits::boolean THEN set_config('synchronous_commit', 'off', TRUE) END AS synchronous_commit;

-- name: select_made_here(request_ids)
SELECT s.request_id
FROM meta.sessions AS s
WHERE
    s.request_id = any(:request_ids::uuid[])
    AND NOT EXISTS (SELECT FROM meta.taken_sessions AS t WHERE t.request_id = s.request_id);

-- name: select_inbound(request_ids)
SELECT
    i.spelled_title, i.user_id, i.leftovers, i.script,
    i.request_id, i.owner, i.language, i.title, encode(sha256(convert_to(i.script, 'UTF8')), 'hex') AS script_hash,
    i.context, i.metadata, i.timeout_ms, i.memory_mb,
    i.isolation, i.renewal, i.ttl_seconds, i.expires_at, i.expires_max_at, i.closed_at, i.last_executed_at,
    i.execution_count, i.version, i.function_version, i.function_id, FALSE AS hidden, i.convention, i.created_at,
    NULL AS grants
FROM meta.inbound_sessions AS i
WHERE i.request_id = any(:request_ids::uuid[]);

-- name: select_live_inbound(now, after, rows_max)
SELECT i.request_id
FROM meta.inbound_sessions AS i
WHERE
    i.request_id > coalesce(:after::uuid, '00000000-0000-0000-0000-000000000000')
    AND (:now::timestamptz IS NULL OR (i.expires_at > :now::timestamptz AND i.closed_at IS NULL))
ORDER BY i.request_id
LIMIT :rows_max::bigint;

-- name: delete_inbound(request_ids)
WITH removed AS (
    DELETE FROM meta.inbound_sessions AS i
    WHERE
        i.request_id = any(:request_ids::uuid[])
        AND NOT EXISTS (SELECT FROM meta.taken_sessions AS t WHERE t.request_id = i.request_id)
    RETURNING i.request_id
)
SELECT count(*) FROM removed;

-- name: take_sessions(request_ids, now)
-- The id of a session that was made here stays with the origin. A returned session has left this table with its copy.
WITH fencing AS (
    INSERT INTO meta.taken_sessions (
        request_id, owner, state, spelled_title, user_id, leftovers, expires_at, fenced_at
    )
    SELECT
        i.request_id, i.owner, 'fencing', i.spelled_title, i.user_id, i.leftovers, i.expires_at, :now::timestamptz
    FROM meta.inbound_sessions AS i
    WHERE
        i.request_id = any(:request_ids::uuid[])
        AND NOT EXISTS (SELECT FROM meta.sessions AS s WHERE s.request_id = i.request_id)
    ORDER BY i.request_id
    ON CONFLICT (request_id) DO NOTHING
    RETURNING request_id
)
SELECT f.request_id FROM fencing AS f
UNION ALL
SELECT t.request_id
FROM meta.taken_sessions AS t
WHERE t.request_id = any(:request_ids::uuid[]) AND t.state = 'fencing';

-- name: untake_sessions(request_ids)!
DELETE FROM meta.taken_sessions AS t
USING meta.inbound_sessions AS i
WHERE t.request_id = any(:request_ids::uuid[]) AND t.state = 'fencing' AND i.request_id = t.request_id;

-- name: own_sessions(request_ids, owners, languages, titles, script_hashes, timeouts_ms, memories_mb, isolations, renewals, ttls_seconds, created_ats, expiries, expiries_max, closings, executions, counts, versions, conventions, function_ids, function_versions, contexts, metadatas, scripts, spelled_titles, user_ids, leftovers, fenced_at, now)
-- A session becomes one of this service in the statement that ends its copy, so at each instant it is one of both.
WITH given AS MATERIALIZED (
    SELECT c.request_id, c.owner, c.spelled_title, c.user_id, c.leftovers, c.expires_at, c.execution_count
    FROM
        unnest(
            :request_ids::uuid[], :owners::text[], :spelled_titles::text[], :user_ids::text[], :leftovers::text[],
            :expiries::timestamptz[], :counts::bigint[]
        ) AS c (request_id, owner, spelled_title, user_id, leftovers, expires_at, execution_count)
),
picked AS MATERIALIZED (
    SELECT t.request_id
    FROM meta.taken_sessions AS t
    WHERE t.request_id = any(:request_ids::uuid[]) AND t.state = 'fencing'
    ORDER BY t.request_id
    FOR NO KEY UPDATE
),
owned AS (
    UPDATE meta.taken_sessions AS t
    SET
        state = 'owned',
        owner = g.owner,
        spelled_title = g.spelled_title,
        user_id = g.user_id,
        leftovers = g.leftovers,
        expires_at = g.expires_at,
        count_at_fence = g.execution_count,
        late_count = NULL,
        fenced_at = :fenced_at::timestamptz,
        owned_at = :now::timestamptz,
        returned_at = NULL
    FROM picked AS p
    INNER JOIN given AS g ON p.request_id = g.request_id
    WHERE t.request_id = p.request_id
    RETURNING t.request_id
),
stored AS (
    INSERT INTO meta.sessions (
        request_id, owner, language, title, script_hash, timeout_ms, memory_mb, isolation, renewal, ttl_seconds,
        created_at, expires_at, expires_max_at, closed_at, last_executed_at, execution_count, version, convention,
        function_id, function_version, context, metadata, script
    )
    SELECT
        c.request_id, c.owner, c.language, c.title, c.script_hash, c.timeout_ms, c.memory_mb, c.isolation, c.renewal,
        c.ttl_seconds, c.created_at, c.expires_at, c.expires_max_at, c.closed_at, c.last_executed_at,
        c.execution_count, c.version, c.convention, c.function_id, c.function_version, c.context, c.metadata, c.script
    FROM
        unnest(
            :request_ids::uuid[], :owners::text[], :languages::text[], :titles::text[], :script_hashes::text[],
            :timeouts_ms::integer[], :memories_mb::integer[], :isolations::text[], :renewals::text[],
            :ttls_seconds::integer[], :created_ats::timestamptz[], :expiries::timestamptz[],
            :expiries_max::timestamptz[], :closings::timestamptz[], :executions::timestamptz[], :counts::bigint[],
            :versions::bigint[], :conventions::text[], :function_ids::uuid[], :function_versions::bigint[],
            :contexts::text[], :metadatas::text[], :scripts::text[]
        ) AS c (
            request_id, owner, language, title, script_hash, timeout_ms, memory_mb, isolation, renewal, ttl_seconds,
            created_at, expires_at, expires_max_at, closed_at, last_executed_at, execution_count, version, convention,
            function_id, function_version, context, metadata, script
        )
    INNER JOIN picked AS p ON c.request_id = p.request_id
    ORDER BY c.request_id
    ON CONFLICT (request_id) DO NOTHING
),
ended AS (
    DELETE FROM meta.inbound_sessions AS i
    USING picked AS p
    WHERE i.request_id = p.request_id
)
SELECT o.request_id FROM owned AS o;

-- name: delete_fencing(request_ids)
WITH removed AS (
    DELETE FROM meta.taken_sessions AS t
    WHERE t.request_id = any(:request_ids::uuid[]) AND t.state = 'fencing'
    RETURNING t.request_id
),
ended AS (
    DELETE FROM meta.inbound_sessions AS i
    USING removed AS r
    WHERE i.request_id = r.request_id
)
SELECT count(*) FROM removed;

-- name: select_taken(request_ids)
SELECT
    t.request_id, t.owner, t.state, t.spelled_title, t.user_id, t.leftovers, t.expires_at, t.count_at_fence,
    t.late_count, t.fenced_at, t.owned_at, t.returned_at
FROM meta.taken_sessions AS t
WHERE t.request_id = any(:request_ids::uuid[]);

-- name: select_taken_page(state, after, rows_max)
SELECT
    t.request_id, t.owner, t.state, t.spelled_title, t.user_id, t.leftovers, t.expires_at, t.count_at_fence,
    t.late_count, t.fenced_at, t.owned_at, t.returned_at
FROM meta.taken_sessions AS t
WHERE
    t.state = :state::text
    AND t.request_id > coalesce(:after::uuid, '00000000-0000-0000-0000-000000000000')
ORDER BY t.request_id
LIMIT :rows_max::bigint;

-- name: select_takeover_counts()
-- Copies of sessions that are fencing count as fencing.
SELECT t.state, count(*) AS sessions FROM meta.taken_sessions AS t GROUP BY t.state
UNION ALL
SELECT
    NULL,
    (SELECT count(*) FROM meta.inbound_sessions)
    - (
        SELECT count(*)
        FROM meta.taken_sessions AS t
        INNER JOIN meta.inbound_sessions AS i ON t.request_id = i.request_id
        WHERE t.state = 'fencing'
    );

-- name: select_stage()
SELECT t.stage FROM meta.takeover AS t;

-- name: select_holding(request_id)
-- One snapshot, so that a session that moves is found on one side.
SELECT
    coalesce(
        (
            SELECT CASE t.state WHEN 'owned' THEN 'served' ELSE t.state END
            FROM meta.taken_sessions AS t
            WHERE t.request_id = :request_id::uuid
        ),
        (SELECT 'served' FROM meta.sessions AS s WHERE s.request_id = :request_id::uuid),
        (SELECT 'inbound' FROM meta.inbound_sessions AS i WHERE i.request_id = :request_id::uuid),
        'unknown'
    ) AS holding;
