-- Statements about sessions.
--
-- Format of these files: a comment line "name: verb_noun(parameters)" starts a statement. Comments after that line give
-- reasons. `:parameter` stands for a value. In a batch, each parameter is one array: the n-th elements of all arrays
-- are the n-th call, and `ordinal` in a returned row is that n. Statements that write lock sessions in the order of
-- request_id, so two batches cannot deadlock. Without `:waits`, a statement skips each call whose row another
-- transaction has locked, and returns a row that marks the call as skipped. The planner does not know the size of a
-- batch, so it could join two parts of a statement in quadratic time. Therefore each part passes on the columns that
-- later parts need, and `NOT IN` is executed as a hash table. A table of few short-lived rows is mostly empty when it is
-- vacuumed or analysed, and the planner then expects no rows in it. For a join by `o.request_id = c.request_id` it would
-- read a whole index with all dead entries. `o.request_id = any(ARRAY[c.request_id])` means the same, but leaves lookups
-- only: the order of the index is then of no use. For this, `ORDER BY` must not name the columns of the index either.
-- The owner stands twice for PostgreSQL 15: decision 0005.

-- name: insert_sessions(request_ids, owners, languages, titles, script_hashes, timeouts_ms, memories_mb, isolations, renewals, ttls_seconds, expiries, expiries_max, contexts, metadatas, scripts, function_versions, function_ids, conventions, created_ats, grants)!
-- Storing the same session again changes nothing.
INSERT INTO meta.sessions (
    request_id, owner, language, title, script_hash, timeout_ms, memory_mb, isolation, renewal, ttl_seconds,
    expires_at, expires_max_at, context, metadata, script, function_version, function_id, convention, created_at, grants
)
SELECT
    c.request_id, c.owner, c.language, c.title, c.script_hash, c.timeout_ms, c.memory_mb, c.isolation, c.renewal,
    c.ttl_seconds, c.expires_at, c.expires_max_at, c.context, c.metadata, c.script,
    c.function_version, c.function_id, c.convention, c.created_at, c.grants
FROM
    unnest(
        :request_ids::uuid[], :owners::text[], :languages::text[], :titles::text[], :script_hashes::text[],
        :timeouts_ms::integer[], :memories_mb::integer[], :isolations::text[], :renewals::text[],
        :ttls_seconds::integer[], :expiries::timestamptz[], :expiries_max::timestamptz[], :contexts::text[],
        :metadatas::text[], :scripts::text[], :function_versions::bigint[], :function_ids::uuid[],
        :conventions::text[], :created_ats::timestamptz[], :grants::text[]
    ) AS c (
        request_id, owner, language, title, script_hash, timeout_ms, memory_mb, isolation, renewal, ttl_seconds,
        expires_at, expires_max_at, context, metadata, script, function_version, function_id, convention, created_at,
        grants
    )
ORDER BY c.request_id
ON CONFLICT (request_id) DO NOTHING;

-- name: open_hidden_sessions(request_ids, owners, languages, titles, script_hashes, timeouts_ms, memories_mb, isolations, renewals, ttls_seconds, expiries, expiries_max, contexts, metadatas, scripts, function_versions, function_ids, conventions, grants, nows)
-- Stores the hidden session of an owner and a version, or returns the id of the one that is stored. One that has
-- expired lives again. The calls of a batch differ in owner or version.
WITH call AS (
    SELECT *
    FROM
        unnest(
            :request_ids::uuid[], :owners::text[], :languages::text[], :titles::text[], :script_hashes::text[],
            :timeouts_ms::integer[], :memories_mb::integer[], :isolations::text[], :renewals::text[],
            :ttls_seconds::integer[], :expiries::timestamptz[], :expiries_max::timestamptz[], :contexts::text[],
            :metadatas::text[], :scripts::text[], :function_versions::bigint[], :function_ids::uuid[],
            :conventions::text[], :grants::text[], :nows::timestamptz[]
        ) WITH ORDINALITY AS c (
            request_id, owner, language, title, script_hash, timeout_ms, memory_mb, isolation, renewal, ttl_seconds,
            expires_at, expires_max_at, context, metadata, script, function_version, function_id, convention,
            grants, now, ordinal
        )
),
found AS (
    SELECT c.ordinal, s.request_id
    FROM call AS c
    INNER JOIN meta.sessions AS s
        ON c.owner = s.owner AND c.function_id = s.function_id AND c.function_version = s.function_version
    WHERE s.hidden AND s.script_hash IS NOT NULL AND c.now < s.expires_at
),
opened AS (
    INSERT INTO meta.sessions AS s (
        request_id, owner, language, title, script_hash, timeout_ms, memory_mb, isolation, renewal, ttl_seconds,
        expires_at, expires_max_at, context, metadata, script, function_version, function_id, convention, grants,
        hidden
    )
    SELECT
        c.request_id, c.owner, c.language, c.title, c.script_hash, c.timeout_ms, c.memory_mb, c.isolation, c.renewal,
        c.ttl_seconds, c.expires_at, c.expires_max_at, c.context, c.metadata, c.script, c.function_version,
        c.function_id, c.convention, c.grants, TRUE
    FROM call AS c
    WHERE c.ordinal NOT IN (SELECT f.ordinal FROM found AS f)
    ORDER BY c.owner, c.function_id, c.function_version
    ON CONFLICT (owner, function_id, function_version) WHERE hidden AND script_hash IS NOT NULL DO UPDATE SET
        expires_at = greatest(s.expires_at, excluded.expires_at),
        expires_max_at = greatest(s.expires_max_at, excluded.expires_max_at)
    RETURNING s.request_id, s.owner, s.function_id, s.function_version
)
SELECT f.ordinal, f.request_id FROM found AS f
UNION ALL
SELECT c.ordinal, o.request_id
FROM opened AS o
INNER JOIN call AS c
    ON o.owner = c.owner AND o.function_id = c.function_id AND o.function_version = c.function_version;

-- name: select_hidden_sessions(owner, function_id, version, rows_max)
-- Those of a function, or of one version, the newest version first.
SELECT s.request_id
FROM meta.sessions AS s
WHERE
    s.owner = :owner::text
    AND s.function_id = :function_id::uuid
    AND s.hidden
    AND s.script_hash IS NOT NULL
    AND (:version::bigint IS NULL OR s.function_version = :version::bigint)
ORDER BY s.function_version DESC
LIMIT :rows_max::bigint;

-- name: select_key_holder(owner, function_id, key, now)
-- The hidden session in which a call of the function has taken the key.
SELECT k.request_id
FROM meta.sessions AS s
INNER JOIN meta.idempotency_keys AS k ON s.request_id = k.request_id AND s.owner = k.owner
WHERE
    s.owner = :owner::text
    AND s.function_id = :function_id::uuid
    AND s.hidden
    AND s.script_hash IS NOT NULL
    AND k.key = :key::text
    AND k.expires_at > :now::timestamptz
ORDER BY k.expires_at
LIMIT 1;

-- name: select_sessions(request_ids, owners)
SELECT
    c.ordinal, s.request_id, s.owner, s.language, s.title, s.script_hash, s.context, s.metadata,
    s.timeout_ms, s.memory_mb, s.isolation, s.renewal, s.ttl_seconds, s.expires_at, s.expires_max_at, s.closed_at,
    s.last_executed_at, s.execution_count, s.version, s.function_version, s.function_id, s.hidden, s.convention,
    s.created_at, s.grants
FROM unnest(:request_ids::uuid[], :owners::text[]) WITH ORDINALITY AS c (request_id, owner, ordinal)
INNER JOIN meta.sessions AS s ON s.request_id = any(ARRAY[c.request_id]) AND s.owner = any(ARRAY[c.owner, c.owner]);

-- name: select_session_owner(request_id)
-- Only for an admin, who does not know the owner. The other statements in this file require an owner.
SELECT s.owner FROM meta.sessions AS s WHERE s.request_id = :request_id::uuid;

-- name: select_scripts(request_ids, owners)
SELECT c.ordinal, s.script, s.script_hash
FROM unnest(:request_ids::uuid[], :owners::text[]) WITH ORDINALITY AS c (request_id, owner, ordinal)
INNER JOIN meta.sessions AS s ON s.request_id = any(ARRAY[c.request_id]) AND s.owner = any(ARRAY[c.owner, c.owner]);

-- name: update_sessions(request_ids, owners, versions_read, versions, script_hashes, renewals, ttls_seconds, expiries, closings, contexts, metadatas, waits)
-- Compare and set by version. A null context or metadata means no change, so a large stored value is not written again.
-- A session without a script_hash loses its script and its state. A skipped call returns a row with `changed` false. A call that lost
-- a race returns no row.
WITH call AS (
    SELECT *
    FROM
        unnest(
            :request_ids::uuid[], :owners::text[], :versions_read::bigint[], :versions::bigint[],
            :script_hashes::text[], :renewals::text[], :ttls_seconds::integer[], :expiries::timestamptz[],
            :closings::timestamptz[], :contexts::text[], :metadatas::text[]
        ) WITH ORDINALITY AS c (
            request_id, owner, version_read, version, script_hash, renewal, ttl_seconds, expires_at, closed_at,
            context, metadata, ordinal
        )
),
passing AS (
    SELECT c.*, s.version AS version_held
    FROM call AS c
    INNER JOIN meta.sessions AS s ON s.request_id = any(ARRAY[c.request_id]) AND s.owner = any(ARRAY[c.owner, c.owner])
    WHERE NOT :waits::boolean
    ORDER BY c.request_id, c.ordinal
    FOR NO KEY UPDATE OF s SKIP LOCKED
),
waiting AS (
    SELECT c.*, s.version AS version_held
    FROM call AS c
    INNER JOIN meta.sessions AS s ON s.request_id = any(ARRAY[c.request_id]) AND s.owner = any(ARRAY[c.owner, c.owner])
    WHERE :waits::boolean
    ORDER BY c.request_id, c.ordinal
    FOR NO KEY UPDATE OF s
),
held AS (
    SELECT p.* FROM passing AS p
    UNION ALL
    SELECT w.* FROM waiting AS w
),
changed AS (
    UPDATE meta.sessions AS s
    SET
        version = h.version,
        script_hash = h.script_hash,
        script = CASE WHEN h.script_hash IS NULL THEN NULL ELSE s.script END,
        renewal = h.renewal,
        ttl_seconds = h.ttl_seconds,
        expires_at = greatest(s.expires_at, h.expires_at),
        closed_at = h.closed_at,
        context = coalesce(h.context, s.context),
        metadata = coalesce(h.metadata, s.metadata)
    FROM held AS h
    WHERE
        s.request_id = any(ARRAY[h.request_id])
        AND s.owner = any(ARRAY[h.owner, h.owner])
        AND h.version_held = h.version_read
        AND s.version = h.version_read
    RETURNING h.ordinal, s.request_id, s.script_hash, s.expires_at, s.last_executed_at, s.execution_count
),
emptied AS (
    DELETE FROM meta.session_states AS t
    USING changed AS c
    WHERE t.request_id = any(ARRAY[c.request_id]) AND c.script_hash IS NULL
)
SELECT c.ordinal, TRUE AS changed, c.expires_at, c.last_executed_at, c.execution_count FROM changed AS c
UNION ALL
SELECT c.ordinal, FALSE AS changed, NULL AS expires_at, NULL AS last_executed_at, NULL AS execution_count
FROM call AS c
WHERE
    c.ordinal NOT IN (SELECT h.ordinal FROM held AS h)
    AND (SELECT TRUE FROM meta.sessions AS s WHERE s.request_id = c.request_id AND s.owner = c.owner LIMIT 1);

-- name: select_session_page(owner, after, language, status, text, metadata, contexts, judged_at, rows_max, size, bytes_max)
-- Newest first: request_id begins with the time. Filters apply only to the rows that an index returns. Their number is
-- bounded, so one plan suits all filters, null or set. If the index of metadata has at most rows_max sessions for the
-- filter, these are the rows. Otherwise they are the next rows_max sessions of the owner. A page ends early if its
-- contexts and metadata exceed bytes_max together; without `contexts` each context is empty. `next_after` is the same in
-- every row. A page without sessions is one row with nulls beside it. The owner "*" selects the sessions of all owners.
-- No session has the owner "*", so the first subquery then returns no rows. For any other owner, PostgreSQL does not run
-- the second subquery. Hidden sessions are not listed.
WITH indexed AS MATERIALIZED (
    SELECT s.request_id, s.language, s.title, s.closed_at, s.expires_at
    FROM meta.sessions AS s
    WHERE s.owned_metadata @> jsonb_set('{}', ARRAY[:owner::text], :metadata::jsonb) AND NOT s.hidden
),
found AS MATERIALIZED (
    SELECT i.* FROM indexed AS i LIMIT :rows_max::bigint + 1
),
reading AS MATERIALIZED (
    SELECT
        :metadata::jsonb IS NOT NULL
        AND :owner::text <> '*'
        AND (SELECT count(*) FROM found) <= :rows_max::bigint AS by_metadata
),
examined AS (
    SELECT
        e.request_id,
        e.language,
        e.title,
        e.has_metadata,
        CASE
            WHEN e.closed_at IS NOT NULL THEN 'closed'
            WHEN :judged_at::timestamptz < e.expires_at THEN 'active'
            ELSE 'expired'
        END AS status,
        row_number() OVER (ORDER BY e.request_id DESC) AS position
    FROM (
        SELECT f.request_id, f.language, f.title, f.closed_at, f.expires_at, TRUE AS has_metadata
        FROM found AS f
        WHERE
            (SELECT r.by_metadata FROM reading AS r)
            AND f.request_id < coalesce(:after::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
        UNION ALL
        SELECT o.request_id, o.language, o.title, o.closed_at, o.expires_at, o.has_metadata
        FROM (
            SELECT
                s.request_id, s.language, s.title, s.closed_at, s.expires_at,
                :metadata::jsonb IS NULL
                OR s.owned_metadata @> jsonb_set('{}', ARRAY[s.owner], :metadata::jsonb) AS has_metadata
            FROM meta.sessions AS s
            WHERE
                NOT (SELECT r.by_metadata FROM reading AS r)
                AND s.owner = :owner::text
                AND NOT s.hidden
                AND s.request_id < coalesce(:after::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
            ORDER BY s.request_id DESC
            LIMIT :rows_max::bigint + 1
        ) AS o
        UNION ALL
        SELECT a.request_id, a.language, a.title, a.closed_at, a.expires_at, a.has_metadata
        FROM (
            SELECT
                s.request_id, s.language, s.title, s.closed_at, s.expires_at,
                :metadata::jsonb IS NULL
                OR s.owned_metadata @> jsonb_set('{}', ARRAY[s.owner], :metadata::jsonb) AS has_metadata
            FROM meta.sessions AS s
            WHERE
                :owner::text = '*'
                AND NOT s.hidden
                AND s.request_id < coalesce(:after::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
            ORDER BY s.request_id DESC
            LIMIT :rows_max::bigint + 1
        ) AS a
    ) AS e
),
matching AS (
    SELECT e.request_id
    FROM examined AS e
    WHERE
        e.position <= :rows_max::bigint
        AND e.has_metadata
        AND (:language::text IS NULL OR e.language = :language::text)
        AND (:status::text IS NULL OR e.status = :status::text)
        AND (:text::text IS NULL OR strpos(lower(e.language || '-' || e.title), lower(:text::text)) > 0)
    ORDER BY e.request_id DESC
    LIMIT :size::bigint + 1
),
listed AS (
    SELECT
        s.request_id, s.owner, s.language, s.title, s.script_hash,
        CASE WHEN :contexts::boolean THEN s.context ELSE '{}' END AS context, s.metadata, s.timeout_ms, s.memory_mb,
        s.isolation, s.renewal, s.ttl_seconds, s.expires_at, s.expires_max_at, s.closed_at, s.last_executed_at,
        s.execution_count, s.version, s.function_version, s.function_id, s.hidden, s.convention,
        s.created_at, s.grants
    FROM matching AS m
    INNER JOIN meta.sessions AS s ON m.request_id = s.request_id
),
measured AS (
    SELECT
        l.*,
        row_number() OVER (ORDER BY l.request_id DESC) AS nth,
        sum(octet_length(l.context) + octet_length(l.metadata)) OVER (ORDER BY l.request_id DESC) AS bytes
    FROM listed AS l
),
shown AS (
    SELECT * FROM measured AS m
    WHERE m.nth = 1 OR (m.nth <= :size::bigint AND m.bytes <= :bytes_max::bigint)
)
SELECT
    CASE
        WHEN (SELECT count(*) FROM matching) > (SELECT count(*) FROM shown)
            THEN (SELECT s.request_id FROM shown AS s ORDER BY s.nth DESC LIMIT 1)
        WHEN (SELECT count(*) FROM examined) > :rows_max::bigint
            THEN (SELECT e.request_id FROM examined AS e WHERE e.position = :rows_max::bigint)
    END AS next_after,
    s.request_id, s.owner, s.language, s.title, s.script_hash, s.context, s.metadata, s.timeout_ms, s.memory_mb,
    s.isolation, s.renewal, s.ttl_seconds, s.expires_at, s.expires_max_at, s.closed_at, s.last_executed_at,
    s.execution_count, s.version, s.function_version, s.function_id, s.hidden, s.convention,
    s.created_at, s.grants
FROM (SELECT 1) AS page
LEFT JOIN shown AS s ON TRUE
ORDER BY s.nth;
