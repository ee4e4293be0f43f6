CREATE TABLE meta.open_executions (
    request_id uuid NOT NULL,
    execution_id uuid NOT NULL,
    owner text NOT NULL,
    slot smallint NOT NULL CHECK (slot BETWEEN 0 AND 31),
    deadline_at timestamptz NOT NULL,
    PRIMARY KEY (request_id, execution_id)
) WITH (
    -- Rows live for the length of an execution.
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_insert_scale_factor = 1
);

COMMENT ON TABLE meta.open_executions IS
'Executions that were begun and whose end is not recorded. '
'Removing the row is what entitles to count the execution, so each counts once.';
COMMENT ON COLUMN meta.open_executions.request_id IS 'The session.';
COMMENT ON COLUMN meta.open_executions.execution_id IS 'UUIDv7; the time in it is the instant of admission.';
COMMENT ON COLUMN meta.open_executions.owner IS 'The session''s owner.';
COMMENT ON COLUMN meta.open_executions.slot IS 'Where its row in the history belongs.';
COMMENT ON COLUMN meta.open_executions.deadline_at IS 'From here on the outcome reads as unknown.';

-- The history is a ring of 32 days: each day has a slot, which is emptied as a whole before its turn comes again.
CREATE TABLE meta.executions (
    slot smallint NOT NULL,
    request_id uuid NOT NULL,
    execution_id uuid NOT NULL,
    owner text NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('succeeded', 'failed', 'unknown')),
    execution_count bigint,
    execution_time_ms double precision,
    cpu_time_ms double precision,
    memory_usage_bytes bigint,
    cold_start boolean,
    params text,
    params_length integer,
    result text,
    result_length integer,
    error text,
    error_length integer,
    stdout text,
    stdout_length integer,
    stderr text,
    stderr_length integer,
    PRIMARY KEY (slot, request_id, execution_id)
) PARTITION BY LIST (slot);

ALTER TABLE meta.executions ALTER COLUMN params SET STATISTICS 0;
ALTER TABLE meta.executions ALTER COLUMN result SET STATISTICS 0;
ALTER TABLE meta.executions ALTER COLUMN error SET STATISTICS 0;
ALTER TABLE meta.executions ALTER COLUMN stdout SET STATISTICS 0;
ALTER TABLE meta.executions ALTER COLUMN stderr SET STATISTICS 0;

COMMENT ON TABLE meta.executions IS 'The history: executions that have ended, or whose end nobody recorded in time.';
COMMENT ON COLUMN meta.executions.slot IS 'Day in UTC since 1970-01-01 of the time in execution_id, modulo 32.';
COMMENT ON COLUMN meta.executions.request_id IS 'The session.';
COMMENT ON COLUMN meta.executions.execution_id IS 'UUIDv7; the time in it is the instant of admission.';
COMMENT ON COLUMN meta.executions.owner IS 'The session''s owner.';
COMMENT ON COLUMN meta.executions.outcome IS 'How it ended; unknown when its end was not recorded by its deadline.';
COMMENT ON COLUMN meta.executions.execution_count IS 'The session''s count with this execution; null when not counted.';
COMMENT ON COLUMN meta.executions.execution_time_ms IS 'Wall time, measured outside the script.';
COMMENT ON COLUMN meta.executions.cpu_time_ms IS 'Processor time; null where the runtime does not tell.';
COMMENT ON COLUMN meta.executions.memory_usage_bytes IS 'Most memory in use; null where the runtime does not tell.';
COMMENT ON COLUMN meta.executions.cold_start IS
'Whether a worker had to be prepared; null where the runtime does not tell.';
COMMENT ON COLUMN meta.executions.params IS 'Beginning of the parameters, JSON as it came.';
COMMENT ON COLUMN meta.executions.params_length IS 'Characters of the whole.';
COMMENT ON COLUMN meta.executions.result IS 'Beginning of the result, JSON as it came; null when the script failed.';
COMMENT ON COLUMN meta.executions.result_length IS 'Characters of the whole.';
COMMENT ON COLUMN meta.executions.error IS 'Beginning of the failure, JSON; null when the script succeeded.';
COMMENT ON COLUMN meta.executions.error_length IS 'Characters of the whole.';
COMMENT ON COLUMN meta.executions.stdout IS 'Beginning of what the script printed.';
COMMENT ON COLUMN meta.executions.stdout_length IS 'Characters of the whole.';
COMMENT ON COLUMN meta.executions.stderr IS 'Beginning of what the script printed as errors.';
COMMENT ON COLUMN meta.executions.stderr_length IS 'Characters of the whole.';

CREATE TABLE meta.executions_00 PARTITION OF meta.executions FOR VALUES IN (0);
CREATE TABLE meta.executions_01 PARTITION OF meta.executions FOR VALUES IN (1);
CREATE TABLE meta.executions_02 PARTITION OF meta.executions FOR VALUES IN (2);
CREATE TABLE meta.executions_03 PARTITION OF meta.executions FOR VALUES IN (3);
CREATE TABLE meta.executions_04 PARTITION OF meta.executions FOR VALUES IN (4);
CREATE TABLE meta.executions_05 PARTITION OF meta.executions FOR VALUES IN (5);
CREATE TABLE meta.executions_06 PARTITION OF meta.executions FOR VALUES IN (6);
CREATE TABLE meta.executions_07 PARTITION OF meta.executions FOR VALUES IN (7);
CREATE TABLE meta.executions_08 PARTITION OF meta.executions FOR VALUES IN (8);
CREATE TABLE meta.executions_09 PARTITION OF meta.executions FOR VALUES IN (9);
CREATE TABLE meta.executions_10 PARTITION OF meta.executions FOR VALUES IN (10);
CREATE TABLE meta.executions_11 PARTITION OF meta.executions FOR VALUES IN (11);
CREATE TABLE meta.executions_12 PARTITION OF meta.executions FOR VALUES IN (12);
CREATE TABLE meta.executions_13 PARTITION OF meta.executions FOR VALUES IN (13);
CREATE TABLE meta.executions_14 PARTITION OF meta.executions FOR VALUES IN (14);
CREATE TABLE meta.executions_15 PARTITION OF meta.executions FOR VALUES IN (15);
CREATE TABLE meta.executions_16 PARTITION OF meta.executions FOR VALUES IN (16);
CREATE TABLE meta.executions_17 PARTITION OF meta.executions FOR VALUES IN (17);
CREATE TABLE meta.executions_18 PARTITION OF meta.executions FOR VALUES IN (18);
CREATE TABLE meta.executions_19 PARTITION OF meta.executions FOR VALUES IN (19);
CREATE TABLE meta.executions_20 PARTITION OF meta.executions FOR VALUES IN (20);
CREATE TABLE meta.executions_21 PARTITION OF meta.executions FOR VALUES IN (21);
CREATE TABLE meta.executions_22 PARTITION OF meta.executions FOR VALUES IN (22);
CREATE TABLE meta.executions_23 PARTITION OF meta.executions FOR VALUES IN (23);
CREATE TABLE meta.executions_24 PARTITION OF meta.executions FOR VALUES IN (24);
CREATE TABLE meta.executions_25 PARTITION OF meta.executions FOR VALUES IN (25);
CREATE TABLE meta.executions_26 PARTITION OF meta.executions FOR VALUES IN (26);
CREATE TABLE meta.executions_27 PARTITION OF meta.executions FOR VALUES IN (27);
CREATE TABLE meta.executions_28 PARTITION OF meta.executions FOR VALUES IN (28);
CREATE TABLE meta.executions_29 PARTITION OF meta.executions FOR VALUES IN (29);
CREATE TABLE meta.executions_30 PARTITION OF meta.executions FOR VALUES IN (30);
CREATE TABLE meta.executions_31 PARTITION OF meta.executions FOR VALUES IN (31);

CREATE FUNCTION meta.empty_slot(emptied smallint, kept_from uuid) RETURNS boolean
LANGUAGE plpgsql
-- Whoever waits for the table waits behind this, so it gives up soon; the next sweep tries again.
SET lock_timeout = '100ms'
AS $$
DECLARE
    partition text := format('meta.executions_%s', lpad(emptied::text, 2, '0'));
    first_kept boolean;
BEGIN
    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', partition);
    EXECUTE format('SELECT execution_id >= $1 FROM %s LIMIT 1', partition) INTO first_kept USING kept_from;
    IF first_kept IS NULL OR first_kept THEN
        RETURN false;
    END IF;
    EXECUTE format('TRUNCATE %s', partition);
    RETURN true;
END
$$;

COMMENT ON FUNCTION meta.empty_slot IS
'Empties a slot of the history, unless its first row is kept_from or newer; tells whether it did. '
'The caller knows that the slot''s day is past retention; the row is looked at again under the lock, '
'lest a caller that was held up empties the next day''s.';
