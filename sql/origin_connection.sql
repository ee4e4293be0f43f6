-- Statements that every transaction in the database of the origin needs; sessions.sql describes the format. The tables in
-- files origin_*.sql have no schema: the search path leads to it. These files may read the server's clock, because the
-- origin judges by it. They run on PostgreSQL 9.6 and later.

-- name: begin()!
BEGIN;

-- name: commit()!
COMMIT;

-- name: rollback()!
ROLLBACK;

-- name: set_limits(schema, timezone, lock_timeout, statement_timeout, read_only)
-- For this transaction only, so that a pooler may give each transaction another connection. Functions and operators are
-- those of the server, whatever the schema defines.
SELECT
    set_config('search_path', 'pg_catalog, ' || quote_ident(:schema), TRUE),
    set_config('timezone', :timezone, TRUE),
    set_config('lock_timeout', :lock_timeout, TRUE),
    set_config('statement_timeout', :statement_timeout, TRUE),
    set_config('transaction_read_only', :read_only, TRUE);
