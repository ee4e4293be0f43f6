-- Functions have owners. Those from before belong to everybody: their owner is "shared".
ALTER TABLE meta.functions ADD COLUMN function_id uuid NOT NULL DEFAULT gen_random_uuid();
ALTER TABLE meta.functions ALTER COLUMN function_id DROP DEFAULT;
ALTER TABLE meta.functions ADD COLUMN owner text NOT NULL DEFAULT 'shared';
ALTER TABLE meta.functions ALTER COLUMN owner DROP DEFAULT;
ALTER TABLE meta.functions DROP CONSTRAINT functions_pkey;
ALTER TABLE meta.functions ADD CONSTRAINT functions_pkey PRIMARY KEY (function_id);
CREATE UNIQUE INDEX functions_by_name ON meta.functions (owner, language, title);

-- A version belongs to the id of its function, so that a function can change its owner without its versions.
ALTER TABLE meta.function_versions ADD COLUMN function_id uuid;
ALTER TABLE meta.function_versions ADD COLUMN author text;
UPDATE meta.function_versions AS v
SET
    function_id = f.function_id,
    registered_at = coalesce(v.registered_at, CASE WHEN v.version = f.version THEN f.updated_at ELSE f.created_at END)
FROM meta.functions AS f
WHERE v.language = f.language AND v.title = f.title;
ALTER TABLE meta.function_versions DROP CONSTRAINT function_versions_pkey;
ALTER TABLE meta.function_versions DROP COLUMN language;
ALTER TABLE meta.function_versions DROP COLUMN title;
ALTER TABLE meta.function_versions ALTER COLUMN registered_at SET NOT NULL;
ALTER TABLE meta.function_versions ADD CONSTRAINT function_versions_pkey PRIMARY KEY (function_id, version);

ALTER TABLE meta.sessions ADD COLUMN function_id uuid;
UPDATE meta.sessions AS s
SET function_id = f.function_id
FROM meta.functions AS f
WHERE s.function_version IS NOT NULL AND s.language = f.language AND s.title = f.title;
-- By it the cleanup sees whether a session is pinned to a version. Sessions with scripts of their own have no entry.
CREATE INDEX sessions_by_function ON meta.sessions (function_id, function_version) WHERE function_id IS NOT NULL;

COMMENT ON COLUMN meta.functions.function_id IS 'The identity of the function: versions and sessions refer to it.';
COMMENT ON COLUMN meta.functions.owner IS 'Who may see and change the function; "shared" functions are for everybody.';
COMMENT ON TABLE meta.function_versions IS
'What each version of a function is. Written once and never changed: sessions are pinned to versions. '
'Old ones are removed, unless a session is pinned to them.';
COMMENT ON COLUMN meta.function_versions.function_id IS 'The function.';
COMMENT ON COLUMN meta.function_versions.author IS
'The owner whose call registered this version; null for versions that were installed, or that are older than the column.';
COMMENT ON COLUMN meta.function_versions.registered_at IS 'When this version became the current one.';
COMMENT ON COLUMN meta.sessions.function_id IS
'The function that the session is pinned to; null when the script is the session''s own.';
COMMENT ON COLUMN meta.sessions.function_version IS
'The version of the function that the session is pinned to; null when the script is the session''s own.';
