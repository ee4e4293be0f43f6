-- lock
LOCK TABLE meta.recorded_calls, meta.recording IN ACCESS EXCLUSIVE MODE;

-- destroys recorded-calls
SELECT
    (SELECT count(*) FROM meta.recorded_calls) AS recorded_calls,
    (SELECT count(*) FROM meta.recording) AS recordings;

-- statements
DROP TABLE meta.recorded_calls;
DROP TABLE meta.recording;
