ALTER TABLE meta.function_versions DROP COLUMN registered_at;
