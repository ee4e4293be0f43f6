CREATE TABLE meta.idempotency_keys (
    request_id uuid NOT NULL,
    owner text NOT NULL,
    key text NOT NULL CHECK (octet_length(key) BETWEEN 1 AND 255),
    payload_hash bytea NOT NULL CHECK (octet_length(payload_hash) = 32),
    winner uuid NOT NULL,
    language_title text NOT NULL,
    deadline_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    execution_count bigint,
    answer text,
    result text,
    PRIMARY KEY (request_id, owner, key)
) WITH (
    -- The answer comes into the row when the execution ends: with room on the page that touches no index.
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_analyze_scale_factor = 0.05,
    autovacuum_vacuum_insert_scale_factor = 0.1
);

ALTER TABLE meta.idempotency_keys ALTER COLUMN answer SET STATISTICS 0;
ALTER TABLE meta.idempotency_keys ALTER COLUMN result SET STATISTICS 0;

CREATE INDEX idempotency_keys_by_expiry ON meta.idempotency_keys (expires_at);

COMMENT ON TABLE meta.idempotency_keys IS
'Calls under the keys that callers gave them. In one table without partitions, so that a key is unique across any '
'boundary. The state is derived: ended when there is an answer, else under way before deadline_at, else unknown.';
COMMENT ON COLUMN meta.idempotency_keys.request_id IS 'The session; the nil UUID for a call that makes one.';
COMMENT ON COLUMN meta.idempotency_keys.owner IS 'Who made the call.';
COMMENT ON COLUMN meta.idempotency_keys.key IS 'The key as it came.';
COMMENT ON COLUMN meta.idempotency_keys.payload_hash IS 'SHA-256 of what the call was sent with, as canonical JSON.';
COMMENT ON COLUMN meta.idempotency_keys.winner IS
'Which call has the key, by the id that it made: its execution''s, or its new session''s.';
COMMENT ON COLUMN meta.idempotency_keys.language_title IS 'The session''s, for the answer.';
COMMENT ON COLUMN meta.idempotency_keys.deadline_at IS 'From here on a call without an answer reads as unknown.';
COMMENT ON COLUMN meta.idempotency_keys.expires_at IS 'From here on the key is free.';
COMMENT ON COLUMN meta.idempotency_keys.execution_count IS 'The session''s count with this execution.';
COMMENT ON COLUMN meta.idempotency_keys.answer IS 'What the caller was told, as JSON; null until the call has ended.';
COMMENT ON COLUMN meta.idempotency_keys.result IS 'The whole result, JSON as it came; null where there is none.';
