-- A version of a function keeps what its sessions may use.
-- works beside 0016
-- The constraint is checked for new rows only: a scan of the table would block the calls, and null fulfils it.
ALTER TABLE meta.function_versions
ADD COLUMN grants text,
ADD CONSTRAINT function_versions_grants_check CHECK (octet_length(grants) <= 8192) NOT VALID;

COMMENT ON COLUMN meta.function_versions.grants IS
'What sessions of this version may use, as canonical JSON: domain/grants has the members. Null grants nothing.';
