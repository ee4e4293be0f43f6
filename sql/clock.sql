-- The only statement that reads the time; callers pass the time to all others.
-- sessions.sql describes the format.

-- name: select_clock()
SELECT clock_timestamp();
