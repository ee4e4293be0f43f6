-- Statements that take executions out of the queue and return them; queue.sql says what entitles to it, sessions.sql
-- describes the format.

-- name: claim_executions(claim_id, languages, after_language, after_owner, blocked, entries_max, owner_max, turns_max, rows_max, bytes_max, now, allowance)
-- `turn` finds one owner after the other in the index, from the one behind `after` round to that one; an empty name marks
-- the way round. Its rows are made as `due` needs them, so a claim of few entries examines few owners. Only this part
-- reads what is dead in front of an owner's entries: with the place of the first one the others begin behind it. A claim
-- that finds nothing is one row with nulls beside the turn that it examined last; `is_cut` says that there may be turns
-- behind it. Each due owner gets an equal part of the entries. The rows of the queue are looked up and locked one by one,
-- and only as many as a part has: claims in other processes get the rows behind them. A limit that the planner cannot see
-- makes it read the first rows from the index, where it would else sort all rows of an owner of whom it knows nothing
-- yet. The unique index of open records in order makes one of two claims wait for the other, and then take nothing.
-- `IS TRUE` makes the planner look up what was opened in a hash table, where it would else compare each with each.
-- Params and options are stored again with the open record, so a claim takes about bytes_max of them, or one entry.
WITH RECURSIVE turn (language, owner, first_ready_at, lap, position) AS (
    SELECT :after_language::text, :after_owner::text, NULL::timestamptz, 0, 0
    UNION ALL
    SELECT
        coalesce(n.language, ''), coalesce(n.owner, ''), n.ready_at, t.lap + CASE WHEN n.language IS NULL THEN 1 ELSE 0 END,
        t.position + 1
    FROM turn AS t
    LEFT JOIN LATERAL (
        SELECT q.language, q.owner, q.ready_at
        FROM meta.queued_executions AS q
        WHERE (q.language, q.owner) > (t.language, t.owner)
        ORDER BY q.language, q.owner, q.ready_at
        LIMIT 1
    ) AS n ON TRUE
    WHERE
        t.position < :turns_max::bigint
        AND (t.lap = 0 OR (t.lap = 1 AND (t.language, t.owner) < (:after_language::text, :after_owner::text)))
),
due AS MATERIALIZED (
    SELECT t.language, t.owner, t.first_ready_at, t.position
    FROM turn AS t
    WHERE
        t.position > 0
        AND t.first_ready_at <= :now::timestamptz
        AND t.language = any(:languages::text[])
        AND t.owner <> all(:blocked::text[])
        AND (t.lap = 0 OR (t.language, t.owner) <= (:after_language::text, :after_owner::text))
    LIMIT :entries_max::bigint
),
part AS MATERIALIZED (
    SELECT least(:owner_max::bigint, ceil(:entries_max::numeric / count(d.owner))::bigint) AS rows_max
    FROM due AS d
    HAVING count(d.owner) > 0
),
picked AS MATERIALIZED (
    SELECT d.position, e.*
    FROM due AS d
    CROSS JOIN part AS p -- noqa: AL05
    CROSS JOIN LATERAL ( -- noqa: ST05
        SELECT q.*
        FROM (
            SELECT w.execution_id, w.request_id, w.ready_at, w.not_before, w.expires_at, w.in_order
            FROM meta.queued_executions AS w
            WHERE
                w.language = d.language
                AND w.owner = d.owner
                AND w.ready_at BETWEEN d.first_ready_at AND :now::timestamptz
            ORDER BY w.ready_at, w.execution_id
            LIMIT (SELECT :rows_max::bigint)
        ) AS w
        CROSS JOIN LATERAL (
            SELECT s.closed_at, s.expires_at FROM meta.sessions AS s WHERE s.request_id = w.request_id AND s.owner = d.owner LIMIT 1
        ) AS s
        CROSS JOIN LATERAL (
            SELECT
                q.execution_id, q.request_id, q.owner, q.slot, q.ready_at, q.expires_at AS start_until, q.kept_until,
                q.in_order, q.params, q.options, q.key, q.payload_hash
            FROM meta.queued_executions AS q
            WHERE
                q.execution_id = w.execution_id
                AND q.request_id = w.request_id
                AND s.closed_at IS NULL
                AND s.expires_at > :now::timestamptz
            LIMIT 1
            FOR UPDATE SKIP LOCKED
        ) AS q
        WHERE
            w.not_before <= :now::timestamptz
            AND w.expires_at > :now::timestamptz
            AND (
                NOT w.in_order
                OR (
                    (
                        SELECT TRUE
                        FROM meta.queued_executions AS b
                        WHERE
                            b.request_id = w.request_id
                            AND b.execution_id < w.execution_id
                            AND b.in_order
                            AND b.expires_at > :now::timestamptz
                        LIMIT 1
                    ) IS NULL
                    AND (
                        SELECT TRUE FROM meta.open_executions AS o WHERE o.request_id = w.request_id AND o.in_order LIMIT 1
                    ) IS NULL
                )
            )
        ORDER BY w.ready_at, w.execution_id
        LIMIT p.rows_max
    ) AS e
),
numbered AS (
    SELECT
        p.*,
        row_number() OVER (PARTITION BY p.position ORDER BY p.ready_at, p.execution_id) AS nth,
        row_number() OVER (PARTITION BY p.owner ORDER BY p.ready_at, p.execution_id) AS nth_of_owner
    FROM picked AS p
),
chosen AS MATERIALIZED (
    SELECT
        n.position, n.nth, n.execution_id, n.slot, n.ready_at, n.start_until, n.kept_until, n.in_order, n.params,
        n.options, n.key, n.payload_hash,
        :now::timestamptz + interval '1 ms' * s.timeout_ms + :allowance::interval AS deadline_at,
        s.request_id, s.owner, s.language, s.title, s.script_hash, s.context, s.metadata, s.timeout_ms, s.memory_mb,
        s.isolation, s.renewal, s.ttl_seconds, s.expires_at, s.expires_max_at, s.closed_at, s.last_executed_at,
        s.execution_count, s.version, s.function_version, s.function_id, s.hidden, s.convention, s.created_at,
        s.grants
    FROM numbered AS n
    CROSS JOIN LATERAL (
        SELECT s.* FROM meta.sessions AS s WHERE s.request_id = n.request_id AND s.owner = n.owner LIMIT 1
    ) AS s
    WHERE n.nth_of_owner <= :owner_max::bigint
    ORDER BY n.nth, n.position
    LIMIT :entries_max::bigint
),
sized AS (
    SELECT c.*, sum(c.bytes) OVER (ORDER BY c.nth, c.position) AS bytes_with_it
    FROM (
        SELECT n.*, pg_column_size(n.params) + coalesce(pg_column_size(n.options), 0) AS bytes FROM chosen AS n
    ) AS c
),
opened AS (
    INSERT INTO meta.open_executions (
        request_id, execution_id, owner, slot, deadline_at, in_order, claim_id, language_title, ready_at, start_until,
        kept_until, params, options, key, payload_hash
    )
    SELECT
        c.request_id, c.execution_id, c.owner, c.slot, c.deadline_at, c.in_order, :claim_id::uuid,
        c.language || '-' || c.title, c.ready_at, c.start_until, c.kept_until, c.params, c.options, c.key, c.payload_hash
    FROM sized AS c
    WHERE c.bytes_with_it - c.bytes < :bytes_max::bigint
    ORDER BY c.request_id, c.execution_id
    ON CONFLICT (request_id) WHERE in_order DO NOTHING
    RETURNING request_id, execution_id
),
taken AS (
    DELETE FROM meta.queued_executions AS q
    WHERE q.execution_id = any(array(SELECT o.execution_id FROM opened AS o))
)
SELECT
    l.language AS last_language, l.owner AS last_owner, coalesce(l.position = :turns_max::bigint, FALSE) AS is_cut,
    c.deadline_at, c.execution_id, c.key, encode(c.payload_hash, 'hex') AS payload_hash, c.params, c.options::text,
    c.ready_at, c.start_until,
    c.request_id, c.owner, c.language, c.title, c.script_hash, c.context, c.metadata, c.timeout_ms, c.memory_mb,
    c.isolation, c.renewal, c.ttl_seconds, c.expires_at, c.expires_max_at, c.closed_at, c.last_executed_at,
    c.execution_count, c.version, c.function_version, c.function_id, c.hidden, c.convention, c.created_at,
    c.grants
FROM (SELECT NOT EXISTS (SELECT FROM opened) AS is_empty) AS found
LEFT JOIN chosen AS c ON (c.execution_id IN (SELECT o.execution_id FROM opened AS o)) IS TRUE
LEFT JOIN LATERAL (
    SELECT t.language, t.owner, t.position FROM turn AS t WHERE found.is_empty ORDER BY t.position DESC LIMIT 1
) AS l ON TRUE
ORDER BY c.nth, c.position;

-- name: put_back_executions(request_ids, execution_ids, claim_ids, not_befores, expiries, cancelled, cancelled_error)!
-- An open record of another claim stays: the statement may be sent twice, and the entry may be claimed again between. A
-- cancel that was requested meanwhile ends the entry. An expiry that is null, or later, changes nothing. Each call has a claim. With `=`, PostgreSQL would take it for the
-- condition of the index open_executions_id, and read all of that.
WITH call AS (
    SELECT *
    FROM
        unnest(
            :request_ids::uuid[], :execution_ids::uuid[], :claim_ids::uuid[], :not_befores::timestamptz[],
            :expiries::timestamptz[]
        ) AS c (request_id, execution_id, claim_id, not_before, expires_at)
),
held AS MATERIALIZED (
    SELECT o.request_id, o.execution_id, c.not_before, c.expires_at
    FROM call AS c
    INNER JOIN meta.open_executions AS o ON o.request_id = any(ARRAY[c.request_id]) AND c.execution_id = o.execution_id
    WHERE o.claim_id IS NOT DISTINCT FROM c.claim_id
    ORDER BY c.request_id, c.execution_id
    FOR UPDATE OF o
),
removed AS (
    DELETE FROM meta.open_executions AS o
    USING held AS h
    WHERE o.request_id = any(ARRAY[h.request_id]) AND o.execution_id = h.execution_id
    RETURNING o.*, h.not_before, least(o.start_until, h.expires_at) AS expires_at, coalesce((o.options ->> 'attempt')::smallint, 1::smallint) AS attempt
),
queued AS (
    INSERT INTO meta.queued_executions (
        execution_id, request_id, ready_at, not_before, expires_at, kept_until, slot, in_order, owner, language, title,
        params, options, key, payload_hash
    )
    SELECT
        r.execution_id, r.request_id, r.ready_at, r.not_before, r.expires_at, r.kept_until, r.slot, r.in_order, r.owner,
        split_part(r.language_title, '-', 1), substr(r.language_title, strpos(r.language_title, '-') + 1), r.params,
        r.options, r.key, r.payload_hash
    FROM removed AS r
    WHERE r.cancel_requested_at IS NULL
    ORDER BY r.execution_id
    ON CONFLICT DO NOTHING
),
cancelled AS (
    SELECT r.* FROM removed AS r WHERE r.cancel_requested_at IS NOT NULL
),
answered AS (
    INSERT INTO meta.idempotency_keys AS k (
        request_id, owner, key, payload_hash, winner, language_title, deadline_at, expires_at, answer, outcome, ready_at,
        start_until, params, options
    )
    SELECT
        c.request_id, c.owner, coalesce(c.key, ' ' || c.execution_id), coalesce(c.payload_hash, sha256('')),
        c.execution_id, c.language_title, c.deadline_at, c.kept_until, :cancelled::text, 'cancelled', c.ready_at,
        c.start_until, c.params, c.options
    FROM cancelled AS c
    ORDER BY c.request_id, c.owner, coalesce(c.key, ' ' || c.execution_id)
    ON CONFLICT (request_id, owner, key) DO UPDATE SET
        answer = excluded.answer, outcome = excluded.outcome, params = excluded.params, options = excluded.options
    WHERE k.winner = excluded.winner
),
announced AS (
    INSERT INTO meta.deliveries (
        delivery_id, request_id, webhook_id, execution_id, event, payload, state, next_at, error
    )
    SELECT d.*
    FROM cancelled AS c
    CROSS JOIN LATERAL meta.deliveries_of(
        c.owner, (c.options ->> 'webhook_id')::uuid, c.request_id, c.execution_id, 'cancelled', c.cancel_requested_at,
        c.language_title, c.attempt, :cancelled_error::text, NULL
    ) AS d
    ON CONFLICT (delivery_id, request_id) DO NOTHING
)
INSERT INTO meta.executions (slot, request_id, execution_id, owner, outcome, attempt)
SELECT c.slot, c.request_id, c.execution_id, c.owner, 'cancelled', c.attempt
FROM cancelled AS c
ON CONFLICT (slot, request_id, execution_id) DO NOTHING;

-- name: select_claimed(claim_id)
-- Runs only after the response to a claim was lost. It needs no index, because the table is small.
SELECT o.request_id, o.execution_id FROM meta.open_executions AS o WHERE o.claim_id = :claim_id::uuid;
