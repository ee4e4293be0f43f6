-- Null for versions from before: a later version tells that they have been replaced.
ALTER TABLE meta.function_versions ADD COLUMN registered_at timestamptz;

COMMENT ON COLUMN meta.function_versions.registered_at IS
'When this version became the current one; null where that was before this was noted.';
COMMENT ON TABLE meta.function_versions IS
'What each version of a function is. Written once and never changed: sessions are pinned to versions. '
'A replaced one is removed when no session is left that can be.';
