-- lock
LOCK TABLE meta.usage, meta.usage_additions IN ACCESS EXCLUSIVE MODE;

-- destroys network-usage
SELECT
    (
        SELECT count(*) FROM meta.usage AS u
        WHERE u.connections > 0 OR u.sent_bytes > 0 OR u.received_bytes > 0
    )
    + (
        SELECT count(*) FROM meta.usage_additions AS a
        WHERE a.connections > 0 OR a.sent_bytes > 0 OR a.received_bytes > 0
    ) AS network_usage;

-- statements
-- What the release before would count as rows without executions.
DELETE FROM meta.usage_additions AS a WHERE a.executions = 0;
DELETE FROM meta.usage AS u WHERE u.executions = 0;

ALTER TABLE meta.usage DROP COLUMN connections;
ALTER TABLE meta.usage DROP COLUMN sent_bytes;
ALTER TABLE meta.usage DROP COLUMN received_bytes;
ALTER TABLE meta.usage_additions DROP COLUMN connections;
ALTER TABLE meta.usage_additions DROP COLUMN sent_bytes;
ALTER TABLE meta.usage_additions DROP COLUMN received_bytes;
