-- Statements by which the rows of the origin get what only its Redis has; sessions.sql describes the format, and
-- origin_connection.sql what is special about these files. An origin with Redis has all columns of the variants A to C.

-- name: select_now()
SELECT now() AT TIME ZONE 'UTC';

-- name: select_runs_ahead(schema, trigger_name)
SELECT EXISTS (
    SELECT 1
    FROM pg_trigger AS t
    INNER JOIN pg_class AS c ON t.tgrelid = c.oid
    INNER JOIN pg_namespace AS n ON c.relnamespace = n.oid
    WHERE n.nspname = :schema AND c.relname = 'sessions' AND t.tgname = :trigger_name AND t.tgenabled <> 'D'
);

-- name: select_executions(request_ids)
SELECT s.request_id::text, coalesce(s.execution_count, 0) AS execution_count, s.last_executed_at AT TIME ZONE 'UTC'
FROM sessions AS s
WHERE s.request_id = ANY(:request_ids);
