-- Variant D: made by a script for local development; instants without a zone, to which no release can write.
CREATE TABLE meta.sessions (
    request_id varchar(255) PRIMARY KEY,
    language_title varchar(255) NOT NULL,
    user_id varchar(255),
    created_at timestamp NOT NULL,
    expires_at timestamp NOT NULL,
    status varchar(50) NOT NULL,
    context jsonb NOT NULL,
    script_content text,
    compile_options jsonb
);
