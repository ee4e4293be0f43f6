CREATE TABLE meta.audit (
    act_id uuid PRIMARY KEY,
    actor text NOT NULL CHECK (actor <> ''),
    origin text NOT NULL CHECK (origin <> ''),
    act text NOT NULL CHECK (act <> ''),
    owner text,
    subject text NOT NULL,
    details jsonb NOT NULL CHECK (jsonb_typeof(details) = 'object')
);

CREATE INDEX audit_by_subject ON meta.audit (subject, act_id);

COMMENT ON TABLE meta.audit IS
'Administrative acts. Each is recorded in the statement or transaction that makes it, without content of callers.';
COMMENT ON COLUMN meta.audit.act_id IS 'UUIDv7; the time in it is when the act was made.';
COMMENT ON COLUMN meta.audit.actor IS 'Who acted: an owner, or user@host for a command.';
COMMENT ON COLUMN meta.audit.origin IS 'The address of the client; "cli" for a command.';
COMMENT ON COLUMN meta.audit.act IS 'What was done, such as keys.create.';
COMMENT ON COLUMN meta.audit.owner IS 'The owner whose objects the act concerns; null for migrations.';
COMMENT ON COLUMN meta.audit.subject IS 'The id or the name of the object.';
COMMENT ON COLUMN meta.audit.details IS 'Numbers and settings by name.';

CREATE FUNCTION meta.added_counts(counted jsonb, more jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE
AS $$
    SELECT jsonb_object_agg(t.name, t.total)
    FROM (
        SELECT e.key AS name, sum(e.value::bigint) AS total
        FROM (SELECT * FROM jsonb_each_text(counted) UNION ALL SELECT * FROM jsonb_each_text(more)) AS e
        GROUP BY e.key
    ) AS t
$$;

COMMENT ON FUNCTION meta.added_counts IS
'The sums of two objects of numbers, by name: an act of many statements counts in one entry.';
