-- A session keeps what its script may use beside its params and its context.
-- works beside 0016
-- The constraint is checked for new rows only: a scan of the table would block the calls, and null fulfils it.
ALTER TABLE meta.sessions
ADD COLUMN grants text,
ADD CONSTRAINT sessions_grants_check CHECK (octet_length(grants) <= 8192) NOT VALID;

COMMENT ON COLUMN meta.sessions.grants IS
'What the script may use, as canonical JSON: domain/grants has the members. Null grants nothing.';
