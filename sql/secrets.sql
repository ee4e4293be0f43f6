-- Statements about secrets; sessions.sql describes the format. All secrets of a distributed database are at home.

-- name: select_secrets(owners, names)
SELECT
    c.ordinal, s.owner, s.name, s.version, s.key_id, s.created_at, s.author, s.functions, s.function_ids,
    s.last_used_at, s.uses, s.nonce, s.sealed
FROM unnest(:owners::text[], :names::text[]) WITH ORDINALITY AS c (owner, name, ordinal)
INNER JOIN meta.secrets AS s ON c.owner = s.owner AND c.name = s.name;

-- name: select_secret_page(owner, rows_max)
SELECT
    s.owner, s.name, s.version, s.key_id, s.created_at, s.author, s.functions, s.function_ids, s.last_used_at, s.uses
FROM meta.secrets AS s
WHERE s.owner = :owner::text
ORDER BY s.name
LIMIT :rows_max::bigint;

-- name: store_secret(owner, name, version_read, key_id, nonce, sealed, functions, function_ids, created_at, author, owner_max, act_id, actor, origin, act)
-- Compare and set by the version that was read; 0 is a new secret. Returns the secrets of the owner, and the uses of the
-- stored one. Nothing is stored if another call was faster, or if a new secret exceeds the quota.
WITH owned AS MATERIALIZED (
    SELECT count(*) AS secrets, coalesce(bool_or(s.name = :name::text), FALSE) AS has_it
    FROM meta.secrets AS s
    WHERE s.owner = :owner::text
),
stored AS (
    INSERT INTO meta.secrets AS s (
        owner, name, version, functions, function_ids, key_id, nonce, sealed, created_at, author
    )
    SELECT
        :owner::text, :name::text, :version_read::integer + 1, :functions::text[], :function_ids::uuid[],
        :key_id::text, :nonce::bytea, :sealed::bytea, :created_at::timestamptz, :author::text
    FROM owned AS o
    WHERE
        CASE
            WHEN :version_read::integer = 0 THEN o.secrets < :owner_max::bigint
            ELSE o.has_it
        END
    ON CONFLICT (owner, name) DO UPDATE
        SET
            version = excluded.version, functions = excluded.functions, function_ids = excluded.function_ids,
            key_id = excluded.key_id, nonce = excluded.nonce, sealed = excluded.sealed,
            created_at = excluded.created_at, author = excluded.author
        WHERE s.version = :version_read::integer
    RETURNING s.version, s.functions, s.last_used_at, s.uses
),
recorded AS (
    INSERT INTO meta.audit (act_id, actor, origin, act, owner, subject, details)
    SELECT
        :act_id::uuid, :actor::text, :origin::text, :act::text, :owner::text, :name::text,
        jsonb_build_object('version', s.version, 'functions', s.functions)
    FROM stored AS s
    ON CONFLICT (act_id) DO NOTHING
)
SELECT o.secrets, o.has_it, s.version, s.last_used_at, s.uses
FROM owned AS o
LEFT JOIN stored AS s ON TRUE;

-- name: delete_secret(owner, name, act_id, actor, origin, act)
WITH removed AS (
    DELETE FROM meta.secrets AS s
    WHERE s.owner = :owner::text AND s.name = :name::text
    RETURNING s.version
),
recorded AS (
    INSERT INTO meta.audit (act_id, actor, origin, act, owner, subject, details)
    SELECT
        :act_id::uuid, :actor::text, :origin::text, :act::text, :owner::text, :name::text,
        jsonb_build_object('version', r.version)
    FROM removed AS r
    ON CONFLICT (act_id) DO NOTHING
)
SELECT r.version FROM removed AS r;

-- name: record_secret_uses(owners, names, counts, used_ats)!
-- A secret whose row is locked is skipped: its next uses are recorded.
WITH used AS (
    SELECT s.owner, s.name, c.uses, c.used_at
    FROM
        unnest(:owners::text[], :names::text[], :counts::bigint[], :used_ats::timestamptz[])
        AS c (owner, name, uses, used_at)
    INNER JOIN meta.secrets AS s ON c.owner = s.owner AND c.name = s.name
    FOR NO KEY UPDATE OF s SKIP LOCKED
)
UPDATE meta.secrets AS s
SET uses = s.uses + u.uses, last_used_at = greatest(s.last_used_at, u.used_at)
FROM used AS u
WHERE s.owner = u.owner AND s.name = u.name;

-- name: select_secret_keys(owner)
-- The owner "*" stands for all owners.
SELECT s.key_id, count(*) AS secrets
FROM meta.secrets AS s
WHERE :owner::text IN (s.owner, '*')
GROUP BY s.key_id
ORDER BY s.key_id;

-- name: select_sealed_secrets(owner, except_key, after_owner, after_name, rows_max)
-- The owner "*" stands for all owners.
SELECT
    s.owner, s.name, s.version, s.key_id, s.created_at, s.author, s.functions, s.function_ids, s.last_used_at, s.uses,
    s.nonce, s.sealed
FROM meta.secrets AS s
WHERE
    :owner::text IN (s.owner, '*')
    AND s.key_id <> :except_key::text
    AND (s.owner, s.name) > (:after_owner::text, :after_name::text)
ORDER BY s.owner, s.name
LIMIT :rows_max::bigint;

-- name: reseal_secrets(owners, names, versions, key_ids, new_owners, new_key_ids, nonces, contents, act_owner, subject, act_id, actor, origin, act)
-- Compare and set by version and key. A secret stays if its new owner has one of this name. Functions of the former owner
-- are named by the new one.
WITH call AS (
    SELECT *
    FROM
        unnest(
            :owners::text[], :names::text[], :versions::integer[], :key_ids::text[], :new_owners::text[],
            :new_key_ids::text[], :nonces::bytea[], :contents::bytea[]
        ) AS c (owner, name, version, key_id, new_owner, new_key_id, nonce, content)
),
due AS MATERIALIZED (
    SELECT
        c.*,
        CASE
            WHEN s.functions IS NULL THEN NULL
            ELSE array(
                SELECT
                    CASE
                        WHEN left(f.function, length(f.function) - strpos(reverse(f.function), '/')) = s.owner
                            THEN c.new_owner || right(f.function, strpos(reverse(f.function), '/'))
                        ELSE f.function
                    END
                FROM unnest(s.functions) WITH ORDINALITY AS f (function, nth)
                ORDER BY f.nth
            )
        END AS functions
    FROM call AS c
    INNER JOIN meta.secrets AS s ON c.owner = s.owner AND c.name = s.name
    LEFT JOIN meta.secrets AS t ON c.new_owner <> c.owner AND c.new_owner = t.owner AND c.name = t.name
    WHERE t.name IS NULL
),
changed AS (
    UPDATE meta.secrets AS s
    SET owner = d.new_owner, key_id = d.new_key_id, nonce = d.nonce, sealed = d.content, functions = d.functions
    FROM due AS d
    WHERE s.owner = d.owner AND s.name = d.name AND s.version = d.version AND s.key_id = d.key_id
    RETURNING s.name
),
recorded AS (
    INSERT INTO meta.audit AS a (act_id, actor, origin, act, owner, subject, details)
    SELECT
        :act_id::uuid, :actor::text, :origin::text, :act::text, :act_owner::text, :subject::text,
        jsonb_build_object('secrets', (SELECT count(*) FROM changed))
    WHERE EXISTS (SELECT FROM changed)
    ON CONFLICT (act_id) DO UPDATE SET details = meta.added_counts(a.details, excluded.details)
)
SELECT count(*) AS changed FROM changed;
