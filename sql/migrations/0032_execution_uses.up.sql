-- What executions have used of the grants of their sessions. Those without grants have no row.
-- works beside 0016
CREATE TABLE meta.execution_uses (
    slot smallint NOT NULL,
    execution_id uuid NOT NULL,
    request_id uuid NOT NULL,
    uses text NOT NULL CHECK (octet_length(uses) <= 8192),
    PRIMARY KEY (slot, execution_id)
) PARTITION BY LIST (slot);

COMMENT ON TABLE meta.execution_uses IS 'What executions have used of the grants of their sessions: part of the history.';
COMMENT ON COLUMN meta.execution_uses.slot IS 'That of the row in meta.executions; both are emptied together.';
COMMENT ON COLUMN meta.execution_uses.execution_id IS 'The execution, which has ended and was counted.';
COMMENT ON COLUMN meta.execution_uses.request_id IS 'The session.';
COMMENT ON COLUMN meta.execution_uses.uses IS 'A JSON object by the members of grants, such as {"state": {"version": 2}}.';

CREATE TABLE meta.execution_uses_00 PARTITION OF meta.execution_uses FOR VALUES IN (0);
CREATE TABLE meta.execution_uses_01 PARTITION OF meta.execution_uses FOR VALUES IN (1);
CREATE TABLE meta.execution_uses_02 PARTITION OF meta.execution_uses FOR VALUES IN (2);
CREATE TABLE meta.execution_uses_03 PARTITION OF meta.execution_uses FOR VALUES IN (3);
CREATE TABLE meta.execution_uses_04 PARTITION OF meta.execution_uses FOR VALUES IN (4);
CREATE TABLE meta.execution_uses_05 PARTITION OF meta.execution_uses FOR VALUES IN (5);
CREATE TABLE meta.execution_uses_06 PARTITION OF meta.execution_uses FOR VALUES IN (6);
CREATE TABLE meta.execution_uses_07 PARTITION OF meta.execution_uses FOR VALUES IN (7);
CREATE TABLE meta.execution_uses_08 PARTITION OF meta.execution_uses FOR VALUES IN (8);
CREATE TABLE meta.execution_uses_09 PARTITION OF meta.execution_uses FOR VALUES IN (9);
CREATE TABLE meta.execution_uses_10 PARTITION OF meta.execution_uses FOR VALUES IN (10);
CREATE TABLE meta.execution_uses_11 PARTITION OF meta.execution_uses FOR VALUES IN (11);
CREATE TABLE meta.execution_uses_12 PARTITION OF meta.execution_uses FOR VALUES IN (12);
CREATE TABLE meta.execution_uses_13 PARTITION OF meta.execution_uses FOR VALUES IN (13);
CREATE TABLE meta.execution_uses_14 PARTITION OF meta.execution_uses FOR VALUES IN (14);
CREATE TABLE meta.execution_uses_15 PARTITION OF meta.execution_uses FOR VALUES IN (15);
CREATE TABLE meta.execution_uses_16 PARTITION OF meta.execution_uses FOR VALUES IN (16);
CREATE TABLE meta.execution_uses_17 PARTITION OF meta.execution_uses FOR VALUES IN (17);
CREATE TABLE meta.execution_uses_18 PARTITION OF meta.execution_uses FOR VALUES IN (18);
CREATE TABLE meta.execution_uses_19 PARTITION OF meta.execution_uses FOR VALUES IN (19);
CREATE TABLE meta.execution_uses_20 PARTITION OF meta.execution_uses FOR VALUES IN (20);
CREATE TABLE meta.execution_uses_21 PARTITION OF meta.execution_uses FOR VALUES IN (21);
CREATE TABLE meta.execution_uses_22 PARTITION OF meta.execution_uses FOR VALUES IN (22);
CREATE TABLE meta.execution_uses_23 PARTITION OF meta.execution_uses FOR VALUES IN (23);
CREATE TABLE meta.execution_uses_24 PARTITION OF meta.execution_uses FOR VALUES IN (24);
CREATE TABLE meta.execution_uses_25 PARTITION OF meta.execution_uses FOR VALUES IN (25);
CREATE TABLE meta.execution_uses_26 PARTITION OF meta.execution_uses FOR VALUES IN (26);
CREATE TABLE meta.execution_uses_27 PARTITION OF meta.execution_uses FOR VALUES IN (27);
CREATE TABLE meta.execution_uses_28 PARTITION OF meta.execution_uses FOR VALUES IN (28);
CREATE TABLE meta.execution_uses_29 PARTITION OF meta.execution_uses FOR VALUES IN (29);
CREATE TABLE meta.execution_uses_30 PARTITION OF meta.execution_uses FOR VALUES IN (30);
CREATE TABLE meta.execution_uses_31 PARTITION OF meta.execution_uses FOR VALUES IN (31);

-- Empties a day of both tables. It stays if this step is reverted, and then empties the day of the history alone.
CREATE OR REPLACE FUNCTION meta.empty_slot(emptied smallint, kept_from uuid) RETURNS boolean
LANGUAGE plpgsql
-- Whoever waits for the table waits behind this, so it gives up soon; the next sweep tries again.
SET lock_timeout = '100ms'
AS $$
DECLARE
    partitions text[] := (
        SELECT array_agg(i.inhrelid::regclass::text ORDER BY i.inhparent = 'meta.executions'::regclass DESC)
        FROM pg_catalog.pg_inherits AS i
        WHERE
            i.inhparent IN ('meta.executions'::regclass, to_regclass('meta.execution_uses'))
            AND i.inhrelid::regclass::text ~ format('execution(s|_uses)_%s(_|$)', lpad(emptied::text, 2, '0'))
    );
    first_kept boolean;
BEGIN
    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', array_to_string(partitions, ', '));
    EXECUTE format('SELECT execution_id >= $1 FROM %s LIMIT 1', partitions[1]) INTO first_kept USING kept_from;
    IF first_kept IS NULL OR first_kept THEN
        RETURN false;
    END IF;
    EXECUTE format('TRUNCATE %s', array_to_string(partitions, ', '));
    RETURN true;
END
$$;
