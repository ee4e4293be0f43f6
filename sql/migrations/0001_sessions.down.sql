-- lock
LOCK TABLE meta.sessions IN ACCESS EXCLUSIVE MODE;

-- destroys sessions
SELECT count(*) AS sessions FROM meta.sessions;

-- statements
DROP TABLE meta.sessions;
