-- Statements of the migration runner, which runs several of them in one transaction; sessions.sql describes the format.

-- name: lock_migrations(key)
-- Held until the transaction ends. If several controllers start together, one migrates and the others find nothing to
-- do.
SELECT pg_advisory_xact_lock(:key::bigint);

-- name: lock_build(key)
-- Held until the connection ends. It does not wait: CREATE INDEX CONCURRENTLY would wait for the transaction that waits.
SELECT pg_try_advisory_lock(:key::bigint);

-- name: create_schema()!
CREATE SCHEMA IF NOT EXISTS meta;

-- name: create_migrations()!
CREATE TABLE IF NOT EXISTS meta.migrations (
    version integer PRIMARY KEY,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL
);

-- name: select_migrations_exist()
SELECT to_regclass('meta.migrations') IS NOT NULL;

-- name: select_migrations()
-- Databases that an early release has migrated lack the last column.
SELECT
    m.version, m.name, m.checksum, m.applied_at,
    (to_jsonb(m) ->> 'works_beside')::integer AS works_beside
FROM meta.migrations AS m
ORDER BY m.version;

-- name: insert_migration(step)!
-- The step is a JSON object. A member without a column, as before the migration that adds it, is left out. So the list
-- of columns is not fixed (AM04).
INSERT INTO meta.migrations
SELECT r.* FROM jsonb_populate_record(NULL::meta.migrations, :step::text::jsonb) AS r; -- noqa: AM04

-- name: delete_migration(version)!
DELETE FROM meta.migrations AS m WHERE m.version = :version;

-- name: select_audit_exists()
SELECT to_regclass('meta.audit') IS NOT NULL;

-- name: insert_migration_act(act_id, actor, origin, act, subject, details)!
INSERT INTO meta.audit (act_id, actor, origin, act, subject, details)
VALUES (:act_id, :actor, :origin, :act, :subject, :details::text::jsonb);

-- name: set_timeouts(lock_timeout, statement_timeout, local)
-- For this transaction only, or for the connection. The values are milliseconds as text. The last one has an effect with
-- Citus only: a node that is frozen does not hold a statement up.
SELECT
    set_config('lock_timeout', :lock_timeout, :local),
    set_config('statement_timeout', :statement_timeout, :local),
    set_config('citus.node_connection_timeout', '5000', :local);
