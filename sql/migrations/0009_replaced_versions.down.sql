-- lock
LOCK TABLE meta.function_versions IN ACCESS EXCLUSIVE MODE;

-- destroys registration-times
SELECT count(v.registered_at) AS registration_times FROM meta.function_versions AS v;

-- statements
ALTER TABLE meta.function_versions DROP COLUMN registered_at;
