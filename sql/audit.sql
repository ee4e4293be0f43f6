-- Statements of the audit record; sessions.sql describes the format. The statements that make an act in the database
-- record it. insert_act records another act.

-- name: select_audit_page(after, rows_max)
SELECT a.act_id, a.actor, a.origin, a.act, a.owner, a.subject, a.details::text
FROM meta.audit AS a
WHERE a.act_id < coalesce(:after::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
ORDER BY a.act_id DESC
LIMIT :rows_max::bigint;

-- name: insert_act(act_id, actor, origin, act, owner, subject, details)!
-- Repeatable.
INSERT INTO meta.audit (act_id, actor, origin, act, owner, subject, details)
VALUES (
    :act_id::uuid, :actor::text, :origin::text, :act::text, :owner::text, :subject::text, :details::text::jsonb
)
ON CONFLICT (act_id) DO NOTHING;
