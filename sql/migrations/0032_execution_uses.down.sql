-- lock
LOCK TABLE meta.execution_uses IN ACCESS EXCLUSIVE MODE;

-- destroys execution-uses
SELECT (SELECT count(*) FROM meta.execution_uses) AS execution_uses;

-- statements
-- The function empty_slot stays: it serves controllers of every release.
DROP TABLE meta.execution_uses;
