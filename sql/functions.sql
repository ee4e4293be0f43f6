-- Statements about functions; sessions.sql describes the format.

-- name: select_functions(languages, titles)
SELECT
    c.ordinal, f.language, f.title, v.script, v.script_hash, v.description, v.params_schema, v.result_schema,
    v.examples, v.tags, f.created_at, f.updated_at, f.version, v.type, f.deactivated_at
FROM unnest(:languages::text[], :titles::text[]) WITH ORDINALITY AS c (language, title, ordinal)
INNER JOIN meta.functions AS f ON c.language = f.language AND c.title = f.title
INNER JOIN meta.function_versions AS v
    ON f.language = v.language AND f.title = v.title AND f.version = v.version;

-- name: select_function_schemas(languages, titles, versions)
SELECT c.ordinal, v.params_schema, v.result_schema
FROM
    unnest(:languages::text[], :titles::text[], :versions::bigint[]) WITH ORDINALITY
        AS c (language, title, version, ordinal)
INNER JOIN meta.function_versions AS v
    ON c.language = v.language AND c.title = v.title AND c.version = v.version;

-- name: upsert_function(language, title, version_read, registered_read, version, type, created_at, updated_at, description, tags, script, script_hash, params_schema, result_schema, examples)
-- Compare and set by version and state. A first version is stored only if the function does not exist. A next version
-- is stored only if the function has not changed since it was read. A call that lost a race returns no row.
WITH named AS (
    INSERT INTO meta.functions AS f (language, title, version, created_at, updated_at)
    VALUES (
        :language::text, :title::text, :version::bigint, :created_at::timestamptz, :updated_at::timestamptz
    )
    ON CONFLICT (language, title) DO UPDATE
        SET version = excluded.version, updated_at = excluded.updated_at, deactivated_at = NULL
        WHERE f.version = :version_read::bigint AND (f.deactivated_at IS NULL) = :registered_read::boolean
    RETURNING f.language, f.title, f.version
)
INSERT INTO meta.function_versions (
    language, title, version, type, description, tags, script, script_hash, params_schema, result_schema, examples,
    registered_at
)
SELECT
    n.language, n.title, n.version, :type::text, :description::text, :tags::text[], :script::text,
    :script_hash::text, :params_schema::text, :result_schema::text, :examples::text, :updated_at::timestamptz
FROM named AS n
RETURNING version;

-- name: deactivate_function(language, title, version_read, deactivated_at)
-- Compare and set by version. A call that lost a race returns no row.
UPDATE meta.functions AS f SET deactivated_at = :deactivated_at::timestamptz
WHERE
    f.language = :language::text
    AND f.title = :title::text
    AND f.version = :version_read::bigint
    AND f.deactivated_at IS NULL
RETURNING f.version;

-- name: select_function_page(language, type, skipped, size)
-- `total` is the same in every row. A page without functions is one row with nulls beside it.
WITH matching AS (
    SELECT f.language, f.title, f.version, v.type, v.description, v.tags, f.created_at, f.updated_at
    FROM meta.functions AS f
    INNER JOIN meta.function_versions AS v
        ON f.language = v.language AND f.title = v.title AND f.version = v.version
    WHERE
        f.deactivated_at IS NULL
        AND (:language::text IS NULL OR f.language = :language::text)
        AND (:type::text IS NULL OR v.type = :type::text)
),
shown AS (
    SELECT m.* FROM matching AS m
    ORDER BY m.language, m.title
    LIMIT :size::bigint OFFSET :skipped::bigint
)
SELECT
    (SELECT count(*) FROM matching) AS total,
    s.language, s.title, s.version, s.type, s.description, s.tags, s.created_at, s.updated_at
FROM (SELECT 1) AS page
LEFT JOIN shown AS s ON TRUE
ORDER BY s.language, s.title;
