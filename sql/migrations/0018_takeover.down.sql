-- lock
LOCK TABLE meta.takeover, meta.inbound_sessions, meta.taken_sessions IN ACCESS EXCLUSIVE MODE;

-- destroys takeover
SELECT
    (SELECT count(*) FROM meta.taken_sessions) AS taken_sessions,
    (SELECT count(*) FROM meta.inbound_sessions) AS inbound_sessions,
    (SELECT count(*) FROM meta.takeover) AS takeovers;

-- statements
DROP TABLE meta.takeover;
DROP TABLE meta.inbound_sessions;
DROP TABLE meta.taken_sessions;
