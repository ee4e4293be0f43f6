-- works beside 0016
-- The buckets of a distributed database. Each is a schema with the same tables as this one; this one has the rows of
-- every session that is in none of them. `pglambda migrate distribute` adds rows; a plain database has none.
CREATE TABLE meta.buckets (
    number smallint PRIMARY KEY CHECK (number BETWEEN 1 AND 255),
    schema text NOT NULL CHECK (schema ~ '^[a-z][a-z0-9_]*$'),
    from_at timestamptz NOT NULL
);

CREATE UNIQUE INDEX buckets_by_schema ON meta.buckets (schema);

COMMENT ON TABLE meta.buckets IS 'The buckets that sessions are divided among, beside bucket 0, which is this schema.';
COMMENT ON COLUMN meta.buckets.number IS 'The last 8 bits of the ids of its sessions.';
COMMENT ON COLUMN meta.buckets.schema IS 'The schema with its tables.';
COMMENT ON COLUMN meta.buckets.from_at IS 'Ids with an earlier time belong to bucket 0, whatever their last bits are.';

-- The sessions of an owner lie in few of the buckets, which its name gives. What was moved from another owner stays in the
-- buckets of that one, so these moves are known.
CREATE TABLE meta.owner_moves (
    owner_from text NOT NULL,
    owner_to text NOT NULL,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    PRIMARY KEY (owner_from, owner_to)
);

COMMENT ON TABLE meta.owner_moves IS 'Moves of the sessions of an owner to another owner, in a database with buckets.';
COMMENT ON COLUMN meta.owner_moves.owner_from IS 'The former owner, whose buckets have the sessions.';
COMMENT ON COLUMN meta.owner_moves.owner_to IS 'The new owner.';
COMMENT ON COLUMN meta.owner_moves.first_at IS 'When the first of these moves was stored, before it moved a row.';
COMMENT ON COLUMN meta.owner_moves.last_at IS 'When the last of these moves was stored.';

-- In a bucket the partitions have other names, so they are found by those that the server has for them.
CREATE OR REPLACE FUNCTION meta.empty_slot(emptied smallint, kept_from uuid) RETURNS boolean
LANGUAGE plpgsql
-- Whoever waits for the table waits behind this, so it gives up soon; the next sweep tries again.
SET lock_timeout = '100ms'
AS $$
DECLARE
    partition text := (
        SELECT i.inhrelid::regclass::text
        FROM pg_catalog.pg_inherits AS i
        WHERE
            i.inhparent = 'meta.executions'::regclass
            AND i.inhrelid::regclass::text ~ format('executions_%s(_|$)', lpad(emptied::text, 2, '0'))
    );
    first_kept boolean;
BEGIN
    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', partition);
    EXECUTE format('SELECT execution_id >= $1 FROM %s LIMIT 1', partition) INTO first_kept USING kept_from;
    IF first_kept IS NULL OR first_kept THEN
        RETURN false;
    END IF;
    EXECUTE format('TRUNCATE %s', partition);
    RETURN true;
END
$$;
