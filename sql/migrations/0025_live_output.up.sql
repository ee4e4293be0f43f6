-- works beside 0016
-- What running executions have written, for readers in other processes. Rows are dropped with the end, whose record has
-- everything. So the table is not logged: after a crash of the server it is empty, and readers wait for the end.
CREATE UNLOGGED TABLE meta.live_output (
    request_id uuid NOT NULL,
    execution_id uuid NOT NULL,
    part integer NOT NULL,
    stdout_from bigint NOT NULL,
    stdout text NOT NULL CHECK (octet_length(stdout) <= 65536),
    stderr_from bigint NOT NULL,
    stderr text NOT NULL CHECK (octet_length(stderr) <= 65536),
    progress_count integer NOT NULL,
    progress double precision,
    message text,
    kept_until timestamptz NOT NULL,
    PRIMARY KEY (request_id, execution_id, part)
) WITH (
    -- Rows live for as long as an execution runs.
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000,
    autovacuum_vacuum_insert_scale_factor = 1
);

ALTER TABLE meta.live_output ALTER COLUMN stdout SET STATISTICS 0, ALTER COLUMN stderr SET STATISTICS 0;

COMMENT ON TABLE meta.live_output IS 'What running executions have written, for readers in other processes.';
COMMENT ON COLUMN meta.live_output.request_id IS 'The session.';
COMMENT ON COLUMN meta.live_output.execution_id IS 'The execution, which has an open record.';
COMMENT ON COLUMN meta.live_output.part IS 'Parts follow each other without a gap, from 1.';
COMMENT ON COLUMN meta.live_output.stdout_from IS 'The bytes of stdout, as UTF-8, before this part.';
COMMENT ON COLUMN meta.live_output.stdout IS 'The text of stdout in this part.';
COMMENT ON COLUMN meta.live_output.stderr_from IS 'The bytes of stderr, as UTF-8, before this part.';
COMMENT ON COLUMN meta.live_output.stderr IS 'The text of stderr in this part.';
COMMENT ON COLUMN meta.live_output.progress_count IS 'How often the script had reported progress.';
COMMENT ON COLUMN meta.live_output.progress IS 'The newest progress, from 0 to 1; null if the script does not know.';
COMMENT ON COLUMN meta.live_output.message IS 'The message of the newest progress; null before the first one.';
COMMENT ON COLUMN meta.live_output.kept_until IS
'The deadline of the execution and an hour: when its controller has died, readers find what it stored until then.';
