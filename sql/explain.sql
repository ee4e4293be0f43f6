-- Statements that show everything stored under one id, for an operator; sessions.sql describes the format. They only
-- read, and they are not limited to one owner. No request runs them.

-- name: select_session_trace(request_id)
-- Returns a session without the contents of its context and metadata.
SELECT
    s.request_id, s.owner, s.language, s.title, s.script_hash, '{}' AS context, '{}' AS metadata, s.timeout_ms,
    s.memory_mb, s.isolation, s.renewal, s.ttl_seconds, s.expires_at, s.expires_max_at, s.closed_at,
    s.last_executed_at, s.execution_count, s.version, s.function_version, s.function_id, s.hidden, s.convention,
    s.created_at, s.grants
FROM meta.sessions AS s
WHERE s.request_id = any(ARRAY[:request_id::uuid])
ORDER BY s.request_id
LIMIT 1;

-- name: select_open_traces(request_id, rows_max)
SELECT o.request_id, o.owner, o.execution_id, o.deadline_at
FROM meta.open_executions AS o
WHERE o.request_id = :request_id::uuid
ORDER BY o.execution_id
LIMIT :rows_max::bigint;

-- name: select_state_trace(request_id)
-- Returns a state without its content.
SELECT t.version, octet_length(t.state) AS bytes, t.updated_at, t.writer
FROM meta.session_states AS t
WHERE t.request_id = :request_id::uuid;

-- name: select_tree_traces(name, version)
SELECT b.platform, b.status, encode(b.digest, 'hex') AS digest
FROM meta.environment_builds AS b
WHERE b.name = :name::text AND b.version = :version::integer
ORDER BY b.platform;

-- name: select_open_trace(execution_id)
-- Needs no index, because the table is small: it holds only executions that have begun and not finished.
SELECT o.request_id, o.owner, o.execution_id, o.deadline_at
FROM meta.open_executions AS o
WHERE o.execution_id = :execution_id::uuid;

-- name: select_accepted_trace(execution_id)
SELECT
    e.request_id, e.owner, e.execution_id, e.key, coalesce((e.options ->> 'attempt')::integer, 1) AS attempt,
    (e.options ->> 'retry_of')::uuid AS retry_of, e.next_attempt,
    e.ready_at + interval '1 s' * coalesce((e.options ->> 'priority_s')::integer, 0) AS not_before,
    e.start_until, e.kept_until, e.outcome, e.may_start_at, (e.options ->> 'schedule_id')::uuid AS schedule_id,
    e.is_erased
FROM (
    SELECT
        q.request_id, q.owner, q.execution_id, q.key, q.options, NULL::uuid AS next_attempt, q.ready_at,
        q.expires_at AS start_until, q.kept_until, NULL::text AS outcome, q.not_before AS may_start_at,
        FALSE AS is_erased
    FROM meta.queued_executions AS q
    WHERE q.execution_id = :execution_id::uuid
    UNION ALL
    SELECT
        o.request_id, o.owner, o.execution_id, o.key, o.options, NULL, o.ready_at, o.start_until, o.kept_until, NULL,
        NULL, FALSE
    FROM meta.open_executions AS o
    WHERE o.execution_id = :execution_id::uuid AND o.claim_id IS NOT NULL
    UNION ALL
    SELECT
        k.request_id, k.owner, k.winner, nullif(k.key, ' ' || k.winner), k.options, k.next_attempt, k.ready_at,
        k.start_until, k.expires_at, k.outcome, NULL, coalesce(k.result = '', FALSE)
    FROM meta.idempotency_keys AS k
    WHERE k.winner = :execution_id::uuid AND k.outcome IS NOT NULL
) AS e;

-- name: select_queued_trace(request_id)
SELECT count(*) FROM meta.queued_executions AS q WHERE q.request_id = :request_id::uuid;

-- name: count_schedules_of(request_id)
SELECT count(*) FROM meta.schedules AS c WHERE c.session_id = :request_id::uuid;

-- name: select_message_trace(request_id, execution_id)
SELECT d.state, count(*) AS messages
FROM meta.deliveries AS d
WHERE d.request_id = :request_id::uuid AND d.execution_id = :execution_id::uuid
GROUP BY d.state
ORDER BY d.state;

-- name: select_execution_trace(partition, execution_id)
-- Never prepared: a plan for the given partition locks only that one.
SELECT
    e.request_id, e.owner, e.execution_id, e.outcome, e.execution_count, e.execution_time_ms, e.cpu_time_ms,
    e.memory_usage_bytes, e.cold_start, u.uses
FROM meta.executions AS e
LEFT JOIN meta.execution_uses AS u
    ON e.execution_id = u.execution_id AND e.slot = u.slot AND u.slot = :partition::smallint
WHERE e.slot = :partition::smallint AND e.execution_id = :execution_id::uuid;

-- name: select_history_trace(partitions, request_id)
-- Never prepared: a plan for the given partitions locks only these.
SELECT
    e.outcome, count(*) AS executions, min(e.owner) AS owner, min(e.execution_id::text)::uuid AS first,
    max(e.execution_id::text)::uuid AS last
FROM meta.executions AS e
WHERE e.slot = any(:partitions::smallint[]) AND e.request_id = :request_id::uuid
GROUP BY e.outcome
ORDER BY e.outcome;

-- name: select_key_traces(request_id, rows_max)
SELECT k.key, k.winner, k.deadline_at, k.expires_at, k.answer IS NOT NULL AS is_answered
FROM meta.idempotency_keys AS k
WHERE k.request_id = :request_id::uuid
ORDER BY k.owner, k.key
LIMIT :rows_max::bigint;

-- name: select_taken_key(winner, expires_at)
-- A key expires a fixed time after the instant in the id of its winner. Therefore the index of expiries finds it.
SELECT k.key, k.winner, k.deadline_at, k.expires_at, k.answer IS NOT NULL AS is_answered
FROM meta.idempotency_keys AS k
WHERE k.expires_at = :expires_at::timestamptz AND k.winner = :winner::uuid
LIMIT 1;

-- name: select_function_trace(function_id, version)
-- Without the version, if only that is no longer stored, its author and time are null.
SELECT f.owner, f.version, f.deactivated_at, v.registered_at, v.author
FROM meta.functions AS f
LEFT JOIN meta.function_versions AS v ON f.function_id = v.function_id AND v.version = :version::bigint
WHERE f.function_id = :function_id::uuid;

-- name: select_move_trace(request_id)
SELECT t.state, t.spelled_title, t.count_at_fence, t.late_count, t.owned_at, t.returned_at
FROM meta.taken_sessions AS t
WHERE t.request_id = :request_id::uuid
UNION ALL
SELECT NULL, i.spelled_title, NULL, NULL, NULL, NULL
FROM meta.inbound_sessions AS i
WHERE
    i.request_id = :request_id::uuid
    AND NOT EXISTS (SELECT FROM meta.taken_sessions AS t WHERE t.request_id = i.request_id);

-- name: count_recorded_calls(request_id)
-- Needs no index, because the table is small: it holds 5,000 calls at most.
SELECT count(*) FROM meta.recorded_calls AS c WHERE c.request_id = :request_id::uuid;

-- name: select_purge(subjects, since)
-- The latest act that has purged one of these subjects, a session or its owner, after the session was made.
SELECT a.act_id, a.actor, a.origin, a.act, a.owner, a.subject, a.details::text
FROM meta.audit AS a
WHERE
    a.subject = any(:subjects::text[])
    AND a.act_id > :since::uuid
    AND a.act IN ('sessions.purge', 'owners.purge')
ORDER BY a.act_id DESC
LIMIT 1;
