-- What the connections of scripts have used counts for their owners, by day.
-- works beside 0016
ALTER TABLE meta.usage
ADD COLUMN connections bigint NOT NULL DEFAULT 0,
ADD COLUMN sent_bytes bigint NOT NULL DEFAULT 0,
ADD COLUMN received_bytes bigint NOT NULL DEFAULT 0;

ALTER TABLE meta.usage_additions
ADD COLUMN connections bigint NOT NULL DEFAULT 0,
ADD COLUMN sent_bytes bigint NOT NULL DEFAULT 0,
ADD COLUMN received_bytes bigint NOT NULL DEFAULT 0;

COMMENT ON COLUMN meta.usage.connections IS 'Connections of scripts that ended on that day, to hosts of their rules.';
COMMENT ON COLUMN meta.usage.sent_bytes IS 'Bytes that these have sent.';
COMMENT ON COLUMN meta.usage.received_bytes IS 'Bytes that these have received.';
COMMENT ON COLUMN meta.usage_additions.connections IS
'Connections of executions, also of those whose callers waited: these have a row of their own with 0 executions.';
COMMENT ON COLUMN meta.usage_additions.sent_bytes IS 'Bytes that these have sent.';
COMMENT ON COLUMN meta.usage_additions.received_bytes IS 'Bytes that these have received.';
