-- Statements about the buckets of a distributed database; sessions.sql describes the format. The tables pg_dist_* and
-- the functions citus_* are those of Citus. In statements that run in a bucket, `meta` is its schema.

-- name: select_buckets()
SELECT b.number, b.schema, b.from_at FROM meta.buckets AS b ORDER BY b.number;

-- name: select_owner_moves()
SELECT m.owner_from, m.owner_to, m.last_at FROM meta.owner_moves AS m ORDER BY m.owner_from, m.owner_to;

-- name: insert_owner_move(owner_from, owner_to, now)
-- A known move stays as old as it is, since controllers have known it for so long.
INSERT INTO meta.owner_moves AS m (owner_from, owner_to, first_at, last_at)
VALUES (:owner_from::text, :owner_to::text, :now::timestamptz, :now::timestamptz)
ON CONFLICT (owner_from, owner_to) DO UPDATE SET last_at = excluded.last_at
RETURNING m.first_at;

-- name: delete_owner_move(owner_from, owner_to, last_at)!
DELETE FROM meta.owner_moves AS m
WHERE m.owner_from = :owner_from::text AND m.owner_to = :owner_to::text AND m.last_at = :last_at::timestamptz;

-- name: select_buckets_exist()
SELECT to_regclass('meta.buckets') IS NOT NULL;

-- name: select_placements()
-- Returns each bucket with the node of its sessions, and the shards that lie there by their tables.
SELECT
    b.number, b.schema, p.groupid, d.nodename, d.nodeport,
    json_object_agg(c.relname, s.shardid) AS shards
FROM meta.buckets AS b
INNER JOIN pg_namespace AS n ON b.schema = n.nspname
INNER JOIN pg_class AS c ON n.oid = c.relnamespace
INNER JOIN pg_dist_shard AS s ON c.oid = s.logicalrelid
INNER JOIN pg_dist_placement AS p ON s.shardid = p.shardid
INNER JOIN pg_dist_node AS d ON p.groupid = d.groupid AND d.noderole = 'primary'
GROUP BY b.number, b.schema, p.groupid, d.nodename, d.nodeport
HAVING bool_or(c.relname = 'sessions')
ORDER BY b.number;

-- name: select_nodes_exist()
-- There are none before Citus is installed, though controllers may be set for it.
SELECT to_regclass('pg_dist_node') IS NOT NULL;

-- name: select_workers()
-- Returns all nodes but the coordinator.
SELECT d.groupid, d.nodename, d.nodeport
FROM pg_dist_node AS d
WHERE d.noderole = 'primary' AND d.isactive AND d.groupid <> 0
ORDER BY d.groupid;

-- name: select_hold(shards)
SELECT meta.hold(:shards::bigint[]);

-- name: select_shards_open()
-- Lets the rest of the transaction lock and empty shards, and shows them in the catalogue. Connections have no setting for
-- this, because poolers refuse start-up options.
SELECT
    set_config('citus.enable_manual_changes_to_shards', 'on', TRUE),
    set_config('citus.override_table_visibility', 'off', TRUE);

-- name: create_hold()!
-- Citus moves a shard under an exclusive form of this lock (5 is ShareLock), and only the owner of a table may take it.
-- It is held until the transaction ends. After a move the old shard stays for a while, so reads need the hold too.
-- The function runs as its owner, so operators of its caller must not be found.
CREATE OR REPLACE FUNCTION meta.hold(shards bigint[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM pg_catalog.lock_shard_metadata(5, shards);
    IF (
        SELECT pg_catalog.count(*)
        FROM pg_catalog.pg_dist_placement AS p
        INNER JOIN pg_catalog.pg_dist_local_group AS l ON p.groupid OPERATOR(pg_catalog.=) l.groupid
        WHERE p.shardid OPERATOR(pg_catalog.=) ANY(shards)
    ) OPERATOR(pg_catalog.<>) pg_catalog.cardinality(shards) THEN
        RAISE EXCEPTION 'the bucket is not on this node' USING ERRCODE = 'PGL01';
    END IF;
END
$$;

-- name: close_hold()!
-- A role gets it with the rights of a bucket.
REVOKE ALL ON FUNCTION meta.hold(bigint[]) FROM public;

-- name: select_missing_grants(schema)
-- Returns the statements that give roles the same rights in a bucket as in `meta`, as far as they lack them there and
-- this role may give them. Grantee 0 is PUBLIC. An owner's rights in `meta` count too: the bucket may have another one.
WITH tables AS (
    SELECT a.grantee, b.relname, string_agg(DISTINCT a.privilege_type, ', ' ORDER BY a.privilege_type) AS rights
    FROM pg_class AS c
    CROSS JOIN aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS a
    INNER JOIN pg_class AS b ON c.relname = b.relname
    WHERE
        c.relnamespace = to_regnamespace('meta') AND b.relnamespace = to_regnamespace(:schema::text)
        AND c.relkind IN ('r', 'p') AND pg_has_role(b.relowner, 'USAGE')
        AND a.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')
        AND NOT has_table_privilege(a.grantee, b.oid, a.privilege_type)
    GROUP BY a.grantee, b.relname
),

users AS (
    SELECT a.grantee
    FROM pg_namespace AS n
    CROSS JOIN aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) AS a
    WHERE n.nspname = 'meta' AND a.privilege_type = 'USAGE'
),

missing AS (
    SELECT u.grantee, 'USAGE ON SCHEMA ' || quote_ident(n.nspname) AS granted
    FROM users AS u
    INNER JOIN pg_namespace AS n ON n.nspname = :schema::text
    WHERE pg_has_role(n.nspowner, 'USAGE') AND NOT has_schema_privilege(u.grantee, n.oid, 'USAGE')
    UNION ALL
    SELECT u.grantee, 'EXECUTE ON FUNCTION ' || p.oid::regprocedure AS granted
    FROM users AS u
    INNER JOIN pg_proc AS p ON p.pronamespace = to_regnamespace(:schema::text) AND p.proname = 'hold'
    WHERE pg_has_role(p.proowner, 'USAGE') AND NOT has_function_privilege(u.grantee, p.oid, 'EXECUTE')
    UNION ALL
    SELECT
        t.grantee,
        t.rights || ' ON ' || string_agg(
            quote_ident(:schema::text) || '.' || quote_ident(t.relname), ', ' ORDER BY t.relname
        ) AS granted
    FROM tables AS t
    GROUP BY t.grantee, t.rights
)

SELECT 'GRANT ' || m.granted || ' TO ' || coalesce(quote_ident(r.rolname), 'PUBLIC')
FROM missing AS m
LEFT JOIN pg_roles AS r ON m.grantee = r.oid;

-- name: select_column_options(schema)
-- Returns the tables of a bucket whose columns have other options than those in `meta`, in their shards or here, each with
-- the changes and with the statement that makes them. Each node is asked for its shards; of one that is away none is found.
WITH stored AS (
    SELECT s.logicalrelid AS table_id, e.attname, e.attstorage, e.attstattarget
    FROM run_command_on_all_nodes(
        format(
            'SELECT coalesce(json_agg(json_build_object(''relname'', c.relname, ''attname'', a.attname, ''attstorage'','
            ' a.attstorage, ''attstattarget'', a.attstattarget)), ''[]'') FROM pg_class AS c INNER JOIN pg_attribute AS a'
            ' ON c.oid = a.attrelid WHERE c.relnamespace = to_regnamespace(%%L) AND c.relkind IN (''r'', ''p'') AND'
            ' a.attnum > 0 AND NOT a.attisdropped',
            :schema::text
        )
    ) AS r
    INNER JOIN pg_dist_node AS d ON r.nodeid = d.nodeid
    CROSS JOIN LATERAL json_to_recordset(CASE WHEN r.success THEN r.result ELSE '[]' END::json)
        AS e (relname text, attname text, attstorage text, attstattarget integer)
    INNER JOIN pg_class AS c ON c.relnamespace = to_regnamespace(:schema::text)
    INNER JOIN pg_dist_shard AS s ON c.oid = s.logicalrelid AND e.relname = c.relname || '_' || s.shardid
    INNER JOIN pg_dist_placement AS p ON s.shardid = p.shardid AND d.groupid = p.groupid
    UNION ALL
    SELECT a.attrelid, a.attname, a.attstorage::text, a.attstattarget
    FROM pg_class AS c
    INNER JOIN pg_attribute AS a ON c.oid = a.attrelid
    WHERE
        c.relnamespace = to_regnamespace(:schema::text) AND c.relkind IN ('r', 'p') AND a.attnum > 0
        AND NOT a.attisdropped
),

differing AS (
    SELECT DISTINCT
        c.relname, h.attname, h.attnum, coalesce(h.attstattarget, -1) AS statistics,
        CASE h.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'm' THEN 'MAIN' WHEN 'e' THEN 'EXTERNAL' ELSE 'EXTENDED' END AS storage
    FROM stored AS t
    INNER JOIN pg_class AS c ON t.table_id = c.oid
    INNER JOIN pg_class AS m ON c.relname = m.relname AND m.relnamespace = to_regnamespace('meta')
    INNER JOIN pg_attribute AS h ON m.oid = h.attrelid AND t.attname = h.attname
    WHERE t.attstorage <> h.attstorage::text OR coalesce(t.attstattarget, -1) <> coalesce(h.attstattarget, -1)
),

changes AS (
    SELECT
        quote_ident(:schema::text) || '.' || quote_ident(d.relname) AS table_name,
        string_agg(
            format(
                'ALTER COLUMN %%1$I SET STORAGE %%2$s, ALTER COLUMN %%1$I SET STATISTICS %%3$s', d.attname, d.storage,
                d.statistics
            ),
            ', ' ORDER BY d.attnum
        ) AS options
    FROM differing AS d
    GROUP BY d.relname
)

SELECT c.table_name, c.options, 'ALTER TABLE ONLY ' || c.table_name || ' ' || c.options AS change
FROM changes AS c
ORDER BY c.table_name;

-- name: alter_shard(table, options)
SELECT r.success, r.result
FROM run_command_on_shards(:table::text::regclass, 'ALTER TABLE ONLY %%s ' || :options::text) AS r;

-- name: keep_changes_here()
-- Changes of tables in the rest of the transaction are those of the coordinator alone.
SELECT set_config('citus.enable_ddl_propagation', 'off', TRUE);

-- name: empty_bucket()!
-- Functions are in `meta` alone, and the migrations of a bucket are no acts of an operator.
WITH versions AS (DELETE FROM meta.function_versions),
functions AS (DELETE FROM meta.functions)
DELETE FROM meta.audit;

-- name: select_is_distributed(schema)
SELECT EXISTS (SELECT FROM pg_dist_schema AS s WHERE s.schemaid = to_regnamespace(:schema::text));

-- name: distribute_schema(schema)
SELECT citus_schema_distribute(:schema::text::regnamespace);

-- name: move_schema(schema, host, port)
-- Blocks writers, so it is for a bucket that nobody uses yet.
SELECT citus_schema_move(:schema::text::regnamespace, :host::text, :port::integer, 'block_writes');

-- name: select_shards(schema)
SELECT c.relname, s.shardid
FROM pg_class AS c
INNER JOIN pg_dist_shard AS s ON c.oid = s.logicalrelid
WHERE c.relnamespace = to_regnamespace(:schema::text);

-- name: select_group(schema)
-- Returns the group of the node of a bucket's sessions.
SELECT p.groupid
FROM pg_dist_shard AS s
INNER JOIN pg_dist_placement AS p ON s.shardid = p.shardid
WHERE s.logicalrelid = to_regclass(:schema::text || '.sessions');

-- name: select_location(schema)
-- Returns the address of the node of a bucket's sessions, and their shard; also of a bucket that was not announced.
SELECT d.nodename || ':' || d.nodeport AS node, s.shardid
FROM pg_dist_shard AS s
INNER JOIN pg_dist_placement AS p ON s.shardid = p.shardid
INNER JOIN pg_dist_node AS d ON p.groupid = d.groupid AND d.noderole = 'primary'
WHERE s.logicalrelid = to_regclass(:schema::text || '.sessions');

-- name: leave_bodies_unchecked()
-- The bodies of functions name shards, which the coordinator does not have.
SELECT set_config('check_function_bodies', 'off', TRUE);

-- name: select_function_texts(schema)
SELECT pg_get_functiondef(p.oid) FROM pg_proc AS p WHERE p.pronamespace = to_regnamespace(:schema::text);

-- name: insert_buckets(numbers, schemas, from_at)!
INSERT INTO meta.buckets (number, schema, from_at)
SELECT b.number, b.schema, :from_at::timestamptz
FROM unnest(:numbers::smallint[], :schemas::text[]) AS b (number, schema)
ON CONFLICT (number) DO NOTHING;

-- name: commit_locally()
SELECT set_config('synchronous_commit', 'local', TRUE);

-- name: write_durably()
-- Its commit waits for standbys as any other, and for all that was committed before.
SELECT pg_logical_emit_message(TRUE, 'pglambda', 'buckets');

-- name: exclude_older_releases()!
-- A controller of a release that knows no buckets would look for all sessions in `meta`; now it stops.
UPDATE meta.migrations AS m SET works_beside = m.version WHERE m.name = 'buckets';

-- name: select_cluster()
-- The version is null without the extension in this database; the group is 0 on the coordinator.
SELECT
    (SELECT e.extversion FROM pg_extension AS e WHERE e.extname = 'citus') AS citus_version,
    current_setting('server_version_num')::integer AS version_number,
    has_database_privilege(current_database(), 'CREATE') AS may_create,
    (SELECT pg_has_role(n.nspowner, 'USAGE') FROM pg_namespace AS n WHERE n.nspname = 'meta') AS owns_home;

-- name: select_unaware(application)
-- Returns the other clients of this database that give this application name, by role and address. Without the right to
-- see them (pg_read_all_stats) the address is null. It is null for a Unix socket too.
SELECT
    coalesce(a.usename, '') AS client_role, host(a.client_addr) AS address, count(*) AS connections,
    bool_or(a.state IS NULL) AS is_hidden
FROM pg_stat_activity AS a
WHERE a.datname = current_database() AND a.application_name = :application::text AND a.pid <> pg_backend_pid()
GROUP BY a.usename, a.client_addr
ORDER BY a.usename, a.client_addr;

-- name: select_is_coordinator()
SELECT citus_is_coordinator();

-- name: select_nodes()
-- Returns the nodes that take buckets, each with the number of schemas that it has.
SELECT
    d.groupid, d.nodename, d.nodeport, r.success,
    r.result,
    (
        SELECT count(DISTINCT c.relnamespace)
        FROM pg_dist_placement AS p
        INNER JOIN pg_dist_shard AS s ON p.shardid = s.shardid
        INNER JOIN pg_class AS c ON s.logicalrelid = c.oid
        INNER JOIN pg_dist_schema AS h ON c.relnamespace = h.schemaid
        WHERE p.groupid = d.groupid
    ) AS buckets
FROM pg_dist_node AS d
INNER JOIN run_command_on_all_nodes(
    $$
    SELECT json_build_object(
        'wal_level', current_setting('wal_level'),
        'free', current_setting('max_connections')::integer
        - current_setting('superuser_reserved_connections')::integer
        - (SELECT count(*) FROM pg_stat_activity AS a WHERE a.backend_type = 'client backend')
    )
    $$
) AS r ON d.nodeid = r.nodeid
WHERE d.noderole = 'primary' AND d.isactive AND d.shouldhaveshards
ORDER BY d.groupid;

-- name: select_bucket_locations()
-- Returns the addresses of the nodes that have tables of each bucket, of which there should be one, and the shard of its
-- sessions.
SELECT
    b.schema, array_agg(DISTINCT d.nodename || ':' || d.nodeport) AS nodes,
    min(s.shardid) FILTER (WHERE c.relname = 'sessions') AS shard
FROM meta.buckets AS b
INNER JOIN pg_namespace AS n ON b.schema = n.nspname
INNER JOIN pg_class AS c ON n.oid = c.relnamespace
INNER JOIN pg_dist_shard AS s ON c.oid = s.logicalrelid
INNER JOIN pg_dist_placement AS p ON s.shardid = p.shardid
INNER JOIN pg_dist_node AS d ON p.groupid = d.groupid AND d.noderole = 'primary'
GROUP BY b.schema;

-- name: select_shard_sizes()
-- Returns the size of each table of all buckets with its indexes; each node is asked for its shards.
SELECT c.relname, sum(z.size)::bigint AS size_bytes
FROM citus_shard_sizes() AS z
INNER JOIN pg_dist_shard AS s ON z.shard_id = s.shardid
INNER JOIN pg_class AS c ON s.logicalrelid = c.oid
INNER JOIN meta.buckets AS b ON c.relnamespace = to_regnamespace(b.schema)
GROUP BY c.relname;

-- name: select_home_size()
-- Rows are estimates from statistics.
SELECT
    coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint AS rows_estimated,
    coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint AS size_bytes
FROM pg_class AS c
WHERE c.relnamespace = to_regnamespace('meta') AND c.relkind = 'r';
