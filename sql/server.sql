-- Statements about the server itself.

-- name: select_connections_max()
-- What is left for those who are no superusers.
SELECT current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer;
