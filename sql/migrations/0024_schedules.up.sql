-- works beside 0016
-- Executions that are accepted at times of a plan. Firing moves `next_at` in the statement that accepts the execution, so
-- each due time fires once, whatever number of controllers there is.
CREATE TABLE meta.schedules (
    schedule_id uuid PRIMARY KEY,
    owner text NOT NULL,
    name text NOT NULL,
    session_id uuid,
    function_name text,
    params text NOT NULL CHECK (octet_length(params) <= 65536),
    cron text,
    zone text,
    interval_s integer,
    run_at timestamptz,
    jitter_s integer NOT NULL,
    catch_up text NOT NULL CHECK (catch_up IN ('skip', 'once', 'all')),
    overlap text NOT NULL CHECK (overlap IN ('skip', 'queue', 'allow')),
    expires_in interval NOT NULL,
    options jsonb NOT NULL,
    anchor_at timestamptz NOT NULL,
    settled_at timestamptz NOT NULL,
    next_at timestamptz,
    paused boolean NOT NULL DEFAULT FALSE,
    end_reason text,
    last_execution_id uuid,
    version bigint NOT NULL DEFAULT 1,
    key text CHECK (octet_length(key) BETWEEN 1 AND 255),
    payload_hash bytea CHECK (octet_length(payload_hash) = 32),
    CHECK (num_nonnulls(session_id, function_name) = 1),
    CHECK (num_nonnulls(cron, interval_s, run_at) = 1 AND num_nonnulls(cron, zone) IN (0, 2))
) WITH (
    -- Each firing updates a row.
    fillfactor = 70,
    autovacuum_vacuum_scale_factor = 0.1
);

ALTER TABLE meta.schedules ALTER COLUMN params SET STATISTICS 0;

CREATE INDEX schedules_due ON meta.schedules (next_at) WHERE next_at IS NOT NULL AND NOT paused;
CREATE INDEX schedules_by_owner ON meta.schedules (owner, schedule_id);
CREATE UNIQUE INDEX schedules_by_key ON meta.schedules (owner, key) WHERE key IS NOT NULL;
CREATE INDEX schedules_by_session ON meta.schedules (session_id) WHERE session_id IS NOT NULL;

COMMENT ON TABLE meta.schedules IS 'Executions that are accepted at times of a plan.';
COMMENT ON COLUMN meta.schedules.schedule_id IS 'UUIDv7; the time in it is when it was created.';
COMMENT ON COLUMN meta.schedules.owner IS 'The owner, to whom the executions belong.';
COMMENT ON COLUMN meta.schedules.name IS 'A text of the owner.';
COMMENT ON COLUMN meta.schedules.session_id IS 'The session that it executes; null if it calls a function.';
COMMENT ON COLUMN meta.schedules.function_name IS 'The function that it calls by name; null if it executes a session.';
COMMENT ON COLUMN meta.schedules.params IS 'JSON as it came, for each execution.';
COMMENT ON COLUMN meta.schedules.cron IS 'An expression with five fields, matched with the local time of the zone.';
COMMENT ON COLUMN meta.schedules.zone IS 'A name of the IANA database.';
COMMENT ON COLUMN meta.schedules.interval_s IS 'Seconds between due times, counted from anchor_at.';
COMMENT ON COLUMN meta.schedules.run_at IS 'The only due time.';
COMMENT ON COLUMN meta.schedules.jitter_s IS 'A part of it, which follows from the id, is added to each due time.';
COMMENT ON COLUMN meta.schedules.catch_up IS 'What becomes of due times that no controller has settled in time.';
COMMENT ON COLUMN meta.schedules.overlap IS 'What becomes of a due time while the execution before is under way.';
COMMENT ON COLUMN meta.schedules.expires_in IS 'Within which an execution must start.';
COMMENT ON COLUMN meta.schedules.options IS 'How each execution is run.';
COMMENT ON COLUMN meta.schedules.anchor_at IS 'When the present timing was set.';
COMMENT ON COLUMN meta.schedules.settled_at IS 'All due times up to it are settled.';
COMMENT ON COLUMN meta.schedules.next_at IS 'The first due time that is not settled; null if there is none.';
COMMENT ON COLUMN meta.schedules.paused IS 'Whether its owner has paused it.';
COMMENT ON COLUMN meta.schedules.end_reason IS 'Why it is never due again; null if only its timing says so.';
COMMENT ON COLUMN meta.schedules.last_execution_id IS 'The newest execution that a due time has started.';
COMMENT ON COLUMN meta.schedules.version IS 'Counts the changes of its owner.';
COMMENT ON COLUMN meta.schedules.key IS 'The idempotency key of the call that has created it; null without one.';
COMMENT ON COLUMN meta.schedules.payload_hash IS 'SHA-256 of what that call was sent with, as canonical JSON.';

CREATE TABLE meta.schedule_firings (
    -- A statement that removes a schedule does not see firings that another one is adding. The cascade does.
    schedule_id uuid NOT NULL REFERENCES meta.schedules ON DELETE CASCADE,
    due_at timestamptz NOT NULL,
    last_due_at timestamptz NOT NULL,
    due_times integer NOT NULL,
    state text NOT NULL CHECK (state IN ('fired', 'missed', 'skipped')),
    settled_at timestamptz NOT NULL,
    reason text,
    execution_id uuid,
    manual boolean NOT NULL,
    PRIMARY KEY (schedule_id, due_at, manual)
) WITH (
    autovacuum_vacuum_scale_factor = 0.1,
    autovacuum_vacuum_insert_scale_factor = 0.2
);

COMMENT ON TABLE meta.schedule_firings IS 'What became of due times: the newest 200 of each schedule.';
COMMENT ON COLUMN meta.schedule_firings.schedule_id IS 'The schedule.';
COMMENT ON COLUMN meta.schedule_firings.due_at IS 'The due time, or the first of several that were missed together.';
COMMENT ON COLUMN meta.schedule_firings.last_due_at IS 'The last of them.';
COMMENT ON COLUMN meta.schedule_firings.due_times IS 'How many they are.';
COMMENT ON COLUMN meta.schedule_firings.state IS 'Whether it fired.';
COMMENT ON COLUMN meta.schedule_firings.settled_at IS 'When that was decided.';
COMMENT ON COLUMN meta.schedule_firings.reason IS 'Why it did not fire: late, overlap, paused, changed or an error code.';
COMMENT ON COLUMN meta.schedule_firings.execution_id IS 'The execution that was accepted.';
COMMENT ON COLUMN meta.schedule_firings.manual IS 'Whether a call has started it, without a due time.';
