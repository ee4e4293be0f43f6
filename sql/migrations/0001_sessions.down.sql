-- lock
LOCK TABLE meta.sessions IN ACCESS EXCLUSIVE MODE;

-- destroys sessions
SELECT count(*) AS sessions FROM meta.sessions;

-- way back
DROP TABLE meta.sessions;
