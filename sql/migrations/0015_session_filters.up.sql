-- Lists filter by metadata. The copy below the owner's name makes each entry of the index belong to one owner, so a
-- filter reads no entry of another one. It rewrites the table once. PostgreSQL makes the copy in the statement that
-- writes the text. Sessions without metadata have no copy and no entry.
ALTER TABLE meta.sessions ADD COLUMN owned_metadata jsonb GENERATED ALWAYS AS (
    CASE WHEN metadata <> '{}' THEN jsonb_set('{}', ARRAY[owner], metadata::jsonb) END
) STORED;
ALTER TABLE meta.sessions ALTER COLUMN owned_metadata SET STATISTICS 0;

-- Without the list of pending entries no filter has to read it, and no initialize has to empty it.
CREATE INDEX sessions_by_metadata ON meta.sessions USING gin (owned_metadata jsonb_path_ops) WITH (fastupdate = off)
WHERE owned_metadata IS NOT NULL;

COMMENT ON COLUMN meta.sessions.owned_metadata IS
'The metadata below the name of the owner, as in {"alice": {"order": "4711"}}; null without metadata.';
