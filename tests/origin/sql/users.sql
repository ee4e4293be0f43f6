-- The users that the documented schema has, and variant B refers to.
CREATE TABLE meta.users (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id varchar(128) UNIQUE NOT NULL,
    name varchar(256),
    email varchar(256),
    api_key_hash varchar(128) UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    last_active_at timestamptz,
    is_active boolean NOT NULL DEFAULT true,
    rate_limit_per_minute integer NOT NULL DEFAULT 100,
    allowed_languages varchar(32) [],
    role varchar(32) NOT NULL DEFAULT 'user'
);
