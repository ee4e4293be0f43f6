-- A call of a function by its name runs in a hidden session, one for each owner and version.
ALTER TABLE meta.sessions ADD COLUMN hidden boolean NOT NULL DEFAULT FALSE;
CREATE UNIQUE INDEX sessions_by_call ON meta.sessions (owner, function_id, function_version)
WHERE hidden AND script_hash IS NOT NULL;

COMMENT ON COLUMN meta.sessions.hidden IS
'Whether the session serves the calls of a function by its name; then no list shows it, and no quota of sessions counts it.';
