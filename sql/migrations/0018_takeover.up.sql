-- works beside 0016
-- What moves between the origin (lambda-microservice) and this service. Copies have a table of their own, so that
-- meta.sessions holds owned sessions only, and its statements need no condition.
CREATE TABLE meta.takeover (
    only_row boolean PRIMARY KEY DEFAULT TRUE CHECK (only_row),
    takeover_id uuid NOT NULL,
    source jsonb NOT NULL CHECK (jsonb_typeof(source) = 'object'),
    options jsonb NOT NULL CHECK (jsonb_typeof(options) = 'object'),
    stage text NOT NULL CHECK (stage IN ('look', 'front', 'open', 'adopt', 'back', 'finished')),
    stage_at timestamptz NOT NULL,
    progress jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(progress) = 'object'),
    holder text,
    held_until timestamptz
);

COMMENT ON TABLE meta.takeover IS 'One row: the takeover of an origin, if there is one.';
COMMENT ON COLUMN meta.takeover.takeover_id IS 'UUIDv7; the time in it is when the takeover began.';
COMMENT ON COLUMN meta.takeover.source IS 'What identifies the database of the origin; never a password.';
COMMENT ON COLUMN meta.takeover.options IS 'What is taken, and how it is converted.';
COMMENT ON COLUMN meta.takeover.stage IS 'Which side creates sessions, and in which direction sessions move.';
COMMENT ON COLUMN meta.takeover.stage_at IS 'When the stage was changed last.';
COMMENT ON COLUMN meta.takeover.progress IS
'How far each command has come, by its name; written in the transaction of the rows that it counts.';

COMMENT ON COLUMN meta.takeover.holder IS 'The command that moves sessions now; null if none does.';
COMMENT ON COLUMN meta.takeover.held_until IS
'From here on another command may move sessions, because the holder has not renewed its claim.';

CREATE TABLE meta.inbound_sessions (
    request_id uuid PRIMARY KEY,
    owner text NOT NULL,
    language text NOT NULL,
    title text NOT NULL,
    timeout_ms integer NOT NULL,
    memory_mb integer NOT NULL,
    isolation text NOT NULL,
    renewal text NOT NULL,
    ttl_seconds integer NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    expires_max_at timestamptz NOT NULL,
    closed_at timestamptz,
    last_executed_at timestamptz,
    execution_count bigint NOT NULL,
    version bigint NOT NULL,
    convention text NOT NULL,
    function_id uuid,
    function_version bigint,
    context text NOT NULL,
    metadata text NOT NULL,
    script text,
    spelled_title text NOT NULL,
    user_id text,
    leftovers text NOT NULL CHECK (leftovers LIKE '{%')
);

-- Written once and read whole, for a short time: compressing it, or storing a part elsewhere, costs more than the disk it
-- saves.
ALTER TABLE meta.inbound_sessions SET (toast_tuple_target = 4080);
ALTER TABLE meta.inbound_sessions ALTER COLUMN script SET STORAGE EXTERNAL;
ALTER TABLE meta.inbound_sessions ALTER COLUMN context SET STORAGE EXTERNAL;
ALTER TABLE meta.inbound_sessions ALTER COLUMN metadata SET STORAGE EXTERNAL;
ALTER TABLE meta.inbound_sessions ALTER COLUMN leftovers SET STORAGE EXTERNAL;
ALTER TABLE meta.inbound_sessions ALTER COLUMN script SET STATISTICS 0;
ALTER TABLE meta.inbound_sessions ALTER COLUMN context SET STATISTICS 0;
ALTER TABLE meta.inbound_sessions ALTER COLUMN metadata SET STATISTICS 0;
ALTER TABLE meta.inbound_sessions ALTER COLUMN leftovers SET STATISTICS 0;

CREATE INDEX inbound_sessions_by_owner ON meta.inbound_sessions (owner, request_id);
CREATE INDEX inbound_sessions_by_expiry ON meta.inbound_sessions (expires_at);

COMMENT ON TABLE meta.inbound_sessions IS
'Copies of sessions that the origin owns. No call is served from here. The columns have the meaning that they have in '
'meta.sessions, unless a comment says another one. The hash of a script is computed when it is read.';
COMMENT ON COLUMN meta.inbound_sessions.created_at IS 'When the origin made the session; its id carries no time.';
COMMENT ON COLUMN meta.inbound_sessions.spelled_title IS 'The language-title as the origin has it.';
COMMENT ON COLUMN meta.inbound_sessions.user_id IS 'The label that the caller gave; nobody verified it.';
COMMENT ON COLUMN meta.inbound_sessions.leftovers IS
'What else the origin has and meta.sessions has no column for: a JSON object.';

CREATE TABLE meta.taken_sessions (
    request_id uuid PRIMARY KEY,
    owner text NOT NULL,
    state text NOT NULL CHECK (state IN ('fencing', 'owned', 'returning', 'returned')),
    spelled_title text NOT NULL,
    user_id text,
    leftovers text NOT NULL CHECK (leftovers LIKE '{%'),
    expires_at timestamptz NOT NULL,
    count_at_fence bigint,
    late_count bigint,
    fenced_at timestamptz,
    owned_at timestamptz,
    returned_at timestamptz
);

CREATE INDEX taken_sessions_by_owner ON meta.taken_sessions (owner, request_id);
CREATE INDEX taken_sessions_by_expiry ON meta.taken_sessions (expires_at);
CREATE INDEX taken_sessions_by_state ON meta.taken_sessions (state, request_id);

COMMENT ON TABLE meta.taken_sessions IS
'Sessions that have begun to move between the origin and this service. One that is owned here has its row in '
'meta.sessions too.';
COMMENT ON COLUMN meta.taken_sessions.request_id IS 'The session.';
COMMENT ON COLUMN meta.taken_sessions.owner IS 'The owner of the session.';
COMMENT ON COLUMN meta.taken_sessions.state IS
'fencing: it moves here, and its copy is in meta.inbound_sessions; owned: it is served here; returning: it moves to the '
'origin; returned: the origin serves it.';
COMMENT ON COLUMN meta.taken_sessions.spelled_title IS 'The language-title as the origin has it.';
COMMENT ON COLUMN meta.taken_sessions.user_id IS 'The label that the caller gave; nobody verified it.';
COMMENT ON COLUMN meta.taken_sessions.leftovers IS
'What else the origin has and meta.sessions has no column for: a JSON object.';
COMMENT ON COLUMN meta.taken_sessions.expires_at IS
'The end of the session when it was taken, or when it was returned. Afterwards the row is removed.';
COMMENT ON COLUMN meta.taken_sessions.count_at_fence IS 'What the origin had counted when the session was taken.';
COMMENT ON COLUMN meta.taken_sessions.late_count IS
'How many executions were added that the origin ended later; null until that was looked at.';
COMMENT ON COLUMN meta.taken_sessions.fenced_at IS
'When the session began to move here; when it is owned, the instant of its fence.';
COMMENT ON COLUMN meta.taken_sessions.owned_at IS 'From here on it is served here.';
COMMENT ON COLUMN meta.taken_sessions.returned_at IS
'When the session began to move to the origin; when it is returned, the instant from which the origin serves it.';
