-- lock
LOCK TABLE meta.clock IN ACCESS EXCLUSIVE MODE;

-- destroys clock-correction
-- The service then takes the clock of the server as it is: its time jumps by the correction.
SELECT (SELECT count(*) FROM meta.clock AS c WHERE c.correction_us <> 0) AS clock_corrections;

-- statements
DROP TABLE meta.clock;
