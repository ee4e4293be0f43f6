-- Statements about runtime hosts that register themselves; sessions.sql describes the format.

-- name: register_runtime_host(name, boot_id, url, address, languages, runs_max, release, state, now, held_since, stale_since, hosts_max)
-- Nearly always the process is the one of the row, which is renewed. Otherwise the rows with its name or its URL make way,
-- unless one of them is held; and if the table is full, the one that was not seen for longest of those that are not live.
-- Two that register at once may take the same name or URL: the second one stores nothing, and the statement is repeated.
WITH renewed AS (
    UPDATE meta.runtime_hosts AS h
    SET
        address = :address::text,
        languages = :languages::text[],
        runs_max = :runs_max::integer,
        release = :release::text,
        -- A process does not return from a later state: what says so is a request that comes late.
        state = CASE
            WHEN h.state = 'ended' OR (h.state = 'draining' AND :state::text = 'ready') THEN h.state
            ELSE :state::text
        END,
        seen_at = :now::timestamptz
    WHERE h.name = :name::text AND h.boot_id = :boot_id::uuid AND h.url = :url::text
    RETURNING h.name
),
other AS MATERIALIZED (
    SELECT
        h.name, h.url, h.seen_at, h.name = :name::text OR h.url = :url::text AS is_taken,
        h.boot_id <> :boot_id::uuid AND (h.name <> :name::text OR h.url <> :url::text) AND h.state <> 'ended'
        AND h.seen_at > :held_since::timestamptz AS is_held,
        h.state <> 'ended' AND h.seen_at > :stale_since::timestamptz AS is_live
    FROM meta.runtime_hosts AS h
    WHERE NOT EXISTS (SELECT FROM renewed)
),
holder AS (
    SELECT o.name, o.url FROM other AS o WHERE o.is_taken AND o.is_held ORDER BY o.name LIMIT 1
),
full_by AS (
    SELECT count(*) AS present, count(*) FILTER (WHERE o.is_live) AS live FROM other AS o WHERE NOT o.is_taken
),
oldest AS (
    SELECT o.name
    FROM other AS o
    WHERE NOT o.is_live AND NOT o.is_taken AND (SELECT f.present FROM full_by AS f) >= :hosts_max::bigint
    ORDER BY o.seen_at
    LIMIT 1
),
freed AS (
    DELETE FROM meta.runtime_hosts AS h
    WHERE
        NOT EXISTS (SELECT FROM renewed)
        AND NOT EXISTS (SELECT FROM holder)
        AND (SELECT f.live FROM full_by AS f) < :hosts_max::bigint
        -- Judged again, because a row that another transaction has renewed meanwhile is held.
        AND (
            h.boot_id = :boot_id::uuid
            OR (h.name = :name::text AND h.url = :url::text)
            OR h.state = 'ended'
            OR h.seen_at <= :held_since::timestamptz
        )
        AND (h.name = :name::text OR h.url = :url::text OR h.name = (SELECT o.name FROM oldest AS o))
    RETURNING h.name
),
added AS (
    INSERT INTO meta.runtime_hosts (
        name, boot_id, url, address, languages, runs_max, release, state, registered_at, seen_at
    )
    SELECT
        :name::text, :boot_id::uuid, :url::text, :address::text, :languages::text[], :runs_max::integer,
        :release::text, :state::text, :now::timestamptz, :now::timestamptz
    FROM (SELECT count(*) AS rows_freed FROM freed) AS f -- so rows make way first
    WHERE
        f.rows_freed >= 0
        AND NOT EXISTS (SELECT FROM renewed)
        AND NOT EXISTS (SELECT FROM holder)
        AND (SELECT b.live FROM full_by AS b) < :hosts_max::bigint
    ON CONFLICT DO NOTHING
    RETURNING name
)
SELECT
    EXISTS (SELECT FROM renewed) OR EXISTS (SELECT FROM added) AS is_stored,
    (SELECT f.live FROM full_by AS f) >= :hosts_max::bigint AS is_full,
    (SELECT o.name FROM holder AS o) AS holder_name,
    (SELECT o.url FROM holder AS o) AS holder_url;

-- name: select_runtime_hosts()
SELECT
    h.name, h.boot_id, h.url, h.address, h.languages, h.runs_max, h.release, h.state, h.registered_at, h.seen_at
FROM meta.runtime_hosts AS h
ORDER BY h.name;
