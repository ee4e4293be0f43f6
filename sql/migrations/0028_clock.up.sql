-- works beside 0016
-- By how much the service's time is ahead of the clock of the server that is the primary now, for each node whose clock
-- has counted. After a failover to a server whose clock is off, the time goes on as before, and the correction fades away.
CREATE TABLE meta.clock (
    source integer PRIMARY KEY DEFAULT 0,
    timeline integer,
    correction_us bigint NOT NULL DEFAULT 0,
    settled_at timestamptz NOT NULL DEFAULT 'epoch'
);

INSERT INTO meta.clock DEFAULT VALUES;

COMMENT ON TABLE meta.clock IS 'How the time of the service follows from the clock of the server.';
COMMENT ON COLUMN meta.clock.source IS 'The node by its group in the cluster; 0 is the server of DATABASE_URL.';
COMMENT ON COLUMN meta.clock.timeline IS
'The timeline of the server for which the correction holds; null before a controller has settled it.';
COMMENT ON COLUMN meta.clock.correction_us IS
'What was added to the clock of the server when it was settled, in microseconds; it fades by 500 a second.';
COMMENT ON COLUMN meta.clock.settled_at IS 'When it was settled, by the clock of the server.';
