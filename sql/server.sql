-- Statements about the server.

-- name: select_connections_max()
-- Connections that are available to roles other than superusers.
SELECT current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer;
