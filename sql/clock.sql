-- The one statement that tells time; all others are given theirs.
-- Format: see sessions.sql.

-- name: select_clock()
SELECT clock_timestamp();
