CREATE TABLE meta.api_keys (
    key_id uuid PRIMARY KEY,
    owner text NOT NULL CHECK (owner <> ''),
    scopes text[] NOT NULL CHECK (cardinality(scopes) > 0),
    secret_hash bytea NOT NULL CHECK (octet_length(secret_hash) = 32),
    expires_at timestamptz,
    revoked_at timestamptz
);

COMMENT ON TABLE meta.api_keys IS 'What callers are known by, beside signed tokens. The secrets are with their holders.';
COMMENT ON COLUMN meta.api_keys.key_id IS 'UUIDv7; the time in it is when the key was made.';
COMMENT ON COLUMN meta.api_keys.owner IS 'Who the holder of the key acts as.';
COMMENT ON COLUMN meta.api_keys.scopes IS 'What the key allows.';
COMMENT ON COLUMN meta.api_keys.secret_hash IS
'SHA-256 of the secret, which has 256 random bits: nobody can try them all.';
COMMENT ON COLUMN meta.api_keys.expires_at IS 'First instant at which the key no longer holds; null: until revoked.';
COMMENT ON COLUMN meta.api_keys.revoked_at IS 'When the key was revoked.';
