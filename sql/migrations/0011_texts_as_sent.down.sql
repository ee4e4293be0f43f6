ALTER TABLE meta.sessions
DROP CONSTRAINT sessions_context_check,
DROP CONSTRAINT sessions_metadata_check,
ALTER COLUMN context TYPE jsonb USING context::jsonb,
ALTER COLUMN metadata TYPE jsonb USING metadata::jsonb,
ADD CONSTRAINT sessions_context_check CHECK (jsonb_typeof(context) = 'object'),
ADD CONSTRAINT sessions_metadata_check CHECK (jsonb_typeof(metadata) = 'object');

COMMENT ON COLUMN meta.sessions.context IS 'What every execution is given.';
COMMENT ON COLUMN meta.sessions.metadata IS 'What the owner notes about the session.';
