-- Statements that read the audit record; sessions.sql describes the format. The statements that make an act record it.

-- name: select_audit_page(after, rows_max)
SELECT a.act_id, a.actor, a.origin, a.act, a.owner, a.subject, a.details::text
FROM meta.audit AS a
WHERE a.act_id < coalesce(:after::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
ORDER BY a.act_id DESC
LIMIT :rows_max::bigint;
