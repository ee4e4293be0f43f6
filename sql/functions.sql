-- Statements about functions; sessions.sql describes the format.

-- name: select_functions(owners, others, languages, titles, versions, versions_kept)
-- Finds the function of the owner, or else that of the other owner, at a version or at the current one. A registered
-- function comes before a deactivated one. Only the newest versions are found. For a version that is not among them,
-- the row has no version, and the versions that are.
WITH call AS (
    SELECT *
    FROM
        unnest(:owners::text[], :others::text[], :languages::text[], :titles::text[], :versions::bigint[])
        WITH ORDINALITY AS c (owner, other, language, title, version, ordinal)
),
found AS (
    SELECT
        c.ordinal, coalesce(c.version, f.version) AS version, f.version - :versions_kept::bigint AS left_version,
        f.function_id, f.owner, f.language, f.title, f.created_at, f.deactivated_at
    FROM call AS c
    CROSS JOIN LATERAL (
        SELECT f.function_id, f.owner, f.language, f.title, f.version, f.created_at, f.deactivated_at
        FROM meta.functions AS f
        WHERE f.owner IN (c.owner, c.other) AND f.language = c.language AND f.title = c.title
        ORDER BY f.deactivated_at IS NOT NULL, f.owner <> c.owner
        LIMIT 1
    ) AS f
)
SELECT
    f.ordinal, f.function_id, f.owner, f.language, f.title, f.created_at, f.deactivated_at, v.version, v.type,
    v.author, v.registered_at, v.script, v.script_hash, v.description, v.params_schema, v.result_schema, v.examples,
    v.tags, v.convention, v.grants,
    CASE
        WHEN v.version IS NULL THEN (
            SELECT array_agg(k.version ORDER BY k.version DESC)
            FROM meta.function_versions AS k
            WHERE k.function_id = f.function_id AND k.version > f.left_version
        )
    END AS kept
FROM found AS f
LEFT JOIN meta.function_versions AS v
    ON f.function_id = v.function_id AND f.version = v.version AND f.left_version < v.version;

-- name: select_callable_versions(owners, others, languages, titles, versions, versions_kept)
-- Finds versions as select_functions does, of registered functions only, and returns no definition.
SELECT c.ordinal, f.function_id, v.version
FROM
    unnest(:owners::text[], :others::text[], :languages::text[], :titles::text[], :versions::bigint[])
    WITH ORDINALITY AS c (owner, other, language, title, version, ordinal)
CROSS JOIN LATERAL (
    SELECT f.function_id, f.version
    FROM meta.functions AS f
    WHERE
        f.owner IN (c.owner, c.other)
        AND f.language = c.language
        AND f.title = c.title
        AND f.deactivated_at IS NULL
    ORDER BY f.owner <> c.owner
    LIMIT 1
) AS f
INNER JOIN meta.function_versions AS v
    ON f.function_id = v.function_id AND coalesce(c.version, f.version) = v.version
WHERE v.version > f.version - :versions_kept::bigint;

-- name: select_function_schemas(function_ids, versions)
SELECT c.ordinal, v.params_schema, v.result_schema
FROM unnest(:function_ids::uuid[], :versions::bigint[]) WITH ORDINALITY AS c (function_id, version, ordinal)
INNER JOIN meta.function_versions AS v ON c.function_id = v.function_id AND c.version = v.version;

-- name: select_function_versions(function_id, versions_kept)
-- The newest versions, the newest first.
SELECT v.version, v.type, v.author, v.registered_at, v.script_hash, v.description
FROM meta.functions AS f
INNER JOIN meta.function_versions AS v ON f.function_id = v.function_id
WHERE f.function_id = :function_id::uuid AND v.version > f.version - :versions_kept::bigint
ORDER BY v.version DESC;

-- name: upsert_function(function_id, owner, language, title, version_read, registered_read, version, type, author, created_at, updated_at, deactivated_at, description, tags, script, script_hash, params_schema, result_schema, examples, convention, grants, act_id, actor, origin, act)
-- Compare and set by owner, version and state. A first version, for which version_read is 0, is stored only if the
-- function does not exist. A next version is stored only if the function has not changed, and has not been moved to
-- another owner, since it was read. A call that lost a race returns no row.
WITH added AS (
    INSERT INTO meta.functions AS f (
        function_id, owner, language, title, version, created_at, updated_at, deactivated_at
    )
    SELECT
        :function_id::uuid, :owner::text, :language::text, :title::text, :version::bigint, :created_at::timestamptz,
        :updated_at::timestamptz, :deactivated_at::timestamptz
    WHERE :version_read::bigint = 0
    ON CONFLICT (owner, language, title) DO NOTHING
    RETURNING f.function_id, f.owner, f.language, f.title, f.version
),
replaced AS (
    UPDATE meta.functions AS f
    SET
        version = :version::bigint,
        updated_at = :updated_at::timestamptz,
        deactivated_at = :deactivated_at::timestamptz
    WHERE
        f.function_id = :function_id::uuid
        AND f.owner = :owner::text
        AND f.version = :version_read::bigint
        AND (f.deactivated_at IS NULL) = :registered_read::boolean
    RETURNING f.function_id, f.owner, f.language, f.title, f.version
),
named AS (
    SELECT a.function_id, a.owner, a.language, a.title, a.version FROM added AS a
    UNION ALL
    SELECT r.function_id, r.owner, r.language, r.title, r.version FROM replaced AS r
),
recorded AS (
    INSERT INTO meta.audit (act_id, actor, origin, act, owner, subject, details)
    SELECT
        :act_id::uuid, :actor::text, :origin::text, :act::text, n.owner, n.language || '-' || n.title,
        jsonb_build_object('version', n.version)
    FROM named AS n
)
INSERT INTO meta.function_versions (
    function_id, version, type, author, description, tags, script, script_hash, params_schema, result_schema, examples,
    convention, grants, registered_at
)
SELECT
    n.function_id, n.version, :type::text, :author::text, :description::text, :tags::text[], :script::text,
    :script_hash::text, :params_schema::text, :result_schema::text, :examples::text, :convention::text,
    :grants::text, :updated_at::timestamptz
FROM named AS n
RETURNING version;

-- name: deactivate_function(function_id, owner, version_read, deactivated_at, act_id, actor, origin, act)
-- Compare and set by owner and version. A call that lost a race returns no row.
WITH deactivated AS (
    UPDATE meta.functions AS f SET deactivated_at = :deactivated_at::timestamptz
    WHERE
        f.function_id = :function_id::uuid
        AND f.owner = :owner::text
        AND f.version = :version_read::bigint
        AND f.deactivated_at IS NULL
    RETURNING f.owner, f.language, f.title, f.version
),
recorded AS (
    INSERT INTO meta.audit (act_id, actor, origin, act, owner, subject, details)
    SELECT
        :act_id::uuid, :actor::text, :origin::text, :act::text, d.owner, d.language || '-' || d.title,
        jsonb_build_object('version', d.version)
    FROM deactivated AS d
)
SELECT d.version FROM deactivated AS d;

-- name: select_function_page(owners, language, after_language, after_title, after_owner, type, tag, text, rows_max, size)
-- The functions of these owners, or of all owners if the list is null, in the order of language, title and owner. Other
-- filters apply only to rows_max rows. The place after which the next page begins is the same in every row. A page
-- without functions is one row with nulls beside it.
WITH examined AS MATERIALIZED (
    SELECT
        f.function_id, f.owner, f.language, f.title, f.version, f.created_at, f.updated_at,
        row_number() OVER (ORDER BY f.language, f.title, f.owner) AS position
    FROM meta.functions AS f
    WHERE
        f.deactivated_at IS NULL
        AND (:owners::text[] IS NULL OR f.owner = any(:owners::text[]))
        AND (:language::text IS NULL OR f.language = :language::text)
        AND (f.language, f.title, f.owner) > (:after_language::text, :after_title::text, :after_owner::text)
    ORDER BY f.language, f.title, f.owner
    LIMIT :rows_max::bigint + 1
),
matching AS MATERIALIZED (
    SELECT
        e.position, e.owner, e.language, e.title, e.version, v.type, v.description, v.tags, e.created_at, e.updated_at,
        v.author
    FROM examined AS e
    INNER JOIN meta.function_versions AS v ON e.function_id = v.function_id AND e.version = v.version
    WHERE
        e.position <= :rows_max::bigint
        AND (:type::text IS NULL OR v.type = :type::text)
        AND (:tag::text IS NULL OR :tag::text = any(v.tags))
        AND (
            :text::text IS NULL
            OR strpos(lower(e.language || '-' || e.title || ' ' || v.description), lower(:text::text)) > 0
        )
    ORDER BY e.position
    LIMIT :size::bigint + 1
),
shown AS (
    SELECT m.* FROM matching AS m ORDER BY m.position LIMIT :size::bigint
),
final AS (
    SELECT e.language, e.title, e.owner
    FROM examined AS e
    WHERE e.position = CASE
        WHEN (SELECT count(*) FROM matching) > :size::bigint THEN (SELECT max(s.position) FROM shown AS s)
        WHEN (SELECT count(*) FROM examined) > :rows_max::bigint THEN :rows_max::bigint
    END
)
SELECT
    (SELECT l.language FROM final AS l) AS next_language,
    (SELECT l.title FROM final AS l) AS next_title,
    (SELECT l.owner FROM final AS l) AS next_owner,
    s.owner, s.language, s.title, s.version, s.type, s.description, s.tags, s.created_at, s.updated_at, s.author
FROM (SELECT 1) AS page
LEFT JOIN shown AS s ON TRUE
ORDER BY s.position;

-- name: select_function_usage(owners, rows_max)
-- Counts at most rows_max registered functions of each owner with their stored versions. The size of a value that is
-- stored outside its row is known without reading the value. An owner without functions returns no row.
WITH call AS (
    SELECT * FROM unnest(:owners::text[]) WITH ORDINALITY AS c (owner, ordinal)
),
counted AS (
    SELECT c.ordinal, n.function_id
    FROM call AS c
    CROSS JOIN LATERAL (
        SELECT f.function_id
        FROM meta.functions AS f
        WHERE f.owner = c.owner AND f.deactivated_at IS NULL
        LIMIT :rows_max::bigint
    ) AS n
)
SELECT
    n.ordinal,
    count(*) AS functions,
    coalesce(sum(v.stored_bytes), 0)::bigint AS stored_bytes
FROM counted AS n
CROSS JOIN LATERAL (
    SELECT
        sum(
            pg_column_size(v.script) + pg_column_size(v.description) + pg_column_size(v.tags)
            + pg_column_size(v.examples) + coalesce(pg_column_size(v.params_schema), 0)
            + coalesce(pg_column_size(v.result_schema), 0)
        ) AS stored_bytes
    FROM meta.function_versions AS v
    WHERE v.function_id = n.function_id
) AS v
GROUP BY n.ordinal;
