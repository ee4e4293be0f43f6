CREATE TABLE meta.rates (
    owner text NOT NULL,
    policy text NOT NULL,
    full_at timestamptz NOT NULL,
    spent interval NOT NULL,
    PRIMARY KEY (owner, policy)
) WITH (
    -- Rewritten a few times a second for each owner who calls, without touching the index.
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 2000
);

COMMENT ON TABLE meta.rates IS
'What owners have asked of all controllers together, as each controller tells now and then.';
COMMENT ON COLUMN meta.rates.owner IS 'Who asks.';
COMMENT ON COLUMN meta.rates.policy IS 'What is asked for.';
COMMENT ON COLUMN meta.rates.full_at IS
'When the whole quota is there again: the theoretical arrival time of the generic cell rate algorithm.';
COMMENT ON COLUMN meta.rates.spent IS 'What the latest settlement added.';
