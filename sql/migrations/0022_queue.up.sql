-- works beside 0016
-- concurrently
-- Executions that are accepted now and run later. An entry has all that its execution needs. It is inserted and deleted,
-- never updated in its life, so each execution leaves one dead row.
CREATE TABLE IF NOT EXISTS meta.queued_executions (
    execution_id uuid NOT NULL,
    request_id uuid NOT NULL,
    ready_at timestamptz NOT NULL,
    not_before timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    kept_until timestamptz NOT NULL,
    slot smallint NOT NULL CHECK (slot BETWEEN 0 AND 31),
    in_order boolean NOT NULL,
    owner text NOT NULL,
    language text NOT NULL,
    title text NOT NULL,
    params text NOT NULL,
    options jsonb,
    key text,
    payload_hash bytea,
    PRIMARY KEY (request_id, execution_id)
) WITH (
    -- Rows live for as long as an execution waits.
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_insert_scale_factor = 1
);

ALTER TABLE meta.queued_executions ALTER COLUMN params SET STATISTICS 0;

-- Of indexes that cost the same, as all do while a table is empty, the planner takes the one that was made last. A restored
-- backup makes them in the order of their names.
DROP INDEX CONCURRENTLY IF EXISTS meta.queued_executions_by_expiry;
CREATE INDEX CONCURRENTLY queued_executions_by_expiry ON meta.queued_executions (expires_at);
DROP INDEX CONCURRENTLY IF EXISTS meta.queued_executions_by_turn;
CREATE INDEX CONCURRENTLY queued_executions_by_turn ON meta.queued_executions (
    language, owner, ready_at, execution_id
);
DROP INDEX CONCURRENTLY IF EXISTS meta.queued_executions_id;
CREATE UNIQUE INDEX CONCURRENTLY queued_executions_id ON meta.queued_executions (execution_id);
DROP INDEX CONCURRENTLY IF EXISTS meta.queued_executions_in_order;
CREATE UNIQUE INDEX CONCURRENTLY queued_executions_in_order ON meta.queued_executions (
    request_id, execution_id
) INCLUDE (expires_at) WHERE in_order;

COMMENT ON TABLE meta.queued_executions IS
'Executions that were accepted and have not begun. Deleting the row is what entitles to begin the execution, or to end '
'it as cancelled or expired.';
COMMENT ON COLUMN meta.queued_executions.execution_id IS 'UUIDv7; the time in it is the instant of acceptance.';
COMMENT ON COLUMN meta.queued_executions.request_id IS 'The session.';
COMMENT ON COLUMN meta.queued_executions.ready_at IS 'The order of the queue: the first start less the head start.';
COMMENT ON COLUMN meta.queued_executions.not_before IS 'The earliest instant of its start.';
COMMENT ON COLUMN meta.queued_executions.expires_at IS 'From here on it does not start.';
COMMENT ON COLUMN meta.queued_executions.kept_until IS 'How long its result will be kept.';
COMMENT ON COLUMN meta.queued_executions.slot IS 'Where its row in the history belongs.';
COMMENT ON COLUMN meta.queued_executions.in_order IS 'Whether it waits for the earlier ones of its session.';
COMMENT ON COLUMN meta.queued_executions.owner IS 'The session''s owner.';
COMMENT ON COLUMN meta.queued_executions.language IS 'The session''s language.';
COMMENT ON COLUMN meta.queued_executions.title IS 'The session''s title.';
COMMENT ON COLUMN meta.queued_executions.params IS 'JSON as it came.';
COMMENT ON COLUMN meta.queued_executions.options IS
'Attempt, priority, retries, webhook, schedule and the execution that it repeats; null if all are as by default.';
COMMENT ON COLUMN meta.queued_executions.key IS 'The idempotency key of the call; null if its caller gave none.';
COMMENT ON COLUMN meta.queued_executions.payload_hash IS 'Of the call with the key, as in meta.idempotency_keys.';

CREATE TABLE IF NOT EXISTS meta.repeated_accepts (
    request_id uuid NOT NULL,
    execution_id uuid NOT NULL,
    copy bigint NOT NULL,
    PRIMARY KEY (request_id, execution_id)
);

COMMENT ON TABLE meta.repeated_accepts IS
'Executions whose acceptance was sent again because a connection broke: of earlier copies, those that begin later store '
'nothing. Rows stay for a day.';
COMMENT ON COLUMN meta.repeated_accepts.request_id IS 'The session.';
COMMENT ON COLUMN meta.repeated_accepts.execution_id IS 'As in meta.queued_executions.';
COMMENT ON COLUMN meta.repeated_accepts.copy IS 'The number of the latest copy; later copies have greater numbers.';

-- The values of columns that calls without the queue leave null take no room.
ALTER TABLE meta.open_executions
ADD COLUMN IF NOT EXISTS in_order boolean NOT NULL DEFAULT FALSE,
ADD COLUMN IF NOT EXISTS claim_id uuid,
ADD COLUMN IF NOT EXISTS cancel_requested_at timestamptz,
ADD COLUMN IF NOT EXISTS language_title text,
ADD COLUMN IF NOT EXISTS ready_at timestamptz,
ADD COLUMN IF NOT EXISTS start_until timestamptz,
ADD COLUMN IF NOT EXISTS kept_until timestamptz,
ADD COLUMN IF NOT EXISTS params text,
ADD COLUMN IF NOT EXISTS options jsonb,
ADD COLUMN IF NOT EXISTS key text,
ADD COLUMN IF NOT EXISTS payload_hash bytea;

ALTER TABLE meta.open_executions ALTER COLUMN params SET STATISTICS 0;

DROP INDEX CONCURRENTLY IF EXISTS meta.open_executions_in_order;
CREATE UNIQUE INDEX CONCURRENTLY open_executions_in_order ON meta.open_executions (request_id) WHERE in_order;
DROP INDEX CONCURRENTLY IF EXISTS meta.open_executions_id;
CREATE UNIQUE INDEX CONCURRENTLY open_executions_id ON meta.open_executions (execution_id)
WHERE claim_id IS NOT NULL;

COMMENT ON COLUMN meta.open_executions.in_order IS 'Whether it keeps others of its session waiting.';
COMMENT ON COLUMN meta.open_executions.claim_id IS
'The claim that took it out of the queue; null if it was never in the queue.';
COMMENT ON COLUMN meta.open_executions.cancel_requested_at IS 'When its cancel was requested; null if it was not.';

COMMENT ON COLUMN meta.open_executions.language_title IS
'The session''s, of an execution from the queue. So are the following columns, which are as in meta.queued_executions.';
COMMENT ON COLUMN meta.open_executions.ready_at IS 'Its place in the queue.';
COMMENT ON COLUMN meta.open_executions.start_until IS 'When the entry would have expired.';
COMMENT ON COLUMN meta.open_executions.kept_until IS 'How long its result will be kept.';
COMMENT ON COLUMN meta.open_executions.params IS 'JSON as it came.';
COMMENT ON COLUMN meta.open_executions.options IS 'What was asked for; null if all is as by default.';
COMMENT ON COLUMN meta.open_executions.key IS 'The idempotency key of the call; null if its caller gave none.';
COMMENT ON COLUMN meta.open_executions.payload_hash IS 'Of the call with the key.';

-- An execution that runs later enters this table when it ends, under a key of its own if its caller gave none. A key that
-- the caller gave is stored from the acceptance on, and gets the rest at the end.
ALTER TABLE meta.idempotency_keys
ADD COLUMN IF NOT EXISTS ready_at timestamptz,
ADD COLUMN IF NOT EXISTS start_until timestamptz,
ADD COLUMN IF NOT EXISTS params text,
ADD COLUMN IF NOT EXISTS options jsonb,
ADD COLUMN IF NOT EXISTS next_attempt uuid,
ADD COLUMN IF NOT EXISTS outcome text;

ALTER TABLE meta.idempotency_keys ALTER COLUMN params SET STATISTICS 0;

DROP INDEX CONCURRENTLY IF EXISTS meta.idempotency_keys_by_owner;
CREATE INDEX CONCURRENTLY idempotency_keys_by_owner ON meta.idempotency_keys (owner, winner)
WHERE outcome IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS meta.idempotency_keys_winner;
CREATE UNIQUE INDEX CONCURRENTLY idempotency_keys_winner ON meta.idempotency_keys (winner)
WHERE outcome IS NOT NULL;

COMMENT ON COLUMN meta.idempotency_keys.ready_at IS 'Place in the queue of a call that runs later; else null.';
COMMENT ON COLUMN meta.idempotency_keys.start_until IS
'When the entry of a call that runs later expires; null for a call whose caller waited.';
COMMENT ON COLUMN meta.idempotency_keys.params IS 'JSON as it came, of a call that has run later; else null.';
COMMENT ON COLUMN meta.idempotency_keys.options IS 'Of a call that runs later, as in meta.queued_executions.';
COMMENT ON COLUMN meta.idempotency_keys.next_attempt IS 'The execution that was accepted when this one ended.';
COMMENT ON COLUMN meta.idempotency_keys.outcome IS 'How a call that runs later has ended; null until then.';

-- The history is counted in the order of ids. An execution that was accepted to run later may end long after its id.
CREATE TABLE IF NOT EXISTS meta.usage_additions (
    addition_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    owner text NOT NULL,
    day date NOT NULL,
    executions bigint NOT NULL,
    failed bigint NOT NULL,
    unknown bigint NOT NULL,
    execution_time_ms double precision NOT NULL,
    cpu_time_ms double precision NOT NULL
) WITH (
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_insert_scale_factor = 1
);

COMMENT ON TABLE meta.usage_additions IS
'What executions that were accepted to run later have used, until meta.usage contains it: a row for each owner and day of '
'a statement that has recorded ends.';
COMMENT ON COLUMN meta.usage_additions.addition_id IS 'Random; a statement that is repeated adds nothing.';
COMMENT ON COLUMN meta.usage_additions.owner IS 'The owner of the sessions when the executions ended.';
COMMENT ON COLUMN meta.usage_additions.day IS 'The day in UTC on which they ended.';
COMMENT ON COLUMN meta.usage_additions.executions IS 'How many have ended.';
COMMENT ON COLUMN meta.usage_additions.failed IS 'How many of them failed.';
COMMENT ON COLUMN meta.usage_additions.unknown IS 'Of how many the end was not recorded.';
COMMENT ON COLUMN meta.usage_additions.execution_time_ms IS 'Their wall time.';
COMMENT ON COLUMN meta.usage_additions.cpu_time_ms IS 'Their processor time, as far as runtimes report it.';

-- The constraint is checked for new rows only: a scan of the table would block the calls.
ALTER TABLE meta.executions
DROP CONSTRAINT IF EXISTS executions_outcome_check,
ADD COLUMN IF NOT EXISTS attempt smallint,
ADD CONSTRAINT executions_outcome_check
CHECK (outcome IN ('succeeded', 'failed', 'cancelled', 'expired', 'unknown')) NOT VALID;

COMMENT ON COLUMN meta.executions.outcome IS
'How it ended; unknown when its end was not recorded by its deadline. Cancelled and expired ones may not have begun.';
COMMENT ON COLUMN meta.executions.attempt IS 'From 1, of an execution that was accepted to run later; else null.';
