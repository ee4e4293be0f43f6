DROP INDEX meta.sessions_by_metadata;
ALTER TABLE meta.sessions DROP COLUMN owned_metadata;
