-- Files of owners and of executions: a row for each, and their content in chunks, in a ring of nine days.
-- works beside 0016
CREATE TABLE meta.files (
    slot smallint NOT NULL,
    file_id uuid NOT NULL,
    owner text NOT NULL,
    name text NOT NULL CHECK (octet_length(name) <= 2048),
    content_type text NOT NULL CHECK (octet_length(content_type) <= 255),
    bytes bigint NOT NULL,
    sha256 bytea CHECK (octet_length(sha256) = 32),
    request_id uuid,
    execution_id uuid,
    expires_at timestamptz NOT NULL,
    complete boolean NOT NULL,
    PRIMARY KEY (slot, file_id)
) PARTITION BY LIST (slot);

CREATE INDEX files_by_owner ON meta.files (owner, file_id);
CREATE INDEX files_by_session ON meta.files (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX files_incomplete ON meta.files (expires_at) WHERE NOT complete;

COMMENT ON TABLE meta.files IS 'Files that owners have uploaded, and that executions have written.';
COMMENT ON COLUMN meta.files.slot IS 'Day in UTC since 1970-01-01 of the time in file_id, modulo 9.';
COMMENT ON COLUMN meta.files.file_id IS 'UUIDv7; the time in it is the instant at which the file was begun.';
COMMENT ON COLUMN meta.files.owner IS 'Who may read and delete it.';
COMMENT ON COLUMN meta.files.name IS 'The name that the caller or the script has given.';
COMMENT ON COLUMN meta.files.content_type IS 'The media type that the caller has declared, or that follows from the name.';
COMMENT ON COLUMN meta.files.bytes IS 'The size; of an incomplete file the size that is reserved for it.';
COMMENT ON COLUMN meta.files.sha256 IS 'Of the whole content; null while the file is incomplete.';
COMMENT ON COLUMN meta.files.request_id IS 'The session whose execution has written it; null for an upload.';
COMMENT ON COLUMN meta.files.execution_id IS 'The execution that has written it; null for an upload.';
COMMENT ON COLUMN meta.files.expires_at IS
'Until when it is kept; of an incomplete file the instant by which its next chunk must be stored.';
COMMENT ON COLUMN meta.files.complete IS 'Whether callers see it. An incomplete file past expires_at is erased.';

CREATE TABLE meta.files_00 PARTITION OF meta.files FOR VALUES IN (0);
CREATE TABLE meta.files_01 PARTITION OF meta.files FOR VALUES IN (1);
CREATE TABLE meta.files_02 PARTITION OF meta.files FOR VALUES IN (2);
CREATE TABLE meta.files_03 PARTITION OF meta.files FOR VALUES IN (3);
CREATE TABLE meta.files_04 PARTITION OF meta.files FOR VALUES IN (4);
CREATE TABLE meta.files_05 PARTITION OF meta.files FOR VALUES IN (5);
CREATE TABLE meta.files_06 PARTITION OF meta.files FOR VALUES IN (6);
CREATE TABLE meta.files_07 PARTITION OF meta.files FOR VALUES IN (7);
CREATE TABLE meta.files_08 PARTITION OF meta.files FOR VALUES IN (8);

CREATE TABLE meta.file_chunks (
    slot smallint NOT NULL,
    file_id uuid NOT NULL,
    seq integer NOT NULL,
    content bytea NOT NULL CHECK (octet_length(content) <= 262144),
    PRIMARY KEY (slot, file_id, seq)
) PARTITION BY LIST (slot);

COMMENT ON TABLE meta.file_chunks IS 'The content of files.';
COMMENT ON COLUMN meta.file_chunks.slot IS 'That of the file; both are emptied together.';
COMMENT ON COLUMN meta.file_chunks.file_id IS 'The file.';
COMMENT ON COLUMN meta.file_chunks.seq IS 'The place of the chunk in the file, from 0.';
COMMENT ON COLUMN meta.file_chunks.content IS '262,144 bytes, of the last chunk the rest.';

CREATE TABLE meta.file_chunks_00 PARTITION OF meta.file_chunks FOR VALUES IN (0);
CREATE TABLE meta.file_chunks_01 PARTITION OF meta.file_chunks FOR VALUES IN (1);
CREATE TABLE meta.file_chunks_02 PARTITION OF meta.file_chunks FOR VALUES IN (2);
CREATE TABLE meta.file_chunks_03 PARTITION OF meta.file_chunks FOR VALUES IN (3);
CREATE TABLE meta.file_chunks_04 PARTITION OF meta.file_chunks FOR VALUES IN (4);
CREATE TABLE meta.file_chunks_05 PARTITION OF meta.file_chunks FOR VALUES IN (5);
CREATE TABLE meta.file_chunks_06 PARTITION OF meta.file_chunks FOR VALUES IN (6);
CREATE TABLE meta.file_chunks_07 PARTITION OF meta.file_chunks FOR VALUES IN (7);
CREATE TABLE meta.file_chunks_08 PARTITION OF meta.file_chunks FOR VALUES IN (8);

-- Files are mostly compressed already, and a part of a value is only found by its position if it is not compressed.
ALTER TABLE meta.file_chunks ALTER COLUMN content SET STORAGE EXTERNAL, ALTER COLUMN content SET STATISTICS 0;

-- Empties a day of both tables, unless it is empty or has a file that is kept beyond `now`.
CREATE FUNCTION meta.empty_file_slot(emptied smallint, now timestamptz) RETURNS boolean
LANGUAGE plpgsql
-- Whoever waits for the table waits behind this, so it gives up soon; the next sweep tries again.
SET lock_timeout = '100ms'
AS $$
DECLARE
    partitions text[] := (
        SELECT array_agg(i.inhrelid::regclass::text ORDER BY i.inhparent = 'meta.files'::regclass DESC)
        FROM pg_catalog.pg_inherits AS i
        WHERE
            i.inhparent IN ('meta.files'::regclass, 'meta.file_chunks'::regclass)
            AND i.inhrelid::regclass::text ~ format('file(s|_chunks)_%s(_|$)', lpad(emptied::text, 2, '0'))
    );
    is_kept boolean;
BEGIN
    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', array_to_string(partitions, ', '));
    EXECUTE format('SELECT bool_or(expires_at > $1) FROM %s', partitions[1]) INTO is_kept USING now;
    IF is_kept IS NULL OR is_kept THEN
        RETURN false;
    END IF;
    EXECUTE format('TRUNCATE %s', array_to_string(partitions, ', '));
    RETURN true;
END
$$;
