-- lock
LOCK TABLE meta.sessions, meta.functions, meta.function_versions IN ACCESS EXCLUSIVE MODE;

-- destroys functions
-- Functions that came with the schema and are as they came do not count: the way up installs them again. The instant in
-- their rows is known. The query also runs on the schemas of later migrations, before these are reverted.
SELECT
    (
        SELECT count(*) FROM meta.functions AS f
        WHERE
            f.version > 1
            OR f.deactivated_at IS NOT NULL
            OR f.created_at <> '2026-01-01T00:00:00Z'
    ) AS functions,
    (SELECT count(*) FROM meta.function_versions AS v WHERE v.type <> 'predefined') AS versions,
    (SELECT count(*) FROM meta.sessions AS s WHERE s.function_version IS NOT NULL) AS session_pins;

-- statements
-- Sessions keep the scripts that they were pinned to, and lose the schema.
ALTER TABLE meta.sessions DROP COLUMN function_version;
DROP TABLE meta.function_versions;
DROP TABLE meta.functions;
