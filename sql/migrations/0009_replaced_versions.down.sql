-- lock
LOCK TABLE meta.function_versions IN ACCESS EXCLUSIVE MODE;

-- destroys registration-times
-- Those of versions that came with the schema are known: a later migration writes them again.
SELECT count(v.registered_at) AS registration_times FROM meta.function_versions AS v WHERE v.type <> 'predefined';

-- statements
ALTER TABLE meta.function_versions DROP COLUMN registered_at;
