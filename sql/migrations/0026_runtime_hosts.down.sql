-- lock
LOCK TABLE meta.runtime_hosts IN ACCESS EXCLUSIVE MODE;

-- destroys runtime-hosts
-- Those that run register again once the table is back.
SELECT (SELECT count(*) FROM meta.runtime_hosts) AS runtime_hosts;

-- statements
DROP TABLE meta.runtime_hosts;
