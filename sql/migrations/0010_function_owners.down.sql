-- lock
LOCK TABLE meta.sessions, meta.functions, meta.function_versions IN ACCESS EXCLUSIVE MODE;

-- destroys owned-functions
-- Shared functions stay. Sessions that are pinned to a function of another owner keep its script, and lose the schema.
SELECT
    (SELECT count(*) FROM meta.functions AS f WHERE f.owner <> 'shared') AS owned_functions,
    (
        SELECT count(*) FROM meta.function_versions AS v
        INNER JOIN meta.functions AS f ON v.function_id = f.function_id
        WHERE f.owner <> 'shared'
    ) AS versions,
    (
        SELECT count(*) FROM meta.sessions AS s
        INNER JOIN meta.functions AS f ON s.function_id = f.function_id
        WHERE f.owner <> 'shared'
    ) AS session_pins;

-- destroys function-authors
SELECT count(v.author) AS function_authors
FROM meta.function_versions AS v
INNER JOIN meta.functions AS f ON v.function_id = f.function_id
WHERE f.owner = 'shared';

-- statements
DELETE FROM meta.function_versions AS v
USING meta.functions AS f
WHERE v.function_id = f.function_id AND f.owner <> 'shared';
UPDATE meta.sessions AS s
SET function_version = NULL
FROM meta.functions AS f
WHERE s.function_id = f.function_id AND f.owner <> 'shared';
DELETE FROM meta.functions AS f WHERE f.owner <> 'shared';

ALTER TABLE meta.sessions DROP COLUMN function_id;

ALTER TABLE meta.function_versions ADD COLUMN language text;
ALTER TABLE meta.function_versions ADD COLUMN title text;
UPDATE meta.function_versions AS v
SET language = f.language, title = f.title
FROM meta.functions AS f
WHERE v.function_id = f.function_id;
ALTER TABLE meta.function_versions DROP CONSTRAINT function_versions_pkey;
ALTER TABLE meta.function_versions DROP COLUMN function_id;
ALTER TABLE meta.function_versions DROP COLUMN author;
ALTER TABLE meta.function_versions ALTER COLUMN registered_at DROP NOT NULL;
ALTER TABLE meta.function_versions ADD CONSTRAINT function_versions_pkey PRIMARY KEY (language, title, version);
ALTER TABLE meta.function_versions ALTER COLUMN language SET NOT NULL;
ALTER TABLE meta.function_versions ALTER COLUMN title SET NOT NULL;

DROP INDEX meta.functions_by_name;
ALTER TABLE meta.functions DROP CONSTRAINT functions_pkey;
ALTER TABLE meta.functions DROP COLUMN function_id;
ALTER TABLE meta.functions DROP COLUMN owner;
ALTER TABLE meta.functions ADD CONSTRAINT functions_pkey PRIMARY KEY (language, title);
