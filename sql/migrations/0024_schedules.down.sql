-- lock
LOCK TABLE meta.schedules, meta.schedule_firings IN ACCESS EXCLUSIVE MODE;

-- destroys schedules
-- Executions that schedules have started stay.
SELECT
    (SELECT count(*) FROM meta.schedules) AS schedules,
    (SELECT count(*) FROM meta.schedule_firings) AS firings;

-- statements
DROP TABLE meta.schedule_firings;
DROP TABLE meta.schedules;
