-- lock
LOCK TABLE meta.sessions IN ACCESS EXCLUSIVE MODE;

-- destroys hidden-marks
-- Sessions stay.
SELECT count(*) AS hidden_marks FROM meta.sessions AS s WHERE s.hidden;

-- statements
-- Hidden sessions become ordinary ones, which lists show and quotas count.
DROP INDEX meta.sessions_by_call;
ALTER TABLE meta.sessions DROP COLUMN hidden;
