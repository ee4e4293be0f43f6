CREATE TABLE meta.shortened_days (
    slot smallint PRIMARY KEY CHECK (slot BETWEEN 0 AND 31),
    day date NOT NULL,
    shortened_at timestamptz NOT NULL,
    size_bytes bigint NOT NULL
);

COMMENT ON TABLE meta.shortened_days IS
'Days of the history that were emptied before their retention was over, because the size budget was exceeded.';
COMMENT ON COLUMN meta.shortened_days.slot IS 'The day''s slot in the history, so that there are never more than 32.';
COMMENT ON COLUMN meta.shortened_days.day IS 'Which day, in UTC.';
COMMENT ON COLUMN meta.shortened_days.shortened_at IS 'When it was emptied.';
COMMENT ON COLUMN meta.shortened_days.size_bytes IS 'What it took on disk.';
