-- Statements of the cleanup; sessions.sql describes the format. Several controllers may run them at the same time.
-- Batch statements are never prepared: a plan for any number of rows reads whole indexes to remove a few rows.

-- name: delete_expired_sessions(expired_before, rows_max)
-- The deletion checks the expiry again after it has the lock. The next cleanup removes the rows that are locked now.
WITH picked AS MATERIALIZED (
    SELECT s.request_id
    FROM meta.sessions AS s
    WHERE s.expires_at <= :expired_before::timestamptz
    ORDER BY s.expires_at
    LIMIT :rows_max::bigint
    FOR UPDATE SKIP LOCKED
),
removed AS (
    DELETE FROM meta.sessions AS s
    USING picked AS p
    WHERE s.request_id = p.request_id AND s.expires_at <= :expired_before::timestamptz
    RETURNING s.request_id
),
forgotten AS (
    DELETE FROM meta.taken_sessions AS t
    USING removed AS r
    WHERE t.request_id = r.request_id
),
states AS (
    DELETE FROM meta.session_states AS t
    USING removed AS r
    WHERE t.request_id = r.request_id
)
SELECT count(*) FROM removed;

-- name: delete_expired_inbound(expired_before, rows_max)
WITH picked AS MATERIALIZED (
    SELECT i.request_id
    FROM meta.inbound_sessions AS i
    WHERE i.expires_at <= :expired_before::timestamptz
    ORDER BY i.expires_at
    LIMIT :rows_max::bigint
    FOR UPDATE SKIP LOCKED
),
removed AS (
    DELETE FROM meta.inbound_sessions AS i
    USING picked AS p
    WHERE i.request_id = p.request_id AND i.expires_at <= :expired_before::timestamptz
    RETURNING i.request_id
)
SELECT count(*) FROM removed;

-- name: delete_old_recordings(recorded_before, ended_before, rows_max)
-- Calls whose recording was discarded are removed as well: a process may have stored them in the same moment.
WITH ended AS (
    DELETE FROM meta.recording AS r
    WHERE r.recording_until <= :ended_before::timestamptz
),
picked AS MATERIALIZED (
    SELECT c.call_id
    FROM meta.recorded_calls AS c
    WHERE c.call_id < :recorded_before::uuid OR NOT EXISTS (SELECT FROM meta.recording)
    ORDER BY c.call_id
    LIMIT :rows_max::bigint
    FOR UPDATE SKIP LOCKED
),
removed AS (
    DELETE FROM meta.recorded_calls AS c
    USING picked AS p
    WHERE c.call_id = p.call_id
    RETURNING c.call_id
)
SELECT count(*) FROM removed;

-- name: delete_expired_takings(expired_before, rows_max)
-- Removes what is left of taken sessions that are not stored here: the origin has them again, or an older release has
-- removed them.
WITH picked AS MATERIALIZED (
    SELECT t.request_id
    FROM meta.taken_sessions AS t
    WHERE
        t.expires_at <= :expired_before::timestamptz
        AND NOT EXISTS (SELECT FROM meta.sessions AS s WHERE s.request_id = t.request_id)
    ORDER BY t.expires_at
    LIMIT :rows_max::bigint
    FOR UPDATE SKIP LOCKED
),
removed AS (
    DELETE FROM meta.taken_sessions AS t
    USING picked AS p
    WHERE t.request_id = p.request_id AND t.expires_at <= :expired_before::timestamptz
    RETURNING t.request_id
)
SELECT count(*) FROM removed;

-- name: select_archiving()
-- Returns no row if the server archives no WAL.
SELECT
    coalesce(a.last_failed_time > coalesce(a.last_archived_time, 'epoch'), false) AS is_failing, a.last_archived_time
FROM pg_stat_archiver AS a
WHERE current_setting('archive_mode') <> 'off';

-- name: select_oldest_expiry()
SELECT s.expires_at FROM meta.sessions AS s ORDER BY s.expires_at LIMIT 1;

-- name: delete_expired_keys(now, accepted_before, rows_max)
-- Another call may take an expired key meanwhile. The deletion checks the expiry again after it has the lock. What repeated
-- accepts have announced needs no index by time, because the table is small.
WITH picked AS MATERIALIZED (
    SELECT k.request_id, k.owner, k.key
    FROM meta.idempotency_keys AS k
    WHERE k.expires_at <= :now::timestamptz
    ORDER BY k.expires_at
    LIMIT :rows_max::bigint
    FOR UPDATE SKIP LOCKED
),
removed AS (
    DELETE FROM meta.idempotency_keys AS k
    USING picked AS p
    WHERE
        k.request_id = p.request_id AND k.owner = p.owner AND k.key = p.key
        AND k.expires_at <= :now::timestamptz
    RETURNING k.key
),
forgotten AS (
    DELETE FROM meta.repeated_accepts AS r
    USING (
        SELECT r.request_id, r.execution_id
        FROM meta.repeated_accepts AS r
        WHERE r.execution_id < :accepted_before::uuid
        LIMIT :rows_max::bigint
        FOR UPDATE SKIP LOCKED
    ) AS p
    WHERE r.request_id = p.request_id AND r.execution_id = p.execution_id
)
SELECT count(*) FROM removed;

-- name: delete_old_live_output(now, rows_max)
-- Of executions whose controller has died. It needs no index, because the table is small.
WITH picked AS MATERIALIZED (
    SELECT l.request_id, l.execution_id, l.part
    FROM meta.live_output AS l
    WHERE l.kept_until <= :now::timestamptz
    LIMIT :rows_max::bigint
    FOR UPDATE SKIP LOCKED
),
removed AS (
    DELETE FROM meta.live_output AS l
    USING picked AS p
    WHERE l.request_id = p.request_id AND l.execution_id = p.execution_id AND l.part = p.part
    RETURNING l.part
)
SELECT count(*) FROM removed;

-- name: delete_old_runtime_hosts(seen_before, rows_max)
-- It needs no index, because the table is small.
WITH picked AS MATERIALIZED (
    SELECT h.name
    FROM meta.runtime_hosts AS h
    WHERE h.seen_at <= :seen_before::timestamptz
    LIMIT :rows_max::bigint
    FOR UPDATE SKIP LOCKED
),
removed AS (
    DELETE FROM meta.runtime_hosts AS h
    USING picked AS p
    WHERE h.name = p.name
    RETURNING h.name
)
SELECT count(*) FROM removed;

-- name: delete_old_deliveries(made_before, rows_max)
-- The webhooks count those that were never sent. They are locked before their deliveries, as by every statement.
WITH picked AS MATERIALIZED (
    SELECT d.delivery_id, d.request_id, d.webhook_id, d.state
    FROM meta.deliveries AS d
    WHERE d.delivery_id < :made_before::uuid
    ORDER BY d.delivery_id
    LIMIT :rows_max::bigint
),
held AS MATERIALIZED (
    SELECT w.webhook_id
    FROM meta.webhooks AS w
    WHERE w.webhook_id IN (SELECT p.webhook_id FROM picked AS p WHERE p.state = 'pending')
    ORDER BY w.webhook_id
    FOR NO KEY UPDATE OF w
),
removed AS (
    DELETE FROM meta.deliveries AS d
    USING picked AS p, (SELECT count(*) AS webhooks FROM held) AS h
    WHERE h.webhooks >= 0 AND d.delivery_id = p.delivery_id AND d.request_id = p.request_id
    RETURNING d.webhook_id, d.state
),
counted AS (
    UPDATE meta.webhooks AS w
    SET dropped = w.dropped + r.dropped
    FROM (
        SELECT r.webhook_id, count(*) AS dropped FROM removed AS r WHERE r.state = 'pending' GROUP BY r.webhook_id
    ) AS r
    WHERE w.webhook_id = r.webhook_id
)
SELECT count(*) FROM removed;

-- name: settle_deliveries(after, turns_max, rows_max)
-- Removes deliveries of webhooks that are removed, and fails those that wait for disabled ones: a message may be stored
-- while the webhook is disabled or removed, and a call ends a bounded number. `turn` finds the webhooks behind `after` that
-- have deliveries, from index entry to index entry.
WITH RECURSIVE turn (webhook_id, position) AS (
    SELECT :after::uuid, 0
    UNION ALL
    SELECT n.webhook_id, t.position + 1
    FROM turn AS t
    CROSS JOIN LATERAL (
        SELECT d.webhook_id
        FROM meta.deliveries AS d
        WHERE d.webhook_id > t.webhook_id
        ORDER BY d.webhook_id
        LIMIT 1
    ) AS n
    WHERE t.position < :turns_max::bigint
),
ended AS MATERIALIZED (
    SELECT t.webhook_id, w.webhook_id IS NULL AS is_removed
    FROM turn AS t
    LEFT JOIN meta.webhooks AS w ON t.webhook_id = w.webhook_id
    WHERE t.position > 0 AND (w.webhook_id IS NULL OR w.disabled_reason IS NOT NULL)
),
left_over AS MATERIALIZED (
    SELECT d.delivery_id, d.request_id
    FROM ended AS e
    INNER JOIN meta.deliveries AS d ON e.webhook_id = d.webhook_id
    WHERE e.is_removed
    LIMIT :rows_max::bigint
    FOR UPDATE OF d SKIP LOCKED
),
waiting AS MATERIALIZED (
    SELECT d.delivery_id, d.request_id
    FROM ended AS e
    INNER JOIN meta.deliveries AS d ON e.webhook_id = d.webhook_id
    WHERE NOT e.is_removed AND d.state = 'pending'
    LIMIT :rows_max::bigint
    FOR NO KEY UPDATE OF d SKIP LOCKED
),
removed AS (
    DELETE FROM meta.deliveries AS d
    USING left_over AS o
    WHERE d.delivery_id = o.delivery_id AND d.request_id = o.request_id
),
failed AS (
    UPDATE meta.deliveries AS d
    SET state = 'failed', error = 'the webhook was disabled'
    FROM waiting AS w
    WHERE d.delivery_id = w.delivery_id AND d.request_id = w.request_id
)
SELECT
    (SELECT count(*) FROM left_over) AS removed,
    (SELECT count(*) FROM waiting) AS failed,
    (SELECT t.webhook_id FROM turn AS t WHERE t.position = :turns_max::bigint) AS reached;

-- name: select_webhooks_to_trim(after, kept_max, rows_max)
-- The next webhooks in the order of their ids, and of each the newest delivery that is one too many. The ids alone, from
-- the index, show that.
SELECT
    w.webhook_id,
    (
        SELECT d.delivery_id
        FROM meta.deliveries AS d
        WHERE d.webhook_id = w.webhook_id
        ORDER BY d.delivery_id DESC
        LIMIT 1 OFFSET :kept_max::bigint
    ) AS excess_from
FROM (
    SELECT w.webhook_id
    FROM meta.webhooks AS w
    WHERE w.webhook_id > :after::uuid
    ORDER BY w.webhook_id
    LIMIT :rows_max::bigint
) AS w
ORDER BY w.webhook_id;

-- name: delete_excess_deliveries(webhook_id, excess_from, rows_max)
-- The webhook counts those that were never sent. It is locked before its deliveries, as by every statement.
WITH held AS MATERIALIZED (
    SELECT w.webhook_id FROM meta.webhooks AS w
    WHERE w.webhook_id = :webhook_id::uuid
    FOR NO KEY UPDATE SKIP LOCKED
),
picked AS MATERIALIZED (
    SELECT d.delivery_id, d.request_id
    FROM held AS h
    INNER JOIN meta.deliveries AS d ON h.webhook_id = d.webhook_id
    WHERE d.delivery_id <= :excess_from::uuid
    ORDER BY d.delivery_id
    LIMIT :rows_max::bigint
    FOR UPDATE OF d SKIP LOCKED
),
removed AS (
    DELETE FROM meta.deliveries AS d
    USING picked AS p
    WHERE d.delivery_id = p.delivery_id AND d.request_id = p.request_id
    RETURNING d.delivery_id, d.state
),
counted AS (
    UPDATE meta.webhooks AS w
    SET dropped = w.dropped + r.dropped
    FROM (SELECT count(*) AS dropped FROM removed AS r WHERE r.state = 'pending') AS r
    WHERE w.webhook_id = :webhook_id::uuid AND r.dropped > 0
)
SELECT count(*) FROM removed;

-- name: select_delivery_facts(counted_max)
-- A message is late from when it is due and its webhook has no pause that the receiver wanted.
SELECT
    (
        SELECT count(*)
        FROM (SELECT FROM meta.deliveries AS d WHERE d.state = 'pending' LIMIT :counted_max::bigint) AS counted
    ) AS pending,
    min(greatest(f.next_at, w.claimed_until)) FILTER (WHERE f.next_at IS NOT NULL AND w.disabled_reason IS NULL)
        AS oldest_due_at,
    count(*) FILTER (WHERE w.failing_since IS NOT NULL AND w.disabled_reason IS NULL) AS failing,
    count(*) FILTER (WHERE w.disabled_reason IN ('gone', 'failing')) AS disabled,
    coalesce(sum(w.dropped), 0)::bigint AS dropped
FROM meta.webhooks AS w
LEFT JOIN LATERAL (
    SELECT d.next_at
    FROM meta.deliveries AS d
    WHERE d.webhook_id = w.webhook_id AND d.state = 'pending'
    ORDER BY d.next_at
    LIMIT 1
) AS f ON TRUE;

-- name: select_queue_backlogs(languages, now, owners_max, examined_max, counted_max)
-- Of each language, how many entries wait, and since when the one that waits longest could have begun. Of each of the first
-- owners it examines those whose turn is next: the queue is in the order of ready_at, which is earlier than not_before if
-- the entry has a head start.
SELECT l.language, c.waiting, d.due_at
FROM unnest(:languages::text[]) AS l (language)
CROSS JOIN LATERAL ( -- noqa: ST05
    SELECT count(*) AS waiting
    FROM (
        SELECT FROM meta.queued_executions AS q
        WHERE q.language = l.language
        LIMIT :counted_max::bigint
    ) AS counted
) AS c
CROSS JOIN LATERAL ( -- noqa: ST05
    WITH RECURSIVE turn (owner, position) AS (
        SELECT '', 0
        UNION ALL
        SELECT n.owner, t.position + 1
        FROM turn AS t
        CROSS JOIN LATERAL (
            SELECT q.owner
            FROM meta.queued_executions AS q
            WHERE q.language = l.language AND q.owner > t.owner
            ORDER BY q.owner
            LIMIT 1
        ) AS n
        WHERE t.position < :owners_max::bigint
    )
    SELECT min(f.not_before) AS due_at
    FROM turn AS t
    CROSS JOIN LATERAL (
        SELECT q.not_before
        FROM meta.queued_executions AS q
        WHERE q.language = l.language AND q.owner = t.owner AND q.ready_at <= :now::timestamptz
        ORDER BY q.ready_at, q.execution_id
        LIMIT :examined_max::bigint
    ) AS f
    WHERE f.not_before <= :now::timestamptz
) AS d;

-- name: select_pinned_versions()
-- The versions that sessions are pinned to, found one after the other in the index: their number does not grow with that
-- of the sessions.
WITH RECURSIVE pinned (function_id, version) AS (
    (
        SELECT s.function_id, s.function_version
        FROM meta.sessions AS s
        WHERE s.function_id IS NOT NULL
        ORDER BY s.function_id, s.function_version
        LIMIT 1
    )
    UNION ALL
    SELECT n.function_id, n.function_version
    FROM pinned AS p
    CROSS JOIN LATERAL (
        SELECT s.function_id, s.function_version
        FROM meta.sessions AS s
        WHERE s.function_id IS NOT NULL AND (s.function_id, s.function_version) > (p.function_id, p.version)
        ORDER BY s.function_id, s.function_version
        LIMIT 1
    ) AS n
)
SELECT p.function_id, p.version FROM pinned AS p;

-- name: select_environment_use(begun_before, pin, older_max)
-- Returns whether a session that began before begun_before has a version of an environment, or may have it because so many
-- sessions are not read. Ids are in the order of time.
SELECT count(*) > :older_max::bigint OR coalesce(bool_or(strpos(o.grants, :pin::text) > 0), FALSE) AS may_be_used
FROM (
    SELECT s.grants
    FROM meta.sessions AS s
    WHERE s.request_id < :begun_before::uuid
    ORDER BY s.request_id
    LIMIT :older_max::bigint + 1
) AS o;

-- name: delete_old_versions(versions_kept, left_before, pinned_functions, pinned_versions, rows_max)
-- A version is no longer among the newest ones since the version that many numbers later was registered. A call that
-- found it before may still pin a session to it, so it stays until that instant is long past. After that it stays while
-- a session is pinned to it, here or in another bucket.
WITH picked AS MATERIALIZED (
    SELECT v.function_id, v.version
    FROM meta.functions AS f
    INNER JOIN meta.function_versions AS v
        ON f.function_id = v.function_id AND v.version <= f.version - :versions_kept::bigint
    WHERE
        f.version > :versions_kept::bigint
        AND EXISTS (
            SELECT FROM meta.function_versions AS n
            WHERE
                n.function_id = v.function_id
                AND n.version >= v.version + :versions_kept::bigint
                AND n.registered_at < :left_before::timestamptz
        )
        AND NOT EXISTS (
            SELECT FROM meta.sessions AS s WHERE s.function_id = v.function_id AND s.function_version = v.version
        )
        AND (v.function_id, v.version) NOT IN (
            SELECT p.function_id, p.version
            FROM unnest(:pinned_functions::uuid[], :pinned_versions::bigint[]) AS p (function_id, version)
        )
    LIMIT :rows_max::bigint
    FOR UPDATE OF v SKIP LOCKED
),
removed AS (
    DELETE FROM meta.function_versions AS v
    USING picked AS p
    WHERE v.function_id = p.function_id AND v.version = p.version
    RETURNING v.version
)
SELECT count(*) FROM removed;

-- name: delete_deactivated_functions(deactivated_before, unpinnable_before, kept_max, pinned_functions, rows_max)
-- Removes functions with their versions, unless a session is or may become pinned to one of them: those that were
-- deactivated long ago, and of each owner those that more than kept_max deactivated ones follow. The deletion checks
-- again after it has the lock, because a call may register the function again meanwhile.
WITH ranked AS (
    SELECT
        f.function_id, f.deactivated_at,
        row_number() OVER (PARTITION BY f.owner ORDER BY f.deactivated_at DESC, f.function_id DESC) AS position
    FROM meta.functions AS f
    WHERE f.deactivated_at IS NOT NULL
),
picked AS MATERIALIZED (
    SELECT f.function_id, f.deactivated_at
    FROM ranked AS r
    INNER JOIN meta.functions AS f ON r.function_id = f.function_id AND r.deactivated_at = f.deactivated_at
    WHERE
        (r.deactivated_at < :deactivated_before::timestamptz OR r.position > :kept_max::bigint)
        AND r.deactivated_at < :unpinnable_before::timestamptz
        AND NOT EXISTS (SELECT FROM meta.sessions AS s WHERE s.function_id = f.function_id)
        AND f.function_id <> all(:pinned_functions::uuid[])
    LIMIT :rows_max::bigint
    FOR UPDATE OF f SKIP LOCKED
),
removed AS (
    DELETE FROM meta.functions AS f
    USING picked AS p
    WHERE f.function_id = p.function_id AND f.deactivated_at = p.deactivated_at
    RETURNING f.function_id
),
emptied AS (
    DELETE FROM meta.function_versions AS v
    USING removed AS r
    WHERE v.function_id = r.function_id
)
SELECT count(*) FROM removed;

-- name: delete_old_acts(expired_before, entries_max, rows_max)
-- Beyond entries_max, the oldest entries that callers of the API have caused are removed too. Those of commands stay,
-- so no caller can displace the record of what an operator did.
WITH beyond AS MATERIALIZED (
    SELECT a.act_id FROM meta.audit AS a ORDER BY a.act_id DESC LIMIT 1 OFFSET :entries_max::bigint
),
picked AS MATERIALIZED (
    SELECT a.act_id
    FROM meta.audit AS a
    WHERE
        a.act_id < :expired_before::uuid
        OR (a.origin <> 'cli' AND a.act_id <= (SELECT b.act_id FROM beyond AS b))
    ORDER BY a.act_id
    LIMIT :rows_max::bigint
    FOR UPDATE SKIP LOCKED
),
removed AS (
    DELETE FROM meta.audit AS a
    USING picked AS p
    WHERE a.act_id = p.act_id
    RETURNING a.act_id
)
SELECT count(*) FROM removed;

-- name: select_filled_partitions(partitions)
-- Never prepared: a plan for the given partitions locks only these.
SELECT d.slot
FROM unnest(:partitions::smallint[]) AS d (slot)
WHERE EXISTS (SELECT FROM meta.executions AS e WHERE e.slot = d.slot AND e.slot = any(:partitions::smallint[]));

-- name: empty_partition(partition, kept_from)
SELECT meta.empty_slot(:partition::smallint, :kept_from::uuid);

-- name: select_unserved()
-- Sessions that neither side of a takeover serves, at most 10,000 of them, and whether a command moves sessions. Returns no
-- row without a takeover.
SELECT
    (
        SELECT count(*)
        FROM (
            SELECT FROM meta.taken_sessions AS t WHERE t.state IN ('fencing', 'returning') LIMIT 10000
        ) AS moving
    ) AS sessions,
    t.stage, t.stage_at, t.held_until
FROM meta.takeover AS t
WHERE t.stage <> 'finished';
