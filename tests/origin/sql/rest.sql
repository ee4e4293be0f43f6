-- What every variant has beside meta.sessions: functions, scripts, versions of the schema, two logs.
CREATE SCHEMA IF NOT EXISTS meta;
CREATE SCHEMA IF NOT EXISTS analytics;

CREATE TABLE meta.schema_version (
    id serial PRIMARY KEY,
    version varchar(32) NOT NULL,
    description text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    applied_by varchar(128) NOT NULL
);
INSERT INTO meta.schema_version (version, description, applied_by) VALUES ('1.0.0', 'first schema', 'system');

CREATE TABLE meta.functions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    language varchar(32) NOT NULL,
    title varchar(64) NOT NULL,
    language_title varchar(128) NOT NULL UNIQUE,
    description text,
    schema_definition jsonb,
    examples jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    created_by varchar(128),
    is_active boolean NOT NULL DEFAULT true,
    version varchar(32) NOT NULL DEFAULT '1.0.0',
    tags varchar(64) []
);
CREATE INDEX idx_functions_language ON meta.functions (language);
CREATE INDEX idx_functions_language_title ON meta.functions (language_title);
CREATE INDEX idx_functions_is_active ON meta.functions (is_active);
CREATE INDEX idx_functions_tags ON meta.functions USING gin (tags);

CREATE TABLE meta.scripts (
    function_id uuid PRIMARY KEY REFERENCES meta.functions (id),
    content text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE public.request_logs (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    request_id varchar(64) NOT NULL,
    language_title varchar(128) NOT NULL,
    timestamp timestamptz NOT NULL DEFAULT now(),
    client_ip varchar(45),
    user_id varchar(128),
    request_headers jsonb,
    request_payload jsonb,
    response_payload jsonb,
    status_code integer NOT NULL,
    duration_ms integer NOT NULL,
    cached boolean NOT NULL DEFAULT false,
    error_details jsonb,
    runtime_metrics jsonb
);
CREATE INDEX idx_request_logs_timestamp ON public.request_logs (timestamp);
CREATE INDEX idx_request_logs_language_title ON public.request_logs (language_title);
CREATE INDEX idx_request_logs_status_code ON public.request_logs (status_code);
CREATE INDEX idx_request_logs_user_id ON public.request_logs (user_id);
CREATE INDEX idx_request_logs_request_id ON public.request_logs (request_id);
CREATE INDEX idx_request_logs_cached ON public.request_logs (cached);

CREATE TABLE public.error_logs (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    request_log_id uuid NOT NULL CONSTRAINT fk_error_logs_request_log_id REFERENCES public.request_logs (id),
    timestamp timestamptz NOT NULL DEFAULT now(),
    error_code varchar(64) NOT NULL,
    error_message text NOT NULL,
    stack_trace text,
    context jsonb
);
CREATE INDEX idx_error_logs_request_log_id ON public.error_logs (request_log_id);
CREATE INDEX idx_error_logs_error_code ON public.error_logs (error_code);
CREATE INDEX idx_error_logs_timestamp ON public.error_logs (timestamp);
