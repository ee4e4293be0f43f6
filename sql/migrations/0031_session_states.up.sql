-- works beside 0016
-- The states of sessions that have one. A session that was never written has no row.
CREATE TABLE meta.session_states (
    request_id uuid PRIMARY KEY,
    version bigint NOT NULL,
    state text NOT NULL,
    writer uuid,
    writer_until timestamptz,
    updated_at timestamptz NOT NULL
) WITH (
    -- A row changes twice in each execution, in columns without an index, so its next version finds room in the same page.
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000
);

-- Compressing a large state would take longer than writing it, twice in each execution.
ALTER TABLE meta.session_states ALTER COLUMN state SET STORAGE EXTERNAL, ALTER COLUMN state SET STATISTICS 0;

COMMENT ON TABLE meta.session_states IS 'The states of sessions: JSON objects that their executions read and write.';
COMMENT ON COLUMN meta.session_states.request_id IS 'The session.';
COMMENT ON COLUMN meta.session_states.version IS 'How often the state was saved; 0 before the first time.';
COMMENT ON COLUMN meta.session_states.state IS 'A JSON object.';
COMMENT ON COLUMN meta.session_states.writer IS
'The execution that holds the slot, or held it last: it does while it has an open record, until writer_until.';
COMMENT ON COLUMN meta.session_states.writer_until IS 'The deadline of the writer, from which on it reads as unknown.';
COMMENT ON COLUMN meta.session_states.updated_at IS 'When the state was saved last.';
