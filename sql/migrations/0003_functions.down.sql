-- Sessions keep the scripts that they were pinned to, and lose the schema.
ALTER TABLE meta.sessions DROP COLUMN function_version;
DROP TABLE meta.function_versions;
DROP TABLE meta.functions;
