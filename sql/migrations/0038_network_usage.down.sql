-- lock
LOCK TABLE meta.usage, meta.usage_additions IN ACCESS EXCLUSIVE MODE;

-- destroys network-usage
SELECT
    (SELECT count(*) FROM meta.usage AS u WHERE u.connections > 0)
    + (SELECT count(*) FROM meta.usage_additions AS a WHERE a.connections > 0) AS network_usage;

-- statements
-- What the release before would count as rows without executions.
DELETE FROM meta.usage_additions AS a WHERE a.executions = 0;
DELETE FROM meta.usage AS u WHERE u.executions = 0;

ALTER TABLE meta.usage DROP COLUMN connections, DROP COLUMN sent_bytes, DROP COLUMN received_bytes;
ALTER TABLE meta.usage_additions DROP COLUMN connections, DROP COLUMN sent_bytes, DROP COLUMN received_bytes;
