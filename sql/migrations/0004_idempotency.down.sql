DROP TABLE meta.idempotency_keys;
