-- lock
LOCK TABLE meta.functions, meta.function_versions IN ACCESS EXCLUSIVE MODE;

-- destroys granted-functions
-- The release before would run these scripts without what they were granted, with other results. So a function goes
-- whose current version has grants, and of any other function the versions that have.
SELECT
    (
        SELECT count(*) FROM meta.functions AS f
        INNER JOIN meta.function_versions AS v ON f.function_id = v.function_id AND f.version = v.version
        WHERE v.grants IS NOT NULL
    ) AS granted_functions,
    (SELECT count(*) FROM meta.function_versions AS v WHERE v.grants IS NOT NULL) AS granted_versions;

-- statements
DELETE FROM meta.functions AS f
USING meta.function_versions AS v
WHERE f.function_id = v.function_id AND f.version = v.version AND v.grants IS NOT NULL;
DELETE FROM meta.function_versions AS v
WHERE v.grants IS NOT NULL OR NOT EXISTS (SELECT FROM meta.functions AS f WHERE f.function_id = v.function_id);

ALTER TABLE meta.function_versions DROP COLUMN grants;
