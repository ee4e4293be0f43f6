-- works beside 0016
-- Packages that scripts may import: a version is built once for each platform, into a tree that hosts fetch.
CREATE TABLE meta.environments (
    name text NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 32),
    version integer NOT NULL CHECK (version > 0),
    language text NOT NULL,
    lock text NOT NULL CHECK (octet_length(lock) <= 1048576),
    preload text[] NOT NULL,
    owners text[],
    description text NOT NULL CHECK (octet_length(description) <= 2048),
    created_at timestamptz NOT NULL,
    author text NOT NULL,
    retired_at timestamptz,
    PRIMARY KEY (name, version)
);

ALTER TABLE meta.environments ALTER COLUMN lock SET STATISTICS 0;

COMMENT ON TABLE meta.environments IS 'Versions of environments. Their packages never change.';
COMMENT ON COLUMN meta.environments.name IS 'The name that sessions give.';
COMMENT ON COLUMN meta.environments.version IS 'From 1 on for each name.';
COMMENT ON COLUMN meta.environments.language IS 'The language of the scripts that may import it.';
COMMENT ON COLUMN meta.environments.lock IS 'The packages with their digests, as this service has written them anew.';
COMMENT ON COLUMN meta.environments.preload IS 'What is imported before scripts start.';
COMMENT ON COLUMN meta.environments.owners IS 'Whose sessions may use it; null stands for all owners.';
COMMENT ON COLUMN meta.environments.description IS 'A text of the operator.';
COMMENT ON COLUMN meta.environments.created_at IS 'When the version was created.';
COMMENT ON COLUMN meta.environments.author IS 'Who has created it.';
COMMENT ON COLUMN meta.environments.retired_at IS 'Since when new sessions cannot use it; null if they can.';

CREATE TABLE meta.environment_builds (
    name text NOT NULL,
    version integer NOT NULL,
    platform text NOT NULL CHECK (octet_length(platform) <= 64),
    status text NOT NULL CHECK (status IN ('building', 'ready', 'failed')),
    digest bytea CHECK (octet_length(digest) = 32),
    facts text CHECK (octet_length(facts) <= 8192),
    log text NOT NULL CHECK (octet_length(log) <= 262144),
    attempts integer NOT NULL,
    builder uuid NOT NULL,
    lease_until timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (name, version, platform),
    CHECK ((status = 'ready') = (digest IS NOT NULL))
) WITH (
    -- The log is written every second.
    fillfactor = 50
);

ALTER TABLE meta.environment_builds ALTER COLUMN log SET STATISTICS 0;

CREATE INDEX environment_builds_by_digest ON meta.environment_builds (digest) WHERE digest IS NOT NULL;

COMMENT ON TABLE meta.environment_builds IS 'Builds of versions that have begun, one for each platform.';
COMMENT ON COLUMN meta.environment_builds.name IS 'The environment.';
COMMENT ON COLUMN meta.environment_builds.version IS 'Its version.';
COMMENT ON COLUMN meta.environment_builds.platform IS 'Interpreter and machine, such as cp313-x86_64-glibc.';
COMMENT ON COLUMN meta.environment_builds.status IS 'Whether it is built, is being built, or could not be built.';
COMMENT ON COLUMN meta.environment_builds.digest IS 'The tree; null unless it is ready.';
COMMENT ON COLUMN meta.environment_builds.facts IS 'A JSON object: what the build has measured, or why it failed.';
COMMENT ON COLUMN meta.environment_builds.log IS 'The last of what the tools wrote.';
COMMENT ON COLUMN meta.environment_builds.attempts IS 'How often it has begun.';
COMMENT ON COLUMN meta.environment_builds.builder IS 'The attempt that builds it, or that built it last.';
COMMENT ON COLUMN meta.environment_builds.lease_until IS 'Until then no other builder begins anew.';
COMMENT ON COLUMN meta.environment_builds.updated_at IS 'When the row was written last, by the common clock.';

CREATE TABLE meta.trees (
    digest bytea PRIMARY KEY CHECK (octet_length(digest) = 32),
    format smallint NOT NULL,
    bytes bigint NOT NULL,
    files integer NOT NULL,
    packed_bytes bigint NOT NULL,
    chunks integer NOT NULL,
    complete boolean NOT NULL,
    created_at timestamptz NOT NULL
);

COMMENT ON TABLE meta.trees IS 'The packed files of environments, by the SHA-256 digest of the packed bytes.';
COMMENT ON COLUMN meta.trees.digest IS 'SHA-256 of the packed bytes.';
COMMENT ON COLUMN meta.trees.format IS 'How they are packed: 1 is zlib over tar.';
COMMENT ON COLUMN meta.trees.bytes IS 'The bytes of all files.';
COMMENT ON COLUMN meta.trees.files IS 'The number of files and folders.';
COMMENT ON COLUMN meta.trees.packed_bytes IS 'The bytes of all chunks.';
COMMENT ON COLUMN meta.trees.chunks IS 'The number of chunks.';
COMMENT ON COLUMN meta.trees.complete IS 'Whether all chunks are stored.';
COMMENT ON COLUMN meta.trees.created_at IS 'When the first build began to store it.';

CREATE TABLE meta.tree_chunks (
    digest bytea NOT NULL,
    seq integer NOT NULL,
    content bytea NOT NULL CHECK (octet_length(content) <= 262144),
    PRIMARY KEY (digest, seq)
);

ALTER TABLE meta.tree_chunks ALTER COLUMN content SET STORAGE EXTERNAL, ALTER COLUMN content SET STATISTICS 0;

COMMENT ON TABLE meta.tree_chunks IS 'The packed bytes of trees, in parts of 256 KiB.';
COMMENT ON COLUMN meta.tree_chunks.digest IS 'The tree.';
COMMENT ON COLUMN meta.tree_chunks.seq IS 'From 0 on.';
COMMENT ON COLUMN meta.tree_chunks.content IS 'The bytes; they are compressed already.';
