-- lock
LOCK TABLE meta.sessions IN ACCESS EXCLUSIVE MODE;

-- destroys granted-sessions
-- The release before would run these scripts without what they were granted, with other results. So these sessions are
-- emptied, as a deletion by their owner does it. They stay, with their history, until their retention is over.
SELECT count(*) AS granted_sessions
FROM meta.sessions AS s
WHERE s.grants IS NOT NULL AND s.script_hash IS NOT NULL;

-- statements
UPDATE meta.sessions AS s
SET
    script = NULL,
    script_hash = NULL,
    context = '{}',
    metadata = '{}',
    version = s.version + 1,
    closed_at = coalesce(s.closed_at, s.last_executed_at, s.created_at, s.expires_at)
WHERE s.grants IS NOT NULL AND s.script_hash IS NOT NULL;

ALTER TABLE meta.sessions DROP COLUMN grants;
