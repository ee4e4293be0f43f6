-- lock
LOCK TABLE meta.functions, meta.function_versions IN ACCESS EXCLUSIVE MODE;

-- destroys foreign-functions
-- The release before would call these scripts in its own way, with other results. So a function goes whose current
-- version has another convention, and of any other function the versions that have.
SELECT
    (
        SELECT count(*) FROM meta.functions AS f
        INNER JOIN meta.function_versions AS v ON f.function_id = v.function_id AND f.version = v.version
        WHERE v.convention <> 'own'
    ) AS foreign_functions,
    (SELECT count(*) FROM meta.function_versions AS v WHERE v.convention <> 'own') AS foreign_versions;

-- statements
DELETE FROM meta.functions AS f
USING meta.function_versions AS v
WHERE f.function_id = v.function_id AND f.version = v.version AND v.convention <> 'own';
DELETE FROM meta.function_versions AS v
WHERE v.convention <> 'own' OR NOT EXISTS (SELECT FROM meta.functions AS f WHERE f.function_id = v.function_id);

ALTER TABLE meta.function_versions DROP COLUMN convention;
