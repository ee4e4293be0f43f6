-- Statements about the rows of one owner; sessions.sql describes the format. Batch statements are never prepared, so
-- that each plan is for few rows. Each batch of a move adds its numbers to the one entry of the move in the audit
-- record.

-- name: select_session_count(owner, rows_max)
-- Counts at most rows_max sessions.
SELECT count(*) FROM (SELECT FROM meta.sessions AS s WHERE s.owner = :owner::text LIMIT :rows_max::bigint) AS counted;

-- name: select_key_count(owner)
SELECT count(*) FROM meta.idempotency_keys AS k WHERE k.owner = :owner::text;

-- name: select_history_count(partition, owner)
-- Never prepared: a plan for the given partition locks only that one.
SELECT count(*) FROM meta.executions AS e WHERE e.slot = :partition::smallint AND e.owner = :owner::text;

-- name: select_oldest_of_owner(owner)
SELECT
    (
        SELECT s.request_id FROM meta.sessions AS s WHERE s.owner = :owner::text ORDER BY s.request_id LIMIT 1
    ) AS session_id,
    (
        SELECT c.schedule_id FROM meta.schedules AS c WHERE c.owner = :owner::text ORDER BY c.schedule_id LIMIT 1
    ) AS schedule_id,
    (
        SELECT f.file_id FROM meta.files AS f WHERE f.owner = :owner::text ORDER BY f.file_id LIMIT 1
    ) AS file_id,
    (SELECT u.day FROM meta.usage AS u WHERE u.owner = :owner::text ORDER BY u.day LIMIT 1) AS first_day;

-- name: select_file_count(owner)
-- Those that callers see, and those that are being stored.
SELECT count(*) FROM meta.files AS f WHERE f.owner = :owner::text AND f.expires_at > '-infinity';

-- name: move_files(owner_from, owner_to, after, rows_max, act_id, actor, origin, act)
WITH examined AS MATERIALIZED (
    SELECT f.slot, f.file_id
    FROM meta.files AS f
    WHERE
        f.owner = :owner_from::text
        AND f.file_id > coalesce(:after::uuid, '00000000-0000-0000-0000-000000000000')
    ORDER BY f.file_id
    LIMIT :rows_max::bigint
),
moved AS (
    UPDATE meta.files AS f
    SET owner = :owner_to::text
    FROM examined AS e
    WHERE f.slot = e.slot AND f.file_id = e.file_id AND f.owner = :owner_from::text
    RETURNING f.file_id
),
recorded AS (
    INSERT INTO meta.audit AS a (act_id, actor, origin, act, owner, subject, details)
    SELECT
        :act_id::uuid, :actor::text, :origin::text, :act::text, :owner_from::text, :owner_to::text,
        jsonb_build_object('files', (SELECT count(*) FROM moved))
    WHERE EXISTS (SELECT FROM moved)
    ON CONFLICT (act_id) DO UPDATE SET details = meta.added_counts(a.details, excluded.details)
)
SELECT
    (SELECT e.file_id FROM examined AS e ORDER BY e.file_id DESC LIMIT 1) AS last_file_id,
    (SELECT count(*) FROM examined) AS examined,
    (SELECT count(*) FROM moved) AS moved;

-- name: move_sessions(owner_from, owner_to, after, now, rows_max, act_id, actor, origin, act)
-- Moves each session together with its queue and the keys of its calls, so that no call runs twice. A session that
-- executes, or that another transaction has locked, is skipped; a later move can take it. So is one of which a claim
-- takes an execution at the same time: its row in the queue is gone once it can be locked. One statement examines at most rows_max
-- sessions. A hidden session stays hidden unless the new owner has one for the same version.
WITH examined AS MATERIALIZED (
    SELECT s.request_id
    FROM meta.sessions AS s
    WHERE
        s.owner = :owner_from::text
        AND s.request_id > coalesce(:after::uuid, '00000000-0000-0000-0000-000000000000')
    ORDER BY s.request_id
    LIMIT :rows_max::bigint
),
resting AS MATERIALIZED (
    SELECT s.request_id
    FROM examined AS e
    INNER JOIN meta.sessions AS s ON e.request_id = s.request_id
    WHERE
        s.owner = :owner_from::text
        AND NOT EXISTS (
            SELECT FROM meta.open_executions AS o
            WHERE o.request_id = s.request_id AND o.deadline_at > :now::timestamptz
        )
    ORDER BY s.request_id
    FOR NO KEY UPDATE OF s SKIP LOCKED
),
waiting AS MATERIALIZED (
    SELECT q.execution_id, q.request_id
    FROM resting AS r
    INNER JOIN meta.queued_executions AS q ON r.request_id = q.request_id
    ORDER BY q.execution_id
    FOR UPDATE OF q
),
picked AS MATERIALIZED (
    SELECT r.request_id
    FROM resting AS r
    WHERE
        (SELECT count(*) FROM meta.queued_executions AS q WHERE q.request_id = r.request_id)
        = (SELECT count(*) FROM waiting AS w WHERE w.request_id = r.request_id)
),
queued AS (
    UPDATE meta.queued_executions AS q
    SET owner = :owner_to::text
    FROM picked AS p
    WHERE q.request_id = p.request_id
),
moved AS (
    UPDATE meta.sessions AS s
    SET
        owner = :owner_to::text,
        hidden = s.hidden AND NOT EXISTS (
            SELECT FROM meta.sessions AS t
            WHERE
                t.owner = :owner_to::text
                AND t.function_id = s.function_id
                AND t.function_version = s.function_version
                AND t.hidden
                AND t.script_hash IS NOT NULL
        )
    FROM picked AS p
    WHERE s.request_id = p.request_id
    RETURNING s.request_id
),
overdue AS (
    UPDATE meta.open_executions AS o
    SET owner = :owner_to::text
    FROM picked AS p
    WHERE o.request_id = p.request_id
),
keyed AS (
    UPDATE meta.idempotency_keys AS k
    SET owner = :owner_to::text
    FROM picked AS p
    WHERE
        k.request_id = p.request_id
        AND k.owner = :owner_from::text
        AND NOT EXISTS (
            SELECT FROM meta.idempotency_keys AS t
            WHERE t.request_id = k.request_id AND t.owner = :owner_to::text AND t.key = k.key
        )
    RETURNING k.key
),
recorded AS (
    INSERT INTO meta.audit AS a (act_id, actor, origin, act, owner, subject, details)
    SELECT
        :act_id::uuid, :actor::text, :origin::text, :act::text, :owner_from::text, :owner_to::text,
        jsonb_build_object('sessions', (SELECT count(*) FROM moved), 'idempotency_keys', (SELECT count(*) FROM keyed))
    ON CONFLICT (act_id) DO UPDATE SET details = meta.added_counts(a.details, excluded.details)
)
SELECT
    (SELECT e.request_id FROM examined AS e ORDER BY e.request_id DESC LIMIT 1) AS last_request_id,
    (SELECT count(*) FROM examined) AS examined,
    (SELECT count(*) FROM moved) AS moved;

-- name: move_queue(owner_from, owner_to, language, after_ready_at, after_execution_id, rows_max, act_id, actor, origin, act)
-- What an accept has stored that found a session with its old owner, before it moved. It waits for rows that are locked:
-- a claim locks an entry before it sees that the session has another owner, and leaves it.
WITH examined AS MATERIALIZED (
    SELECT q.ready_at, q.execution_id, q.request_id
    FROM meta.queued_executions AS q
    WHERE
        q.language = :language::text
        AND q.owner = :owner_from::text
        AND (q.ready_at, q.execution_id)
        > (coalesce(:after_ready_at::timestamptz, '-infinity'), :after_execution_id::uuid)
    ORDER BY q.ready_at, q.execution_id
    LIMIT :rows_max::bigint
),
picked AS MATERIALIZED (
    SELECT q.execution_id, q.request_id
    FROM examined AS e
    INNER JOIN meta.sessions AS s ON e.request_id = s.request_id AND s.owner = :owner_to::text
    INNER JOIN meta.queued_executions AS q ON e.execution_id = q.execution_id AND e.request_id = q.request_id
    WHERE q.owner = :owner_from::text
    ORDER BY q.execution_id
    FOR UPDATE OF q
),
moved AS (
    UPDATE meta.queued_executions AS q
    SET owner = :owner_to::text
    FROM picked AS p
    WHERE q.execution_id = p.execution_id AND q.request_id = p.request_id
    RETURNING q.execution_id
),
keyed AS (
    UPDATE meta.idempotency_keys AS k
    SET owner = :owner_to::text
    FROM picked AS p
    WHERE
        k.request_id = p.request_id
        AND k.winner = p.execution_id
        AND k.owner = :owner_from::text
        AND NOT EXISTS (
            SELECT FROM meta.idempotency_keys AS t
            WHERE t.request_id = k.request_id AND t.owner = :owner_to::text AND t.key = k.key
        )
    RETURNING k.key
),
recorded AS (
    INSERT INTO meta.audit AS a (act_id, actor, origin, act, owner, subject, details)
    SELECT
        :act_id::uuid, :actor::text, :origin::text, :act::text, :owner_from::text, :owner_to::text,
        jsonb_build_object(
            'queued_executions', (SELECT count(*) FROM moved), 'idempotency_keys', (SELECT count(*) FROM keyed)
        )
    WHERE EXISTS (SELECT FROM moved)
    ON CONFLICT (act_id) DO UPDATE SET details = meta.added_counts(a.details, excluded.details)
),
final AS (
    SELECT e.ready_at, e.execution_id FROM examined AS e ORDER BY e.ready_at DESC, e.execution_id DESC LIMIT 1
)
SELECT
    (SELECT f.ready_at FROM final AS f) AS last_ready_at,
    (SELECT f.execution_id FROM final AS f) AS last_execution_id,
    (SELECT count(*) FROM examined) AS examined,
    0 AS moved;

-- name: select_webhook_count(owner)
SELECT count(*) FROM meta.webhooks AS w WHERE w.owner = :owner::text;

-- name: move_webhooks(owner_from, owner_to, after, rows_max, act_id, actor, origin, act)
-- Their deliveries belong to whom the webhook belongs to. A key that the new owner has used as well is given up.
WITH examined AS MATERIALIZED (
    SELECT w.webhook_id
    FROM meta.webhooks AS w
    WHERE
        w.owner = :owner_from::text
        AND w.webhook_id > coalesce(:after::uuid, '00000000-0000-0000-0000-000000000000')
    ORDER BY w.webhook_id
    LIMIT :rows_max::bigint
),
moved AS (
    UPDATE meta.webhooks AS w
    SET
        owner = :owner_to::text,
        revision = w.revision + 1,
        key = CASE
            WHEN NOT EXISTS (SELECT FROM meta.webhooks AS t WHERE t.owner = :owner_to::text AND t.key = w.key) THEN w.key
        END
    FROM examined AS e
    WHERE w.webhook_id = e.webhook_id AND w.owner = :owner_from::text
    RETURNING w.webhook_id
),
recorded AS (
    INSERT INTO meta.audit AS a (act_id, actor, origin, act, owner, subject, details)
    SELECT
        :act_id::uuid, :actor::text, :origin::text, :act::text, :owner_from::text, :owner_to::text,
        jsonb_build_object('webhooks', (SELECT count(*) FROM moved))
    WHERE EXISTS (SELECT FROM moved)
    ON CONFLICT (act_id) DO UPDATE SET details = meta.added_counts(a.details, excluded.details)
)
SELECT
    (SELECT e.webhook_id FROM examined AS e ORDER BY e.webhook_id DESC LIMIT 1) AS last_webhook_id,
    (SELECT count(*) FROM examined) AS examined,
    (SELECT count(*) FROM moved) AS moved;

-- name: select_secret_count(owner)
SELECT count(*) FROM meta.secrets AS s WHERE s.owner = :owner::text;

-- name: select_schedule_count(owner)
SELECT count(*) FROM meta.schedules AS c WHERE c.owner = :owner::text;

-- name: move_schedules(owner_from, owner_to, after, rows_max, act_id, actor, origin, act)
-- A schedule follows its session: it stays while the old owner has that. A key that the new owner has used as well is
-- given up.
WITH examined AS MATERIALIZED (
    SELECT c.schedule_id
    FROM meta.schedules AS c
    WHERE
        c.owner = :owner_from::text
        AND c.schedule_id > coalesce(:after::uuid, '00000000-0000-0000-0000-000000000000')
    ORDER BY c.schedule_id
    LIMIT :rows_max::bigint
),
moved AS (
    UPDATE meta.schedules AS c
    SET
        owner = :owner_to::text,
        key = CASE
            WHEN NOT EXISTS (SELECT FROM meta.schedules AS t WHERE t.owner = :owner_to::text AND t.key = c.key) THEN c.key
        END
    FROM examined AS e
    WHERE
        c.schedule_id = e.schedule_id
        AND c.owner = :owner_from::text
        AND NOT EXISTS (
            SELECT FROM meta.sessions AS s WHERE s.request_id = c.session_id AND s.owner = :owner_from::text
        )
    RETURNING c.schedule_id
),
recorded AS (
    INSERT INTO meta.audit AS a (act_id, actor, origin, act, owner, subject, details)
    SELECT
        :act_id::uuid, :actor::text, :origin::text, :act::text, :owner_from::text, :owner_to::text,
        jsonb_build_object('schedules', (SELECT count(*) FROM moved))
    WHERE EXISTS (SELECT FROM moved)
    ON CONFLICT (act_id) DO UPDATE SET details = meta.added_counts(a.details, excluded.details)
)
SELECT
    (SELECT e.schedule_id FROM examined AS e ORDER BY e.schedule_id DESC LIMIT 1) AS last_schedule_id,
    (SELECT count(*) FROM examined) AS examined,
    (SELECT count(*) FROM moved) AS moved;

-- name: move_takings(owner_from, owner_to, after, rows_max, act_id, actor, origin, act)
-- What is stored of a taken session follows the session. If the session is not stored here, it is moved. Copies of the
-- origin's sessions have no owner before they are adopted, so they are not moved. Recorded calls are, so that a purge
-- finds them.
WITH examined AS MATERIALIZED (
    SELECT t.request_id
    FROM meta.taken_sessions AS t
    WHERE
        t.owner = :owner_from::text
        AND t.request_id > coalesce(:after::uuid, '00000000-0000-0000-0000-000000000000')
    ORDER BY t.request_id
    LIMIT :rows_max::bigint
),
picked AS MATERIALIZED (
    SELECT e.request_id
    FROM examined AS e
    LEFT JOIN meta.sessions AS s ON e.request_id = s.request_id AND s.owner = :owner_from::text
    WHERE s.request_id IS NULL
),
calls AS (
    UPDATE meta.recorded_calls AS c
    SET owner = :owner_to::text
    WHERE c.owner = :owner_from::text
),
moved AS (
    UPDATE meta.taken_sessions AS t
    SET owner = :owner_to::text
    FROM picked AS p
    WHERE t.request_id = p.request_id AND t.owner = :owner_from::text
    RETURNING t.request_id
),
recorded AS (
    INSERT INTO meta.audit AS a (act_id, actor, origin, act, owner, subject, details)
    SELECT
        :act_id::uuid, :actor::text, :origin::text, :act::text, :owner_from::text, :owner_to::text,
        jsonb_build_object('taken_sessions', (SELECT count(*) FROM moved))
    WHERE EXISTS (SELECT FROM moved)
    ON CONFLICT (act_id) DO UPDATE SET details = meta.added_counts(a.details, excluded.details)
)
SELECT
    (SELECT e.request_id FROM examined AS e ORDER BY e.request_id DESC LIMIT 1) AS last_request_id,
    (SELECT count(*) FROM examined) AS examined,
    0 AS moved;

-- name: move_initialize_keys(owner_from, owner_to, after, rows_max, act_id, actor, origin, act)
-- Keys of initialize calls are stored under the nil session id. If the new owner has the same key, it belongs to
-- another call. Then the key stays with the old owner until it expires.
WITH examined AS MATERIALIZED (
    SELECT k.key
    FROM meta.idempotency_keys AS k
    WHERE
        k.request_id = '00000000-0000-0000-0000-000000000000'
        AND k.owner = :owner_from::text
        AND k.key > :after::text
    ORDER BY k.key
    LIMIT :rows_max::bigint
),
moved AS (
    UPDATE meta.idempotency_keys AS k
    SET owner = :owner_to::text
    FROM examined AS e
    WHERE
        k.request_id = '00000000-0000-0000-0000-000000000000'
        AND k.owner = :owner_from::text
        AND k.key = e.key
        AND NOT EXISTS (
            SELECT FROM meta.idempotency_keys AS t
            WHERE t.request_id = k.request_id AND t.owner = :owner_to::text AND t.key = k.key
        )
    RETURNING k.key
),
recorded AS (
    INSERT INTO meta.audit AS a (act_id, actor, origin, act, owner, subject, details)
    SELECT
        :act_id::uuid, :actor::text, :origin::text, :act::text, :owner_from::text, :owner_to::text,
        jsonb_build_object('idempotency_keys', (SELECT count(*) FROM moved))
    ON CONFLICT (act_id) DO UPDATE SET details = meta.added_counts(a.details, excluded.details)
)
SELECT
    (SELECT e.key FROM examined AS e ORDER BY e.key DESC LIMIT 1) AS last_key,
    (SELECT count(*) FROM examined) AS examined,
    (SELECT count(*) FROM moved) AS moved;

-- name: move_history(partition, owner_from, owner_to, after_request_id, after_execution_id, rows_max, act_id, actor, origin, act)
-- Never prepared: a plan for the given partition locks only that one. Executions of a session that the old owner still
-- has stay with the session. Executions of a session that was removed are moved.
WITH examined AS MATERIALIZED (
    SELECT e.request_id, e.execution_id, e.owner
    FROM meta.executions AS e
    WHERE
        e.slot = :partition::smallint
        AND (e.request_id, e.execution_id) > (:after_request_id::uuid, :after_execution_id::uuid)
    ORDER BY e.request_id, e.execution_id
    LIMIT :rows_max::bigint
),
picked AS MATERIALIZED (
    SELECT x.request_id, x.execution_id
    FROM examined AS x
    LEFT JOIN meta.sessions AS s ON x.request_id = s.request_id AND s.owner = :owner_from::text
    WHERE x.owner = :owner_from::text AND s.request_id IS NULL
),
moved AS (
    UPDATE meta.executions AS e
    SET owner = :owner_to::text
    FROM picked AS p
    WHERE
        e.slot = :partition::smallint
        AND e.request_id = p.request_id
        AND e.execution_id = p.execution_id
        AND e.owner = :owner_from::text
    RETURNING e.execution_id
),
final AS (
    SELECT x.request_id, x.execution_id FROM examined AS x ORDER BY x.request_id DESC, x.execution_id DESC LIMIT 1
),
recorded AS (
    INSERT INTO meta.audit AS a (act_id, actor, origin, act, owner, subject, details)
    SELECT
        :act_id::uuid, :actor::text, :origin::text, :act::text, :owner_from::text, :owner_to::text,
        jsonb_build_object('executions', (SELECT count(*) FROM moved))
    ON CONFLICT (act_id) DO UPDATE SET details = meta.added_counts(a.details, excluded.details)
)
SELECT
    (SELECT f.request_id FROM final AS f) AS last_request_id,
    (SELECT f.execution_id FROM final AS f) AS last_execution_id,
    (SELECT count(*) FROM examined) AS examined,
    (SELECT count(*) FROM moved) AS moved;

-- name: select_owned_function_count(owner)
SELECT count(*) FROM meta.functions AS f WHERE f.owner = :owner::text;

-- name: select_function_collisions(owner_from, owner_to, rows_max)
-- Names that both owners have.
SELECT f.language, f.title
FROM meta.functions AS f
INNER JOIN meta.functions AS t ON f.language = t.language AND f.title = t.title AND t.owner = :owner_to::text
WHERE f.owner = :owner_from::text
ORDER BY f.language, f.title
LIMIT :rows_max::bigint;

-- name: move_functions(owner_from, owner_to, after_language, after_title, rows_max, act_id, actor, origin, act)
-- Versions and pinned sessions refer to the id of the function, which does not change. If the new owner has a function
-- of the same name, the function stays with the old owner.
WITH examined AS MATERIALIZED (
    SELECT f.function_id, f.language, f.title
    FROM meta.functions AS f
    WHERE
        f.owner = :owner_from::text
        AND (f.language, f.title) > (:after_language::text, :after_title::text)
    ORDER BY f.language, f.title
    LIMIT :rows_max::bigint
),
moved AS (
    UPDATE meta.functions AS f
    SET owner = :owner_to::text
    FROM examined AS e
    WHERE
        f.function_id = e.function_id
        AND f.owner = :owner_from::text
        AND NOT EXISTS (
            SELECT FROM meta.functions AS t
            WHERE t.owner = :owner_to::text AND t.language = f.language AND t.title = f.title
        )
    RETURNING f.function_id
),
final AS (
    SELECT e.language, e.title FROM examined AS e ORDER BY e.language DESC, e.title DESC LIMIT 1
),
recorded AS (
    INSERT INTO meta.audit AS a (act_id, actor, origin, act, owner, subject, details)
    SELECT
        :act_id::uuid, :actor::text, :origin::text, :act::text, :owner_from::text, :owner_to::text,
        jsonb_build_object('functions', (SELECT count(*) FROM moved))
    ON CONFLICT (act_id) DO UPDATE SET details = meta.added_counts(a.details, excluded.details)
)
SELECT
    (SELECT f.language FROM final AS f) AS last_language,
    (SELECT f.title FROM final AS f) AS last_title,
    (SELECT count(*) FROM examined) AS examined,
    (SELECT count(*) FROM moved) AS moved;

-- name: select_egress_rule_count(owner)
SELECT count(*) FROM meta.egress_rules AS r WHERE r.owner = :owner::text;

-- name: move_egress_rules(owner_from, owner_to, after, rows_max, act_id, actor, origin, act)
-- A rule that the new owner has as well keeps the new owner's time.
WITH examined AS MATERIALIZED (
    SELECT r.pattern
    FROM meta.egress_rules AS r
    WHERE r.owner = :owner_from::text AND r.pattern > :after::text
    ORDER BY r.pattern
    LIMIT :rows_max::bigint
),
moved AS (
    DELETE FROM meta.egress_rules AS r
    USING examined AS e
    WHERE r.owner = :owner_from::text AND r.pattern = e.pattern
    RETURNING r.pattern, r.created_at
),
added AS (
    INSERT INTO meta.egress_rules (owner, pattern, created_at)
    SELECT :owner_to::text, m.pattern, m.created_at FROM moved AS m
    ON CONFLICT (owner, pattern) DO NOTHING
),
recorded AS (
    INSERT INTO meta.audit AS a (act_id, actor, origin, act, owner, subject, details)
    SELECT
        :act_id::uuid, :actor::text, :origin::text, :act::text, :owner_from::text, :owner_to::text,
        jsonb_build_object('egress_rules', (SELECT count(*) FROM moved))
    WHERE EXISTS (SELECT FROM moved)
    ON CONFLICT (act_id) DO UPDATE SET details = meta.added_counts(a.details, excluded.details)
)
SELECT
    (SELECT e.pattern FROM examined AS e ORDER BY e.pattern DESC LIMIT 1) AS last_pattern,
    (SELECT count(*) FROM examined) AS examined,
    (SELECT count(*) FROM moved) AS moved;

-- name: share_environments(owner_from, owner_to, rows_max, act_id, actor, origin, act)
-- Lets the new owner use what the former one may use, before the sessions that are pinned to it move. The former one
-- keeps its place: its sessions that could not move yet need it.
WITH examined AS MATERIALIZED (
    SELECT e.name, e.version
    FROM meta.environments AS e
    WHERE :owner_from::text = any(e.owners) AND :owner_to::text <> all(e.owners)
    ORDER BY e.name, e.version
    LIMIT :rows_max::bigint
    FOR UPDATE
),
shared AS (
    UPDATE meta.environments AS e
    SET owners = array_append(e.owners, :owner_to::text)
    FROM examined AS x
    WHERE e.name = x.name AND e.version = x.version
    RETURNING e.name
),
recorded AS (
    INSERT INTO meta.audit AS a (act_id, actor, origin, act, owner, subject, details)
    SELECT
        :act_id::uuid, :actor::text, :origin::text, :act::text, :owner_from::text, :owner_to::text,
        jsonb_build_object('environments', (SELECT count(*) FROM shared))
    WHERE EXISTS (SELECT FROM shared)
    ON CONFLICT (act_id) DO UPDATE SET details = meta.added_counts(a.details, excluded.details)
)
SELECT
    (SELECT count(*) FROM examined) AS examined,
    (SELECT count(*) FROM shared) AS moved;
