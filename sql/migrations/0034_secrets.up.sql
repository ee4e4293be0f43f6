-- Secrets of owners: values for scripts, sealed by a key that is not in the database.
-- works beside 0016
CREATE TABLE meta.secrets (
    owner text NOT NULL,
    name text NOT NULL,
    version integer NOT NULL,
    functions text[],
    function_ids uuid[],
    key_id text NOT NULL,
    nonce bytea NOT NULL,
    sealed bytea NOT NULL CHECK (octet_length(sealed) <= 65600),
    created_at timestamptz NOT NULL,
    author text NOT NULL,
    last_used_at timestamptz,
    uses bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (owner, name)
);

-- What is sealed cannot be compressed.
ALTER TABLE meta.secrets ALTER COLUMN sealed SET STORAGE EXTERNAL, ALTER COLUMN sealed SET STATISTICS 0;

COMMENT ON TABLE meta.secrets IS 'Secrets of owners: values for scripts, sealed by a key that is not in the database.';
COMMENT ON COLUMN meta.secrets.owner IS 'Whose sessions may have it.';
COMMENT ON COLUMN meta.secrets.name IS 'How sessions and scripts name it.';
COMMENT ON COLUMN meta.secrets.version IS 'How often a value was stored under the name.';
COMMENT ON COLUMN meta.secrets.functions IS
'The functions to which it is limited, as OWNER/LANGUAGE-TITLE[@VERSION]; null is no limit.';
COMMENT ON COLUMN meta.secrets.function_ids IS 'The ids of these functions, by which they are compared.';
COMMENT ON COLUMN meta.secrets.key_id IS 'Names the key of SECRETS_KEY that sealed it.';
COMMENT ON COLUMN meta.secrets.nonce IS 'The number with which it was sealed, never used twice.';
COMMENT ON COLUMN meta.secrets.sealed IS 'The value, by AES-256-GCM, bound to owner, name and version.';
COMMENT ON COLUMN meta.secrets.created_at IS 'When the version was stored.';
COMMENT ON COLUMN meta.secrets.author IS 'Who stored the version.';
COMMENT ON COLUMN meta.secrets.last_used_at IS 'When a script got it last; null before the first time. Late by a minute.';
COMMENT ON COLUMN meta.secrets.uses IS 'How many executions have got it. Late by a minute.';
