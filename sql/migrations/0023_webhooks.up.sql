-- works beside 0016
-- Endpoints that hear of the ends of executions, and the messages to them. A secret is not stored: it follows from
-- WEBHOOK_KEY, the id and the version.
CREATE TABLE meta.webhooks (
    webhook_id uuid PRIMARY KEY,
    owner text NOT NULL,
    url text NOT NULL CHECK (octet_length(url) <= 2048),
    events text[] NOT NULL,
    description text NOT NULL DEFAULT '',
    key_id text NOT NULL,
    secret_version integer NOT NULL DEFAULT 1,
    rotated_at timestamptz,
    disabled_reason text CHECK (disabled_reason IN ('owner', 'gone', 'failing')),
    disabled_at timestamptz,
    failures integer NOT NULL DEFAULT 0,
    first_failed_at timestamptz,
    failing_since timestamptz,
    revision bigint NOT NULL DEFAULT 1,
    dropped bigint NOT NULL DEFAULT 0,
    claimed_until timestamptz NOT NULL DEFAULT '-infinity',
    key text CHECK (octet_length(key) BETWEEN 1 AND 255),
    payload_hash bytea CHECK (octet_length(payload_hash) = 32)
) WITH (
    -- Each turn of deliveries updates a row in place.
    fillfactor = 50
);

CREATE INDEX webhooks_by_owner ON meta.webhooks (owner, webhook_id);
CREATE UNIQUE INDEX webhooks_by_key ON meta.webhooks (owner, key) WHERE key IS NOT NULL;

COMMENT ON TABLE meta.webhooks IS 'Endpoints of owners that hear of the ends of executions.';
COMMENT ON COLUMN meta.webhooks.webhook_id IS 'UUIDv7; the time in it is when it was registered.';
COMMENT ON COLUMN meta.webhooks.owner IS 'The owner, of whose executions it hears.';
COMMENT ON COLUMN meta.webhooks.url IS 'Where messages are sent.';
COMMENT ON COLUMN meta.webhooks.events IS 'What it hears of. Of executions that name it, it hears in any case.';
COMMENT ON COLUMN meta.webhooks.description IS 'A text of the owner.';
COMMENT ON COLUMN meta.webhooks.key_id IS 'Names the WEBHOOK_KEY from which its secret follows.';
COMMENT ON COLUMN meta.webhooks.secret_version IS 'The version of the secret; a rotation raises it.';
COMMENT ON COLUMN meta.webhooks.rotated_at IS 'When the secret was rotated last: the version before signs along for 24 h.';
COMMENT ON COLUMN meta.webhooks.disabled_reason IS
'Why it gets nothing: its owner wants that, its receiver is gone, or it has failed for too long. Null while enabled.';
COMMENT ON COLUMN meta.webhooks.disabled_at IS 'When it was disabled.';
COMMENT ON COLUMN meta.webhooks.failures IS 'Failed attempts since the last success, from first_failed_at on.';
COMMENT ON COLUMN meta.webhooks.first_failed_at IS 'The first of these failures.';
COMMENT ON COLUMN meta.webhooks.failing_since IS 'When the failures had become so many that it counts as failing.';
COMMENT ON COLUMN meta.webhooks.revision IS 'Counts the changes of everything but failures, for compare and set.';
COMMENT ON COLUMN meta.webhooks.dropped IS
'Messages that were removed unsent, because it had more than 10,000.';
COMMENT ON COLUMN meta.webhooks.claimed_until IS
'Until then one process sends its messages, or none does, because the receiver wanted a pause.';
COMMENT ON COLUMN meta.webhooks.key IS 'The idempotency key of the call that has registered it; null without one.';
COMMENT ON COLUMN meta.webhooks.payload_hash IS 'SHA-256 of what that call was sent with, as canonical JSON.';

-- A row leaves its place only when it is removed, and each attempt updates it.
CREATE TABLE meta.deliveries (
    delivery_id uuid NOT NULL,
    request_id uuid NOT NULL,
    webhook_id uuid NOT NULL,
    execution_id uuid,
    event text NOT NULL,
    payload text NOT NULL CHECK (octet_length(payload) <= 20000),
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'failed')),
    attempts smallint NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL,
    attempted_at timestamptz,
    status smallint,
    error text,
    answer text,
    PRIMARY KEY (delivery_id, request_id)
) WITH (
    autovacuum_vacuum_scale_factor = 0.05,
    autovacuum_vacuum_insert_scale_factor = 0.2
);

ALTER TABLE meta.deliveries ALTER COLUMN payload SET STATISTICS 0;

CREATE INDEX deliveries_due ON meta.deliveries (webhook_id, next_at) WHERE state = 'pending';
CREATE INDEX deliveries_by_webhook ON meta.deliveries (webhook_id, delivery_id);
CREATE INDEX deliveries_by_session ON meta.deliveries (request_id, delivery_id);

COMMENT ON TABLE meta.deliveries IS 'Messages to webhooks: those that wait, and for 7 days those that have ended.';
COMMENT ON COLUMN meta.deliveries.delivery_id IS
'UUIDv7; the time in it is that of the event. Receivers get it as webhook-id, the same in all attempts.';
COMMENT ON COLUMN meta.deliveries.request_id IS 'The session; the nil UUID for a test.';
COMMENT ON COLUMN meta.deliveries.webhook_id IS 'The webhook, whose owner owns the delivery.';
COMMENT ON COLUMN meta.deliveries.execution_id IS 'The execution that has ended; null for a test.';
COMMENT ON COLUMN meta.deliveries.event IS 'What the message reports.';
COMMENT ON COLUMN meta.deliveries.payload IS 'The body of the message: JSON, byte by byte as it is signed.';
COMMENT ON COLUMN meta.deliveries.state IS 'Whether it waits for an attempt, or how it has ended.';
COMMENT ON COLUMN meta.deliveries.attempts IS 'Attempts that were made.';
COMMENT ON COLUMN meta.deliveries.next_at IS 'When the next attempt is due.';
COMMENT ON COLUMN meta.deliveries.attempted_at IS 'When the last attempt was made.';
COMMENT ON COLUMN meta.deliveries.status IS 'The status of the last response; null without one.';
COMMENT ON COLUMN meta.deliveries.error IS 'Why the last attempt failed; null if it did not.';
COMMENT ON COLUMN meta.deliveries.answer IS 'The begin of the last response.';

-- One row for each webhook that hears of the end of an execution. `callback` is the webhook that the execution names, and
-- `error` a JSON object of at most 8192 bytes. The ids follow from the execution and the webhook, so one end makes one
-- message for each. A message to a disabled webhook is stored as failed; its owner can send it once the webhook is enabled
-- again. Texts of scripts are joined as they are: the functions for JSON reject half surrogate pairs and NUL in them.
CREATE FUNCTION meta.deliveries_of(
    owner text, callback uuid, request_id uuid, execution_id uuid, status text, ended_at timestamptz, title text,
    attempt smallint, error text, result text
)
RETURNS TABLE (
    delivery_id uuid,
    request_id uuid,
    webhook_id uuid,
    execution_id uuid,
    event text,
    payload text,
    state text,
    next_at timestamptz,
    error text
)
LANGUAGE sql STABLE
AS $$
    SELECT
        (
            lpad(to_hex(floor(extract(EPOCH FROM $6) * 1000)::bigint), 12, '0')
            || '7' || substr(h.digest, 1, 3) || '8' || substr(h.digest, 4, 13) || right($4::text, 2)
        )::uuid,
        $3,
        w.webhook_id,
        $4,
        'execution.' || $5,
        left(h.facts, -1)
        || coalesce(',"error":' || CASE WHEN octet_length($9) <= 8192 THEN $9 END, '')
        || CASE
            WHEN $10 IS NULL THEN ''
            WHEN octet_length($10) <= 8192 THEN ',"result":' || $10
            ELSE ',"result_url":"/api/v1/executions/' || $4 || '"'
        END
        || '}}',
        CASE WHEN w.disabled_reason IS NULL THEN 'pending' ELSE 'failed' END,
        $6,
        CASE WHEN w.disabled_reason IS NOT NULL THEN 'the webhook was disabled' END
    FROM meta.webhooks AS w
    CROSS JOIN LATERAL (
        SELECT
            encode(sha256(uuid_send(w.webhook_id) || uuid_send($4)), 'hex') AS digest,
            '{"type":"execution.' || $5
            || '","timestamp":"' || to_char($6 AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
            || '","data":' || json_build_object(
                'execution_id', $4, 'request_id', $3, 'status', $5, 'language_title', $7, 'attempt', $8
            ) AS facts
    ) AS h
    WHERE w.owner = $1 AND ('execution.' || $5 = ANY(w.events) OR w.webhook_id = $2)
$$;

COMMENT ON FUNCTION meta.deliveries_of IS 'The messages about the end of an execution, as rows of meta.deliveries.';
