-- Statements about schedules; sessions.sql describes the format.
--
-- A statement that settles a due time compares and sets `next_at`. A statement that locks a session and a schedule locks
-- the session first. `target` locks the session of a schedule that is stored against a close, and so against a purge.

-- name: insert_schedule(schedule_id, owner, name, session_id, function_name, params, cron, zone, interval_s, run_at, jitter_s, catch_up, overlap, expires_in, options, anchor_at, settled_at, next_at, key, payload_hash, owner_max, act_id, actor, origin, act)
-- Storing the same schedule again changes nothing, and is not recorded again. Nor is a schedule stored if another one has
-- the key. Returns whether it is stored, whether another one was seen to have the key, how many the owner had, and whether
-- its session is there and open.
WITH target AS MATERIALIZED (
    SELECT s.closed_at
    FROM meta.sessions AS s
    WHERE s.request_id = :session_id::uuid AND s.owner = :owner::text
    FOR SHARE OF s
),
held AS MATERIALIZED (
    SELECT count(*) AS schedules FROM meta.schedules AS c WHERE c.owner = :owner::text
),
added AS (
    INSERT INTO meta.schedules AS c (
        schedule_id, owner, name, session_id, function_name, params, cron, zone, interval_s, run_at, jitter_s, catch_up,
        overlap, expires_in, options, anchor_at, settled_at, next_at, key, payload_hash
    )
    SELECT
        :schedule_id::uuid, :owner::text, :name::text, :session_id::uuid, :function_name::text, :params::text,
        :cron::text, :zone::text, :interval_s::integer, :run_at::timestamptz, :jitter_s::integer, :catch_up::text,
        :overlap::text, :expires_in::interval, :options::jsonb, :anchor_at::timestamptz, :settled_at::timestamptz,
        :next_at::timestamptz, :key::text, decode(:payload_hash::text, 'hex')
    FROM held AS h
    WHERE
        h.schedules < :owner_max::bigint
        AND (:session_id::uuid IS NULL OR EXISTS (SELECT FROM target AS t WHERE t.closed_at IS NULL))
    ON CONFLICT DO NOTHING
    RETURNING c.schedule_id
),
recorded AS (
    INSERT INTO meta.audit (act_id, actor, origin, act, owner, subject, details)
    SELECT
        :act_id::uuid, :actor::text, :origin::text, :act::text, :owner::text, a.schedule_id::text,
        jsonb_strip_nulls(
            jsonb_build_object(
                'cron', :cron::text, 'zone', :zone::text, 'interval_s', :interval_s::integer,
                'run_at', :run_at::timestamptz
            )
        )
    FROM added AS a
    ON CONFLICT (act_id) DO NOTHING
)
SELECT
    EXISTS (SELECT FROM added) OR EXISTS (SELECT FROM meta.schedules AS c WHERE c.schedule_id = :schedule_id::uuid)
        AS is_stored,
    EXISTS (SELECT FROM meta.schedules AS c WHERE c.owner = :owner::text AND c.key = :key::text) AS is_keyed,
    h.schedules, :session_id::uuid IS NULL OR EXISTS (SELECT FROM target) AS is_found,
    (SELECT t.closed_at FROM target AS t) AS closed_at
FROM held AS h;

-- name: select_schedule(owner, schedule_id)
-- The owner "*" stands for every owner.
SELECT
    c.schedule_id, c.owner, c.name, c.session_id, c.function_name, c.params, c.cron, c.zone, c.interval_s, c.run_at,
    c.jitter_s, c.catch_up, c.overlap, c.expires_in, c.options::text, c.anchor_at, c.settled_at, c.next_at, c.paused,
    c.end_reason, c.last_execution_id, c.version
FROM meta.schedules AS c
WHERE c.schedule_id = :schedule_id::uuid AND :owner::text IN (c.owner, '*');

-- name: select_keyed_schedule(owner, key)
SELECT
    encode(c.payload_hash, 'hex'), c.schedule_id, c.owner, c.name, c.session_id, c.function_name, c.params, c.cron,
    c.zone, c.interval_s, c.run_at, c.jitter_s, c.catch_up, c.overlap, c.expires_in, c.options::text, c.anchor_at,
    c.settled_at, c.next_at, c.paused, c.end_reason, c.last_execution_id, c.version
FROM meta.schedules AS c
WHERE c.owner = :owner::text AND c.key = :key::text;

-- name: update_schedule(schedule_id, owner, version_read, next_at_read, version, name, session_id, function_name, params, cron, zone, interval_s, run_at, jitter_s, catch_up, overlap, expires_in, options, anchor_at, next_at, paused, end_reason, last_execution_id, act_id, actor, origin, act)
-- Compare and set by owner, version and due time, so that a change never brings back a due time that was settled. Returns
-- whether it is stored; a call that lost a race stores nothing. A session that the schedule has already may be closed.
WITH target AS MATERIALIZED (
    SELECT s.closed_at
    FROM meta.sessions AS s
    WHERE s.request_id = :session_id::uuid AND s.owner = :owner::text
    FOR SHARE OF s
),
changed AS (
    UPDATE meta.schedules AS c
    SET
        name = :name::text,
        session_id = :session_id::uuid,
        function_name = :function_name::text,
        params = :params::text,
        cron = :cron::text,
        zone = :zone::text,
        interval_s = :interval_s::integer,
        run_at = :run_at::timestamptz,
        jitter_s = :jitter_s::integer,
        catch_up = :catch_up::text,
        overlap = :overlap::text,
        expires_in = :expires_in::interval,
        options = :options::jsonb,
        anchor_at = :anchor_at::timestamptz,
        next_at = :next_at::timestamptz,
        paused = :paused::boolean,
        end_reason = :end_reason::text,
        last_execution_id = :last_execution_id::uuid,
        version = :version::bigint
    WHERE
        c.schedule_id = :schedule_id::uuid
        AND c.owner = :owner::text
        AND c.version = :version_read::bigint
        AND c.next_at IS NOT DISTINCT FROM :next_at_read::timestamptz
        AND (
            :session_id::uuid IS NULL
            OR c.session_id = :session_id::uuid
            OR EXISTS (SELECT FROM target AS t WHERE t.closed_at IS NULL)
        )
    RETURNING c.schedule_id, c.owner, c.version
),
recorded AS (
    INSERT INTO meta.audit (act_id, actor, origin, act, owner, subject, details)
    SELECT
        :act_id::uuid, :actor::text, :origin::text, :act::text, c.owner, c.schedule_id::text,
        jsonb_build_object('version', c.version)
    FROM changed AS c
    ON CONFLICT (act_id) DO NOTHING
)
SELECT
    EXISTS (SELECT FROM changed) AS is_stored, :session_id::uuid IS NULL OR EXISTS (SELECT FROM target) AS is_found,
    (SELECT t.closed_at FROM target AS t) AS closed_at;

-- name: delete_schedule(owner, schedule_id, version_read, act_id, actor, origin, act)
-- Without a version, any version is deleted.
WITH removed AS (
    DELETE FROM meta.schedules AS c
    WHERE
        c.schedule_id = :schedule_id::uuid
        AND :owner::text IN (c.owner, '*')
        AND c.version = coalesce(:version_read::bigint, c.version)
    RETURNING c.schedule_id, c.owner
),
recorded AS (
    INSERT INTO meta.audit (act_id, actor, origin, act, owner, subject, details)
    SELECT :act_id::uuid, :actor::text, :origin::text, :act::text, r.owner, r.schedule_id::text, '{}'
    FROM removed AS r
    ON CONFLICT (act_id) DO NOTHING
)
SELECT r.schedule_id FROM removed AS r;

-- name: select_schedule_page(owner, after, rows_max)
SELECT
    c.schedule_id, c.owner, c.name, c.session_id, c.function_name, c.params, c.cron, c.zone, c.interval_s, c.run_at,
    c.jitter_s, c.catch_up, c.overlap, c.expires_in, c.options::text, c.anchor_at, c.settled_at, c.next_at, c.paused,
    c.end_reason, c.last_execution_id, c.version
FROM meta.schedules AS c
WHERE
    :owner::text IN (c.owner, '*')
    AND c.schedule_id < coalesce(:after::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
ORDER BY c.schedule_id DESC
LIMIT :rows_max::bigint;

-- name: select_firings(schedule_id, before, rows_max)
SELECT f.due_at, f.last_due_at, f.due_times, f.state, f.settled_at, f.reason, f.execution_id, f.manual
FROM meta.schedule_firings AS f
WHERE f.schedule_id = :schedule_id::uuid AND f.due_at < coalesce(:before::timestamptz, 'infinity')
ORDER BY f.due_at DESC
LIMIT :rows_max::bigint;

-- name: select_due_schedules(now, examined_max, owner_max, rows_max)
-- Owners in turn: first the longest due schedule of each owner, then the second one of each. `following_at` is the same in
-- every row. Without due schedules it is one row with nulls beside it.
WITH due AS MATERIALIZED (
    SELECT c.schedule_id, c.owner, c.next_at
    FROM meta.schedules AS c
    WHERE c.next_at <= :now::timestamptz AND NOT c.paused
    ORDER BY c.next_at
    LIMIT :examined_max::bigint
),
turn AS (
    SELECT
        d.schedule_id, d.next_at,
        row_number() OVER (PARTITION BY d.owner ORDER BY d.next_at, d.schedule_id) AS nth
    FROM due AS d
)
SELECT
    (
        SELECT f.next_at
        FROM meta.schedules AS f
        WHERE f.next_at > :now::timestamptz AND NOT f.paused
        ORDER BY f.next_at
        LIMIT 1
    ) AS following_at,
    c.schedule_id, c.owner, c.name, c.session_id, c.function_name, c.params, c.cron, c.zone, c.interval_s, c.run_at,
    c.jitter_s, c.catch_up, c.overlap, c.expires_in, c.options::text, c.anchor_at, c.settled_at, c.next_at, c.paused,
    c.end_reason, c.last_execution_id, c.version
FROM (SELECT 1) AS page
LEFT JOIN LATERAL (
    SELECT c.*, t.nth
    FROM turn AS t
    INNER JOIN meta.schedules AS c ON t.schedule_id = c.schedule_id
    WHERE t.nth <= :owner_max::bigint
    ORDER BY t.nth, t.next_at
    LIMIT :rows_max::bigint
) AS c ON TRUE
ORDER BY c.nth, c.next_at;

-- name: fire_schedule(schedule_id, version_read, next_at_read, manual, alone, settled_at, next_at, missed_from, missed_until, missed_count, fired_at, history_max, attempts_max, request_id, owner, key, payload_hash, execution_id, slot, started_at, allowance, retention, not_before, start_before, head_start, in_order, params, options)
-- All or nothing: the session is live, the due time is not settled yet, and, if the execution must run alone, none of the
-- attempts of the execution before is queued or running, and no earlier call holds the key. The judgement of the session
-- is that of accept_executions, for one call.
WITH RECURSIVE held AS MATERIALIZED (
    SELECT s.request_id, s.owner, s.language, s.title, s.timeout_ms, s.renewal, s.ttl_seconds, s.expires_at,
        s.expires_max_at, s.closed_at
    FROM meta.sessions AS s
    WHERE s.request_id = :request_id::uuid AND s.owner = :owner::text
    FOR NO KEY UPDATE OF s
),
chosen AS MATERIALIZED (
    SELECT c.schedule_id, c.last_execution_id
    FROM held AS h
    INNER JOIN meta.schedules AS c ON h.owner = c.owner
    WHERE
        c.schedule_id = :schedule_id::uuid
        AND c.version = :version_read::bigint
        AND (:manual::boolean OR (c.next_at = :next_at_read::timestamptz AND NOT c.paused))
    FOR NO KEY UPDATE OF c
),
attempt (execution_id, following, position) AS (
    SELECT c.last_execution_id, k.next_attempt, 1
    FROM chosen AS c
    LEFT JOIN meta.idempotency_keys AS k ON c.last_execution_id = k.winner AND k.outcome IS NOT NULL
    WHERE :alone::boolean
    UNION ALL
    SELECT a.following, k.next_attempt, a.position + 1
    FROM attempt AS a
    LEFT JOIN meta.idempotency_keys AS k ON a.following = k.winner AND k.outcome IS NOT NULL
    WHERE a.following IS NOT NULL AND a.position < :attempts_max::bigint
),
busy AS MATERIALIZED (
    SELECT
        EXISTS (
            SELECT
            FROM attempt AS a
            INNER JOIN meta.queued_executions AS q ON a.execution_id = q.execution_id
            WHERE q.expires_at > :started_at::timestamptz
        )
        OR EXISTS (
            SELECT
            FROM attempt AS a
            INNER JOIN meta.open_executions AS o ON a.execution_id = o.execution_id
            WHERE o.claim_id IS NOT NULL AND o.deadline_at > :started_at::timestamptz
        ) AS is_busy
),
judged AS MATERIALIZED (
    SELECT
        h.*, c.schedule_id,
        CASE
            WHEN
                h.renewal = 'sliding'
                AND h.expires_at < least(
                    :started_at::timestamptz + interval '900 ms' * h.ttl_seconds, h.expires_max_at
                )
                THEN greatest(
                    h.expires_at,
                    least(:started_at::timestamptz + interval '1 s' * h.ttl_seconds, h.expires_max_at)
                )
            ELSE h.expires_at
        END AS session_until
    FROM held AS h
    CROSS JOIN chosen AS c
    CROSS JOIN busy AS b
    WHERE h.closed_at IS NULL AND :started_at::timestamptz < h.expires_at AND NOT b.is_busy
),
ready AS MATERIALIZED (
    SELECT
        j.*, least(:start_before::timestamptz, j.session_until) AS start_until,
        least(:start_before::timestamptz, j.session_until) + interval '1 ms' * j.timeout_ms + :allowance::interval
            AS deadline_at
    FROM judged AS j
),
keyed AS (
    INSERT INTO meta.idempotency_keys AS k (
        request_id, owner, key, payload_hash, winner, language_title, deadline_at, expires_at, ready_at, start_until
    )
    SELECT
        r.request_id, r.owner, :key::text, decode(:payload_hash::text, 'hex'), :execution_id::uuid,
        r.language || '-' || r.title, r.deadline_at, r.deadline_at + :retention::interval,
        :not_before::timestamptz - :head_start::interval, r.start_until
    FROM ready AS r
    WHERE :key::text IS NOT NULL
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
    WHERE k.expires_at <= :started_at::timestamptz
    RETURNING k.winner
),
taken AS MATERIALIZED (
    SELECT r.* FROM ready AS r WHERE :key::text IS NULL OR EXISTS (SELECT FROM keyed)
),
moved AS (
    UPDATE meta.schedules AS c
    SET
        settled_at = :settled_at::timestamptz,
        next_at = :next_at::timestamptz,
        last_execution_id = :execution_id::uuid
    FROM taken AS r
    WHERE c.schedule_id = r.schedule_id AND NOT :manual::boolean
),
renewed AS (
    UPDATE meta.sessions AS s
    SET expires_at = r.session_until
    FROM taken AS r
    WHERE
        s.request_id = :request_id::uuid AND s.owner = :owner::text AND s.expires_at < r.session_until
),
queued AS (
    INSERT INTO meta.queued_executions (
        execution_id, request_id, ready_at, not_before, expires_at, kept_until, slot, in_order, owner, language, title,
        params, options, key, payload_hash
    )
    SELECT
        :execution_id::uuid, r.request_id, :not_before::timestamptz - :head_start::interval, :not_before::timestamptz,
        r.start_until, r.deadline_at + :retention::interval, :slot::smallint, :in_order::boolean, r.owner, r.language,
        r.title, :params::text, coalesce(:options::jsonb, '{}') || jsonb_build_object('schedule_id', r.schedule_id),
        :key::text, decode(:payload_hash::text, 'hex')
    FROM taken AS r
),
logged AS (
    INSERT INTO meta.schedule_firings (
        schedule_id, due_at, last_due_at, due_times, state, settled_at, reason, execution_id, manual
    )
    SELECT
        r.schedule_id, :missed_from::timestamptz, :missed_until::timestamptz, :missed_count::integer, 'missed',
        :started_at::timestamptz, 'late', NULL, FALSE
    FROM taken AS r
    WHERE :missed_count::integer > 0
    UNION ALL
    SELECT
        r.schedule_id, :fired_at::timestamptz, :fired_at::timestamptz, 1, 'fired', :started_at::timestamptz, NULL,
        :execution_id::uuid, :manual::boolean
    FROM taken AS r
),
trimmed AS (
    DELETE FROM meta.schedule_firings AS f
    USING taken AS r
    WHERE
        f.schedule_id = r.schedule_id
        AND f.due_at < (
            SELECT g.due_at
            FROM meta.schedule_firings AS g
            WHERE g.schedule_id = :schedule_id::uuid
            ORDER BY g.due_at DESC
            LIMIT 1 OFFSET :history_max::bigint - 1
        )
)
SELECT
    CASE
        WHEN EXISTS (SELECT FROM taken) THEN 'fired'
        WHEN EXISTS (SELECT FROM ready) THEN 'kept'
        WHEN h.request_id IS NULL THEN 'absent'
        WHEN NOT EXISTS (SELECT FROM chosen) THEN 'lost'
        WHEN h.closed_at IS NOT NULL THEN 'closed'
        WHEN :started_at::timestamptz >= h.expires_at THEN 'expired'
        ELSE 'busy'
    END AS fate,
    h.closed_at, h.expires_at
FROM (SELECT 1) AS call
LEFT JOIN held AS h ON TRUE;

-- name: settle_schedule(schedule_id, version_read, next_at_read, settled_at, next_at, end_reason, due_ats, last_due_ats, due_times, states, reasons, decided_at, history_max)
-- Returns no row if another process was faster. A pause raises the version, so what was read before it settles nothing.
-- A session that another owner has by now has not ended: its schedule follows it soon.
WITH moved AS (
    UPDATE meta.schedules AS c
    SET
        settled_at = :settled_at::timestamptz,
        next_at = :next_at::timestamptz,
        end_reason = coalesce(:end_reason::text, c.end_reason)
    WHERE
        c.schedule_id = :schedule_id::uuid
        AND c.version = :version_read::bigint
        AND c.next_at = :next_at_read::timestamptz
        AND NOT (
            coalesce(:end_reason::text, '') = 'session_ended'
            AND EXISTS (SELECT FROM meta.sessions AS s WHERE s.request_id = c.session_id AND s.owner <> c.owner)
        )
    RETURNING c.schedule_id
),
logged AS (
    INSERT INTO meta.schedule_firings (
        schedule_id, due_at, last_due_at, due_times, state, settled_at, reason, manual
    )
    SELECT m.schedule_id, n.due_at, n.last_due_at, n.due_times, n.state, :decided_at::timestamptz, n.reason, FALSE
    FROM moved AS m
    CROSS JOIN unnest(
        :due_ats::timestamptz[], :last_due_ats::timestamptz[], :due_times::integer[], :states::text[], :reasons::text[]
    ) AS n (due_at, last_due_at, due_times, state, reason)
),
trimmed AS (
    DELETE FROM meta.schedule_firings AS f
    USING moved AS m
    WHERE
        f.schedule_id = m.schedule_id
        AND f.due_at < (
            SELECT g.due_at
            FROM meta.schedule_firings AS g
            WHERE g.schedule_id = :schedule_id::uuid
            ORDER BY g.due_at DESC
            LIMIT 1 OFFSET :history_max::bigint - 1
        )
)
SELECT m.schedule_id FROM moved AS m;
