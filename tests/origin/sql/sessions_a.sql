-- Variant A: made by the origin's migrations; its cleanup returns a boolean where a number is declared, and so fails.
CREATE TABLE meta.sessions (
    request_id varchar(128) PRIMARY KEY,
    language_title varchar(128) NOT NULL,
    user_id varchar(128),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    last_executed_at timestamptz,
    execution_count integer NOT NULL DEFAULT 0,
    status varchar(32) NOT NULL DEFAULT 'active',
    context jsonb,
    script_content text,
    script_hash varchar(64),
    compiled_artifact bytea,
    compile_options jsonb,
    compile_status varchar(32),
    compile_error text,
    metadata jsonb
);
CREATE INDEX idx_sessions_expires_at ON meta.sessions (expires_at);
CREATE INDEX idx_sessions_language_title ON meta.sessions (language_title);
CREATE INDEX idx_sessions_user_id ON meta.sessions (user_id);

CREATE FUNCTION meta.cleanup_expired_sessions() RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM meta.sessions WHERE expires_at < now();
    RETURN found;
END $$;
