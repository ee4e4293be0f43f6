-- Statements about what scripts of single owners may reach; sessions.sql describes the format.

-- name: allow_egress(owner, pattern, now, rules_max, act_id, actor, origin, act)
-- Storing a rule again changes nothing, and is not recorded again.
WITH present AS MATERIALIZED (
    SELECT count(*) AS number_of_rules, coalesce(bool_or(r.pattern = :pattern::text), FALSE) AS is_known
    FROM meta.egress_rules AS r
    WHERE r.owner = :owner::text
),
added AS (
    INSERT INTO meta.egress_rules AS r (owner, pattern, created_at)
    SELECT :owner::text, :pattern::text, :now::timestamptz
    FROM present AS p
    WHERE p.number_of_rules < :rules_max::bigint
    ON CONFLICT (owner, pattern) DO NOTHING
    RETURNING r.owner, r.pattern
),
recorded AS (
    INSERT INTO meta.audit (act_id, actor, origin, act, owner, subject, details)
    SELECT :act_id::uuid, :actor::text, :origin::text, :act::text, a.owner, a.pattern, '{}'
    FROM added AS a
    ON CONFLICT (act_id) DO NOTHING
)
SELECT
    EXISTS (SELECT FROM added) AS is_new,
    p.number_of_rules >= :rules_max::bigint AND NOT p.is_known AS is_full
FROM present AS p;

-- name: deny_egress(owner, pattern, act_id, actor, origin, act)
WITH removed AS (
    DELETE FROM meta.egress_rules AS r
    WHERE r.owner = :owner::text AND r.pattern = :pattern::text
    RETURNING r.owner, r.pattern
),
recorded AS (
    INSERT INTO meta.audit (act_id, actor, origin, act, owner, subject, details)
    SELECT :act_id::uuid, :actor::text, :origin::text, :act::text, d.owner, d.pattern, '{}'
    FROM removed AS d
    ON CONFLICT (act_id) DO NOTHING
)
SELECT EXISTS (SELECT FROM removed) AS was_there;

-- name: select_egress_rules(owners)
SELECT c.ordinal, array_agg(r.pattern ORDER BY r.pattern) AS patterns
FROM unnest(:owners::text[]) WITH ORDINALITY AS c (owner, ordinal)
INNER JOIN meta.egress_rules AS r ON c.owner = r.owner
GROUP BY c.ordinal;

-- name: select_egress_rule_page(owner, after_owner, after_pattern, rows_max)
SELECT r.owner, r.pattern, r.created_at
FROM meta.egress_rules AS r
WHERE
    (:owner::text IS NULL OR r.owner = :owner::text)
    AND (r.owner, r.pattern) > (:after_owner::text, :after_pattern::text)
ORDER BY r.owner, r.pattern
LIMIT :rows_max::bigint;
