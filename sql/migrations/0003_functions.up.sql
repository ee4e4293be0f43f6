-- No default and no check: the rows that are there are not looked at.
ALTER TABLE meta.sessions ADD COLUMN function_version bigint;

COMMENT ON COLUMN meta.sessions.function_version IS
'Version of the function of the same language-title that was pinned; null when the script is the session''s own.';

CREATE TABLE meta.functions (
    language text NOT NULL CHECK (language IN ('nodejs', 'python')),
    title text NOT NULL CHECK (title <> ''),
    version bigint NOT NULL CHECK (version >= 1),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    deactivated_at timestamptz,
    PRIMARY KEY (language, title)
);

COMMENT ON TABLE meta.functions IS 'Registered scripts: which version of each is the current one.';
COMMENT ON COLUMN meta.functions.language IS 'First part of the canonical language-title.';
COMMENT ON COLUMN meta.functions.title IS 'Second part of the canonical language-title.';
COMMENT ON COLUMN meta.functions.version IS 'The current version; moves with every replacement, and goes on after a deactivation.';
COMMENT ON COLUMN meta.functions.created_at IS 'When the first version was registered.';
COMMENT ON COLUMN meta.functions.updated_at IS 'When the current version was registered.';
COMMENT ON COLUMN meta.functions.deactivated_at IS 'When the function was deactivated; null while it is registered.';

CREATE TABLE meta.function_versions (
    language text NOT NULL,
    title text NOT NULL,
    version bigint NOT NULL,
    type text NOT NULL CHECK (type IN ('predefined', 'dynamic')),
    description text NOT NULL,
    tags text[] NOT NULL,
    script text NOT NULL,
    script_hash text NOT NULL CHECK (script_hash ~ '^[0-9a-f]{64}$'),
    params_schema text,
    result_schema text,
    examples text NOT NULL,
    PRIMARY KEY (language, title, version)
);

ALTER TABLE meta.function_versions ALTER COLUMN script SET STORAGE EXTERNAL;
ALTER TABLE meta.function_versions ALTER COLUMN script SET STATISTICS 0;
ALTER TABLE meta.function_versions ALTER COLUMN params_schema SET STATISTICS 0;
ALTER TABLE meta.function_versions ALTER COLUMN result_schema SET STATISTICS 0;
ALTER TABLE meta.function_versions ALTER COLUMN examples SET STATISTICS 0;

COMMENT ON TABLE meta.function_versions IS
'What each version of a function is. Written once and never changed: sessions are pinned to versions.';
COMMENT ON COLUMN meta.function_versions.language IS 'First part of the canonical language-title.';
COMMENT ON COLUMN meta.function_versions.title IS 'Second part of the canonical language-title.';
COMMENT ON COLUMN meta.function_versions.version IS 'Counts from 1.';
COMMENT ON COLUMN meta.function_versions.type IS 'Whether it was installed with the schema or registered by a caller.';
COMMENT ON COLUMN meta.function_versions.description IS 'What the function does, for people.';
COMMENT ON COLUMN meta.function_versions.tags IS 'Words to find it by.';
COMMENT ON COLUMN meta.function_versions.script IS 'Source text.';
COMMENT ON COLUMN meta.function_versions.script_hash IS 'SHA-256 of the script in UTF-8, hexadecimal.';
COMMENT ON COLUMN meta.function_versions.params_schema IS 'JSON Schema that params must fit, as it came; null when all do.';
COMMENT ON COLUMN meta.function_versions.result_schema IS 'JSON Schema of results, as it came; null when none is told.';
COMMENT ON COLUMN meta.function_versions.examples IS 'JSON array of {"params", "result"}.';
