-- lock
LOCK TABLE meta.live_output IN ACCESS EXCLUSIVE MODE;

-- destroys live-output
-- The records of executions have the output at their ends: readers at other controllers wait for it.
SELECT (SELECT count(*) FROM meta.live_output) AS live_parts;

-- statements
DROP TABLE meta.live_output;
