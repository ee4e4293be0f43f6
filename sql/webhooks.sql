-- Statements about webhooks and deliveries; sessions.sql describes the format.
--
-- A statement that ends asynchronous executions inserts their deliveries, in its part `announced`, by the function
-- meta.deliveries_of.
--
-- One process at a time sends the messages of a webhook: the one that has set `claimed_until`. A claim and the end of a
-- claim lock the webhook first, then its deliveries.

-- name: insert_webhook(webhook_id, owner, url, events, description, key_id, disabled_reason, disabled_at, key, payload_hash, owner_max, details, act_id, actor, origin, act)
-- Storing the same webhook again changes nothing, and is not recorded again. Nor is a webhook stored if another one has
-- the key. Returns whether it is stored, whether another one was seen to have the key, and how many the owner had.
WITH held AS MATERIALIZED (
    SELECT count(*) AS webhooks FROM meta.webhooks AS w WHERE w.owner = :owner::text
),
added AS (
    INSERT INTO meta.webhooks AS w (
        webhook_id, owner, url, events, description, key_id, disabled_reason, disabled_at, key, payload_hash
    )
    SELECT
        :webhook_id::uuid, :owner::text, :url::text, :events::text[], :description::text, :key_id::text,
        :disabled_reason::text, :disabled_at::timestamptz, :key::text, decode(:payload_hash::text, 'hex')
    FROM held AS h
    WHERE h.webhooks < :owner_max::bigint
    ON CONFLICT DO NOTHING
    RETURNING w.webhook_id
),
recorded AS (
    INSERT INTO meta.audit (act_id, actor, origin, act, owner, subject, details)
    SELECT
        :act_id::uuid, :actor::text, :origin::text, :act::text, :owner::text, a.webhook_id::text,
        :details::jsonb
    FROM added AS a
    ON CONFLICT (act_id) DO NOTHING
)
SELECT
    EXISTS (SELECT FROM added) OR EXISTS (SELECT FROM meta.webhooks AS w WHERE w.webhook_id = :webhook_id::uuid)
        AS is_stored,
    EXISTS (SELECT FROM meta.webhooks AS w WHERE w.owner = :owner::text AND w.key = :key::text) AS is_keyed,
    h.webhooks
FROM held AS h;

-- name: select_webhook(owner, webhook_id)
-- The owner "*" stands for every owner.
SELECT
    w.webhook_id, w.owner, w.url, w.events, w.key_id, w.secret_version, w.rotated_at, w.description, w.disabled_reason,
    w.disabled_at, w.failures, w.first_failed_at, w.failing_since, w.revision, w.dropped
FROM meta.webhooks AS w
WHERE w.webhook_id = :webhook_id::uuid AND :owner::text IN (w.owner, '*');

-- name: select_keyed_webhook(owner, key)
SELECT
    encode(w.payload_hash, 'hex'), w.webhook_id, w.owner, w.url, w.events, w.key_id, w.secret_version, w.rotated_at,
    w.description, w.disabled_reason, w.disabled_at, w.failures, w.first_failed_at, w.failing_since, w.revision,
    w.dropped
FROM meta.webhooks AS w
WHERE w.owner = :owner::text AND w.key = :key::text;

-- name: update_webhook(webhook_id, owner, revision_read, url, events, description, key_id, secret_version, rotated_at, disabled_reason, disabled_at, resets_health, ends_pause, ended_max, details, act_id, actor, origin, act)
-- Compare and set by owner and revision. A call that lost a race returns no row. What waits for a webhook that is disabled
-- by this fails; cleanup ends what is more than ended_max.
WITH changed AS (
    UPDATE meta.webhooks AS w
    SET
        url = :url::text,
        events = :events::text[],
        description = :description::text,
        key_id = :key_id::text,
        secret_version = :secret_version::integer,
        rotated_at = :rotated_at::timestamptz,
        disabled_reason = :disabled_reason::text,
        disabled_at = :disabled_at::timestamptz,
        failures = CASE WHEN :resets_health::boolean THEN 0 ELSE w.failures END,
        first_failed_at = CASE WHEN NOT :resets_health::boolean THEN w.first_failed_at END,
        failing_since = CASE WHEN NOT :resets_health::boolean THEN w.failing_since END,
        claimed_until = CASE WHEN :ends_pause::boolean THEN '-infinity' ELSE w.claimed_until END,
        revision = w.revision + 1
    WHERE
        w.webhook_id = :webhook_id::uuid AND w.owner = :owner::text AND w.revision = :revision_read::bigint
    RETURNING w.webhook_id, w.owner, w.revision, w.disabled_reason
),
waiting AS (
    SELECT d.delivery_id, d.request_id
    FROM changed AS c
    INNER JOIN meta.deliveries AS d ON c.webhook_id = d.webhook_id
    WHERE c.disabled_reason IS NOT NULL AND d.state = 'pending'
    LIMIT :ended_max::bigint
),
failed AS (
    UPDATE meta.deliveries AS d
    SET state = 'failed', error = 'the webhook was disabled'
    FROM waiting AS w
    WHERE d.delivery_id = w.delivery_id AND d.request_id = w.request_id AND d.state = 'pending'
),
recorded AS (
    INSERT INTO meta.audit (act_id, actor, origin, act, owner, subject, details)
    SELECT
        :act_id::uuid, :actor::text, :origin::text, :act::text, c.owner, c.webhook_id::text, :details::jsonb
    FROM changed AS c
    ON CONFLICT (act_id) DO NOTHING
)
SELECT c.revision FROM changed AS c;

-- name: copy_webhook(webhook_id, owner, url, events, description, key_id, secret_version, rotated_at, disabled_reason, disabled_at, revision, ended_max)
-- A copy in another bucket than the webhook. A newer one stays. What waits for one that is disabled fails, as above.
WITH copied AS (
    INSERT INTO meta.webhooks AS w (
        webhook_id, owner, url, events, description, key_id, secret_version, rotated_at, disabled_reason, disabled_at,
        revision
    )
    VALUES (
        :webhook_id::uuid, :owner::text, :url::text, :events::text[], :description::text, :key_id::text,
        :secret_version::integer, :rotated_at::timestamptz, :disabled_reason::text, :disabled_at::timestamptz,
        :revision::bigint
    )
    ON CONFLICT (webhook_id) DO UPDATE SET
        owner = excluded.owner,
        url = excluded.url,
        events = excluded.events,
        description = excluded.description,
        key_id = excluded.key_id,
        secret_version = excluded.secret_version,
        rotated_at = excluded.rotated_at,
        disabled_reason = excluded.disabled_reason,
        disabled_at = excluded.disabled_at,
        failures = CASE
            WHEN excluded.disabled_reason IS NULL AND w.disabled_reason IS NOT NULL THEN 0 ELSE w.failures
        END,
        first_failed_at = CASE
            WHEN excluded.disabled_reason IS NOT NULL OR w.disabled_reason IS NULL THEN w.first_failed_at
        END,
        failing_since = CASE
            WHEN excluded.disabled_reason IS NOT NULL OR w.disabled_reason IS NULL THEN w.failing_since
        END,
        claimed_until = CASE
            WHEN excluded.disabled_reason IS NULL AND (w.disabled_reason IS NOT NULL OR w.url <> excluded.url)
                THEN '-infinity'
            ELSE w.claimed_until
        END,
        revision = excluded.revision
    WHERE w.revision <= excluded.revision
    RETURNING w.webhook_id, w.disabled_reason
),
waiting AS (
    SELECT d.delivery_id, d.request_id
    FROM copied AS c
    INNER JOIN meta.deliveries AS d ON c.webhook_id = d.webhook_id
    WHERE c.disabled_reason IS NOT NULL AND d.state = 'pending'
    LIMIT :ended_max::bigint
)
UPDATE meta.deliveries AS d
SET state = 'failed', error = 'the webhook was disabled'
FROM waiting AS w
WHERE d.delivery_id = w.delivery_id AND d.request_id = w.request_id AND d.state = 'pending'
RETURNING d.delivery_id;

-- name: delete_webhook(owner, webhook_id, ended_max, act_id, actor, origin, act)
-- Its deliveries are found no longer. Cleanup removes what is more than ended_max.
WITH removed AS (
    DELETE FROM meta.webhooks AS w
    WHERE w.webhook_id = :webhook_id::uuid AND :owner::text IN (w.owner, '*')
    RETURNING w.webhook_id, w.owner
),
held AS MATERIALIZED (
    SELECT d.delivery_id, d.request_id
    FROM removed AS r
    INNER JOIN meta.deliveries AS d ON r.webhook_id = d.webhook_id
    LIMIT :ended_max::bigint
),
emptied AS (
    DELETE FROM meta.deliveries AS d
    USING held AS h
    WHERE d.delivery_id = h.delivery_id AND d.request_id = h.request_id
    RETURNING d.delivery_id
),
recorded AS (
    INSERT INTO meta.audit (act_id, actor, origin, act, owner, subject, details)
    SELECT
        :act_id::uuid, :actor::text, :origin::text, :act::text, r.owner, r.webhook_id::text,
        jsonb_build_object('deliveries', (SELECT count(*) FROM emptied))
    FROM removed AS r
    ON CONFLICT (act_id) DO NOTHING
)
SELECT r.webhook_id FROM removed AS r;

-- name: select_webhook_page(owner, after, rows_max)
SELECT
    w.webhook_id, w.owner, w.url, w.events, w.key_id, w.secret_version, w.rotated_at, w.description, w.disabled_reason,
    w.disabled_at, w.failures, w.first_failed_at, w.failing_since, w.revision, w.dropped
FROM meta.webhooks AS w
WHERE
    :owner::text IN (w.owner, '*')
    AND w.webhook_id < coalesce(:after::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
ORDER BY w.webhook_id DESC
LIMIT :rows_max::bigint;

-- name: insert_delivery(delivery_id, request_id, webhook_id, owner, execution_id, event, payload, next_at)
-- Returns no row if the owner has no such webhook.
WITH known AS (
    SELECT w.webhook_id FROM meta.webhooks AS w WHERE w.webhook_id = :webhook_id::uuid AND w.owner = :owner::text
),
added AS (
    INSERT INTO meta.deliveries (delivery_id, request_id, webhook_id, execution_id, event, payload, next_at)
    SELECT
        :delivery_id::uuid, :request_id::uuid, k.webhook_id, :execution_id::uuid, :event::text, :payload::text,
        :next_at::timestamptz
    FROM known AS k
    ON CONFLICT (delivery_id, request_id) DO NOTHING
)
SELECT k.webhook_id FROM known AS k;

-- name: select_delivery(owner, delivery_id)
SELECT
    d.delivery_id, d.webhook_id, w.owner, d.event, d.payload, d.next_at, d.request_id, d.execution_id, d.state,
    d.attempts, d.attempted_at, d.status, d.error, d.answer
FROM meta.deliveries AS d
INNER JOIN meta.webhooks AS w ON d.webhook_id = w.webhook_id
WHERE d.delivery_id = :delivery_id::uuid AND :owner::text IN (w.owner, '*');

-- name: select_delivery_page(owner, webhook_id, after, state, examined_max, size)
-- The state applies to a bounded number of rows, newest first. `next_after` is the same in every row. A page without
-- deliveries is one row with nulls beside it.
WITH examined AS MATERIALIZED (
    SELECT d.*, w.owner, row_number() OVER (ORDER BY d.delivery_id DESC) AS position
    FROM meta.webhooks AS w
    INNER JOIN meta.deliveries AS d ON w.webhook_id = d.webhook_id
    WHERE
        w.webhook_id = :webhook_id::uuid
        AND :owner::text IN (w.owner, '*')
        AND d.delivery_id < coalesce(:after::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
    ORDER BY d.delivery_id DESC
    LIMIT :examined_max::bigint + 1
),
matching AS (
    SELECT e.*, row_number() OVER (ORDER BY e.delivery_id DESC) AS nth
    FROM examined AS e
    WHERE e.position <= :examined_max::bigint AND (:state::text IS NULL OR e.state = :state::text)
    ORDER BY e.delivery_id DESC
    LIMIT :size::bigint + 1
)
SELECT
    CASE
        WHEN (SELECT count(*) FROM matching) > :size::bigint
            THEN (SELECT m.delivery_id FROM matching AS m WHERE m.nth = :size::bigint)
        WHEN (SELECT count(*) FROM examined) > :examined_max::bigint
            THEN (SELECT e.delivery_id FROM examined AS e WHERE e.position = :examined_max::bigint)
    END AS next_after,
    m.delivery_id, m.webhook_id, m.owner, m.event, m.payload, m.next_at, m.request_id, m.execution_id, m.state,
    m.attempts, m.attempted_at, m.status, m.error, m.answer
FROM (SELECT 1) AS page
LEFT JOIN matching AS m ON m.nth <= :size::bigint
ORDER BY m.nth;

-- name: update_delivery(owner, delivery_id, now)
-- Makes it due, with all its attempts.
UPDATE meta.deliveries AS d
SET state = 'pending', attempts = 0, next_at = :now::timestamptz, error = NULL
FROM meta.webhooks AS w
WHERE
    d.delivery_id = :delivery_id::uuid AND d.webhook_id = w.webhook_id AND :owner::text IN (w.owner, '*')
RETURNING
    d.delivery_id, d.webhook_id, w.owner, d.event, d.payload, d.next_at, d.request_id, d.execution_id, d.state,
    d.attempts, d.attempted_at, d.status, d.error, d.answer;

-- name: claim_webhooks(after, now, until, webhooks_max, owner_max, blocked, deliveries_max, turns_max)
-- `turn` finds one webhook after the other in the index of pending deliveries, from the one behind `after` round to that
-- one; the nil id marks the way round. A webhook that another process has claimed since the snapshot is judged again when
-- it is locked, and so are its deliveries: one that was made since is not returned. Returns one row with the webhook that
-- was examined last, and nulls beside it, if nothing was claimed.
WITH RECURSIVE turn (webhook_id, lap, position) AS (
    SELECT :after::uuid, 0, 0
    UNION ALL
    SELECT
        coalesce(n.webhook_id, '00000000-0000-0000-0000-000000000000'::uuid),
        t.lap + CASE WHEN n.webhook_id IS NULL THEN 1 ELSE 0 END,
        t.position + 1
    FROM turn AS t
    LEFT JOIN LATERAL (
        SELECT d.webhook_id
        FROM meta.deliveries AS d
        WHERE d.state = 'pending' AND d.webhook_id > t.webhook_id
        ORDER BY d.webhook_id
        LIMIT 1
    ) AS n ON TRUE
    WHERE t.position < :turns_max::bigint AND (t.lap = 0 OR (t.lap = 1 AND t.webhook_id < :after::uuid))
),
due AS MATERIALIZED (
    SELECT t.webhook_id, t.position, row_number() OVER (PARTITION BY w.owner ORDER BY t.position) AS nth
    FROM turn AS t
    INNER JOIN meta.webhooks AS w ON t.webhook_id = w.webhook_id
    WHERE
        t.position > 0
        AND (t.lap = 0 OR t.webhook_id <= :after::uuid)
        AND w.disabled_reason IS NULL
        AND w.claimed_until <= :now::timestamptz
        AND w.owner <> all(:blocked::text[])
        AND EXISTS (
            SELECT FROM meta.deliveries AS d
            WHERE d.webhook_id = t.webhook_id AND d.state = 'pending' AND d.next_at <= :now::timestamptz
        )
),
held AS MATERIALIZED (
    SELECT
        w.webhook_id, w.owner, w.url, w.events, w.key_id, w.secret_version, w.rotated_at, w.description,
        w.disabled_reason, w.disabled_at, w.failures, w.first_failed_at, w.failing_since, w.revision, w.dropped,
        d.position
    FROM due AS d
    INNER JOIN meta.webhooks AS w ON d.webhook_id = w.webhook_id
    WHERE d.nth <= :owner_max::bigint AND w.disabled_reason IS NULL AND w.claimed_until <= :now::timestamptz
    ORDER BY d.position
    LIMIT :webhooks_max::bigint
    FOR NO KEY UPDATE OF w SKIP LOCKED
),
claimed AS (
    UPDATE meta.webhooks AS w
    SET claimed_until = :until::timestamptz
    FROM held AS h
    WHERE w.webhook_id = h.webhook_id
),
picked AS MATERIALIZED (
    SELECT p.*
    FROM held AS h
    CROSS JOIN LATERAL (
        SELECT
            d.delivery_id, d.webhook_id, d.event, d.payload, d.next_at, d.request_id, d.execution_id, d.state, d.attempts,
            d.attempted_at, d.status, d.error, d.answer
        FROM meta.deliveries AS d
        WHERE d.webhook_id = h.webhook_id AND d.state = 'pending' AND d.next_at <= :now::timestamptz
        ORDER BY d.next_at, d.delivery_id
        LIMIT :deliveries_max::bigint
        FOR NO KEY UPDATE OF d SKIP LOCKED
    ) AS p
)
SELECT
    coalesce(
        (SELECT h.webhook_id FROM held AS h ORDER BY h.position DESC LIMIT 1),
        (SELECT t.webhook_id FROM turn AS t ORDER BY t.position DESC LIMIT 1)
    ) AS reached,
    h.webhook_id, h.owner, h.url, h.events, h.key_id, h.secret_version, h.rotated_at, h.description, h.disabled_reason,
    h.disabled_at, h.failures, h.first_failed_at, h.failing_since, h.revision,
    h.dropped,
    p.delivery_id, p.event, p.payload, p.next_at, p.request_id, p.execution_id, p.state, p.attempts, p.attempted_at,
    p.status, p.error, p.answer
FROM (SELECT 1) AS claim
LEFT JOIN held AS h ON TRUE
LEFT JOIN picked AS p ON h.webhook_id = p.webhook_id
ORDER BY h.position, p.next_at, p.delivery_id;

-- name: record_attempt(delivery_id, request_id, attempts_read, state, next_at, attempted_at, status, error, answer, webhook_id, has_changed, revision_read, revision, failures, first_failed_at, failing_since, disabled_reason, disabled_at, ended_max)
-- A delivery that has ended or was sent anew, and a webhook that its owner has changed, stay as they are. Deliveries are
-- updated after `changed` has ended, so that the webhook is locked first. Returns whether the webhook had the revision.
WITH changed AS (
    UPDATE meta.webhooks AS w
    SET
        revision = :revision::bigint,
        failures = :failures::integer,
        first_failed_at = :first_failed_at::timestamptz,
        failing_since = :failing_since::timestamptz,
        disabled_reason = :disabled_reason::text,
        disabled_at = :disabled_at::timestamptz
    WHERE
        :has_changed::boolean
        AND w.webhook_id = :webhook_id::uuid
        AND w.revision = :revision_read::bigint
    RETURNING w.webhook_id, w.disabled_reason
),
change AS MATERIALIZED (
    SELECT count(c.disabled_reason) > 0 AS has_disabled FROM changed AS c
),
waiting AS (
    SELECT d.delivery_id, d.request_id
    FROM change AS c
    INNER JOIN meta.deliveries AS d ON d.webhook_id = :webhook_id::uuid
    WHERE c.has_disabled AND d.state = 'pending' AND d.delivery_id <> :delivery_id::uuid
    LIMIT :ended_max::bigint
),
others AS (
    UPDATE meta.deliveries AS d
    SET state = 'failed', error = 'the webhook was disabled'
    FROM waiting AS w
    WHERE d.delivery_id = w.delivery_id AND d.request_id = w.request_id AND d.state = 'pending'
),
attempted AS (
    UPDATE meta.deliveries AS d
    SET
        state = CASE WHEN :state::text = 'pending' AND c.has_disabled THEN 'failed' ELSE :state::text END,
        attempts = d.attempts + 1,
        next_at = :next_at::timestamptz,
        attempted_at = :attempted_at::timestamptz,
        status = :status::smallint,
        error = :error::text,
        answer = :answer::text
    FROM change AS c
    WHERE
        d.delivery_id = :delivery_id::uuid
        AND d.request_id = :request_id::uuid
        AND d.state = 'pending'
        AND d.attempts = :attempts_read::smallint
)
SELECT EXISTS (
    SELECT FROM meta.webhooks AS w WHERE w.webhook_id = :webhook_id::uuid AND w.revision = :revision_read::bigint
) AS is_as_read;

-- name: release_webhook(webhook_id, claimed_until, pause_until)!
-- Without a pause the webhook is free at any instant, so that a clock that is set back holds up nothing.
UPDATE meta.webhooks AS w
SET claimed_until = coalesce(:pause_until::timestamptz, '-infinity')
WHERE w.webhook_id = :webhook_id::uuid AND w.claimed_until = :claimed_until::timestamptz;
