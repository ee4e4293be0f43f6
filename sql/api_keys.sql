-- Statements about API keys; sessions.sql describes the format.

-- name: insert_api_key(key_id, owner, scopes, secret_hash, expires_at, act_id, actor, origin, act)!
-- Storing the same key again changes nothing, and is not recorded again.
WITH added AS (
    INSERT INTO meta.api_keys AS k (key_id, owner, scopes, secret_hash, expires_at)
    VALUES (:key_id::uuid, :owner::text, :scopes::text[], :secret_hash::bytea, :expires_at::timestamptz)
    ON CONFLICT (key_id) DO NOTHING
    RETURNING k.key_id, k.owner, k.scopes, k.expires_at
)
INSERT INTO meta.audit (act_id, actor, origin, act, owner, subject, details)
SELECT
    :act_id::uuid, :actor::text, :origin::text, :act::text, a.owner, a.key_id::text,
    jsonb_build_object('scopes', a.scopes, 'expires_at', a.expires_at)
FROM added AS a;

-- name: select_api_keys(key_ids)
SELECT c.ordinal, k.key_id, k.owner, k.scopes, k.secret_hash, k.expires_at, k.revoked_at, k.last_used_at
FROM unnest(:key_ids::uuid[]) WITH ORDINALITY AS c (key_id, ordinal)
INNER JOIN meta.api_keys AS k ON c.key_id = k.key_id;

-- name: revoke_api_key(key_id, now, act_id, actor, origin, act)
-- A second revocation keeps the time of the first, and is not recorded.
WITH revoked AS (
    UPDATE meta.api_keys AS k
    SET revoked_at = coalesce(k.revoked_at, :now::timestamptz)
    WHERE k.key_id = :key_id::uuid
    RETURNING k.key_id, k.owner, k.scopes, k.secret_hash, k.expires_at, k.revoked_at, k.last_used_at
),
recorded AS (
    INSERT INTO meta.audit (act_id, actor, origin, act, owner, subject, details)
    SELECT :act_id::uuid, :actor::text, :origin::text, :act::text, r.owner, r.key_id::text, '{}'
    FROM revoked AS r
    WHERE r.revoked_at = :now::timestamptz
    ON CONFLICT (act_id) DO NOTHING
)
SELECT r.key_id, r.owner, r.scopes, r.secret_hash, r.expires_at, r.revoked_at, r.last_used_at FROM revoked AS r;

-- name: record_api_key_uses(key_ids, used_ats)!
-- A key whose row is locked is skipped: its next use is recorded.
WITH used AS (
    SELECT k.key_id, c.used_at
    FROM unnest(:key_ids::uuid[], :used_ats::timestamptz[]) AS c (key_id, used_at)
    INNER JOIN meta.api_keys AS k ON c.key_id = k.key_id
    WHERE k.last_used_at IS NULL OR k.last_used_at < c.used_at
    FOR NO KEY UPDATE OF k SKIP LOCKED
)
UPDATE meta.api_keys AS k
SET last_used_at = u.used_at
FROM used AS u
WHERE k.key_id = u.key_id;

-- name: select_api_key_page(owner, after, rows_max)
SELECT k.key_id, k.owner, k.scopes, k.secret_hash, k.expires_at, k.revoked_at, k.last_used_at
FROM meta.api_keys AS k
WHERE
    (:owner::text IS NULL OR k.owner = :owner::text)
    AND k.key_id < coalesce(:after::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
ORDER BY k.key_id DESC
LIMIT :rows_max::bigint;
