-- lock
LOCK TABLE meta.webhooks, meta.deliveries IN ACCESS EXCLUSIVE MODE;

-- destroys webhooks
-- Secrets follow from WEBHOOK_KEY and the id of a webhook, so a webhook that is registered again has another secret.
SELECT
    (SELECT count(*) FROM meta.webhooks) AS webhooks,
    (SELECT count(*) FROM meta.deliveries) AS deliveries;

-- statements
DROP FUNCTION meta.deliveries_of;
DROP TABLE meta.deliveries;
DROP TABLE meta.webhooks;
