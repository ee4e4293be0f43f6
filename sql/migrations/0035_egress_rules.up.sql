-- works beside 0016
-- What an operator lets scripts of single owners reach, beside EGRESS_RULES.
CREATE TABLE meta.egress_rules (
    owner text COLLATE "C" NOT NULL CHECK (owner <> ''),
    pattern text COLLATE "C" NOT NULL CHECK (octet_length(pattern) BETWEEN 1 AND 260),
    created_at timestamptz NOT NULL,
    PRIMARY KEY (owner, pattern)
);

COMMENT ON TABLE meta.egress_rules IS 'Hosts that scripts of single owners may reach, beside EGRESS_RULES.';
COMMENT ON COLUMN meta.egress_rules.owner IS 'The owner of the sessions.';
COMMENT ON COLUMN meta.egress_rules.pattern IS 'An egress rule, such as *.example.com:443 or db.example.com:5432/tcp.';
COMMENT ON COLUMN meta.egress_rules.created_at IS 'When the rule was allowed, by the common clock.';
