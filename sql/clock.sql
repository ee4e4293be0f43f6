-- The only statements that read the time; callers pass the time to all others.
-- sessions.sql describes the format.

-- The time of the service: the clock of a server, and what is left of the correction for its timeline, which fades by 500
-- us a second. `settled_timeline` is another one after a failover, and null for a server that was never settled. A standby
-- has timeline 0. Without `server_at` and `timeline` it is the server that runs this; otherwise another one has given them.
-- name: select_clock(source, server_at, timeline)
SELECT
    s.server_at + CASE WHEN c.timeline = s.timeline THEN c.correction ELSE interval '0' END AS service_at,
    s.timeline,
    c.timeline AS settled_timeline,
    coalesce(c.correction, interval '0') AS correction
FROM (
    SELECT
        coalesce(:server_at::timestamptz, clock_timestamp()) AS server_at,
        coalesce(
            :timeline::integer,
            CASE
                WHEN pg_is_in_recovery() THEN 0
                ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer
            END
        ) AS timeline
) AS s
LEFT JOIN LATERAL (
    SELECT
        k.timeline,
        make_interval(secs => sign(k.correction_us) * greatest(
            0, abs(k.correction_us) / 1e6 - 0.0005 * greatest(0, extract(EPOCH FROM s.server_at - k.settled_at))
        )::double precision) AS correction
    FROM meta.clock AS k
    WHERE k.source = :source
) AS c ON TRUE;

-- The clock of a node, its timeline as in select_clock, and its group.
-- name: select_node_clock()
SELECT
    clock_timestamp(),
    CASE
        WHEN pg_is_in_recovery() THEN 0
        ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer
    END,
    (SELECT g.groupid FROM pg_dist_local_group AS g);

-- The server's clock as it is, for a database without migrations.
-- name: select_server_clock()
SELECT clock_timestamp();

-- Each node with its clock and the connections that clients can still open; a node that does not respond has the reason.
-- name: select_node_facts()
SELECT d.groupid, d.nodename || ':' || d.nodeport AS address, r.success, r.result
FROM pg_dist_node AS d
INNER JOIN run_command_on_all_nodes(
    $$
    SELECT json_build_object(
        'at', extract(EPOCH FROM clock_timestamp()),
        'free', current_setting('max_connections')::integer
        - current_setting('superuser_reserved_connections')::integer
        - (SELECT count(*) FROM pg_stat_activity AS a WHERE a.backend_type = 'client backend')
    )
    $$
) AS r ON d.nodeid = r.nodeid
WHERE d.noderole = 'primary'
ORDER BY d.groupid;

-- Lets a node that is frozen not hold up the statement above.
-- name: limit_node_connects(milliseconds)
SELECT set_config('citus.node_connection_timeout', :milliseconds, FALSE);

-- name: settle_clock(source, known, timeline, correction_us, server_at)!
INSERT INTO meta.clock AS c (source, timeline, correction_us, settled_at)
VALUES (:source, :timeline, :correction_us, :server_at)
ON CONFLICT (source) DO UPDATE
    SET timeline = excluded.timeline, correction_us = excluded.correction_us, settled_at = excluded.settled_at
    WHERE c.timeline IS NOT DISTINCT FROM :known;
