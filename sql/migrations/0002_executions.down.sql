-- lock
LOCK TABLE meta.open_executions, meta.executions IN ACCESS EXCLUSIVE MODE;

-- destroys history
SELECT
    (SELECT count(*) FROM meta.executions) AS executions,
    (SELECT count(*) FROM meta.open_executions) AS open_executions;

-- statements
DROP FUNCTION meta.empty_slot;
DROP TABLE meta.executions;
DROP TABLE meta.open_executions;
