-- Sessions that are taken over from another service keep their ids, and the way in which their scripts are called.
-- works beside 0016
-- The constraints are checked for new rows only: a scan of the table would block the calls, and in the rows of before
-- the one holds by the default, and the others by the constraints that they replace. PostgreSQL checks them at each update
-- of a row, so at the end of each execution: a regular expression took a seventh of the time of that.
ALTER TABLE meta.sessions
ADD COLUMN created_at timestamptz,
ADD COLUMN convention text NOT NULL DEFAULT 'own',
ADD CONSTRAINT sessions_convention_check CHECK (convention IN ('own', 'origin', 'event-first')) NOT VALID,
DROP CONSTRAINT sessions_script_hash_check,
ADD CONSTRAINT sessions_script_hash_check CHECK (octet_length(script_hash) = 64) NOT VALID,
DROP CONSTRAINT sessions_context_check,
ADD CONSTRAINT sessions_context_check CHECK (convention = 'origin' OR context LIKE '{%') NOT VALID;

COMMENT ON COLUMN meta.sessions.request_id IS
'The id. In a UUIDv7 of this service the time is when the session was made; created_at is null then.';
COMMENT ON COLUMN meta.sessions.created_at IS
'When the session was made, if its id is of another service; null if the id carries the time.';
COMMENT ON COLUMN meta.sessions.convention IS 'How the script is called: domain/scripts/convention.py says what each means.';
COMMENT ON COLUMN meta.sessions.context IS
'What every execution receives, as it was sent: a JSON object, or any JSON value under the convention "origin".';
