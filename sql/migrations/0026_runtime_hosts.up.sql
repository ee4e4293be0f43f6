-- works beside 0016
-- Runtime hosts register again every 5 s. So the table is not logged: after a crash of the server it is empty, and
-- controllers keep the hosts that they know until they are back.
CREATE UNLOGGED TABLE meta.runtime_hosts (
    name text PRIMARY KEY CHECK (octet_length(name) BETWEEN 1 AND 128),
    boot_id uuid NOT NULL,
    url text NOT NULL CHECK (octet_length(url) <= 512),
    address text NOT NULL CHECK (octet_length(address) <= 64),
    languages text[] NOT NULL CHECK (cardinality(languages) <= 8),
    runs_max integer NOT NULL,
    release text NOT NULL CHECK (octet_length(release) <= 64),
    state text NOT NULL CHECK (state IN ('ready', 'draining', 'ended')),
    registered_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL
) WITH (
    -- A row changes every 5 s, in columns without an index, so its next version finds room in the same page.
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000
);

CREATE UNIQUE INDEX runtime_hosts_by_url ON meta.runtime_hosts (url);

COMMENT ON TABLE meta.runtime_hosts IS 'Runtime hosts that have registered themselves.';
COMMENT ON COLUMN meta.runtime_hosts.name IS 'RUNTIME_HOST_NAME of the host.';
COMMENT ON COLUMN meta.runtime_hosts.boot_id IS 'The process of the host, a new one at each start.';
COMMENT ON COLUMN meta.runtime_hosts.url IS 'RUNTIME_HOST_URL of the host.';
COMMENT ON COLUMN meta.runtime_hosts.address IS 'The address of the name in the URL, to which controllers connect.';
COMMENT ON COLUMN meta.runtime_hosts.languages IS 'The languages of which the host runs scripts.';
COMMENT ON COLUMN meta.runtime_hosts.runs_max IS 'How many scripts the host runs at once.';
COMMENT ON COLUMN meta.runtime_hosts.release IS 'The release of the host.';
COMMENT ON COLUMN meta.runtime_hosts.state IS 'Whether the host starts scripts, drains, or has ended.';
COMMENT ON COLUMN meta.runtime_hosts.registered_at IS 'When the process has registered first, by the common clock.';
COMMENT ON COLUMN meta.runtime_hosts.seen_at IS 'When the process has registered last, by the common clock.';
