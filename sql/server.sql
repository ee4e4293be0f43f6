-- Statements about the server.

-- name: select_connections_max()
-- Connections that are available to roles other than superusers.
SELECT current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer;

-- name: try_write()!
-- Writes a row and rolls it back. The commit that follows waits for the server's own disk, but for no standby: sessions
-- can be read while a standby is away.
DO $$
BEGIN
    PERFORM set_config('synchronous_commit', 'local', true);
    BEGIN
        INSERT INTO meta.open_executions (request_id, execution_id, owner, slot, deadline_at)
        VALUES (gen_random_uuid(), gen_random_uuid(), 'write probe', 0, 'epoch');
        RAISE EXCEPTION USING ERRCODE = 'raise_exception';
    EXCEPTION
        WHEN raise_exception THEN NULL;
    END;
END;
$$;
