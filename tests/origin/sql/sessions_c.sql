-- Variant C: made by the controller of one branch at its start; two triggers, no reference to users.
CREATE TABLE meta.sessions (
    request_id varchar(64) PRIMARY KEY,
    language_title varchar(128) NOT NULL,
    user_id varchar(128),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    last_executed_at timestamptz,
    execution_count integer NOT NULL DEFAULT 0,
    status varchar(16) NOT NULL DEFAULT 'active',
    context jsonb,
    script_content text,
    script_hash varchar(64),
    compiled_artifact bytea,
    compile_options jsonb,
    compile_status varchar(16),
    compile_error text,
    metadata jsonb
);
CREATE INDEX idx_sessions_language_title ON meta.sessions (language_title);
CREATE INDEX idx_sessions_status ON meta.sessions (status);
CREATE INDEX idx_sessions_expires_at ON meta.sessions (expires_at);
CREATE INDEX idx_sessions_script_hash ON meta.sessions (script_hash);
CREATE INDEX idx_sessions_compile_status ON meta.sessions (compile_status);

-- Adds one to a count that has grown, once more.
CREATE FUNCTION meta.update_session_on_execute() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.execution_count := NEW.execution_count + 1;
    NEW.last_executed_at := now();
    RETURN NEW;
END $$;
CREATE TRIGGER update_session_on_execute BEFORE UPDATE ON meta.sessions
FOR EACH ROW WHEN (new.execution_count > old.execution_count) EXECUTE FUNCTION meta.update_session_on_execute();

-- Takes the text of a script for the text form of bytes: a backslash makes it fail.
CREATE FUNCTION meta.calculate_script_hash() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.script_content IS NULL THEN
        RETURN NEW;
    END IF;
    NEW.script_hash := encode(sha256(NEW.script_content::bytea), 'hex');
    RETURN NEW;
END $$;
CREATE TRIGGER calculate_script_hash BEFORE INSERT OR UPDATE OF script_content ON meta.sessions
FOR EACH ROW EXECUTE FUNCTION meta.calculate_script_hash();
