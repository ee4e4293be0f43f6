-- Statements that erase what callers have stored; sessions.sql describes the format. Each erases a bounded number of rows,
-- and adds its numbers to the one entry of the act in the audit record. Never prepared: each plan is for few rows. Rows
-- with large values are erased up to about bytes_max, because PostgreSQL removes each of their parts.
--
-- They lock in this order: sessions, then entries of the queue and open records as queue.sql says, then other rows.

-- name: select_writers()
-- The transactions that may store something of a session which was closed since they began: a begin and an accept do not
-- lock the session. Each has the lock of one of these tables before it takes its snapshot.
SELECT DISTINCT l.virtualtransaction
FROM pg_locks AS l
WHERE
    l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
    AND l.relation IN ('meta.open_executions'::regclass, 'meta.queued_executions'::regclass)
    AND l.mode = 'RowExclusiveLock'
    AND l.granted
    AND l.pid <> pg_backend_pid();

-- name: purge_session(request_id, owner, partitions, key_expires_at, rows_max, bytes_max, act_id, actor, origin, act)
-- Erases what belongs to a session beside its row, what a taken session has of the origin, and its recorded calls. The
-- owner "*" stands for every owner. Without its open record no execution that still runs enters the history. Executions
-- of a session that was removed are erased too. Returns whether anything is known of the session, and how many rows were
-- erased.
WITH known AS MATERIALIZED (
    SELECT s.owner
    FROM meta.sessions AS s
    WHERE s.request_id = :request_id::uuid AND :owner::text IN (s.owner, '*')
),
found_entries AS MATERIALIZED (
    SELECT n.execution_id
    FROM (
        SELECT
            f.execution_id, f.bytes,
            sum(f.bytes) OVER (ORDER BY f.execution_id) AS bytes_with_it
        FROM (
            SELECT
                q.execution_id, pg_column_size(q.params) + coalesce(pg_column_size(q.options), 0) AS bytes
            FROM meta.queued_executions AS q
            WHERE q.request_id = :request_id::uuid AND :owner::text IN (q.owner, '*')
            LIMIT :rows_max::bigint
        ) AS f
    ) AS n
    WHERE n.bytes_with_it - n.bytes < :bytes_max::bigint
),
picked_entries AS MATERIALIZED (
    SELECT q.execution_id, q.request_id
    FROM meta.queued_executions AS q
    WHERE q.execution_id = any(array(SELECT f.execution_id FROM found_entries AS f))
    ORDER BY q.execution_id
    FOR UPDATE
),
queued AS (
    DELETE FROM meta.queued_executions AS q
    USING picked_entries AS p
    WHERE q.execution_id = p.execution_id AND q.request_id = p.request_id
    RETURNING q.owner
),
picked_open AS MATERIALIZED (
    SELECT o.request_id, o.execution_id
    FROM meta.open_executions AS o
    WHERE o.request_id = :request_id::uuid AND :owner::text IN (o.owner, '*')
    ORDER BY o.request_id, o.execution_id
    FOR UPDATE
),
opened AS (
    DELETE FROM meta.open_executions AS o
    USING picked_open AS p
    WHERE o.request_id = any(ARRAY[p.request_id]) AND o.execution_id = p.execution_id
    RETURNING o.owner
),
live AS (
    DELETE FROM meta.live_output AS l
    WHERE
        l.request_id = :request_id::uuid AND (EXISTS (SELECT FROM known) OR EXISTS (SELECT FROM opened))
    RETURNING l.part
),
states AS (
    DELETE FROM meta.session_states AS t
    WHERE t.request_id = :request_id::uuid AND EXISTS (SELECT FROM known)
    RETURNING t.version
),
picked AS MATERIALIZED (
    SELECT n.slot, n.request_id, n.execution_id
    FROM (
        SELECT f.*, sum(f.bytes) OVER (ORDER BY f.slot, f.execution_id) AS bytes_with_it
        FROM (
            SELECT
                e.slot, e.request_id, e.execution_id,
                coalesce(pg_column_size(e.params), 0) + coalesce(pg_column_size(e.result), 0)
                + coalesce(pg_column_size(e.stdout), 0) + coalesce(pg_column_size(e.stderr), 0) AS bytes
            FROM meta.executions AS e
            WHERE
                e.slot = any(:partitions::smallint[])
                AND e.request_id = :request_id::uuid
                AND :owner::text IN (e.owner, '*')
            LIMIT :rows_max::bigint
        ) AS f
    ) AS n
    WHERE n.bytes_with_it - n.bytes < :bytes_max::bigint
),
executions AS (
    DELETE FROM meta.executions AS e
    USING picked AS p
    WHERE
        e.slot = any(:partitions::smallint[])
        AND e.slot = p.slot
        AND e.request_id = p.request_id
        AND e.execution_id = p.execution_id
    RETURNING e.owner
),
uses AS (
    DELETE FROM meta.execution_uses AS u
    USING picked AS p
    WHERE u.slot = any(:partitions::smallint[]) AND u.slot = p.slot AND u.execution_id = p.execution_id
    RETURNING u.execution_id
),
picked_keys AS MATERIALIZED (
    SELECT n.request_id, n.owner, n.key
    FROM (
        SELECT f.*, sum(f.bytes) OVER (ORDER BY f.owner, f.key) AS bytes_with_it
        FROM (
            SELECT
                k.request_id, k.owner, k.key,
                coalesce(pg_column_size(k.params), 0) + coalesce(pg_column_size(k.options), 0)
                + coalesce(pg_column_size(k.answer), 0) + coalesce(pg_column_size(k.result), 0) AS bytes
            FROM meta.idempotency_keys AS k
            WHERE k.request_id = :request_id::uuid AND :owner::text IN (k.owner, '*')
            LIMIT :rows_max::bigint
        ) AS f
    ) AS n
    WHERE n.bytes_with_it - n.bytes < :bytes_max::bigint
),
keys AS (
    DELETE FROM meta.idempotency_keys AS k
    USING picked_keys AS p
    WHERE k.request_id = p.request_id AND k.owner = p.owner AND k.key = p.key
    RETURNING k.owner
),
picked_deliveries AS MATERIALIZED (
    SELECT d.delivery_id, d.request_id, w.owner
    FROM meta.deliveries AS d
    INNER JOIN meta.webhooks AS w ON d.webhook_id = w.webhook_id
    WHERE d.request_id = :request_id::uuid AND :owner::text IN (w.owner, '*')
    LIMIT :rows_max::bigint
),
deliveries AS (
    DELETE FROM meta.deliveries AS d
    USING picked_deliveries AS p
    WHERE d.delivery_id = p.delivery_id AND d.request_id = p.request_id
    RETURNING p.owner
),
taken AS (
    UPDATE meta.taken_sessions AS t
    SET user_id = NULL, leftovers = '{}'
    WHERE
        t.request_id = :request_id::uuid
        AND :owner::text IN (t.owner, '*')
        AND (t.user_id IS NOT NULL OR t.leftovers <> '{}')
),
calls AS (
    DELETE FROM meta.recorded_calls AS c
    WHERE c.request_id = :request_id::uuid AND :owner::text IN (c.owner, '*')
    RETURNING c.owner
),
schedules AS (
    DELETE FROM meta.schedules AS c
    WHERE c.session_id = :request_id::uuid AND :owner::text IN (c.owner, '*')
    RETURNING c.owner
),
initialize_keys AS (
    DELETE FROM meta.idempotency_keys AS k
    WHERE
        k.expires_at = :key_expires_at::timestamptz
        AND k.winner = :request_id::uuid
        AND k.request_id = '00000000-0000-0000-0000-000000000000'
        AND :owner::text IN (k.owner, '*')
    RETURNING k.owner
),
counted AS (
    SELECT
        -- In this order the parts run, so rows are locked as queue.sql says.
        (SELECT count(*) FROM queued) AS queued_executions,
        (SELECT count(*) FROM opened) AS open_executions,
        (SELECT count(*) FROM executions) AS executions,
        (SELECT count(*) FROM deliveries) AS deliveries,
        (SELECT count(*) FROM keys) + (SELECT count(*) FROM initialize_keys) AS idempotency_keys,
        (SELECT count(*) FROM schedules) AS schedules,
        coalesce(
            (SELECT k.owner FROM known AS k),
            (SELECT min(e.owner) FROM executions AS e),
            (SELECT min(k.owner) FROM keys AS k),
            (SELECT min(k.owner) FROM initialize_keys AS k),
            (SELECT min(o.owner) FROM opened AS o),
            (SELECT min(c.owner) FROM calls AS c),
            (SELECT min(q.owner) FROM queued AS q),
            (SELECT min(d.owner) FROM deliveries AS d),
            (SELECT min(s.owner) FROM schedules AS s)
        ) AS owner
),
recorded AS (
    INSERT INTO meta.audit AS a (act_id, actor, origin, act, owner, subject, details)
    SELECT
        :act_id::uuid, :actor::text, :origin::text, :act::text, c.owner, :request_id::uuid::text,
        jsonb_build_object(
            'executions', c.executions, 'open_executions', c.open_executions, 'queued_executions', c.queued_executions,
            'idempotency_keys', c.idempotency_keys, 'deliveries', c.deliveries, 'schedules', c.schedules
        )
    FROM counted AS c
    WHERE c.owner IS NOT NULL
    ON CONFLICT (act_id) DO UPDATE SET details = meta.added_counts(a.details, excluded.details)
)
SELECT
    c.owner IS NOT NULL AS is_known,
    c.executions + c.open_executions + c.queued_executions + c.idempotency_keys + c.deliveries + c.schedules
    + (SELECT count(*) FROM live) + (SELECT count(*) FROM states) AS erased
FROM counted AS c;

-- name: purge_sessions(owner, after, now, rows_max, act_id, actor, origin, act)
-- Closes and empties sessions, as a deletion by their owner does, and removes their open records. One statement examines at
-- most rows_max sessions.
WITH examined AS MATERIALIZED (
    SELECT s.request_id
    FROM meta.sessions AS s
    WHERE
        s.owner = :owner::text
        AND s.request_id > coalesce(:after::uuid, '00000000-0000-0000-0000-000000000000')
    ORDER BY s.request_id
    LIMIT :rows_max::bigint
),
picked AS MATERIALIZED (
    SELECT s.request_id
    FROM examined AS e
    INNER JOIN meta.sessions AS s ON e.request_id = s.request_id
    WHERE s.owner = :owner::text
    ORDER BY s.request_id
    FOR NO KEY UPDATE OF s
),
picked_open AS MATERIALIZED (
    SELECT o.request_id, o.execution_id
    FROM picked AS p
    INNER JOIN meta.open_executions AS o ON p.request_id = o.request_id
    ORDER BY o.request_id, o.execution_id
    FOR UPDATE OF o
),
opened AS (
    DELETE FROM meta.open_executions AS o
    USING picked_open AS p
    WHERE o.request_id = p.request_id AND o.execution_id = p.execution_id
),
live AS (
    DELETE FROM meta.live_output AS l
    USING picked AS p
    WHERE l.request_id = p.request_id
),
states AS (
    DELETE FROM meta.session_states AS t
    USING picked AS p
    WHERE t.request_id = p.request_id
),
purged AS (
    UPDATE meta.sessions AS s
    SET
        script = NULL,
        script_hash = NULL,
        context = '{}',
        metadata = '{}',
        closed_at = coalesce(s.closed_at, CASE WHEN :now::timestamptz < s.expires_at THEN :now::timestamptz END),
        version = s.version + 1
    FROM picked AS p
    WHERE s.request_id = p.request_id AND s.script_hash IS NOT NULL
    RETURNING s.request_id
),
recorded AS (
    INSERT INTO meta.audit AS a (act_id, actor, origin, act, owner, subject, details)
    SELECT
        :act_id::uuid, :actor::text, :origin::text, :act::text, :owner::text, :owner::text,
        jsonb_build_object('sessions', (SELECT count(*) FROM purged))
    ON CONFLICT (act_id) DO UPDATE SET details = meta.added_counts(a.details, excluded.details)
)
SELECT
    (SELECT e.request_id FROM examined AS e ORDER BY e.request_id DESC LIMIT 1) AS last_request_id,
    (SELECT count(*) FROM examined) AS examined,
    (SELECT count(*) FROM purged) AS purged;

-- name: purge_queue(owner, language, after_ready_at, after_execution_id, rows_max, bytes_max, act_id, actor, origin, act)
-- Also entries of sessions that were removed, and open records of accepted executions. With the open record goes the right
-- to record the end.
WITH first AS MATERIALIZED (
    SELECT
        q.ready_at, q.execution_id, pg_column_size(q.params) + coalesce(pg_column_size(q.options), 0) AS bytes
    FROM meta.queued_executions AS q
    WHERE
        q.language = :language::text
        AND q.owner = :owner::text
        AND (q.ready_at, q.execution_id)
        > (coalesce(:after_ready_at::timestamptz, '-infinity'), :after_execution_id::uuid)
    ORDER BY q.ready_at, q.execution_id
    LIMIT :rows_max::bigint
),
examined AS MATERIALIZED (
    SELECT n.ready_at, n.execution_id
    FROM (
        SELECT f.*, sum(f.bytes) OVER (ORDER BY f.ready_at, f.execution_id) AS bytes_with_it FROM first AS f
    ) AS n
    WHERE n.bytes_with_it - n.bytes < :bytes_max::bigint
),
picked AS MATERIALIZED (
    SELECT q.execution_id, q.request_id
    FROM meta.queued_executions AS q
    WHERE q.execution_id = any(array(SELECT e.execution_id FROM examined AS e)) AND q.owner = :owner::text
    ORDER BY q.execution_id
    FOR UPDATE
),
purged AS (
    DELETE FROM meta.queued_executions AS q
    USING picked AS p
    WHERE q.execution_id = p.execution_id AND q.request_id = p.request_id
    RETURNING q.execution_id
),
picked_open AS MATERIALIZED (
    SELECT o.request_id, o.execution_id
    FROM meta.open_executions AS o
    WHERE o.owner = :owner::text AND o.claim_id IS NOT NULL
    ORDER BY o.request_id, o.execution_id
    FOR UPDATE
),
opened AS (
    DELETE FROM meta.open_executions AS o
    USING picked_open AS p
    WHERE o.request_id = p.request_id AND o.execution_id = p.execution_id
    RETURNING o.execution_id
),
counted AS (
    -- In this order the parts run.
    SELECT (SELECT count(*) FROM purged) AS queued, (SELECT count(*) FROM opened) AS opened
),
recorded AS (
    INSERT INTO meta.audit AS a (act_id, actor, origin, act, owner, subject, details)
    SELECT
        :act_id::uuid, :actor::text, :origin::text, :act::text, :owner::text, :owner::text,
        jsonb_build_object('queued_executions', c.queued, 'open_executions', c.opened)
    FROM counted AS c
    WHERE c.queued + c.opened > 0
    ON CONFLICT (act_id) DO UPDATE SET details = meta.added_counts(a.details, excluded.details)
),
final AS (
    SELECT e.ready_at, e.execution_id FROM examined AS e ORDER BY e.ready_at DESC, e.execution_id DESC LIMIT 1
)
SELECT
    (SELECT f.ready_at FROM final AS f) AS last_ready_at,
    (SELECT f.execution_id FROM final AS f) AS last_execution_id,
    (SELECT count(*) FROM examined) AS examined,
    c.queued + c.opened AS purged
FROM counted AS c;

-- name: purge_inbound(owner, after, rows_max, act_id, actor, origin, act)
-- Removes copies of the origin's sessions. The origin still has the sessions. One that is moving here stays: the adoption
-- that moves it ends soon.
WITH examined AS MATERIALIZED (
    SELECT i.request_id
    FROM meta.inbound_sessions AS i
    WHERE
        i.owner = :owner::text
        AND i.request_id > coalesce(:after::uuid, '00000000-0000-0000-0000-000000000000')
    ORDER BY i.request_id
    LIMIT :rows_max::bigint
),
purged AS (
    DELETE FROM meta.inbound_sessions AS i
    USING examined AS e
    WHERE
        i.request_id = e.request_id
        AND i.owner = :owner::text
        AND NOT EXISTS (SELECT FROM meta.taken_sessions AS t WHERE t.request_id = i.request_id)
    RETURNING i.request_id
),
recorded AS (
    INSERT INTO meta.audit AS a (act_id, actor, origin, act, owner, subject, details)
    SELECT
        :act_id::uuid, :actor::text, :origin::text, :act::text, :owner::text, :owner::text,
        jsonb_build_object('inbound_sessions', (SELECT count(*) FROM purged))
    WHERE EXISTS (SELECT FROM purged)
    ON CONFLICT (act_id) DO UPDATE SET details = meta.added_counts(a.details, excluded.details)
)
SELECT
    (SELECT e.request_id FROM examined AS e ORDER BY e.request_id DESC LIMIT 1) AS last_request_id,
    (SELECT count(*) FROM examined) AS examined,
    (SELECT count(*) FROM purged) AS purged;

-- name: purge_takings(owner, after, rows_max)
-- Erases what taken sessions have of the origin, and recorded calls. The rows of taken sessions stay: they state which
-- side owns each session. Calls are erased after the copies, because without a copy none is recorded.
WITH examined AS MATERIALIZED (
    SELECT t.request_id
    FROM meta.taken_sessions AS t
    WHERE
        t.owner = :owner::text
        AND t.request_id > coalesce(:after::uuid, '00000000-0000-0000-0000-000000000000')
    ORDER BY t.request_id
    LIMIT :rows_max::bigint
),
purged AS (
    UPDATE meta.taken_sessions AS t
    SET user_id = NULL, leftovers = '{}'
    FROM examined AS e
    WHERE
        t.request_id = e.request_id
        AND t.owner = :owner::text
        AND (t.user_id IS NOT NULL OR t.leftovers <> '{}')
),
calls AS (
    DELETE FROM meta.recorded_calls AS c
    WHERE c.owner = :owner::text
)
SELECT
    (SELECT e.request_id FROM examined AS e ORDER BY e.request_id DESC LIMIT 1) AS last_request_id,
    (SELECT count(*) FROM examined) AS examined,
    0 AS purged;

-- name: purge_schedules(owner, after, rows_max, act_id, actor, origin, act)
WITH examined AS MATERIALIZED (
    SELECT c.schedule_id
    FROM meta.schedules AS c
    WHERE
        c.owner = :owner::text
        AND c.schedule_id > coalesce(:after::uuid, '00000000-0000-0000-0000-000000000000')
    ORDER BY c.schedule_id
    LIMIT :rows_max::bigint
),
purged AS (
    DELETE FROM meta.schedules AS c
    USING examined AS e
    WHERE c.schedule_id = e.schedule_id AND c.owner = :owner::text
    RETURNING c.schedule_id
),
recorded AS (
    INSERT INTO meta.audit AS a (act_id, actor, origin, act, owner, subject, details)
    SELECT
        :act_id::uuid, :actor::text, :origin::text, :act::text, :owner::text, :owner::text,
        jsonb_build_object('schedules', (SELECT count(*) FROM purged))
    WHERE EXISTS (SELECT FROM purged)
    ON CONFLICT (act_id) DO UPDATE SET details = meta.added_counts(a.details, excluded.details)
)
SELECT
    (SELECT e.schedule_id FROM examined AS e ORDER BY e.schedule_id DESC LIMIT 1) AS last_schedule_id,
    (SELECT count(*) FROM examined) AS examined,
    (SELECT count(*) FROM purged) AS purged;

-- name: purge_keys(owner, after_request_id, after_owner, after_key, rows_max, bytes_max, act_id, actor, origin, act)
-- Walks through all keys: a session may have been removed before its keys. Only what is erased counts for bytes_max.
WITH first AS MATERIALIZED (
    SELECT
        k.request_id, k.owner, k.key,
        CASE
            WHEN k.owner <> :owner::text THEN 0
            ELSE
                coalesce(pg_column_size(k.params), 0) + coalesce(pg_column_size(k.options), 0)
                + coalesce(pg_column_size(k.answer), 0) + coalesce(pg_column_size(k.result), 0)
        END AS bytes
    FROM meta.idempotency_keys AS k
    WHERE (k.request_id, k.owner, k.key) > (:after_request_id::uuid, :after_owner::text, :after_key::text)
    ORDER BY k.request_id, k.owner, k.key
    LIMIT :rows_max::bigint
),
examined AS MATERIALIZED (
    SELECT n.request_id, n.owner, n.key
    FROM (
        SELECT f.*, sum(f.bytes) OVER (ORDER BY f.request_id, f.owner, f.key) AS bytes_with_it FROM first AS f
    ) AS n
    WHERE n.bytes_with_it - n.bytes < :bytes_max::bigint
),
purged AS (
    DELETE FROM meta.idempotency_keys AS k
    USING examined AS e
    WHERE k.request_id = e.request_id AND k.owner = e.owner AND k.key = e.key AND e.owner = :owner::text
    RETURNING k.key
),
recorded AS (
    INSERT INTO meta.audit AS a (act_id, actor, origin, act, owner, subject, details)
    SELECT
        :act_id::uuid, :actor::text, :origin::text, :act::text, :owner::text, :owner::text,
        jsonb_build_object('idempotency_keys', (SELECT count(*) FROM purged))
    ON CONFLICT (act_id) DO UPDATE SET details = meta.added_counts(a.details, excluded.details)
),
final AS (
    SELECT e.request_id, e.owner, e.key
    FROM examined AS e
    ORDER BY e.request_id DESC, e.owner DESC, e.key DESC
    LIMIT 1
)
SELECT
    (SELECT f.request_id FROM final AS f) AS last_request_id,
    (SELECT f.owner FROM final AS f) AS last_owner,
    (SELECT f.key FROM final AS f) AS last_key,
    (SELECT count(*) FROM examined) AS examined,
    (SELECT count(*) FROM purged) AS purged;

-- name: purge_history(partition, owner, after_request_id, after_execution_id, rows_max, bytes_max, act_id, actor, origin, act)
-- A plan for the given partition locks only that one. Only what is erased counts for bytes_max.
WITH first AS MATERIALIZED (
    SELECT
        e.request_id, e.execution_id, e.owner,
        CASE
            WHEN e.owner <> :owner::text THEN 0
            ELSE
                coalesce(pg_column_size(e.params), 0) + coalesce(pg_column_size(e.result), 0)
                + coalesce(pg_column_size(e.error), 0) + coalesce(pg_column_size(e.stdout), 0)
                + coalesce(pg_column_size(e.stderr), 0)
        END AS bytes
    FROM meta.executions AS e
    WHERE
        e.slot = :partition::smallint
        AND (e.request_id, e.execution_id) > (:after_request_id::uuid, :after_execution_id::uuid)
    ORDER BY e.request_id, e.execution_id
    LIMIT :rows_max::bigint
),
examined AS MATERIALIZED (
    SELECT n.request_id, n.execution_id, n.owner
    FROM (
        SELECT f.*, sum(f.bytes) OVER (ORDER BY f.request_id, f.execution_id) AS bytes_with_it FROM first AS f
    ) AS n
    WHERE n.bytes_with_it - n.bytes < :bytes_max::bigint
),
purged AS (
    DELETE FROM meta.executions AS e
    USING examined AS x
    WHERE
        e.slot = :partition::smallint
        AND e.request_id = x.request_id
        AND e.execution_id = x.execution_id
        AND x.owner = :owner::text
    RETURNING e.execution_id
),
uses AS (
    DELETE FROM meta.execution_uses AS u
    USING examined AS x
    WHERE u.slot = :partition::smallint AND u.execution_id = x.execution_id AND x.owner = :owner::text
    RETURNING u.execution_id
),
recorded AS (
    INSERT INTO meta.audit AS a (act_id, actor, origin, act, owner, subject, details)
    SELECT
        :act_id::uuid, :actor::text, :origin::text, :act::text, :owner::text, :owner::text,
        jsonb_build_object('executions', (SELECT count(*) FROM purged))
    ON CONFLICT (act_id) DO UPDATE SET details = meta.added_counts(a.details, excluded.details)
),
final AS (
    SELECT x.request_id, x.execution_id FROM examined AS x ORDER BY x.request_id DESC, x.execution_id DESC LIMIT 1
)
SELECT
    (SELECT f.request_id FROM final AS f) AS last_request_id,
    (SELECT f.execution_id FROM final AS f) AS last_execution_id,
    (SELECT count(*) FROM examined) AS examined,
    (SELECT count(*) FROM purged) AS purged;

-- name: purge_functions(owner, after_language, after_title, rows_max, act_id, actor, origin, act)
-- Removes functions with all versions. A function stays while a session of another owner is pinned to it.
WITH examined AS MATERIALIZED (
    SELECT f.function_id, f.language, f.title
    FROM meta.functions AS f
    WHERE
        f.owner = :owner::text
        AND (f.language, f.title) > (:after_language::text, :after_title::text)
    ORDER BY f.language, f.title
    LIMIT :rows_max::bigint
),
purged AS (
    DELETE FROM meta.functions AS f
    USING examined AS e
    WHERE
        f.function_id = e.function_id
        AND f.owner = :owner::text
        AND NOT EXISTS (
            SELECT FROM meta.sessions AS s
            WHERE s.function_id = f.function_id AND s.owner <> :owner::text AND s.script_hash IS NOT NULL
        )
    RETURNING f.function_id
),
emptied AS (
    DELETE FROM meta.function_versions AS v
    USING purged AS p
    WHERE v.function_id = p.function_id
),
recorded AS (
    INSERT INTO meta.audit AS a (act_id, actor, origin, act, owner, subject, details)
    SELECT
        :act_id::uuid, :actor::text, :origin::text, :act::text, :owner::text, :owner::text,
        jsonb_build_object('functions', (SELECT count(*) FROM purged))
    ON CONFLICT (act_id) DO UPDATE SET details = meta.added_counts(a.details, excluded.details)
),
final AS (
    SELECT e.language, e.title FROM examined AS e ORDER BY e.language DESC, e.title DESC LIMIT 1
)
SELECT
    (SELECT f.language FROM final AS f) AS last_language,
    (SELECT f.title FROM final AS f) AS last_title,
    (SELECT count(*) FROM examined) AS examined,
    (SELECT count(*) FROM purged) AS purged;

-- name: purge_webhooks(owner, after, rows_max, act_id, actor, origin, act)
-- Removes webhooks with their deliveries: the payloads of executions.
WITH examined AS MATERIALIZED (
    SELECT w.webhook_id
    FROM meta.webhooks AS w
    WHERE
        w.owner = :owner::text
        AND w.webhook_id > coalesce(:after::uuid, '00000000-0000-0000-0000-000000000000')
    ORDER BY w.webhook_id
    LIMIT :rows_max::bigint
),
purged AS (
    DELETE FROM meta.webhooks AS w
    USING examined AS e
    WHERE w.webhook_id = e.webhook_id AND w.owner = :owner::text
    RETURNING w.webhook_id
),
emptied AS (
    DELETE FROM meta.deliveries AS d
    USING purged AS p
    WHERE d.webhook_id = p.webhook_id
),
recorded AS (
    INSERT INTO meta.audit AS a (act_id, actor, origin, act, owner, subject, details)
    SELECT
        :act_id::uuid, :actor::text, :origin::text, :act::text, :owner::text, :owner::text,
        jsonb_build_object('webhooks', (SELECT count(*) FROM purged))
    WHERE EXISTS (SELECT FROM purged)
    ON CONFLICT (act_id) DO UPDATE SET details = meta.added_counts(a.details, excluded.details)
)
SELECT
    (SELECT e.webhook_id FROM examined AS e ORDER BY e.webhook_id DESC LIMIT 1) AS last_webhook_id,
    (SELECT count(*) FROM examined) AS examined,
    (SELECT count(*) FROM purged) AS purged;

-- name: purge_secrets(owner, after, rows_max, act_id, actor, origin, act)
WITH examined AS MATERIALIZED (
    SELECT s.name
    FROM meta.secrets AS s
    WHERE s.owner = :owner::text AND s.name > :after::text
    ORDER BY s.name
    LIMIT :rows_max::bigint
),
purged AS (
    DELETE FROM meta.secrets AS s
    USING examined AS e
    WHERE s.owner = :owner::text AND s.name = e.name
    RETURNING s.name
),
recorded AS (
    INSERT INTO meta.audit AS a (act_id, actor, origin, act, owner, subject, details)
    SELECT
        :act_id::uuid, :actor::text, :origin::text, :act::text, :owner::text, :owner::text,
        jsonb_build_object('secrets', (SELECT count(*) FROM purged))
    WHERE EXISTS (SELECT FROM purged)
    ON CONFLICT (act_id) DO UPDATE SET details = meta.added_counts(a.details, excluded.details)
)
SELECT
    (SELECT e.name FROM examined AS e ORDER BY e.name DESC LIMIT 1) AS last_name,
    (SELECT count(*) FROM examined) AS examined,
    (SELECT count(*) FROM purged) AS purged;

-- name: select_filled_session_count(owner)
-- An emptied session has no content.
SELECT count(*) FROM meta.sessions AS s WHERE s.owner = :owner::text AND s.script_hash IS NOT NULL;

-- name: select_inbound_count(owner)
SELECT count(*) FROM meta.inbound_sessions AS i WHERE i.owner = :owner::text;

-- name: hide_files(owner, request_id, after, rows_max)
-- Those of an owner, or of a session; without either none. From here on nobody sees them or stores a chunk of them. So
-- the next statement finds all their chunks.
WITH examined AS MATERIALIZED (
    SELECT f.slot, f.file_id
    FROM meta.files AS f
    WHERE
        num_nonnulls(:owner::text, :request_id::uuid) = 1
        AND (:owner::text IS NULL OR f.owner = :owner::text)
        AND (:request_id::uuid IS NULL OR f.request_id = :request_id::uuid)
        AND f.file_id > coalesce(:after::uuid, '00000000-0000-0000-0000-000000000000')
    ORDER BY f.file_id
    LIMIT :rows_max::bigint
),
hidden AS (
    UPDATE meta.files AS f
    SET complete = FALSE, expires_at = '-infinity'
    FROM examined AS e
    WHERE f.slot = e.slot AND f.file_id = e.file_id
    RETURNING f.file_id
)
SELECT
    (SELECT e.file_id FROM examined AS e ORDER BY e.file_id DESC LIMIT 1) AS last_file_id,
    (SELECT count(*) FROM hidden) AS examined,
    0 AS purged;

-- name: purge_files(owner, request_id, rows_max, chunks_max, act_id, actor, origin, act)
-- Erases hidden files of an owner, or of a session. The rows go with their last chunks.
WITH picked AS MATERIALIZED (
    SELECT f.slot, f.file_id, f.owner
    FROM meta.files AS f
    WHERE
        num_nonnulls(:owner::text, :request_id::uuid) = 1
        AND (:owner::text IS NULL OR f.owner = :owner::text)
        AND (:request_id::uuid IS NULL OR f.request_id = :request_id::uuid)
        AND f.expires_at = '-infinity'
    LIMIT :rows_max::bigint
    FOR UPDATE
),
found AS MATERIALIZED (
    SELECT c.slot, c.file_id, c.seq
    FROM picked AS p
    INNER JOIN meta.file_chunks AS c ON p.slot = c.slot AND p.file_id = c.file_id
    LIMIT :chunks_max::bigint
),
erased AS (
    DELETE FROM meta.file_chunks AS c
    USING found AS n
    WHERE c.slot = n.slot AND c.file_id = n.file_id AND c.seq = n.seq
    RETURNING c.seq
),
removed AS (
    DELETE FROM meta.files AS f
    USING picked AS p
    WHERE
        f.slot = p.slot AND f.file_id = p.file_id AND (SELECT count(*) FROM found) < :chunks_max::bigint
    RETURNING f.owner
),
recorded AS (
    INSERT INTO meta.audit AS a (act_id, actor, origin, act, owner, subject, details)
    SELECT
        :act_id::uuid, :actor::text, :origin::text, :act::text, min(r.owner),
        coalesce(:request_id::uuid::text, min(r.owner)), jsonb_build_object('files', count(*))
    FROM removed AS r
    HAVING count(*) > 0
    ON CONFLICT (act_id) DO UPDATE SET details = meta.added_counts(a.details, excluded.details)
)
SELECT
    (SELECT count(*) FROM erased) + (SELECT count(*) FROM removed) AS examined,
    (SELECT count(*) FROM removed) AS purged;

-- name: purge_egress_rules(owner, after, rows_max, act_id, actor, origin, act)
WITH examined AS MATERIALIZED (
    SELECT r.pattern
    FROM meta.egress_rules AS r
    WHERE r.owner = :owner::text AND r.pattern > :after::text
    ORDER BY r.pattern
    LIMIT :rows_max::bigint
),
purged AS (
    DELETE FROM meta.egress_rules AS r
    USING examined AS e
    WHERE r.owner = :owner::text AND r.pattern = e.pattern
    RETURNING r.pattern
),
recorded AS (
    INSERT INTO meta.audit AS a (act_id, actor, origin, act, owner, subject, details)
    SELECT
        :act_id::uuid, :actor::text, :origin::text, :act::text, :owner::text, :owner::text,
        jsonb_build_object('egress_rules', (SELECT count(*) FROM purged))
    WHERE EXISTS (SELECT FROM purged)
    ON CONFLICT (act_id) DO UPDATE SET details = meta.added_counts(a.details, excluded.details)
)
SELECT
    (SELECT e.pattern FROM examined AS e ORDER BY e.pattern DESC LIMIT 1) AS last_pattern,
    (SELECT count(*) FROM examined) AS examined,
    (SELECT count(*) FROM purged) AS purged;

-- name: select_environment_count(owner)
-- Counts the versions that name an owner among those who may use them.
SELECT count(*) FROM meta.environments AS e WHERE :owner::text = any(e.owners);

-- name: purge_environments(owner, rows_max, act_id, actor, origin, act)
-- Removes an owner from the lists of those who may use a version.
WITH examined AS MATERIALIZED (
    SELECT e.name, e.version
    FROM meta.environments AS e
    WHERE :owner::text = any(e.owners)
    ORDER BY e.name, e.version
    LIMIT :rows_max::bigint
    FOR UPDATE
),
purged AS (
    UPDATE meta.environments AS e
    SET owners = array_remove(e.owners, :owner::text)
    FROM examined AS x
    WHERE e.name = x.name AND e.version = x.version
    RETURNING e.name
),
recorded AS (
    INSERT INTO meta.audit AS a (act_id, actor, origin, act, owner, subject, details)
    SELECT
        :act_id::uuid, :actor::text, :origin::text, :act::text, :owner::text, :owner::text,
        jsonb_build_object('environments', (SELECT count(*) FROM purged))
    WHERE EXISTS (SELECT FROM purged)
    ON CONFLICT (act_id) DO UPDATE SET details = meta.added_counts(a.details, excluded.details)
)
SELECT
    (SELECT count(*) FROM examined) AS examined,
    (SELECT count(*) FROM purged) AS purged;
