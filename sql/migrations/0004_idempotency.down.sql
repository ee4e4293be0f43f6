-- lock
LOCK TABLE meta.idempotency_keys IN ACCESS EXCLUSIVE MODE;

-- destroys idempotency
SELECT count(*) AS idempotency_keys, count(k.answer) AS answers FROM meta.idempotency_keys AS k;

-- statements
DROP TABLE meta.idempotency_keys;
