-- The only statements that read the time; callers pass the time to all others.
-- sessions.sql describes the format.

-- The time of the service: the server's clock, and what is left of the correction for its timeline, which fades by 500 us
-- a second. `settled_timeline` is another one after a failover. A standby has timeline 0.
-- name: select_clock()
SELECT
    s.server_at + CASE WHEN c.timeline = s.timeline THEN c.correction ELSE interval '0' END AS service_at,
    s.timeline,
    c.timeline AS settled_timeline,
    c.correction
FROM (
    SELECT
        clock_timestamp() AS server_at,
        CASE
            WHEN pg_is_in_recovery() THEN 0
            ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer
        END AS timeline
) AS s
CROSS JOIN LATERAL (
    SELECT
        k.timeline,
        make_interval(secs => sign(k.correction_us) * greatest(
            0, abs(k.correction_us) / 1e6 - 0.0005 * greatest(0, extract(EPOCH FROM s.server_at - k.settled_at))
        )::double precision) AS correction
    FROM meta.clock AS k
) AS c;

-- The server's clock as it is, for a database without migrations.
-- name: select_server_clock()
SELECT clock_timestamp();

-- name: settle_clock(known, timeline, correction_us, server_at)!
UPDATE meta.clock SET timeline = :timeline, correction_us = :correction_us, settled_at = :server_at
WHERE timeline IS NOT DISTINCT FROM :known;
