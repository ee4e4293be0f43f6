-- lock
LOCK TABLE meta.sessions, meta.functions, meta.function_versions IN ACCESS EXCLUSIVE MODE;

-- destroys functions
-- Functions that came with the schema and are as they came do not count: the way up installs them again.
SELECT
    (
        SELECT count(*) FROM meta.functions AS f
        WHERE
            f.version > 1
            OR f.deactivated_at IS NOT NULL
            OR NOT EXISTS (
                SELECT FROM meta.function_versions AS v
                WHERE v.language = f.language AND v.title = f.title AND v.type = 'predefined'
            )
    ) AS functions,
    (SELECT count(*) FROM meta.function_versions AS v WHERE v.type <> 'predefined') AS versions,
    (SELECT count(*) FROM meta.sessions AS s WHERE s.function_version IS NOT NULL) AS session_pins;

-- statements
-- Sessions keep the scripts that they were pinned to, and lose the schema.
ALTER TABLE meta.sessions DROP COLUMN function_version;
DROP TABLE meta.function_versions;
DROP TABLE meta.functions;
