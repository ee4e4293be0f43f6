-- lock
LOCK TABLE meta.queued_executions, meta.open_executions, meta.idempotency_keys, meta.executions,
meta.usage_additions
IN ACCESS EXCLUSIVE MODE;

-- destroys queue
-- Executions that have not begun are lost, with their keys. Open executions, the history and responses stay. The release
-- before does not know executions that were cancelled or expired: they become unknown, and lose their responses.
SELECT
    (SELECT count(*) FROM meta.queued_executions) AS queued_executions,
    (
        SELECT count(*) FROM meta.idempotency_keys AS k
        WHERE k.asynchronous IS NOT NULL OR k.params IS NOT NULL OR k.outcome IS NOT NULL
    ) AS accepted_executions,
    (
        SELECT count(*) FROM meta.open_executions AS o
        WHERE o.in_order OR o.claim_id IS NOT NULL OR o.cancel_requested_at IS NOT NULL
    ) AS open_executions,
    (
        SELECT count(*) FROM meta.executions AS e
        WHERE e.outcome IN ('cancelled', 'expired') OR e.attempt IS NOT NULL
    ) AS ended_executions,
    (SELECT count(*) FROM meta.usage_additions) AS usage_additions;

-- statements
DELETE FROM meta.idempotency_keys AS k
WHERE
    k.asynchronous IS NOT NULL
    AND (
        k.outcome IN ('cancelled', 'expired')
        OR k.winner IN (SELECT q.execution_id FROM meta.queued_executions AS q)
    );
DROP TABLE meta.queued_executions;
DROP TABLE meta.usage_additions;
DROP INDEX meta.idempotency_keys_by_execution;
DROP INDEX meta.idempotency_keys_by_owner;
ALTER TABLE meta.idempotency_keys DROP COLUMN asynchronous;
ALTER TABLE meta.idempotency_keys DROP COLUMN params;
ALTER TABLE meta.idempotency_keys DROP COLUMN outcome;
DROP INDEX meta.open_executions_in_order;
ALTER TABLE meta.open_executions DROP COLUMN in_order;
ALTER TABLE meta.open_executions DROP COLUMN claim_id;
ALTER TABLE meta.open_executions DROP COLUMN cancel_requested_at;
UPDATE meta.executions AS e SET outcome = 'unknown' WHERE e.outcome IN ('cancelled', 'expired');
ALTER TABLE meta.executions DROP COLUMN attempt;
ALTER TABLE meta.executions DROP CONSTRAINT executions_outcome_check;
ALTER TABLE meta.executions ADD CONSTRAINT executions_outcome_check
CHECK (outcome IN ('succeeded', 'failed', 'unknown')) NOT VALID;
