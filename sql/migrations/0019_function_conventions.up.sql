-- Functions can be imported from another service, with the way in which their scripts are called.
-- works beside 0016
-- The constraint is checked for new rows only: a scan of the table would block the calls, and the default fulfils it.
ALTER TABLE meta.function_versions
ADD COLUMN convention text NOT NULL DEFAULT 'own',
ADD CONSTRAINT function_versions_convention_check CHECK (convention IN ('own', 'origin', 'event-first')) NOT VALID;

COMMENT ON COLUMN meta.function_versions.convention IS
'How the script is called: domain/scripts/convention.py says what each means.';
