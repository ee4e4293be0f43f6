-- works beside 0016
-- Calls that the front has passed on, to be run in the sandbox. They are payloads of callers and needed for hours only:
-- without a log they reach neither standbys nor base backups nor archives, and a crash of the server loses them.
CREATE UNLOGGED TABLE meta.recorded_calls (
    call_id uuid PRIMARY KEY,
    request_id uuid NOT NULL,
    owner text NOT NULL,
    script_hash text NOT NULL,
    params text NOT NULL,
    result text,
    size_bytes integer NOT NULL,
    judgement text
);

ALTER TABLE meta.recorded_calls ALTER COLUMN params SET STORAGE EXTERNAL;
ALTER TABLE meta.recorded_calls ALTER COLUMN result SET STORAGE EXTERNAL;
ALTER TABLE meta.recorded_calls ALTER COLUMN params SET STATISTICS 0;
ALTER TABLE meta.recorded_calls ALTER COLUMN result SET STATISTICS 0;

COMMENT ON TABLE meta.recorded_calls IS
'A sample of the executions that were passed on to the origin, for `takeover rehearse`. Removed after 24 h.';
COMMENT ON COLUMN meta.recorded_calls.call_id IS 'UUIDv7; the time in it is when the origin had replied.';
COMMENT ON COLUMN meta.recorded_calls.request_id IS 'The session, whose copy is in meta.inbound_sessions.';
COMMENT ON COLUMN meta.recorded_calls.owner IS 'The owner of the copy.';
COMMENT ON COLUMN meta.recorded_calls.script_hash IS 'SHA-256 of the script; the number of calls is bounded for each.';
COMMENT ON COLUMN meta.recorded_calls.params IS 'JSON as the caller sent it.';
COMMENT ON COLUMN meta.recorded_calls.result IS 'JSON as the origin sent it; null if the execution failed there.';
COMMENT ON COLUMN meta.recorded_calls.size_bytes IS 'Of params and result.';
COMMENT ON COLUMN meta.recorded_calls.judgement IS
'How the call ended in the sandbox, without its payload: a JSON object; null until it was run.';

CREATE TABLE meta.recording (
    only_row boolean PRIMARY KEY DEFAULT TRUE CHECK (only_row),
    recording_until timestamptz NOT NULL,
    uncopied bigint NOT NULL DEFAULT 0,
    too_large bigint NOT NULL DEFAULT 0,
    unreadable bigint NOT NULL DEFAULT 0
);

COMMENT ON TABLE meta.recording IS 'One row: whether fronts record calls, and what could not be recorded.';
COMMENT ON COLUMN meta.recording.recording_until IS 'Fronts record calls before this instant.';
COMMENT ON COLUMN meta.recording.uncopied IS 'Sampled calls of sessions that were not copied, or have no script.';
COMMENT ON COLUMN meta.recording.too_large IS 'Sampled calls whose request or reply was too large.';
COMMENT ON COLUMN meta.recording.unreadable IS 'Sampled calls whose request or reply could not be read.';
