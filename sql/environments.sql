-- Statements about environments, their builds and their trees; sessions.sql describes the format.

-- name: insert_environment(name, version, language, lock, preload, owners, description, created_at, author, versions_max, details, act_id, actor, origin, act)
-- Returns whether the version is stored as it is here, and how many versions there are. Another one may be stored under
-- the number.
WITH present AS MATERIALIZED (
    SELECT count(*) AS versions FROM meta.environments
),
added AS (
    INSERT INTO meta.environments AS e (
        name, version, language, lock, preload, owners, description, created_at, author
    )
    SELECT
        :name::text, :version::integer, :language::text, :lock::text, :preload::text[], :owners::text[],
        :description::text, :created_at::timestamptz, :author::text
    FROM present AS p
    WHERE p.versions < :versions_max::bigint
    ON CONFLICT DO NOTHING
    RETURNING e.name
),
recorded AS (
    INSERT INTO meta.audit (act_id, actor, origin, act, owner, subject, details)
    SELECT
        :act_id::uuid, :actor::text, :origin::text, :act::text, NULL, :name::text || '@' || :version::integer,
        :details::jsonb
    FROM added
    ON CONFLICT (act_id) DO NOTHING
)
SELECT
    EXISTS (SELECT FROM added)
    OR EXISTS (
        SELECT FROM meta.environments AS e
        WHERE
            e.name = :name::text AND e.version = :version::integer AND e.lock = :lock::text
            AND e.created_at = :created_at::timestamptz
    ) AS is_stored,
    p.versions
FROM present AS p;

-- name: select_environment(name, version)
-- Returns a version with its builds, one in each row; the newest version if none is named.
SELECT
    e.name, e.version, e.language, e.lock, e.preload, e.owners, e.description, e.created_at, e.author, e.retired_at,
    b.platform, b.status, encode(b.digest, 'hex') AS digest, b.facts, b.log, b.attempts, b.lease_until
FROM meta.environments AS e
LEFT JOIN meta.environment_builds AS b ON e.name = b.name AND e.version = b.version
WHERE
    e.name = :name::text
    AND e.version = coalesce(
        :version::integer, (SELECT max(n.version) FROM meta.environments AS n WHERE n.name = :name::text)
    )
ORDER BY b.platform;

-- name: select_environments(name, rows_max)
-- Returns the versions of a name, or of all names, newest first in each, without locks and logs.
SELECT
    e.name, e.version, e.language, '' AS lock, e.preload, e.owners, e.description, e.created_at, e.author,
    e.retired_at, b.platform, b.status, encode(b.digest, 'hex') AS digest, b.facts, '' AS log, b.attempts,
    b.lease_until
FROM (
    SELECT n.*
    FROM meta.environments AS n
    WHERE :name::text IS NULL OR n.name = :name::text
    ORDER BY n.name ASC, n.version DESC
    LIMIT :rows_max::bigint
) AS e
LEFT JOIN meta.environment_builds AS b ON e.name = b.name AND e.version = b.version
ORDER BY e.name ASC, e.version DESC, b.platform ASC;

-- name: retire_environment(name, version, now, details, act_id, actor, origin, act)
-- Returns no row for a version that is not stored. One that is retired already is not recorded again.
WITH retired AS (
    UPDATE meta.environments AS e
    SET retired_at = :now::timestamptz
    WHERE e.name = :name::text AND e.version = :version::integer AND e.retired_at IS NULL
    RETURNING e.name
),
recorded AS (
    INSERT INTO meta.audit (act_id, actor, origin, act, owner, subject, details)
    SELECT
        :act_id::uuid, :actor::text, :origin::text, :act::text, NULL, :name::text || '@' || :version::integer,
        :details::jsonb
    FROM retired
    ON CONFLICT (act_id) DO NOTHING
)
SELECT 1 AS is_stored FROM meta.environments AS e WHERE e.name = :name::text AND e.version = :version::integer;

-- name: select_retired_environments(retired_before, rows_max)
-- Returns what may be removed: versions that have builds, or that are not the newest of their name.
SELECT e.name, e.version, e.retired_at
FROM meta.environments AS e
WHERE
    e.retired_at <= :retired_before::timestamptz
    AND (
        EXISTS (SELECT FROM meta.environment_builds AS b WHERE b.name = e.name AND b.version = e.version)
        OR EXISTS (SELECT FROM meta.environments AS n WHERE n.name = e.name AND n.version > e.version)
    )
ORDER BY e.retired_at, e.name, e.version
LIMIT :rows_max::bigint;

-- name: delete_retired_environment(name, version, begun_before, pin, older_max, asked)
-- Removes a version and its builds, unless it is or may be in use. Only sessions that began before begun_before can have
-- it. They are found by their ids, which are in the order of time; no index has their grants, so few of them are read. The
-- sessions of other buckets are not here: the caller has asked these buckets, and nothing is removed while there are
-- others. The newest version of a name keeps its row, so that its number stays taken.
WITH older AS MATERIALIZED (
    SELECT s.grants
    FROM meta.sessions AS s
    WHERE s.request_id < :begun_before::uuid
    ORDER BY s.request_id
    LIMIT :older_max::bigint + 1
),
unused AS MATERIALIZED (
    SELECT e.name, e.version
    FROM meta.environments AS e
    WHERE
        e.name = :name::text AND e.version = :version::integer AND e.retired_at IS NOT NULL
        AND NOT EXISTS (SELECT FROM meta.buckets AS k WHERE k.number <> all(:asked::bigint[]))
        AND (SELECT count(*) FROM older) <= :older_max::bigint
        AND NOT EXISTS (SELECT FROM older AS o WHERE strpos(o.grants, :pin::text) > 0)
        AND NOT EXISTS (SELECT FROM meta.function_versions AS v WHERE strpos(v.grants, :pin::text) > 0)
    FOR UPDATE
),
builds AS (
    DELETE FROM meta.environment_builds AS b
    USING unused AS u
    WHERE b.name = u.name AND b.version = u.version
),
removed AS (
    DELETE FROM meta.environments AS e
    USING unused AS u
    WHERE
        e.name = u.name AND e.version = u.version
        AND EXISTS (SELECT FROM meta.environments AS n WHERE n.name = e.name AND n.version > e.version)
)
SELECT count(*) FROM unused;

-- name: delete_failed_builds(name, version)!
-- So they are built anew.
DELETE FROM meta.environment_builds AS b
WHERE b.name = :name::text AND b.version = :version::integer AND b.status = 'failed';

-- name: claim_environment_build(language, platform, builder, now, until)
-- Takes a version that no builder of the platform has, the one that was created first. The row of a builder whose lease
-- has ended is judged again when it is replaced, because another builder may have taken it meanwhile.
WITH wanted AS (
    SELECT e.name, e.version
    FROM meta.environments AS e
    LEFT JOIN meta.environment_builds AS b
        ON e.name = b.name AND e.version = b.version AND b.platform = :platform::text
    WHERE
        e.language = :language::text
        AND e.retired_at IS NULL
        AND (b.status IS NULL OR (b.status = 'building' AND b.lease_until <= :now::timestamptz))
    ORDER BY e.created_at, e.name, e.version
    LIMIT 1
    FOR UPDATE OF e SKIP LOCKED
),
claimed AS (
    INSERT INTO meta.environment_builds AS b (
        name, version, platform, status, log, attempts, builder, lease_until, updated_at
    )
    SELECT
        w.name, w.version, :platform::text, 'building', '', 1, :builder::uuid, :until::timestamptz, :now::timestamptz
    FROM wanted AS w
    ON CONFLICT (name, version, platform) DO UPDATE
        SET
            attempts = b.attempts + 1, log = '', builder = excluded.builder, lease_until = excluded.lease_until,
            updated_at = excluded.updated_at
        WHERE b.status = 'building' AND b.lease_until <= :now::timestamptz
    RETURNING b.name, b.version, b.attempts
)
SELECT
    e.name, e.version, e.language, e.lock, e.preload, e.owners, e.description, e.created_at, e.author, e.retired_at,
    c.attempts
FROM claimed AS c
INNER JOIN meta.environments AS e ON c.name = e.name AND c.version = e.version;

-- name: renew_environment_build(name, version, platform, builder, log, until, now)
-- Returns no row if the build is another builder's.
UPDATE meta.environment_builds AS b
SET log = :log::text, lease_until = :until::timestamptz, updated_at = :now::timestamptz
WHERE
    b.name = :name::text AND b.version = :version::integer AND b.platform = :platform::text
    AND b.status = 'building' AND b.builder = :builder::uuid
RETURNING 1 AS is_renewed;

-- name: select_waiting_builds(now)
-- Returns how many versions have no build, or only ones whose builders were lost, since when the first one waits, and
-- how many builds have a lease that has not ended.
WITH begun AS (
    SELECT
        b.name, b.version, max(b.lease_until) AS left_at,
        bool_and(b.status = 'building' AND b.lease_until <= :now::timestamptz) AS is_left
    FROM meta.environment_builds AS b
    GROUP BY b.name, b.version
)
SELECT
    count(*) AS versions, min(coalesce(b.left_at, e.created_at)) AS since,
    (
        SELECT count(*) FROM meta.environment_builds AS r
        WHERE r.status = 'building' AND r.lease_until > :now::timestamptz
    ) AS running
FROM meta.environments AS e
LEFT JOIN begun AS b ON e.name = b.name AND e.version = b.version
WHERE e.retired_at IS NULL AND coalesce(b.is_left, TRUE);

-- name: end_environment_build(name, version, platform, builder, digest, facts, log, now)
-- Ends a build as ready with a tree, or as failed without one. A tree is complete from then on; it is only if all its
-- chunks are stored. Ending the same build again changes nothing. Returns whether the build has this end.
WITH whole AS (
    UPDATE meta.trees AS t
    SET complete = TRUE
    WHERE
        t.digest = decode(:digest::text, 'hex')
        AND t.chunks = (SELECT count(*) FROM meta.tree_chunks AS c WHERE c.digest = t.digest)
    RETURNING t.digest
),
ended AS (
    UPDATE meta.environment_builds AS b
    SET
        status = CASE WHEN :digest::text IS NULL THEN 'failed' ELSE 'ready' END,
        digest = decode(:digest::text, 'hex'),
        facts = :facts::text,
        log = :log::text,
        updated_at = :now::timestamptz
    WHERE
        b.name = :name::text AND b.version = :version::integer AND b.platform = :platform::text
        AND b.builder = :builder::uuid
        AND (:digest::text IS NULL OR EXISTS (SELECT FROM whole))
    RETURNING b.name
)
SELECT EXISTS (SELECT FROM ended) AS is_ended;

-- name: insert_tree(digest, format, bytes, files, packed_bytes, chunks, now)!
-- Storing the same tree again changes nothing, but for its time: a sweep does not remove it meanwhile.
INSERT INTO meta.trees AS t (digest, format, bytes, files, packed_bytes, chunks, complete, created_at)
VALUES (
    decode(:digest::text, 'hex'), :format::smallint, :bytes::bigint, :files::integer, :packed_bytes::bigint,
    :chunks::integer, FALSE, :now::timestamptz
)
ON CONFLICT (digest) DO UPDATE SET created_at = excluded.created_at;

-- name: insert_tree_chunk(digest, seq, content)!
INSERT INTO meta.tree_chunks (digest, seq, content)
SELECT t.digest, :seq::integer, :content::bytea
FROM meta.trees AS t
WHERE t.digest = decode(:digest::text, 'hex')
ON CONFLICT DO NOTHING;

-- name: select_tree(digest)
SELECT t.format, t.bytes, t.files, t.packed_bytes, t.chunks
FROM meta.trees AS t
WHERE t.digest = decode(:digest::text, 'hex') AND t.complete;

-- name: select_tree_chunk(digest, seq)
SELECT c.content
FROM meta.tree_chunks AS c
INNER JOIN meta.trees AS t ON c.digest = t.digest
WHERE c.digest = decode(:digest::text, 'hex') AND c.seq = :seq::integer AND t.complete;

-- name: delete_unused_trees(created_before, rows_max)
-- Removes trees that no build names. Chunks go first, at most rows_max of them in one statement, so a tree without its
-- row has none. A build that stores the tree again locks its row, and finds it or stores it anew.
WITH unused AS MATERIALIZED (
    SELECT t.digest
    FROM meta.trees AS t
    WHERE
        t.created_at <= :created_before::timestamptz
        AND NOT EXISTS (SELECT FROM meta.environment_builds AS b WHERE b.digest = t.digest)
    ORDER BY t.created_at
    LIMIT 1
    FOR UPDATE SKIP LOCKED
),
marked AS (
    UPDATE meta.trees AS t SET complete = FALSE FROM unused AS u WHERE t.digest = u.digest AND t.complete
),
picked AS MATERIALIZED (
    SELECT c.digest, c.seq
    FROM meta.tree_chunks AS c
    INNER JOIN unused AS u ON c.digest = u.digest
    ORDER BY c.seq
    LIMIT :rows_max::bigint
),
removed AS (
    DELETE FROM meta.tree_chunks AS c
    USING picked AS p
    WHERE c.digest = p.digest AND c.seq = p.seq
    RETURNING c.seq
),
emptied AS (
    DELETE FROM meta.trees AS t
    USING unused AS u
    WHERE t.digest = u.digest AND NOT EXISTS (SELECT FROM picked)
    RETURNING t.digest
)
SELECT (SELECT count(*) FROM removed) + (SELECT count(*) FROM emptied) AS rows_removed;
