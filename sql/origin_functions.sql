-- Statements about the functions of the origin; sessions.sql describes the format. A statement runs in a short transaction
-- with the schema of the origin as its search path.

-- name: select_functions(after_title, bytes_max, rows_max)
-- A description of more than 4096 bytes is too long here, and 5000 characters show that. JSON over bytes_max becomes a
-- text that is no JSON, a script over bytes_max null beside its size. Times that cannot be kept are null.
SELECT
    f.language_title::text,
    left(f.description, 5000) AS description,
    CASE
        WHEN octet_length(f.schema_definition::text) > :bytes_max THEN 'too large' ELSE f.schema_definition::text
    END AS schema_definition,
    CASE WHEN octet_length(f.examples::text) > :bytes_max THEN 'too large' ELSE f.examples::text END AS examples,
    CASE
        WHEN f.created_at >= '1970-01-01 00:00:00+00' AND f.created_at < '10000-01-01 00:00:00+00'
            THEN f.created_at AT TIME ZONE 'UTC'
    END AS created_at,
    CASE
        WHEN f.updated_at >= '1970-01-01 00:00:00+00' AND f.updated_at < '10000-01-01 00:00:00+00'
            THEN f.updated_at AT TIME ZONE 'UTC'
    END AS updated_at,
    f.created_by::text,
    f.is_active,
    f.version::text,
    coalesce(f.tags, '{}')::text[] AS tags,
    CASE WHEN octet_length(s.content) <= :bytes_max THEN s.content END AS content,
    octet_length(s.content) AS content_bytes
FROM functions AS f
LEFT JOIN scripts AS s ON f.id = s.function_id
WHERE f.language_title > :after_title
ORDER BY f.language_title
LIMIT :rows_max;
