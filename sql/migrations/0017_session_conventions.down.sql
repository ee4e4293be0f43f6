-- lock
LOCK TABLE meta.sessions IN ACCESS EXCLUSIVE MODE;

-- destroys foreign-sessions
-- The release before would call these scripts in its own way, with other results. So these sessions are emptied, as a
-- deletion by their owner does it. They stay, with their history, until their retention is over.
SELECT count(*) AS foreign_sessions
FROM meta.sessions AS s
WHERE s.convention <> 'own' AND s.script_hash IS NOT NULL;

-- destroys creation-times
SELECT count(*) AS creation_times FROM meta.sessions AS s WHERE s.created_at IS NOT NULL;

-- statements
UPDATE meta.sessions AS s
SET
    script = NULL,
    script_hash = NULL,
    context = '{}',
    metadata = '{}',
    version = s.version + 1,
    closed_at = coalesce(s.closed_at, s.last_executed_at, s.created_at, s.expires_at)
WHERE s.convention <> 'own' AND s.script_hash IS NOT NULL;

ALTER TABLE meta.sessions
DROP CONSTRAINT sessions_context_check,
DROP COLUMN convention,
DROP COLUMN created_at,
ADD CONSTRAINT sessions_context_check CHECK (context LIKE '{%') NOT VALID,
DROP CONSTRAINT sessions_script_hash_check,
ADD CONSTRAINT sessions_script_hash_check CHECK (script_hash ~ '^[0-9a-f]{64}$') NOT VALID;

COMMENT ON COLUMN meta.sessions.request_id IS 'UUIDv7, whose time is when the session was made.';
COMMENT ON COLUMN meta.sessions.context IS 'What every execution receives: a JSON object, as it was sent.';
