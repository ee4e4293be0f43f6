-- works beside 0016
-- concurrently
-- Executions that are accepted now and run later. An entry is inserted and deleted, never updated in its life, so each
-- execution leaves one dead row. What it needs to run is in the row of its key, which also gets its result.
CREATE TABLE IF NOT EXISTS meta.queued_executions (
    execution_id uuid NOT NULL,
    request_id uuid NOT NULL,
    owner text NOT NULL,
    language text NOT NULL,
    key text NOT NULL,
    slot smallint NOT NULL CHECK (slot BETWEEN 0 AND 31),
    ready_at timestamptz NOT NULL,
    not_before timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    in_order boolean NOT NULL,
    PRIMARY KEY (request_id, execution_id)
) WITH (
    -- Rows live for as long as an execution waits.
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_insert_scale_factor = 1
);

DROP INDEX CONCURRENTLY IF EXISTS meta.queued_executions_by_turn;
CREATE INDEX CONCURRENTLY queued_executions_by_turn ON meta.queued_executions (
    language, owner, ready_at, execution_id
) INCLUDE (request_id, not_before, expires_at, in_order);
DROP INDEX CONCURRENTLY IF EXISTS meta.queued_executions_by_expiry;
CREATE INDEX CONCURRENTLY queued_executions_by_expiry ON meta.queued_executions (expires_at);

COMMENT ON TABLE meta.queued_executions IS
'Executions that were accepted and have not begun. Deleting the row is what entitles to begin the execution, or to end '
'it as cancelled or expired.';
COMMENT ON COLUMN meta.queued_executions.execution_id IS 'UUIDv7; the time in it is the instant of acceptance.';
COMMENT ON COLUMN meta.queued_executions.request_id IS 'The session.';
COMMENT ON COLUMN meta.queued_executions.owner IS 'The session''s owner.';
COMMENT ON COLUMN meta.queued_executions.language IS 'The session''s language.';
COMMENT ON COLUMN meta.queued_executions.key IS 'The key under which meta.idempotency_keys has params and options.';
COMMENT ON COLUMN meta.queued_executions.slot IS 'Where its row in the history belongs.';
COMMENT ON COLUMN meta.queued_executions.ready_at IS 'The order of the queue: the first start less the head start.';
COMMENT ON COLUMN meta.queued_executions.not_before IS 'The earliest instant of its start.';
COMMENT ON COLUMN meta.queued_executions.expires_at IS 'From here on it does not start.';
COMMENT ON COLUMN meta.queued_executions.in_order IS 'Whether it waits for the earlier ones of its session.';

-- The values of columns that calls without the queue leave null take no room.
ALTER TABLE meta.open_executions
ADD COLUMN IF NOT EXISTS in_order boolean NOT NULL DEFAULT FALSE,
ADD COLUMN IF NOT EXISTS claim_id uuid,
ADD COLUMN IF NOT EXISTS cancel_requested_at timestamptz;

DROP INDEX CONCURRENTLY IF EXISTS meta.open_executions_in_order;
CREATE UNIQUE INDEX CONCURRENTLY open_executions_in_order ON meta.open_executions (request_id) WHERE in_order;

COMMENT ON COLUMN meta.open_executions.in_order IS 'Whether it keeps others of its session waiting.';
COMMENT ON COLUMN meta.open_executions.claim_id IS
'The claim that took it out of the queue; null if it was never in the queue.';
COMMENT ON COLUMN meta.open_executions.cancel_requested_at IS 'When its cancel was requested; null if it was not.';

ALTER TABLE meta.idempotency_keys
ADD COLUMN IF NOT EXISTS asynchronous jsonb,
ADD COLUMN IF NOT EXISTS params text,
ADD COLUMN IF NOT EXISTS outcome text;

ALTER TABLE meta.idempotency_keys ALTER COLUMN params SET STATISTICS 0;

DROP INDEX CONCURRENTLY IF EXISTS meta.idempotency_keys_by_execution;
CREATE UNIQUE INDEX CONCURRENTLY idempotency_keys_by_execution ON meta.idempotency_keys (winner)
WHERE asynchronous IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS meta.idempotency_keys_by_owner;
CREATE INDEX CONCURRENTLY idempotency_keys_by_owner ON meta.idempotency_keys (owner, winner)
WHERE asynchronous IS NOT NULL;

COMMENT ON COLUMN meta.idempotency_keys.asynchronous IS
'What was accepted, if the call runs later; null for a call whose caller waited.';
COMMENT ON COLUMN meta.idempotency_keys.params IS 'JSON as it came, of a call that runs later; else null.';
COMMENT ON COLUMN meta.idempotency_keys.outcome IS 'How a call that runs later has ended; null until then.';

-- The history is counted in the order of ids. An execution that was accepted to run later may end long after its id.
CREATE TABLE IF NOT EXISTS meta.usage_additions (
    execution_id uuid NOT NULL,
    request_id uuid NOT NULL,
    owner text NOT NULL,
    day date NOT NULL,
    outcome text NOT NULL,
    execution_time_ms double precision,
    cpu_time_ms double precision,
    PRIMARY KEY (request_id, execution_id)
) WITH (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_insert_scale_factor = 1
);

COMMENT ON TABLE meta.usage_additions IS
'Executions that were accepted to run later and have ended, until meta.usage contains them.';
COMMENT ON COLUMN meta.usage_additions.execution_id IS 'UUIDv7; the time in it is the instant of acceptance.';
COMMENT ON COLUMN meta.usage_additions.request_id IS 'The session.';
COMMENT ON COLUMN meta.usage_additions.owner IS 'The owner of the session when the execution ended.';
COMMENT ON COLUMN meta.usage_additions.day IS 'The day in UTC on which the execution ended.';
COMMENT ON COLUMN meta.usage_additions.outcome IS 'How it ended.';
COMMENT ON COLUMN meta.usage_additions.execution_time_ms IS 'Its wall time; null when its end was not recorded.';
COMMENT ON COLUMN meta.usage_additions.cpu_time_ms IS 'Its processor time, as far as runtimes report it.';

-- The constraint is checked for new rows only: a scan of the table would block the calls.
ALTER TABLE meta.executions
DROP CONSTRAINT IF EXISTS executions_outcome_check,
ADD COLUMN IF NOT EXISTS attempt smallint,
ADD CONSTRAINT executions_outcome_check
CHECK (outcome IN ('succeeded', 'failed', 'cancelled', 'expired', 'unknown')) NOT VALID;

COMMENT ON COLUMN meta.executions.outcome IS
'How it ended; unknown when its end was not recorded by its deadline. Cancelled and expired ones may not have begun.';
COMMENT ON COLUMN meta.executions.attempt IS 'From 1, of an execution that was accepted to run later; else null.';
