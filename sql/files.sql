-- Statements about files; sessions.sql describes the format. A file is a row, which callers see from `complete` on, and
-- chunks. An incomplete file whose `expires_at` has passed is erased: such are uploads that broke off, and files that were
-- removed. A transaction that stores a chunk updates the row, so no chunk is stored behind the removal of its file.
-- Statements that name a slot are never prepared, unless they insert: a plan for the given slot locks only its partition.

-- name: insert_file(slot, file_id, owner, name, content_type, size, request_id, execution_id, expires_at)!
-- `size` is reserved until the file is complete.
INSERT INTO meta.files (
    slot, file_id, owner, name, content_type, bytes, request_id, execution_id, expires_at, complete
)
VALUES (
    :slot::smallint, :file_id::uuid, :owner::text, :name::text, :content_type::text, :size::bigint,
    :request_id::uuid, :execution_id::uuid, :expires_at::timestamptz, FALSE
)
ON CONFLICT (slot, file_id) DO NOTHING;

-- name: insert_file_chunk(slot, file_id, seq, content, now, expires_at)
-- Returns no row if the file is not there, is complete, or its deadline for this chunk has passed.
WITH held AS (
    UPDATE meta.files AS f
    SET expires_at = :expires_at::timestamptz
    WHERE
        f.slot = :slot::smallint
        AND f.file_id = :file_id::uuid
        AND NOT f.complete
        AND f.expires_at > :now::timestamptz
    RETURNING f.file_id
),
stored AS (
    INSERT INTO meta.file_chunks (slot, file_id, seq, content)
    SELECT :slot::smallint, h.file_id, :seq::integer, :content::bytea
    FROM held AS h
    ON CONFLICT (slot, file_id, seq) DO NOTHING
)
SELECT h.file_id FROM held AS h;

-- name: complete_file(slot, file_id, size, sha256, now, expires_at)
-- Completing it again with the same content changes nothing. Returns no row if the file is not there any more.
UPDATE meta.files AS f
SET
    bytes = :size::bigint,
    sha256 = :sha256::bytea,
    expires_at = CASE WHEN f.complete THEN f.expires_at ELSE :expires_at::timestamptz END,
    complete = TRUE
WHERE
    f.slot = :slot::smallint
    AND f.file_id = :file_id::uuid
    AND CASE WHEN f.complete THEN f.sha256 = :sha256::bytea ELSE f.expires_at > :now::timestamptz END
RETURNING f.expires_at;

-- name: select_file(slot, file_id, owner)
SELECT
    f.file_id, f.owner, f.name, f.content_type, f.bytes, f.sha256, f.expires_at, f.request_id, f.execution_id
FROM meta.files AS f
WHERE f.slot = :slot::smallint AND f.file_id = :file_id::uuid AND :owner::text IN (f.owner, '*') AND f.complete;

-- name: select_file_chunk(slot, file_id, seq, first, size)
-- Of a value that is stored uncompressed only the wanted part is read. `first` counts from 1.
SELECT substring(c.content FROM :first::integer FOR :size::integer)
FROM meta.file_chunks AS c
WHERE c.slot = :slot::smallint AND c.file_id = :file_id::uuid AND c.seq = :seq::integer;

-- name: select_file_page(owner, after, now, rows_max)
-- Newest first, from the index of each partition.
SELECT
    f.file_id, f.owner, f.name, f.content_type, f.bytes, f.sha256, f.expires_at, f.request_id, f.execution_id
FROM meta.files AS f
WHERE
    f.owner = :owner::text
    AND f.file_id < coalesce(:after::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
    AND f.complete
    AND f.expires_at > :now::timestamptz
ORDER BY f.file_id DESC
LIMIT :rows_max::bigint;

-- name: select_file_bytes(owner, now, counted_min)
-- What an owner's files take, with those that are being stored; each counts at least `counted_min`.
SELECT coalesce(sum(greatest(f.bytes, :counted_min::bigint)), 0)::bigint
FROM meta.files AS f
WHERE f.owner = :owner::text AND f.expires_at > :now::timestamptz;

-- name: remove_file(slot, file_id, owner, now)
-- From here on nobody sees it or stores a chunk of it, whatever the clocks say, and erase_files removes its content.
UPDATE meta.files AS f
SET complete = FALSE, expires_at = '-infinity'
WHERE
    f.slot = :slot::smallint
    AND f.file_id = :file_id::uuid
    AND :owner::text IN (f.owner, '*')
    AND f.complete
    AND f.expires_at > :now::timestamptz
RETURNING f.file_id;

-- name: abandon_file(slot, file_id)!
UPDATE meta.files AS f
SET expires_at = '-infinity'
WHERE f.slot = :slot::smallint AND f.file_id = :file_id::uuid AND NOT f.complete;

-- name: erase_files(file_id, owner, now, rows_max, chunks_max)
-- Erases incomplete files past their time: one, those of an owner, or with nulls all. The rows go with their last chunks.
WITH picked AS MATERIALIZED (
    SELECT f.slot, f.file_id
    FROM meta.files AS f
    WHERE
        NOT f.complete
        AND f.expires_at <= :now::timestamptz
        AND (:owner::text IS NULL OR f.owner = :owner::text)
        AND (:file_id::uuid IS NULL OR f.file_id = :file_id::uuid)
    ORDER BY f.expires_at
    LIMIT :rows_max::bigint
    FOR UPDATE SKIP LOCKED
),
found AS MATERIALIZED (
    SELECT c.slot, c.file_id, c.seq
    FROM picked AS p
    INNER JOIN meta.file_chunks AS c ON p.slot = c.slot AND p.file_id = c.file_id
    LIMIT :chunks_max::bigint
),
erased AS (
    DELETE FROM meta.file_chunks AS c
    USING found AS n
    WHERE c.slot = n.slot AND c.file_id = n.file_id AND c.seq = n.seq
    RETURNING c.seq
),
removed AS (
    DELETE FROM meta.files AS f
    USING picked AS p
    WHERE
        f.slot = p.slot AND f.file_id = p.file_id AND (SELECT count(*) FROM found) < :chunks_max::bigint
    RETURNING f.file_id
)
SELECT (SELECT count(*) FROM erased) AS chunks, (SELECT count(*) FROM removed) AS files;

-- name: select_ended_file_slots(slots, now)
-- The slots with files of which none is kept any longer. The newest files, which are mostly kept for longest, come first.
SELECT d.slot
FROM unnest(:slots::smallint[]) AS d (slot)
WHERE
    (SELECT TRUE FROM meta.files AS f WHERE f.slot = d.slot LIMIT 1)
    AND (
        SELECT TRUE FROM meta.files AS f
        WHERE f.slot = d.slot AND f.expires_at > :now::timestamptz
        ORDER BY f.file_id DESC
        LIMIT 1
    ) IS NULL;

-- name: empty_file_slot(slot, now)
SELECT meta.empty_file_slot(:slot::smallint, :now::timestamptz);
