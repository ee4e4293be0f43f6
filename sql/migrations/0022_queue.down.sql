-- lock
LOCK TABLE meta.queued_executions, meta.repeated_accepts, meta.open_executions, meta.idempotency_keys, meta.executions,
meta.usage_additions
IN ACCESS EXCLUSIVE MODE;

-- destroys queue
-- Executions that have not begun are lost, with their keys. Open executions, the history and responses stay. The release
-- before does not know executions that were cancelled or expired: they become unknown, and lose their responses.
SELECT
    (SELECT count(*) FROM meta.queued_executions) AS queued_executions,
    (
        SELECT count(*) FROM meta.idempotency_keys AS k
        WHERE
            k.start_until IS NOT NULL
            OR k.outcome IS NOT NULL
            OR num_nonnulls(k.ready_at, k.params, k.options, k.next_attempt) > 0
    ) AS accepted_executions,
    (
        SELECT count(*) FROM meta.open_executions AS o
        WHERE
            o.in_order
            OR num_nonnulls(
                o.claim_id, o.cancel_requested_at, o.language_title, o.ready_at, o.start_until, o.kept_until, o.params,
                o.options, o.key, o.payload_hash
            ) > 0
    ) AS open_executions,
    (
        SELECT count(*) FROM meta.executions AS e
        WHERE e.outcome IN ('cancelled', 'expired') OR e.attempt IS NOT NULL
    ) AS ended_executions,
    (SELECT count(*) FROM meta.usage_additions) AS usage_additions,
    (SELECT count(*) FROM meta.repeated_accepts) AS repeated_accepts;

-- statements
DELETE FROM meta.idempotency_keys AS k
WHERE
    k.outcome IN ('cancelled', 'expired')
    OR (
        k.start_until IS NOT NULL
        AND k.winner IN (SELECT q.execution_id FROM meta.queued_executions AS q)
    );
DROP TABLE meta.queued_executions;
DROP TABLE meta.repeated_accepts;
DROP TABLE meta.usage_additions;
DROP INDEX meta.idempotency_keys_winner;
DROP INDEX meta.idempotency_keys_by_owner;
ALTER TABLE meta.idempotency_keys DROP COLUMN ready_at;
ALTER TABLE meta.idempotency_keys DROP COLUMN start_until;
ALTER TABLE meta.idempotency_keys DROP COLUMN params;
ALTER TABLE meta.idempotency_keys DROP COLUMN options;
ALTER TABLE meta.idempotency_keys DROP COLUMN next_attempt;
ALTER TABLE meta.idempotency_keys DROP COLUMN outcome;
DROP INDEX meta.open_executions_in_order;
DROP INDEX meta.open_executions_id;
ALTER TABLE meta.open_executions DROP COLUMN in_order;
ALTER TABLE meta.open_executions DROP COLUMN claim_id;
ALTER TABLE meta.open_executions DROP COLUMN cancel_requested_at;
ALTER TABLE meta.open_executions DROP COLUMN language_title;
ALTER TABLE meta.open_executions DROP COLUMN ready_at;
ALTER TABLE meta.open_executions DROP COLUMN start_until;
ALTER TABLE meta.open_executions DROP COLUMN kept_until;
ALTER TABLE meta.open_executions DROP COLUMN params;
ALTER TABLE meta.open_executions DROP COLUMN options;
ALTER TABLE meta.open_executions DROP COLUMN key;
ALTER TABLE meta.open_executions DROP COLUMN payload_hash;
UPDATE meta.executions AS e SET outcome = 'unknown' WHERE e.outcome IN ('cancelled', 'expired');
ALTER TABLE meta.executions DROP COLUMN attempt;
ALTER TABLE meta.executions DROP CONSTRAINT executions_outcome_check;
ALTER TABLE meta.executions ADD CONSTRAINT executions_outcome_check
CHECK (outcome IN ('succeeded', 'failed', 'unknown')) NOT VALID;
