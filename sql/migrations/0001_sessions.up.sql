CREATE TABLE meta.sessions (
    request_id uuid PRIMARY KEY,
    owner text NOT NULL,
    language text NOT NULL CHECK (language IN ('nodejs', 'python')),
    title text NOT NULL CHECK (title <> ''),
    script_hash text CHECK (script_hash ~ '^[0-9a-f]{64}$'),
    timeout_ms integer NOT NULL CHECK (timeout_ms > 0),
    memory_mb integer NOT NULL CHECK (memory_mb > 0),
    isolation text NOT NULL CHECK (isolation IN ('session', 'process')),
    renewal text NOT NULL CHECK (renewal IN ('fixed', 'sliding')),
    ttl_seconds integer NOT NULL CHECK (ttl_seconds > 0),
    expires_at timestamptz NOT NULL,
    expires_max_at timestamptz NOT NULL,
    closed_at timestamptz,
    last_executed_at timestamptz,
    execution_count bigint NOT NULL DEFAULT 0 CHECK (execution_count >= 0),
    version bigint NOT NULL DEFAULT 1 CHECK (version >= 1),
    context jsonb NOT NULL CHECK (jsonb_typeof(context) = 'object'),
    metadata jsonb NOT NULL CHECK (jsonb_typeof(metadata) = 'object'),
    script text,
    CHECK (expires_at <= expires_max_at),
    CHECK ((script IS NULL) = (script_hash IS NULL))
) WITH (
    -- An execution rewrites a row without touching an index: with room on the page that stays within the page.
    fillfactor = 80,
    -- Values that leave the row are not copied by such a rewrite.
    toast_tuple_target = 512,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_analyze_scale_factor = 0.05,
    autovacuum_vacuum_insert_scale_factor = 0.1
);

-- Written once and read whole: compressing it costs more than the disk it saves.
ALTER TABLE meta.sessions ALTER COLUMN script SET STORAGE EXTERNAL;
ALTER TABLE meta.sessions ALTER COLUMN script SET STATISTICS 0;
ALTER TABLE meta.sessions ALTER COLUMN context SET STATISTICS 0;
ALTER TABLE meta.sessions ALTER COLUMN metadata SET STATISTICS 0;

CREATE INDEX sessions_by_owner ON meta.sessions (owner, request_id);
CREATE INDEX sessions_by_expiry ON meta.sessions (expires_at);

COMMENT ON TABLE meta.sessions IS
'Scripts with their context, each until it expires or is closed. '
'Status is derived: closed when closed_at is set, else active while the instant of judging is before expires_at, '
'else expired.';
COMMENT ON COLUMN meta.sessions.request_id IS 'UUIDv7; the time in it is when the session was made.';
COMMENT ON COLUMN meta.sessions.owner IS 'Who may see the session; "anonymous" while authentication is off.';
COMMENT ON COLUMN meta.sessions.language IS 'First part of the canonical language-title.';
COMMENT ON COLUMN meta.sessions.title IS 'Second part of the canonical language-title.';
COMMENT ON COLUMN meta.sessions.script_hash IS
'SHA-256 of the script in UTF-8, hexadecimal; null once the session has been emptied.';
COMMENT ON COLUMN meta.sessions.timeout_ms IS 'Wall time that one execution may take.';
COMMENT ON COLUMN meta.sessions.memory_mb IS 'Memory that one execution may use, in MiB.';
COMMENT ON COLUMN meta.sessions.isolation IS 'How long a worker lives: as long as the session, or for one execution.';
COMMENT ON COLUMN meta.sessions.renewal IS 'Whether an execution prolongs the session.';
COMMENT ON COLUMN meta.sessions.ttl_seconds IS 'Length of the session, counted from its making or from a renewal.';
COMMENT ON COLUMN meta.sessions.expires_at IS 'First instant at which the session is no longer live; never moves back.';
COMMENT ON COLUMN meta.sessions.expires_max_at IS 'What expires_at never passes.';
COMMENT ON COLUMN meta.sessions.closed_at IS 'When its owner closed the session while it was live.';
COMMENT ON COLUMN meta.sessions.last_executed_at IS 'When the latest counted execution ended.';
COMMENT ON COLUMN meta.sessions.execution_count IS 'Executions that reached a worker and ended, failed ones included.';
COMMENT ON COLUMN meta.sessions.version IS
'Moves with context, metadata, lifetime settings and closing; never with counts or automatic renewal.';
COMMENT ON COLUMN meta.sessions.context IS 'What every execution is given.';
COMMENT ON COLUMN meta.sessions.metadata IS 'What the owner notes about the session.';
COMMENT ON COLUMN meta.sessions.script IS 'Source text; null once the session has been emptied.';
