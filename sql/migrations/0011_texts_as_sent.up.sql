-- As jsonb, an object lost the order of its members, and 1e30 became an integer of 31 digits.
ALTER TABLE meta.sessions
DROP CONSTRAINT sessions_context_check,
DROP CONSTRAINT sessions_metadata_check,
ALTER COLUMN context TYPE text USING context::text,
ALTER COLUMN metadata TYPE text USING metadata::text,
ADD CONSTRAINT sessions_context_check CHECK (context LIKE '{%'),
ADD CONSTRAINT sessions_metadata_check CHECK (metadata LIKE '{%');

COMMENT ON COLUMN meta.sessions.context IS 'What every execution receives: a JSON object, as it was sent.';
COMMENT ON COLUMN meta.sessions.metadata IS 'What the owner notes about the session: a JSON object, as it was sent.';
