--
-- PostgreSQL database dump
--

\restrict pglambda

-- Dumped from database version 18.6
-- Dumped by pg_dump version 18.6

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET transaction_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: meta; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA meta;


--
-- Name: added_counts(jsonb, jsonb); Type: FUNCTION; Schema: meta; Owner: -
--

CREATE FUNCTION meta.added_counts(counted jsonb, more jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT jsonb_object_agg(t.name, t.total)
    FROM (
        SELECT e.key AS name, sum(e.value::bigint) AS total
        FROM (SELECT * FROM jsonb_each_text(counted) UNION ALL SELECT * FROM jsonb_each_text(more)) AS e
        GROUP BY e.key
    ) AS t
$$;


--
-- Name: FUNCTION added_counts(counted jsonb, more jsonb); Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON FUNCTION meta.added_counts(counted jsonb, more jsonb) IS 'The sums of two objects of numbers, by name: an act of many statements counts in one entry.';


--
-- Name: empty_slot(smallint, uuid); Type: FUNCTION; Schema: meta; Owner: -
--

CREATE FUNCTION meta.empty_slot(emptied smallint, kept_from uuid) RETURNS boolean
    LANGUAGE plpgsql
    SET lock_timeout TO '100ms'
    AS $_$
DECLARE
    partition text := format('meta.executions_%s', lpad(emptied::text, 2, '0'));
    first_kept boolean;
BEGIN
    EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', partition);
    EXECUTE format('SELECT execution_id >= $1 FROM %s LIMIT 1', partition) INTO first_kept USING kept_from;
    IF first_kept IS NULL OR first_kept THEN
        RETURN false;
    END IF;
    EXECUTE format('TRUNCATE %s', partition);
    RETURN true;
END
$_$;


--
-- Name: FUNCTION empty_slot(emptied smallint, kept_from uuid); Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON FUNCTION meta.empty_slot(emptied smallint, kept_from uuid) IS 'Empties a slot of the history, unless its first row is kept_from or newer; tells whether it did. The caller knows that the slot''s day is past retention; the row is looked at again under the lock, lest a caller that was held up empties the next day''s.';


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: api_keys; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.api_keys (
    key_id uuid NOT NULL,
    owner text NOT NULL,
    scopes text[] NOT NULL,
    secret_hash bytea NOT NULL,
    expires_at timestamp with time zone,
    revoked_at timestamp with time zone,
    CONSTRAINT api_keys_owner_check CHECK ((owner <> ''::text)),
    CONSTRAINT api_keys_scopes_check CHECK ((cardinality(scopes) > 0)),
    CONSTRAINT api_keys_secret_hash_check CHECK ((octet_length(secret_hash) = 32))
);


--
-- Name: TABLE api_keys; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON TABLE meta.api_keys IS 'What callers are known by, beside signed tokens. The secrets are with their holders.';


--
-- Name: COLUMN api_keys.key_id; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.api_keys.key_id IS 'UUIDv7; the time in it is when the key was made.';


--
-- Name: COLUMN api_keys.owner; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.api_keys.owner IS 'Who the holder of the key acts as.';


--
-- Name: COLUMN api_keys.scopes; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.api_keys.scopes IS 'What the key allows.';


--
-- Name: COLUMN api_keys.secret_hash; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.api_keys.secret_hash IS 'SHA-256 of the secret, which has 256 random bits: nobody can try them all.';


--
-- Name: COLUMN api_keys.expires_at; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.api_keys.expires_at IS 'First instant at which the key no longer holds; null: until revoked.';


--
-- Name: COLUMN api_keys.revoked_at; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.api_keys.revoked_at IS 'When the key was revoked.';


--
-- Name: audit; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.audit (
    act_id uuid NOT NULL,
    actor text NOT NULL,
    origin text NOT NULL,
    act text NOT NULL,
    owner text,
    subject text NOT NULL,
    details jsonb NOT NULL,
    CONSTRAINT audit_act_check CHECK ((act <> ''::text)),
    CONSTRAINT audit_actor_check CHECK ((actor <> ''::text)),
    CONSTRAINT audit_details_check CHECK ((jsonb_typeof(details) = 'object'::text)),
    CONSTRAINT audit_origin_check CHECK ((origin <> ''::text))
);


--
-- Name: TABLE audit; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON TABLE meta.audit IS 'Administrative acts. Each is recorded in the statement or transaction that makes it, without content of callers.';


--
-- Name: COLUMN audit.act_id; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.audit.act_id IS 'UUIDv7; the time in it is when the act was made.';


--
-- Name: COLUMN audit.actor; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.audit.actor IS 'Who acted: an owner, or user@host for a command.';


--
-- Name: COLUMN audit.origin; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.audit.origin IS 'The address of the client; "cli" for a command.';


--
-- Name: COLUMN audit.act; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.audit.act IS 'What was done, such as keys.create.';


--
-- Name: COLUMN audit.owner; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.audit.owner IS 'The owner whose objects the act concerns; null for migrations.';


--
-- Name: COLUMN audit.subject; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.audit.subject IS 'The id or the name of the object.';


--
-- Name: COLUMN audit.details; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.audit.details IS 'Numbers and settings by name.';


--
-- Name: executions; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.executions (
    slot smallint NOT NULL,
    request_id uuid NOT NULL,
    execution_id uuid NOT NULL,
    owner text NOT NULL,
    outcome text NOT NULL,
    execution_count bigint,
    execution_time_ms double precision,
    cpu_time_ms double precision,
    memory_usage_bytes bigint,
    cold_start boolean,
    params text,
    params_length integer,
    result text,
    result_length integer,
    error text,
    error_length integer,
    stdout text,
    stdout_length integer,
    stderr text,
    stderr_length integer,
    CONSTRAINT executions_outcome_check CHECK ((outcome = ANY (ARRAY['succeeded'::text, 'failed'::text, 'unknown'::text])))
)
PARTITION BY LIST (slot);
ALTER TABLE ONLY meta.executions ALTER COLUMN params SET STATISTICS 0;
ALTER TABLE ONLY meta.executions ALTER COLUMN result SET STATISTICS 0;
ALTER TABLE ONLY meta.executions ALTER COLUMN error SET STATISTICS 0;
ALTER TABLE ONLY meta.executions ALTER COLUMN stdout SET STATISTICS 0;
ALTER TABLE ONLY meta.executions ALTER COLUMN stderr SET STATISTICS 0;


--
-- Name: TABLE executions; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON TABLE meta.executions IS 'The history: executions that have ended, or whose end nobody recorded in time.';


--
-- Name: COLUMN executions.slot; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.executions.slot IS 'Day in UTC since 1970-01-01 of the time in execution_id, modulo 32.';


--
-- Name: COLUMN executions.request_id; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.executions.request_id IS 'The session.';


--
-- Name: COLUMN executions.execution_id; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.executions.execution_id IS 'UUIDv7; the time in it is the instant of admission.';


--
-- Name: COLUMN executions.owner; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.executions.owner IS 'The session''s owner.';


--
-- Name: COLUMN executions.outcome; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.executions.outcome IS 'How it ended; unknown when its end was not recorded by its deadline.';


--
-- Name: COLUMN executions.execution_count; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.executions.execution_count IS 'The session''s count with this execution; null when not counted.';


--
-- Name: COLUMN executions.execution_time_ms; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.executions.execution_time_ms IS 'Wall time, measured outside the script.';


--
-- Name: COLUMN executions.cpu_time_ms; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.executions.cpu_time_ms IS 'Processor time; null where the runtime does not tell.';


--
-- Name: COLUMN executions.memory_usage_bytes; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.executions.memory_usage_bytes IS 'Most memory in use; null where the runtime does not tell.';


--
-- Name: COLUMN executions.cold_start; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.executions.cold_start IS 'Whether a worker had to be prepared; null where the runtime does not tell.';


--
-- Name: COLUMN executions.params; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.executions.params IS 'Beginning of the parameters, JSON as it came.';


--
-- Name: COLUMN executions.params_length; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.executions.params_length IS 'Characters of the whole.';


--
-- Name: COLUMN executions.result; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.executions.result IS 'Beginning of the result, JSON as it came; null when the script failed.';


--
-- Name: COLUMN executions.result_length; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.executions.result_length IS 'Characters of the whole.';


--
-- Name: COLUMN executions.error; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.executions.error IS 'Beginning of the failure, JSON; null when the script succeeded.';


--
-- Name: COLUMN executions.error_length; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.executions.error_length IS 'Characters of the whole.';


--
-- Name: COLUMN executions.stdout; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.executions.stdout IS 'Beginning of what the script printed.';


--
-- Name: COLUMN executions.stdout_length; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.executions.stdout_length IS 'Characters of the whole.';


--
-- Name: COLUMN executions.stderr; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.executions.stderr IS 'Beginning of what the script printed as errors.';


--
-- Name: COLUMN executions.stderr_length; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.executions.stderr_length IS 'Characters of the whole.';


--
-- Name: executions_00; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.executions_00 (
    slot smallint CONSTRAINT executions_slot_not_null NOT NULL,
    request_id uuid CONSTRAINT executions_request_id_not_null NOT NULL,
    execution_id uuid CONSTRAINT executions_execution_id_not_null NOT NULL,
    owner text CONSTRAINT executions_owner_not_null NOT NULL,
    outcome text CONSTRAINT executions_outcome_not_null NOT NULL,
    execution_count bigint,
    execution_time_ms double precision,
    cpu_time_ms double precision,
    memory_usage_bytes bigint,
    cold_start boolean,
    params text,
    params_length integer,
    result text,
    result_length integer,
    error text,
    error_length integer,
    stdout text,
    stdout_length integer,
    stderr text,
    stderr_length integer,
    CONSTRAINT executions_outcome_check CHECK ((outcome = ANY (ARRAY['succeeded'::text, 'failed'::text, 'unknown'::text])))
);


--
-- Name: executions_01; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.executions_01 (
    slot smallint CONSTRAINT executions_slot_not_null NOT NULL,
    request_id uuid CONSTRAINT executions_request_id_not_null NOT NULL,
    execution_id uuid CONSTRAINT executions_execution_id_not_null NOT NULL,
    owner text CONSTRAINT executions_owner_not_null NOT NULL,
    outcome text CONSTRAINT executions_outcome_not_null NOT NULL,
    execution_count bigint,
    execution_time_ms double precision,
    cpu_time_ms double precision,
    memory_usage_bytes bigint,
    cold_start boolean,
    params text,
    params_length integer,
    result text,
    result_length integer,
    error text,
    error_length integer,
    stdout text,
    stdout_length integer,
    stderr text,
    stderr_length integer,
    CONSTRAINT executions_outcome_check CHECK ((outcome = ANY (ARRAY['succeeded'::text, 'failed'::text, 'unknown'::text])))
);


--
-- Name: executions_02; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.executions_02 (
    slot smallint CONSTRAINT executions_slot_not_null NOT NULL,
    request_id uuid CONSTRAINT executions_request_id_not_null NOT NULL,
    execution_id uuid CONSTRAINT executions_execution_id_not_null NOT NULL,
    owner text CONSTRAINT executions_owner_not_null NOT NULL,
    outcome text CONSTRAINT executions_outcome_not_null NOT NULL,
    execution_count bigint,
    execution_time_ms double precision,
    cpu_time_ms double precision,
    memory_usage_bytes bigint,
    cold_start boolean,
    params text,
    params_length integer,
    result text,
    result_length integer,
    error text,
    error_length integer,
    stdout text,
    stdout_length integer,
    stderr text,
    stderr_length integer,
    CONSTRAINT executions_outcome_check CHECK ((outcome = ANY (ARRAY['succeeded'::text, 'failed'::text, 'unknown'::text])))
);


--
-- Name: executions_03; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.executions_03 (
    slot smallint CONSTRAINT executions_slot_not_null NOT NULL,
    request_id uuid CONSTRAINT executions_request_id_not_null NOT NULL,
    execution_id uuid CONSTRAINT executions_execution_id_not_null NOT NULL,
    owner text CONSTRAINT executions_owner_not_null NOT NULL,
    outcome text CONSTRAINT executions_outcome_not_null NOT NULL,
    execution_count bigint,
    execution_time_ms double precision,
    cpu_time_ms double precision,
    memory_usage_bytes bigint,
    cold_start boolean,
    params text,
    params_length integer,
    result text,
    result_length integer,
    error text,
    error_length integer,
    stdout text,
    stdout_length integer,
    stderr text,
    stderr_length integer,
    CONSTRAINT executions_outcome_check CHECK ((outcome = ANY (ARRAY['succeeded'::text, 'failed'::text, 'unknown'::text])))
);


--
-- Name: executions_04; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.executions_04 (
    slot smallint CONSTRAINT executions_slot_not_null NOT NULL,
    request_id uuid CONSTRAINT executions_request_id_not_null NOT NULL,
    execution_id uuid CONSTRAINT executions_execution_id_not_null NOT NULL,
    owner text CONSTRAINT executions_owner_not_null NOT NULL,
    outcome text CONSTRAINT executions_outcome_not_null NOT NULL,
    execution_count bigint,
    execution_time_ms double precision,
    cpu_time_ms double precision,
    memory_usage_bytes bigint,
    cold_start boolean,
    params text,
    params_length integer,
    result text,
    result_length integer,
    error text,
    error_length integer,
    stdout text,
    stdout_length integer,
    stderr text,
    stderr_length integer,
    CONSTRAINT executions_outcome_check CHECK ((outcome = ANY (ARRAY['succeeded'::text, 'failed'::text, 'unknown'::text])))
);


--
-- Name: executions_05; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.executions_05 (
    slot smallint CONSTRAINT executions_slot_not_null NOT NULL,
    request_id uuid CONSTRAINT executions_request_id_not_null NOT NULL,
    execution_id uuid CONSTRAINT executions_execution_id_not_null NOT NULL,
    owner text CONSTRAINT executions_owner_not_null NOT NULL,
    outcome text CONSTRAINT executions_outcome_not_null NOT NULL,
    execution_count bigint,
    execution_time_ms double precision,
    cpu_time_ms double precision,
    memory_usage_bytes bigint,
    cold_start boolean,
    params text,
    params_length integer,
    result text,
    result_length integer,
    error text,
    error_length integer,
    stdout text,
    stdout_length integer,
    stderr text,
    stderr_length integer,
    CONSTRAINT executions_outcome_check CHECK ((outcome = ANY (ARRAY['succeeded'::text, 'failed'::text, 'unknown'::text])))
);


--
-- Name: executions_06; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.executions_06 (
    slot smallint CONSTRAINT executions_slot_not_null NOT NULL,
    request_id uuid CONSTRAINT executions_request_id_not_null NOT NULL,
    execution_id uuid CONSTRAINT executions_execution_id_not_null NOT NULL,
    owner text CONSTRAINT executions_owner_not_null NOT NULL,
    outcome text CONSTRAINT executions_outcome_not_null NOT NULL,
    execution_count bigint,
    execution_time_ms double precision,
    cpu_time_ms double precision,
    memory_usage_bytes bigint,
    cold_start boolean,
    params text,
    params_length integer,
    result text,
    result_length integer,
    error text,
    error_length integer,
    stdout text,
    stdout_length integer,
    stderr text,
    stderr_length integer,
    CONSTRAINT executions_outcome_check CHECK ((outcome = ANY (ARRAY['succeeded'::text, 'failed'::text, 'unknown'::text])))
);


--
-- Name: executions_07; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.executions_07 (
    slot smallint CONSTRAINT executions_slot_not_null NOT NULL,
    request_id uuid CONSTRAINT executions_request_id_not_null NOT NULL,
    execution_id uuid CONSTRAINT executions_execution_id_not_null NOT NULL,
    owner text CONSTRAINT executions_owner_not_null NOT NULL,
    outcome text CONSTRAINT executions_outcome_not_null NOT NULL,
    execution_count bigint,
    execution_time_ms double precision,
    cpu_time_ms double precision,
    memory_usage_bytes bigint,
    cold_start boolean,
    params text,
    params_length integer,
    result text,
    result_length integer,
    error text,
    error_length integer,
    stdout text,
    stdout_length integer,
    stderr text,
    stderr_length integer,
    CONSTRAINT executions_outcome_check CHECK ((outcome = ANY (ARRAY['succeeded'::text, 'failed'::text, 'unknown'::text])))
);


--
-- Name: executions_08; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.executions_08 (
    slot smallint CONSTRAINT executions_slot_not_null NOT NULL,
    request_id uuid CONSTRAINT executions_request_id_not_null NOT NULL,
    execution_id uuid CONSTRAINT executions_execution_id_not_null NOT NULL,
    owner text CONSTRAINT executions_owner_not_null NOT NULL,
    outcome text CONSTRAINT executions_outcome_not_null NOT NULL,
    execution_count bigint,
    execution_time_ms double precision,
    cpu_time_ms double precision,
    memory_usage_bytes bigint,
    cold_start boolean,
    params text,
    params_length integer,
    result text,
    result_length integer,
    error text,
    error_length integer,
    stdout text,
    stdout_length integer,
    stderr text,
    stderr_length integer,
    CONSTRAINT executions_outcome_check CHECK ((outcome = ANY (ARRAY['succeeded'::text, 'failed'::text, 'unknown'::text])))
);


--
-- Name: executions_09; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.executions_09 (
    slot smallint CONSTRAINT executions_slot_not_null NOT NULL,
    request_id uuid CONSTRAINT executions_request_id_not_null NOT NULL,
    execution_id uuid CONSTRAINT executions_execution_id_not_null NOT NULL,
    owner text CONSTRAINT executions_owner_not_null NOT NULL,
    outcome text CONSTRAINT executions_outcome_not_null NOT NULL,
    execution_count bigint,
    execution_time_ms double precision,
    cpu_time_ms double precision,
    memory_usage_bytes bigint,
    cold_start boolean,
    params text,
    params_length integer,
    result text,
    result_length integer,
    error text,
    error_length integer,
    stdout text,
    stdout_length integer,
    stderr text,
    stderr_length integer,
    CONSTRAINT executions_outcome_check CHECK ((outcome = ANY (ARRAY['succeeded'::text, 'failed'::text, 'unknown'::text])))
);


--
-- Name: executions_10; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.executions_10 (
    slot smallint CONSTRAINT executions_slot_not_null NOT NULL,
    request_id uuid CONSTRAINT executions_request_id_not_null NOT NULL,
    execution_id uuid CONSTRAINT executions_execution_id_not_null NOT NULL,
    owner text CONSTRAINT executions_owner_not_null NOT NULL,
    outcome text CONSTRAINT executions_outcome_not_null NOT NULL,
    execution_count bigint,
    execution_time_ms double precision,
    cpu_time_ms double precision,
    memory_usage_bytes bigint,
    cold_start boolean,
    params text,
    params_length integer,
    result text,
    result_length integer,
    error text,
    error_length integer,
    stdout text,
    stdout_length integer,
    stderr text,
    stderr_length integer,
    CONSTRAINT executions_outcome_check CHECK ((outcome = ANY (ARRAY['succeeded'::text, 'failed'::text, 'unknown'::text])))
);


--
-- Name: executions_11; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.executions_11 (
    slot smallint CONSTRAINT executions_slot_not_null NOT NULL,
    request_id uuid CONSTRAINT executions_request_id_not_null NOT NULL,
    execution_id uuid CONSTRAINT executions_execution_id_not_null NOT NULL,
    owner text CONSTRAINT executions_owner_not_null NOT NULL,
    outcome text CONSTRAINT executions_outcome_not_null NOT NULL,
    execution_count bigint,
    execution_time_ms double precision,
    cpu_time_ms double precision,
    memory_usage_bytes bigint,
    cold_start boolean,
    params text,
    params_length integer,
    result text,
    result_length integer,
    error text,
    error_length integer,
    stdout text,
    stdout_length integer,
    stderr text,
    stderr_length integer,
    CONSTRAINT executions_outcome_check CHECK ((outcome = ANY (ARRAY['succeeded'::text, 'failed'::text, 'unknown'::text])))
);


--
-- Name: executions_12; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.executions_12 (
    slot smallint CONSTRAINT executions_slot_not_null NOT NULL,
    request_id uuid CONSTRAINT executions_request_id_not_null NOT NULL,
    execution_id uuid CONSTRAINT executions_execution_id_not_null NOT NULL,
    owner text CONSTRAINT executions_owner_not_null NOT NULL,
    outcome text CONSTRAINT executions_outcome_not_null NOT NULL,
    execution_count bigint,
    execution_time_ms double precision,
    cpu_time_ms double precision,
    memory_usage_bytes bigint,
    cold_start boolean,
    params text,
    params_length integer,
    result text,
    result_length integer,
    error text,
    error_length integer,
    stdout text,
    stdout_length integer,
    stderr text,
    stderr_length integer,
    CONSTRAINT executions_outcome_check CHECK ((outcome = ANY (ARRAY['succeeded'::text, 'failed'::text, 'unknown'::text])))
);


--
-- Name: executions_13; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.executions_13 (
    slot smallint CONSTRAINT executions_slot_not_null NOT NULL,
    request_id uuid CONSTRAINT executions_request_id_not_null NOT NULL,
    execution_id uuid CONSTRAINT executions_execution_id_not_null NOT NULL,
    owner text CONSTRAINT executions_owner_not_null NOT NULL,
    outcome text CONSTRAINT executions_outcome_not_null NOT NULL,
    execution_count bigint,
    execution_time_ms double precision,
    cpu_time_ms double precision,
    memory_usage_bytes bigint,
    cold_start boolean,
    params text,
    params_length integer,
    result text,
    result_length integer,
    error text,
    error_length integer,
    stdout text,
    stdout_length integer,
    stderr text,
    stderr_length integer,
    CONSTRAINT executions_outcome_check CHECK ((outcome = ANY (ARRAY['succeeded'::text, 'failed'::text, 'unknown'::text])))
);


--
-- Name: executions_14; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.executions_14 (
    slot smallint CONSTRAINT executions_slot_not_null NOT NULL,
    request_id uuid CONSTRAINT executions_request_id_not_null NOT NULL,
    execution_id uuid CONSTRAINT executions_execution_id_not_null NOT NULL,
    owner text CONSTRAINT executions_owner_not_null NOT NULL,
    outcome text CONSTRAINT executions_outcome_not_null NOT NULL,
    execution_count bigint,
    execution_time_ms double precision,
    cpu_time_ms double precision,
    memory_usage_bytes bigint,
    cold_start boolean,
    params text,
    params_length integer,
    result text,
    result_length integer,
    error text,
    error_length integer,
    stdout text,
    stdout_length integer,
    stderr text,
    stderr_length integer,
    CONSTRAINT executions_outcome_check CHECK ((outcome = ANY (ARRAY['succeeded'::text, 'failed'::text, 'unknown'::text])))
);


--
-- Name: executions_15; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.executions_15 (
    slot smallint CONSTRAINT executions_slot_not_null NOT NULL,
    request_id uuid CONSTRAINT executions_request_id_not_null NOT NULL,
    execution_id uuid CONSTRAINT executions_execution_id_not_null NOT NULL,
    owner text CONSTRAINT executions_owner_not_null NOT NULL,
    outcome text CONSTRAINT executions_outcome_not_null NOT NULL,
    execution_count bigint,
    execution_time_ms double precision,
    cpu_time_ms double precision,
    memory_usage_bytes bigint,
    cold_start boolean,
    params text,
    params_length integer,
    result text,
    result_length integer,
    error text,
    error_length integer,
    stdout text,
    stdout_length integer,
    stderr text,
    stderr_length integer,
    CONSTRAINT executions_outcome_check CHECK ((outcome = ANY (ARRAY['succeeded'::text, 'failed'::text, 'unknown'::text])))
);


--
-- Name: executions_16; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.executions_16 (
    slot smallint CONSTRAINT executions_slot_not_null NOT NULL,
    request_id uuid CONSTRAINT executions_request_id_not_null NOT NULL,
    execution_id uuid CONSTRAINT executions_execution_id_not_null NOT NULL,
    owner text CONSTRAINT executions_owner_not_null NOT NULL,
    outcome text CONSTRAINT executions_outcome_not_null NOT NULL,
    execution_count bigint,
    execution_time_ms double precision,
    cpu_time_ms double precision,
    memory_usage_bytes bigint,
    cold_start boolean,
    params text,
    params_length integer,
    result text,
    result_length integer,
    error text,
    error_length integer,
    stdout text,
    stdout_length integer,
    stderr text,
    stderr_length integer,
    CONSTRAINT executions_outcome_check CHECK ((outcome = ANY (ARRAY['succeeded'::text, 'failed'::text, 'unknown'::text])))
);


--
-- Name: executions_17; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.executions_17 (
    slot smallint CONSTRAINT executions_slot_not_null NOT NULL,
    request_id uuid CONSTRAINT executions_request_id_not_null NOT NULL,
    execution_id uuid CONSTRAINT executions_execution_id_not_null NOT NULL,
    owner text CONSTRAINT executions_owner_not_null NOT NULL,
    outcome text CONSTRAINT executions_outcome_not_null NOT NULL,
    execution_count bigint,
    execution_time_ms double precision,
    cpu_time_ms double precision,
    memory_usage_bytes bigint,
    cold_start boolean,
    params text,
    params_length integer,
    result text,
    result_length integer,
    error text,
    error_length integer,
    stdout text,
    stdout_length integer,
    stderr text,
    stderr_length integer,
    CONSTRAINT executions_outcome_check CHECK ((outcome = ANY (ARRAY['succeeded'::text, 'failed'::text, 'unknown'::text])))
);


--
-- Name: executions_18; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.executions_18 (
    slot smallint CONSTRAINT executions_slot_not_null NOT NULL,
    request_id uuid CONSTRAINT executions_request_id_not_null NOT NULL,
    execution_id uuid CONSTRAINT executions_execution_id_not_null NOT NULL,
    owner text CONSTRAINT executions_owner_not_null NOT NULL,
    outcome text CONSTRAINT executions_outcome_not_null NOT NULL,
    execution_count bigint,
    execution_time_ms double precision,
    cpu_time_ms double precision,
    memory_usage_bytes bigint,
    cold_start boolean,
    params text,
    params_length integer,
    result text,
    result_length integer,
    error text,
    error_length integer,
    stdout text,
    stdout_length integer,
    stderr text,
    stderr_length integer,
    CONSTRAINT executions_outcome_check CHECK ((outcome = ANY (ARRAY['succeeded'::text, 'failed'::text, 'unknown'::text])))
);


--
-- Name: executions_19; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.executions_19 (
    slot smallint CONSTRAINT executions_slot_not_null NOT NULL,
    request_id uuid CONSTRAINT executions_request_id_not_null NOT NULL,
    execution_id uuid CONSTRAINT executions_execution_id_not_null NOT NULL,
    owner text CONSTRAINT executions_owner_not_null NOT NULL,
    outcome text CONSTRAINT executions_outcome_not_null NOT NULL,
    execution_count bigint,
    execution_time_ms double precision,
    cpu_time_ms double precision,
    memory_usage_bytes bigint,
    cold_start boolean,
    params text,
    params_length integer,
    result text,
    result_length integer,
    error text,
    error_length integer,
    stdout text,
    stdout_length integer,
    stderr text,
    stderr_length integer,
    CONSTRAINT executions_outcome_check CHECK ((outcome = ANY (ARRAY['succeeded'::text, 'failed'::text, 'unknown'::text])))
);


--
-- Name: executions_20; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.executions_20 (
    slot smallint CONSTRAINT executions_slot_not_null NOT NULL,
    request_id uuid CONSTRAINT executions_request_id_not_null NOT NULL,
    execution_id uuid CONSTRAINT executions_execution_id_not_null NOT NULL,
    owner text CONSTRAINT executions_owner_not_null NOT NULL,
    outcome text CONSTRAINT executions_outcome_not_null NOT NULL,
    execution_count bigint,
    execution_time_ms double precision,
    cpu_time_ms double precision,
    memory_usage_bytes bigint,
    cold_start boolean,
    params text,
    params_length integer,
    result text,
    result_length integer,
    error text,
    error_length integer,
    stdout text,
    stdout_length integer,
    stderr text,
    stderr_length integer,
    CONSTRAINT executions_outcome_check CHECK ((outcome = ANY (ARRAY['succeeded'::text, 'failed'::text, 'unknown'::text])))
);


--
-- Name: executions_21; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.executions_21 (
    slot smallint CONSTRAINT executions_slot_not_null NOT NULL,
    request_id uuid CONSTRAINT executions_request_id_not_null NOT NULL,
    execution_id uuid CONSTRAINT executions_execution_id_not_null NOT NULL,
    owner text CONSTRAINT executions_owner_not_null NOT NULL,
    outcome text CONSTRAINT executions_outcome_not_null NOT NULL,
    execution_count bigint,
    execution_time_ms double precision,
    cpu_time_ms double precision,
    memory_usage_bytes bigint,
    cold_start boolean,
    params text,
    params_length integer,
    result text,
    result_length integer,
    error text,
    error_length integer,
    stdout text,
    stdout_length integer,
    stderr text,
    stderr_length integer,
    CONSTRAINT executions_outcome_check CHECK ((outcome = ANY (ARRAY['succeeded'::text, 'failed'::text, 'unknown'::text])))
);


--
-- Name: executions_22; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.executions_22 (
    slot smallint CONSTRAINT executions_slot_not_null NOT NULL,
    request_id uuid CONSTRAINT executions_request_id_not_null NOT NULL,
    execution_id uuid CONSTRAINT executions_execution_id_not_null NOT NULL,
    owner text CONSTRAINT executions_owner_not_null NOT NULL,
    outcome text CONSTRAINT executions_outcome_not_null NOT NULL,
    execution_count bigint,
    execution_time_ms double precision,
    cpu_time_ms double precision,
    memory_usage_bytes bigint,
    cold_start boolean,
    params text,
    params_length integer,
    result text,
    result_length integer,
    error text,
    error_length integer,
    stdout text,
    stdout_length integer,
    stderr text,
    stderr_length integer,
    CONSTRAINT executions_outcome_check CHECK ((outcome = ANY (ARRAY['succeeded'::text, 'failed'::text, 'unknown'::text])))
);


--
-- Name: executions_23; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.executions_23 (
    slot smallint CONSTRAINT executions_slot_not_null NOT NULL,
    request_id uuid CONSTRAINT executions_request_id_not_null NOT NULL,
    execution_id uuid CONSTRAINT executions_execution_id_not_null NOT NULL,
    owner text CONSTRAINT executions_owner_not_null NOT NULL,
    outcome text CONSTRAINT executions_outcome_not_null NOT NULL,
    execution_count bigint,
    execution_time_ms double precision,
    cpu_time_ms double precision,
    memory_usage_bytes bigint,
    cold_start boolean,
    params text,
    params_length integer,
    result text,
    result_length integer,
    error text,
    error_length integer,
    stdout text,
    stdout_length integer,
    stderr text,
    stderr_length integer,
    CONSTRAINT executions_outcome_check CHECK ((outcome = ANY (ARRAY['succeeded'::text, 'failed'::text, 'unknown'::text])))
);


--
-- Name: executions_24; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.executions_24 (
    slot smallint CONSTRAINT executions_slot_not_null NOT NULL,
    request_id uuid CONSTRAINT executions_request_id_not_null NOT NULL,
    execution_id uuid CONSTRAINT executions_execution_id_not_null NOT NULL,
    owner text CONSTRAINT executions_owner_not_null NOT NULL,
    outcome text CONSTRAINT executions_outcome_not_null NOT NULL,
    execution_count bigint,
    execution_time_ms double precision,
    cpu_time_ms double precision,
    memory_usage_bytes bigint,
    cold_start boolean,
    params text,
    params_length integer,
    result text,
    result_length integer,
    error text,
    error_length integer,
    stdout text,
    stdout_length integer,
    stderr text,
    stderr_length integer,
    CONSTRAINT executions_outcome_check CHECK ((outcome = ANY (ARRAY['succeeded'::text, 'failed'::text, 'unknown'::text])))
);


--
-- Name: executions_25; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.executions_25 (
    slot smallint CONSTRAINT executions_slot_not_null NOT NULL,
    request_id uuid CONSTRAINT executions_request_id_not_null NOT NULL,
    execution_id uuid CONSTRAINT executions_execution_id_not_null NOT NULL,
    owner text CONSTRAINT executions_owner_not_null NOT NULL,
    outcome text CONSTRAINT executions_outcome_not_null NOT NULL,
    execution_count bigint,
    execution_time_ms double precision,
    cpu_time_ms double precision,
    memory_usage_bytes bigint,
    cold_start boolean,
    params text,
    params_length integer,
    result text,
    result_length integer,
    error text,
    error_length integer,
    stdout text,
    stdout_length integer,
    stderr text,
    stderr_length integer,
    CONSTRAINT executions_outcome_check CHECK ((outcome = ANY (ARRAY['succeeded'::text, 'failed'::text, 'unknown'::text])))
);


--
-- Name: executions_26; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.executions_26 (
    slot smallint CONSTRAINT executions_slot_not_null NOT NULL,
    request_id uuid CONSTRAINT executions_request_id_not_null NOT NULL,
    execution_id uuid CONSTRAINT executions_execution_id_not_null NOT NULL,
    owner text CONSTRAINT executions_owner_not_null NOT NULL,
    outcome text CONSTRAINT executions_outcome_not_null NOT NULL,
    execution_count bigint,
    execution_time_ms double precision,
    cpu_time_ms double precision,
    memory_usage_bytes bigint,
    cold_start boolean,
    params text,
    params_length integer,
    result text,
    result_length integer,
    error text,
    error_length integer,
    stdout text,
    stdout_length integer,
    stderr text,
    stderr_length integer,
    CONSTRAINT executions_outcome_check CHECK ((outcome = ANY (ARRAY['succeeded'::text, 'failed'::text, 'unknown'::text])))
);


--
-- Name: executions_27; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.executions_27 (
    slot smallint CONSTRAINT executions_slot_not_null NOT NULL,
    request_id uuid CONSTRAINT executions_request_id_not_null NOT NULL,
    execution_id uuid CONSTRAINT executions_execution_id_not_null NOT NULL,
    owner text CONSTRAINT executions_owner_not_null NOT NULL,
    outcome text CONSTRAINT executions_outcome_not_null NOT NULL,
    execution_count bigint,
    execution_time_ms double precision,
    cpu_time_ms double precision,
    memory_usage_bytes bigint,
    cold_start boolean,
    params text,
    params_length integer,
    result text,
    result_length integer,
    error text,
    error_length integer,
    stdout text,
    stdout_length integer,
    stderr text,
    stderr_length integer,
    CONSTRAINT executions_outcome_check CHECK ((outcome = ANY (ARRAY['succeeded'::text, 'failed'::text, 'unknown'::text])))
);


--
-- Name: executions_28; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.executions_28 (
    slot smallint CONSTRAINT executions_slot_not_null NOT NULL,
    request_id uuid CONSTRAINT executions_request_id_not_null NOT NULL,
    execution_id uuid CONSTRAINT executions_execution_id_not_null NOT NULL,
    owner text CONSTRAINT executions_owner_not_null NOT NULL,
    outcome text CONSTRAINT executions_outcome_not_null NOT NULL,
    execution_count bigint,
    execution_time_ms double precision,
    cpu_time_ms double precision,
    memory_usage_bytes bigint,
    cold_start boolean,
    params text,
    params_length integer,
    result text,
    result_length integer,
    error text,
    error_length integer,
    stdout text,
    stdout_length integer,
    stderr text,
    stderr_length integer,
    CONSTRAINT executions_outcome_check CHECK ((outcome = ANY (ARRAY['succeeded'::text, 'failed'::text, 'unknown'::text])))
);


--
-- Name: executions_29; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.executions_29 (
    slot smallint CONSTRAINT executions_slot_not_null NOT NULL,
    request_id uuid CONSTRAINT executions_request_id_not_null NOT NULL,
    execution_id uuid CONSTRAINT executions_execution_id_not_null NOT NULL,
    owner text CONSTRAINT executions_owner_not_null NOT NULL,
    outcome text CONSTRAINT executions_outcome_not_null NOT NULL,
    execution_count bigint,
    execution_time_ms double precision,
    cpu_time_ms double precision,
    memory_usage_bytes bigint,
    cold_start boolean,
    params text,
    params_length integer,
    result text,
    result_length integer,
    error text,
    error_length integer,
    stdout text,
    stdout_length integer,
    stderr text,
    stderr_length integer,
    CONSTRAINT executions_outcome_check CHECK ((outcome = ANY (ARRAY['succeeded'::text, 'failed'::text, 'unknown'::text])))
);


--
-- Name: executions_30; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.executions_30 (
    slot smallint CONSTRAINT executions_slot_not_null NOT NULL,
    request_id uuid CONSTRAINT executions_request_id_not_null NOT NULL,
    execution_id uuid CONSTRAINT executions_execution_id_not_null NOT NULL,
    owner text CONSTRAINT executions_owner_not_null NOT NULL,
    outcome text CONSTRAINT executions_outcome_not_null NOT NULL,
    execution_count bigint,
    execution_time_ms double precision,
    cpu_time_ms double precision,
    memory_usage_bytes bigint,
    cold_start boolean,
    params text,
    params_length integer,
    result text,
    result_length integer,
    error text,
    error_length integer,
    stdout text,
    stdout_length integer,
    stderr text,
    stderr_length integer,
    CONSTRAINT executions_outcome_check CHECK ((outcome = ANY (ARRAY['succeeded'::text, 'failed'::text, 'unknown'::text])))
);


--
-- Name: executions_31; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.executions_31 (
    slot smallint CONSTRAINT executions_slot_not_null NOT NULL,
    request_id uuid CONSTRAINT executions_request_id_not_null NOT NULL,
    execution_id uuid CONSTRAINT executions_execution_id_not_null NOT NULL,
    owner text CONSTRAINT executions_owner_not_null NOT NULL,
    outcome text CONSTRAINT executions_outcome_not_null NOT NULL,
    execution_count bigint,
    execution_time_ms double precision,
    cpu_time_ms double precision,
    memory_usage_bytes bigint,
    cold_start boolean,
    params text,
    params_length integer,
    result text,
    result_length integer,
    error text,
    error_length integer,
    stdout text,
    stdout_length integer,
    stderr text,
    stderr_length integer,
    CONSTRAINT executions_outcome_check CHECK ((outcome = ANY (ARRAY['succeeded'::text, 'failed'::text, 'unknown'::text])))
);


--
-- Name: function_versions; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.function_versions (
    version bigint NOT NULL,
    type text NOT NULL,
    description text NOT NULL,
    tags text[] NOT NULL,
    script text NOT NULL,
    script_hash text NOT NULL,
    params_schema text,
    result_schema text,
    examples text NOT NULL,
    registered_at timestamp with time zone NOT NULL,
    function_id uuid NOT NULL,
    author text,
    CONSTRAINT function_versions_script_hash_check CHECK ((script_hash ~ '^[0-9a-f]{64}$'::text)),
    CONSTRAINT function_versions_type_check CHECK ((type = ANY (ARRAY['predefined'::text, 'dynamic'::text])))
);
ALTER TABLE ONLY meta.function_versions ALTER COLUMN script SET STATISTICS 0;
ALTER TABLE ONLY meta.function_versions ALTER COLUMN script SET STORAGE EXTERNAL;
ALTER TABLE ONLY meta.function_versions ALTER COLUMN params_schema SET STATISTICS 0;
ALTER TABLE ONLY meta.function_versions ALTER COLUMN result_schema SET STATISTICS 0;
ALTER TABLE ONLY meta.function_versions ALTER COLUMN examples SET STATISTICS 0;


--
-- Name: TABLE function_versions; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON TABLE meta.function_versions IS 'What each version of a function is. Written once and never changed: sessions are pinned to versions. Old ones are removed, unless a session is pinned to them.';


--
-- Name: COLUMN function_versions.version; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.function_versions.version IS 'Counts from 1.';


--
-- Name: COLUMN function_versions.type; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.function_versions.type IS 'Whether it was installed with the schema or registered by a caller.';


--
-- Name: COLUMN function_versions.description; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.function_versions.description IS 'What the function does, for people.';


--
-- Name: COLUMN function_versions.tags; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.function_versions.tags IS 'Words to find it by.';


--
-- Name: COLUMN function_versions.script; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.function_versions.script IS 'Source text.';


--
-- Name: COLUMN function_versions.script_hash; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.function_versions.script_hash IS 'SHA-256 of the script in UTF-8, hexadecimal.';


--
-- Name: COLUMN function_versions.params_schema; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.function_versions.params_schema IS 'JSON Schema that params must fit, as it came; null when all do.';


--
-- Name: COLUMN function_versions.result_schema; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.function_versions.result_schema IS 'JSON Schema of results, as it came; null when none is told.';


--
-- Name: COLUMN function_versions.examples; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.function_versions.examples IS 'JSON array of pairs: the params and the result that they must give, each as JSON text in a string.';


--
-- Name: COLUMN function_versions.registered_at; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.function_versions.registered_at IS 'When this version became the current one.';


--
-- Name: COLUMN function_versions.function_id; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.function_versions.function_id IS 'The function.';


--
-- Name: COLUMN function_versions.author; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.function_versions.author IS 'The owner whose call registered this version; null for versions that were installed, or that are older than the column.';


--
-- Name: functions; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.functions (
    language text NOT NULL,
    title text NOT NULL,
    version bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    deactivated_at timestamp with time zone,
    function_id uuid NOT NULL,
    owner text NOT NULL,
    CONSTRAINT functions_language_check CHECK ((language = ANY (ARRAY['nodejs'::text, 'python'::text]))),
    CONSTRAINT functions_title_check CHECK ((title <> ''::text)),
    CONSTRAINT functions_version_check CHECK ((version >= 1))
);


--
-- Name: TABLE functions; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON TABLE meta.functions IS 'Registered scripts: which version of each is the current one.';


--
-- Name: COLUMN functions.language; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.functions.language IS 'First part of the canonical language-title.';


--
-- Name: COLUMN functions.title; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.functions.title IS 'Second part of the canonical language-title.';


--
-- Name: COLUMN functions.version; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.functions.version IS 'The current version; moves with every replacement, and goes on after a deactivation.';


--
-- Name: COLUMN functions.created_at; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.functions.created_at IS 'When the first version was registered.';


--
-- Name: COLUMN functions.updated_at; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.functions.updated_at IS 'When the current version was registered.';


--
-- Name: COLUMN functions.deactivated_at; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.functions.deactivated_at IS 'When the function was deactivated; null while it is registered.';


--
-- Name: COLUMN functions.function_id; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.functions.function_id IS 'The identity of the function: versions and sessions refer to it.';


--
-- Name: COLUMN functions.owner; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.functions.owner IS 'Who may see and change the function; "shared" functions are for everybody.';


--
-- Name: idempotency_keys; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.idempotency_keys (
    request_id uuid NOT NULL,
    owner text NOT NULL,
    key text NOT NULL,
    payload_hash bytea NOT NULL,
    winner uuid NOT NULL,
    language_title text NOT NULL,
    deadline_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    execution_count bigint,
    answer text,
    result text,
    CONSTRAINT idempotency_keys_key_check CHECK (((octet_length(key) >= 1) AND (octet_length(key) <= 255))),
    CONSTRAINT idempotency_keys_payload_hash_check CHECK ((octet_length(payload_hash) = 32))
)
WITH (fillfactor='50', autovacuum_vacuum_scale_factor='0.02', autovacuum_analyze_scale_factor='0.05', autovacuum_vacuum_insert_scale_factor='0.1');
ALTER TABLE ONLY meta.idempotency_keys ALTER COLUMN answer SET STATISTICS 0;
ALTER TABLE ONLY meta.idempotency_keys ALTER COLUMN result SET STATISTICS 0;


--
-- Name: TABLE idempotency_keys; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON TABLE meta.idempotency_keys IS 'Calls under the keys that callers gave them. In one table without partitions, so that a key is unique across any boundary. The state is derived: ended when there is an answer, else under way before deadline_at, else unknown.';


--
-- Name: COLUMN idempotency_keys.request_id; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.idempotency_keys.request_id IS 'The session; the nil UUID for a call that makes one.';


--
-- Name: COLUMN idempotency_keys.owner; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.idempotency_keys.owner IS 'Who made the call.';


--
-- Name: COLUMN idempotency_keys.key; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.idempotency_keys.key IS 'The key as it came.';


--
-- Name: COLUMN idempotency_keys.payload_hash; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.idempotency_keys.payload_hash IS 'SHA-256 of what the call was sent with, as canonical JSON.';


--
-- Name: COLUMN idempotency_keys.winner; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.idempotency_keys.winner IS 'Which call has the key, by the id that it made: its execution''s, or its new session''s.';


--
-- Name: COLUMN idempotency_keys.language_title; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.idempotency_keys.language_title IS 'The session''s, for the answer.';


--
-- Name: COLUMN idempotency_keys.deadline_at; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.idempotency_keys.deadline_at IS 'From here on a call without an answer reads as unknown.';


--
-- Name: COLUMN idempotency_keys.expires_at; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.idempotency_keys.expires_at IS 'From here on the key is free.';


--
-- Name: COLUMN idempotency_keys.execution_count; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.idempotency_keys.execution_count IS 'The session''s count with this execution.';


--
-- Name: COLUMN idempotency_keys.answer; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.idempotency_keys.answer IS 'What the caller was told, as JSON; null until the call has ended.';


--
-- Name: COLUMN idempotency_keys.result; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.idempotency_keys.result IS 'The whole result, JSON as it came; null where there is none.';


--
-- Name: migrations; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.migrations (
    version integer NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone NOT NULL,
    works_beside integer
);


--
-- Name: COLUMN migrations.works_beside; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.migrations.works_beside IS 'The newest migration of the oldest release that works while this one is applied; null if no older release does.';


--
-- Name: open_executions; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.open_executions (
    request_id uuid NOT NULL,
    execution_id uuid NOT NULL,
    owner text NOT NULL,
    slot smallint NOT NULL,
    deadline_at timestamp with time zone NOT NULL,
    CONSTRAINT open_executions_slot_check CHECK (((slot >= 0) AND (slot <= 31)))
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='2000', autovacuum_vacuum_insert_scale_factor='1');


--
-- Name: TABLE open_executions; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON TABLE meta.open_executions IS 'Executions that were begun and whose end is not recorded. Removing the row is what entitles to count the execution, so each counts once.';


--
-- Name: COLUMN open_executions.request_id; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.open_executions.request_id IS 'The session.';


--
-- Name: COLUMN open_executions.execution_id; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.open_executions.execution_id IS 'UUIDv7; the time in it is the instant of admission.';


--
-- Name: COLUMN open_executions.owner; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.open_executions.owner IS 'The session''s owner.';


--
-- Name: COLUMN open_executions.slot; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.open_executions.slot IS 'Where its row in the history belongs.';


--
-- Name: COLUMN open_executions.deadline_at; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.open_executions.deadline_at IS 'From here on the outcome reads as unknown.';


--
-- Name: rates; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.rates (
    owner text NOT NULL,
    policy text NOT NULL,
    full_at timestamp with time zone NOT NULL,
    spent interval NOT NULL
)
WITH (fillfactor='50', autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='2000');


--
-- Name: TABLE rates; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON TABLE meta.rates IS 'What owners have asked of all controllers together, as each controller tells now and then.';


--
-- Name: COLUMN rates.owner; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.rates.owner IS 'Who asks.';


--
-- Name: COLUMN rates.policy; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.rates.policy IS 'What is asked for.';


--
-- Name: COLUMN rates.full_at; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.rates.full_at IS 'When the whole quota is there again: the theoretical arrival time of the generic cell rate algorithm.';


--
-- Name: COLUMN rates.spent; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.rates.spent IS 'What the latest settlement added.';


--
-- Name: sessions; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.sessions (
    request_id uuid NOT NULL,
    owner text NOT NULL,
    language text NOT NULL,
    title text NOT NULL,
    script_hash text,
    timeout_ms integer NOT NULL,
    memory_mb integer NOT NULL,
    isolation text NOT NULL,
    renewal text NOT NULL,
    ttl_seconds integer NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    expires_max_at timestamp with time zone NOT NULL,
    closed_at timestamp with time zone,
    last_executed_at timestamp with time zone,
    execution_count bigint DEFAULT 0 NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    context text NOT NULL,
    metadata text NOT NULL,
    script text,
    function_version bigint,
    function_id uuid,
    hidden boolean DEFAULT false NOT NULL,
    owned_metadata jsonb GENERATED ALWAYS AS (
CASE
    WHEN (metadata <> '{}'::text) THEN jsonb_set('{}'::jsonb, ARRAY[owner], (metadata)::jsonb)
    ELSE NULL::jsonb
END) STORED,
    CONSTRAINT sessions_check CHECK ((expires_at <= expires_max_at)),
    CONSTRAINT sessions_check1 CHECK (((script IS NULL) = (script_hash IS NULL))),
    CONSTRAINT sessions_context_check CHECK ((context ~~ '{%'::text)),
    CONSTRAINT sessions_execution_count_check CHECK ((execution_count >= 0)),
    CONSTRAINT sessions_isolation_check CHECK ((isolation = ANY (ARRAY['session'::text, 'process'::text]))),
    CONSTRAINT sessions_language_check CHECK ((language = ANY (ARRAY['nodejs'::text, 'python'::text]))),
    CONSTRAINT sessions_memory_mb_check CHECK ((memory_mb > 0)),
    CONSTRAINT sessions_metadata_check CHECK ((metadata ~~ '{%'::text)),
    CONSTRAINT sessions_renewal_check CHECK ((renewal = ANY (ARRAY['fixed'::text, 'sliding'::text]))),
    CONSTRAINT sessions_script_hash_check CHECK ((script_hash ~ '^[0-9a-f]{64}$'::text)),
    CONSTRAINT sessions_timeout_ms_check CHECK ((timeout_ms > 0)),
    CONSTRAINT sessions_title_check CHECK ((title <> ''::text)),
    CONSTRAINT sessions_ttl_seconds_check CHECK ((ttl_seconds > 0)),
    CONSTRAINT sessions_version_check CHECK ((version >= 1))
)
WITH (fillfactor='80', toast_tuple_target='512', autovacuum_vacuum_scale_factor='0.02', autovacuum_analyze_scale_factor='0.05', autovacuum_vacuum_insert_scale_factor='0.1');
ALTER TABLE ONLY meta.sessions ALTER COLUMN context SET STATISTICS 0;
ALTER TABLE ONLY meta.sessions ALTER COLUMN metadata SET STATISTICS 0;
ALTER TABLE ONLY meta.sessions ALTER COLUMN script SET STATISTICS 0;
ALTER TABLE ONLY meta.sessions ALTER COLUMN script SET STORAGE EXTERNAL;
ALTER TABLE ONLY meta.sessions ALTER COLUMN owned_metadata SET STATISTICS 0;


--
-- Name: TABLE sessions; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON TABLE meta.sessions IS 'Scripts with their context, each until it expires or is closed. Status is derived: closed when closed_at is set, else active while the instant of judging is before expires_at, else expired.';


--
-- Name: COLUMN sessions.request_id; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.sessions.request_id IS 'UUIDv7; the time in it is when the session was made.';


--
-- Name: COLUMN sessions.owner; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.sessions.owner IS 'Who may see the session; "anonymous" while authentication is off.';


--
-- Name: COLUMN sessions.language; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.sessions.language IS 'First part of the canonical language-title.';


--
-- Name: COLUMN sessions.title; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.sessions.title IS 'Second part of the canonical language-title.';


--
-- Name: COLUMN sessions.script_hash; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.sessions.script_hash IS 'SHA-256 of the script in UTF-8, hexadecimal; null once the session has been emptied.';


--
-- Name: COLUMN sessions.timeout_ms; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.sessions.timeout_ms IS 'Wall time that one execution may take.';


--
-- Name: COLUMN sessions.memory_mb; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.sessions.memory_mb IS 'Memory that one execution may use, in MiB.';


--
-- Name: COLUMN sessions.isolation; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.sessions.isolation IS 'How long a worker lives: as long as the session, or for one execution.';


--
-- Name: COLUMN sessions.renewal; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.sessions.renewal IS 'Whether an execution prolongs the session.';


--
-- Name: COLUMN sessions.ttl_seconds; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.sessions.ttl_seconds IS 'Length of the session, counted from its making or from a renewal.';


--
-- Name: COLUMN sessions.expires_at; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.sessions.expires_at IS 'First instant at which the session is no longer live; never moves back.';


--
-- Name: COLUMN sessions.expires_max_at; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.sessions.expires_max_at IS 'What expires_at never passes.';


--
-- Name: COLUMN sessions.closed_at; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.sessions.closed_at IS 'When its owner closed the session while it was live.';


--
-- Name: COLUMN sessions.last_executed_at; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.sessions.last_executed_at IS 'When the latest counted execution ended.';


--
-- Name: COLUMN sessions.execution_count; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.sessions.execution_count IS 'Executions that reached a worker and ended, failed ones included.';


--
-- Name: COLUMN sessions.version; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.sessions.version IS 'Moves with context, metadata, lifetime settings and closing; never with counts or automatic renewal.';


--
-- Name: COLUMN sessions.context; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.sessions.context IS 'What every execution receives: a JSON object, as it was sent.';


--
-- Name: COLUMN sessions.metadata; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.sessions.metadata IS 'What the owner notes about the session: a JSON object, as it was sent.';


--
-- Name: COLUMN sessions.script; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.sessions.script IS 'Source text; null once the session has been emptied.';


--
-- Name: COLUMN sessions.function_version; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.sessions.function_version IS 'The version of the function that the session is pinned to; null when the script is the session''s own.';


--
-- Name: COLUMN sessions.function_id; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.sessions.function_id IS 'The function that the session is pinned to; null when the script is the session''s own.';


--
-- Name: COLUMN sessions.hidden; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.sessions.hidden IS 'Whether the session serves the calls of a function by its name; then no list shows it, and no quota of sessions counts it.';


--
-- Name: COLUMN sessions.owned_metadata; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.sessions.owned_metadata IS 'The metadata below the name of the owner, as in {"alice": {"order": "4711"}}; null without metadata.';


--
-- Name: shortened_days; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.shortened_days (
    slot smallint NOT NULL,
    day date NOT NULL,
    shortened_at timestamp with time zone NOT NULL,
    size_bytes bigint NOT NULL,
    CONSTRAINT shortened_days_slot_check CHECK (((slot >= 0) AND (slot <= 31)))
);


--
-- Name: TABLE shortened_days; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON TABLE meta.shortened_days IS 'Days of the history that were emptied before their retention was over, because the size budget was exceeded.';


--
-- Name: COLUMN shortened_days.slot; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.shortened_days.slot IS 'The day''s slot in the history, so that there are never more than 32.';


--
-- Name: COLUMN shortened_days.day; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.shortened_days.day IS 'Which day, in UTC.';


--
-- Name: COLUMN shortened_days.shortened_at; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.shortened_days.shortened_at IS 'When it was emptied.';


--
-- Name: COLUMN shortened_days.size_bytes; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.shortened_days.size_bytes IS 'What it took on disk.';


--
-- Name: usage; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.usage (
    owner text NOT NULL,
    day date NOT NULL,
    executions bigint NOT NULL,
    failed bigint NOT NULL,
    unknown bigint NOT NULL,
    execution_time_ms double precision NOT NULL,
    cpu_time_ms double precision NOT NULL
)
WITH (fillfactor='70');


--
-- Name: TABLE usage; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON TABLE meta.usage IS 'What owners have executed, by day in UTC, as counted from the history up to meta.usage_progress. A purge or a move does not change it.';


--
-- Name: COLUMN usage.owner; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.usage.owner IS 'The owner of the sessions when their executions were counted.';


--
-- Name: COLUMN usage.day; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.usage.day IS 'The day on which the executions were admitted.';


--
-- Name: COLUMN usage.executions; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.usage.executions IS 'Executions, whatever their outcome.';


--
-- Name: COLUMN usage.failed; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.usage.failed IS 'Those of them that failed.';


--
-- Name: COLUMN usage.unknown; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.usage.unknown IS 'Those of them whose end was not recorded.';


--
-- Name: COLUMN usage.execution_time_ms; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.usage.execution_time_ms IS 'Sum of their wall times.';


--
-- Name: COLUMN usage.cpu_time_ms; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.usage.cpu_time_ms IS 'Sum of their processor times, as far as runtimes report them.';


--
-- Name: usage_progress; Type: TABLE; Schema: meta; Owner: -
--

CREATE TABLE meta.usage_progress (
    only_row boolean DEFAULT true NOT NULL,
    counted_until uuid NOT NULL,
    CONSTRAINT usage_progress_only_row_check CHECK (only_row)
);


--
-- Name: TABLE usage_progress; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON TABLE meta.usage_progress IS 'One row: how far the history has been counted.';


--
-- Name: COLUMN usage_progress.counted_until; Type: COMMENT; Schema: meta; Owner: -
--

COMMENT ON COLUMN meta.usage_progress.counted_until IS 'Each execution whose id is not greater has been counted. Those of open records are greater.';


--
-- Name: executions_00; Type: TABLE ATTACH; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions ATTACH PARTITION meta.executions_00 FOR VALUES IN ('0');


--
-- Name: executions_01; Type: TABLE ATTACH; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions ATTACH PARTITION meta.executions_01 FOR VALUES IN ('1');


--
-- Name: executions_02; Type: TABLE ATTACH; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions ATTACH PARTITION meta.executions_02 FOR VALUES IN ('2');


--
-- Name: executions_03; Type: TABLE ATTACH; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions ATTACH PARTITION meta.executions_03 FOR VALUES IN ('3');


--
-- Name: executions_04; Type: TABLE ATTACH; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions ATTACH PARTITION meta.executions_04 FOR VALUES IN ('4');


--
-- Name: executions_05; Type: TABLE ATTACH; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions ATTACH PARTITION meta.executions_05 FOR VALUES IN ('5');


--
-- Name: executions_06; Type: TABLE ATTACH; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions ATTACH PARTITION meta.executions_06 FOR VALUES IN ('6');


--
-- Name: executions_07; Type: TABLE ATTACH; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions ATTACH PARTITION meta.executions_07 FOR VALUES IN ('7');


--
-- Name: executions_08; Type: TABLE ATTACH; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions ATTACH PARTITION meta.executions_08 FOR VALUES IN ('8');


--
-- Name: executions_09; Type: TABLE ATTACH; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions ATTACH PARTITION meta.executions_09 FOR VALUES IN ('9');


--
-- Name: executions_10; Type: TABLE ATTACH; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions ATTACH PARTITION meta.executions_10 FOR VALUES IN ('10');


--
-- Name: executions_11; Type: TABLE ATTACH; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions ATTACH PARTITION meta.executions_11 FOR VALUES IN ('11');


--
-- Name: executions_12; Type: TABLE ATTACH; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions ATTACH PARTITION meta.executions_12 FOR VALUES IN ('12');


--
-- Name: executions_13; Type: TABLE ATTACH; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions ATTACH PARTITION meta.executions_13 FOR VALUES IN ('13');


--
-- Name: executions_14; Type: TABLE ATTACH; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions ATTACH PARTITION meta.executions_14 FOR VALUES IN ('14');


--
-- Name: executions_15; Type: TABLE ATTACH; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions ATTACH PARTITION meta.executions_15 FOR VALUES IN ('15');


--
-- Name: executions_16; Type: TABLE ATTACH; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions ATTACH PARTITION meta.executions_16 FOR VALUES IN ('16');


--
-- Name: executions_17; Type: TABLE ATTACH; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions ATTACH PARTITION meta.executions_17 FOR VALUES IN ('17');


--
-- Name: executions_18; Type: TABLE ATTACH; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions ATTACH PARTITION meta.executions_18 FOR VALUES IN ('18');


--
-- Name: executions_19; Type: TABLE ATTACH; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions ATTACH PARTITION meta.executions_19 FOR VALUES IN ('19');


--
-- Name: executions_20; Type: TABLE ATTACH; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions ATTACH PARTITION meta.executions_20 FOR VALUES IN ('20');


--
-- Name: executions_21; Type: TABLE ATTACH; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions ATTACH PARTITION meta.executions_21 FOR VALUES IN ('21');


--
-- Name: executions_22; Type: TABLE ATTACH; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions ATTACH PARTITION meta.executions_22 FOR VALUES IN ('22');


--
-- Name: executions_23; Type: TABLE ATTACH; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions ATTACH PARTITION meta.executions_23 FOR VALUES IN ('23');


--
-- Name: executions_24; Type: TABLE ATTACH; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions ATTACH PARTITION meta.executions_24 FOR VALUES IN ('24');


--
-- Name: executions_25; Type: TABLE ATTACH; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions ATTACH PARTITION meta.executions_25 FOR VALUES IN ('25');


--
-- Name: executions_26; Type: TABLE ATTACH; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions ATTACH PARTITION meta.executions_26 FOR VALUES IN ('26');


--
-- Name: executions_27; Type: TABLE ATTACH; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions ATTACH PARTITION meta.executions_27 FOR VALUES IN ('27');


--
-- Name: executions_28; Type: TABLE ATTACH; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions ATTACH PARTITION meta.executions_28 FOR VALUES IN ('28');


--
-- Name: executions_29; Type: TABLE ATTACH; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions ATTACH PARTITION meta.executions_29 FOR VALUES IN ('29');


--
-- Name: executions_30; Type: TABLE ATTACH; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions ATTACH PARTITION meta.executions_30 FOR VALUES IN ('30');


--
-- Name: executions_31; Type: TABLE ATTACH; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions ATTACH PARTITION meta.executions_31 FOR VALUES IN ('31');


--
-- Data for Name: api_keys; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.api_keys (key_id, owner, scopes, secret_hash, expires_at, revoked_at) FROM stdin;
01a21e4e-a351-7e88-bdf4-8449ea8d06fe	alice	{execute:all,read:functions,write:functions}	\\x491f6c09d0a04b1299b68f235f92fe660dc9e5574a337f0a86b29e823b44802f	\N	\N
01a21e4e-a71c-7f96-953e-016f53a9922f	bob	{execute:all}	\\x944688597808fc7e034d7e75419097aff747403c2266eb4da0273cd20b5163c1	\N	\N
01a21e4e-ae6f-7fbb-b7d5-906df028bee3	dave	{execute:all}	\\x040ab7d4924fab2fddef91d422b8570249d7e28f3ffcc7a568af676a8c3d89ba	\N	\N
01a21e4e-aac4-7786-b92c-369c4e41d376	carol	{execute:all}	\\x1ce63ead7470c866129160bc2f143f85b0c0a336dc3d93c457c30daf8b329d50	\N	2026-11-27 18:40:03.647473+00
\.


--
-- Data for Name: audit; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.audit (act_id, actor, origin, act, owner, subject, details) FROM stdin;
01a21e4e-9b80-7d2c-b49f-1bb403a5ea7d	root@vm	cli	migrations.up	\N	0012_audit	{}
01a21e4e-9b8a-7863-80eb-41c5db531904	root@vm	cli	migrations.up	\N	0013_hidden_sessions	{}
01a21e4e-9b95-789c-baa9-4dbc4a6bdf3c	root@vm	cli	migrations.up	\N	0014_usage	{}
01a21e4e-9b9f-78de-9cee-0365c0a76d5b	root@vm	cli	migrations.up	\N	0015_session_filters	{}
01a21e4e-9ba7-75dc-baeb-a990c8854c34	root@vm	cli	migrations.up	\N	0016_works_beside	{}
01a21e4e-a351-7fc7-9480-544dcc6ea5f1	root@vm	cli	keys.create	alice	01a21e4e-a351-7e88-bdf4-8449ea8d06fe	{"scopes": ["execute:all", "read:functions", "write:functions"], "expires_at": null}
01a21e4e-a71d-70d5-8408-52127096d582	root@vm	cli	keys.create	bob	01a21e4e-a71c-7f96-953e-016f53a9922f	{"scopes": ["execute:all"], "expires_at": null}
01a21e4e-aac4-78b9-ad09-3c769abdc4b1	root@vm	cli	keys.create	carol	01a21e4e-aac4-7786-b92c-369c4e41d376	{"scopes": ["execute:all"], "expires_at": null}
01a21e4e-ae70-70e6-88bc-3ca79dfcdc96	root@vm	cli	keys.create	dave	01a21e4e-ae6f-7fbb-b7d5-906df028bee3	{"scopes": ["execute:all"], "expires_at": null}
01a21e4e-b23f-77bf-9374-5bd7b39232fe	root@vm	cli	keys.revoke	carol	01a21e4e-aac4-7786-b92c-369c4e41d376	{}
01a21e4e-b6bb-7c7b-97a4-4fb11c31ea55	alice	127.0.0.1	functions.put	alice	nodejs-adder	{"version": 1}
01a21e4e-b6c6-7161-8f61-7b8572314de6	alice	127.0.0.1	functions.put	alice	nodejs-adder	{"version": 2}
01a21e4e-b6e2-700d-bbfa-006142b3763c	alice	127.0.0.1	functions.put	alice	python-shouter	{"version": 1}
01a21e4e-b83e-7bb7-a4a2-b9b16fbd5ada	alice	127.0.0.1	functions.delete	alice	python-shouter	{"version": 1}
\.


--
-- Data for Name: executions_00; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.executions_00 (slot, request_id, execution_id, owner, outcome, execution_count, execution_time_ms, cpu_time_ms, memory_usage_bytes, cold_start, params, params_length, result, result_length, error, error_length, stdout, stdout_length, stderr, stderr_length) FROM stdin;
\.


--
-- Data for Name: executions_01; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.executions_01 (slot, request_id, execution_id, owner, outcome, execution_count, execution_time_ms, cpu_time_ms, memory_usage_bytes, cold_start, params, params_length, result, result_length, error, error_length, stdout, stdout_length, stderr, stderr_length) FROM stdin;
\.


--
-- Data for Name: executions_02; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.executions_02 (slot, request_id, execution_id, owner, outcome, execution_count, execution_time_ms, cpu_time_ms, memory_usage_bytes, cold_start, params, params_length, result, result_length, error, error_length, stdout, stdout_length, stderr, stderr_length) FROM stdin;
\.


--
-- Data for Name: executions_03; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.executions_03 (slot, request_id, execution_id, owner, outcome, execution_count, execution_time_ms, cpu_time_ms, memory_usage_bytes, cold_start, params, params_length, result, result_length, error, error_length, stdout, stdout_length, stderr, stderr_length) FROM stdin;
\.


--
-- Data for Name: executions_04; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.executions_04 (slot, request_id, execution_id, owner, outcome, execution_count, execution_time_ms, cpu_time_ms, memory_usage_bytes, cold_start, params, params_length, result, result_length, error, error_length, stdout, stdout_length, stderr, stderr_length) FROM stdin;
\.


--
-- Data for Name: executions_05; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.executions_05 (slot, request_id, execution_id, owner, outcome, execution_count, execution_time_ms, cpu_time_ms, memory_usage_bytes, cold_start, params, params_length, result, result_length, error, error_length, stdout, stdout_length, stderr, stderr_length) FROM stdin;
\.


--
-- Data for Name: executions_06; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.executions_06 (slot, request_id, execution_id, owner, outcome, execution_count, execution_time_ms, cpu_time_ms, memory_usage_bytes, cold_start, params, params_length, result, result_length, error, error_length, stdout, stdout_length, stderr, stderr_length) FROM stdin;
\.


--
-- Data for Name: executions_07; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.executions_07 (slot, request_id, execution_id, owner, outcome, execution_count, execution_time_ms, cpu_time_ms, memory_usage_bytes, cold_start, params, params_length, result, result_length, error, error_length, stdout, stdout_length, stderr, stderr_length) FROM stdin;
\.


--
-- Data for Name: executions_08; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.executions_08 (slot, request_id, execution_id, owner, outcome, execution_count, execution_time_ms, cpu_time_ms, memory_usage_bytes, cold_start, params, params_length, result, result_length, error, error_length, stdout, stdout_length, stderr, stderr_length) FROM stdin;
\.


--
-- Data for Name: executions_09; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.executions_09 (slot, request_id, execution_id, owner, outcome, execution_count, execution_time_ms, cpu_time_ms, memory_usage_bytes, cold_start, params, params_length, result, result_length, error, error_length, stdout, stdout_length, stderr, stderr_length) FROM stdin;
\.


--
-- Data for Name: executions_10; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.executions_10 (slot, request_id, execution_id, owner, outcome, execution_count, execution_time_ms, cpu_time_ms, memory_usage_bytes, cold_start, params, params_length, result, result_length, error, error_length, stdout, stdout_length, stderr, stderr_length) FROM stdin;
\.


--
-- Data for Name: executions_11; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.executions_11 (slot, request_id, execution_id, owner, outcome, execution_count, execution_time_ms, cpu_time_ms, memory_usage_bytes, cold_start, params, params_length, result, result_length, error, error_length, stdout, stdout_length, stderr, stderr_length) FROM stdin;
\.


--
-- Data for Name: executions_12; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.executions_12 (slot, request_id, execution_id, owner, outcome, execution_count, execution_time_ms, cpu_time_ms, memory_usage_bytes, cold_start, params, params_length, result, result_length, error, error_length, stdout, stdout_length, stderr, stderr_length) FROM stdin;
\.


--
-- Data for Name: executions_13; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.executions_13 (slot, request_id, execution_id, owner, outcome, execution_count, execution_time_ms, cpu_time_ms, memory_usage_bytes, cold_start, params, params_length, result, result_length, error, error_length, stdout, stdout_length, stderr, stderr_length) FROM stdin;
\.


--
-- Data for Name: executions_14; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.executions_14 (slot, request_id, execution_id, owner, outcome, execution_count, execution_time_ms, cpu_time_ms, memory_usage_bytes, cold_start, params, params_length, result, result_length, error, error_length, stdout, stdout_length, stderr, stderr_length) FROM stdin;
\.


--
-- Data for Name: executions_15; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.executions_15 (slot, request_id, execution_id, owner, outcome, execution_count, execution_time_ms, cpu_time_ms, memory_usage_bytes, cold_start, params, params_length, result, result_length, error, error_length, stdout, stdout_length, stderr, stderr_length) FROM stdin;
\.


--
-- Data for Name: executions_16; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.executions_16 (slot, request_id, execution_id, owner, outcome, execution_count, execution_time_ms, cpu_time_ms, memory_usage_bytes, cold_start, params, params_length, result, result_length, error, error_length, stdout, stdout_length, stderr, stderr_length) FROM stdin;
16	01a21e4e-b6e6-758a-ad52-9f6837a529af	01a21e4e-b6ef-7dfc-b6ae-bebe193d4492	alice	succeeded	1	1.078	0.563	0	t	{"operation":"add","a":0,"b":1}	31	1	1	\N	\N		0		0
16	01a21e4e-b6e6-758a-ad52-9f6837a529af	01a21e4e-b6f9-7baf-9049-2eb8d6e3c9b5	alice	succeeded	2	0.587	0.216	0	f	{"operation":"add","a":1,"b":1}	31	2	1	\N	\N		0		0
16	01a21e4e-b6e6-758a-ad52-9f6837a529af	01a21e4e-b700-77f0-bca1-f9df3ff877c9	alice	succeeded	3	0.25	0.175	0	f	{"operation":"add","a":2,"b":1}	31	3	1	\N	\N		0		0
16	01a21e4e-b6e8-7ff0-a95d-cf9cb7390248	01a21e4e-b709-73d3-bee9-703c92f88ca7	alice	succeeded	1	2.416	1.054	4096	t	{"operation":"add","a":0,"b":1}	31	1	1	\N	\N		0		0
16	01a21e4e-b6e8-7ff0-a95d-cf9cb7390248	01a21e4e-b712-7f54-ac59-8074ec8340ef	alice	succeeded	2	0.603	0.517	4096	f	{"operation":"add","a":1,"b":1}	31	2	1	\N	\N		0		0
16	01a21e4e-b6e8-7ff0-a95d-cf9cb7390248	01a21e4e-b718-712c-9c18-16d191851f87	alice	succeeded	3	0.572	0.46	4096	f	{"operation":"add","a":2,"b":1}	31	3	1	\N	\N		0		0
16	01a21e4e-b6eb-77bb-99a8-9eacfa42701c	01a21e4e-b71c-73c7-8d61-f885645abfc7	alice	succeeded	1	2.654	1.108	4096	t	{"operation":"add","a":0,"b":1}	31	2	1	\N	\N		0		0
16	01a21e4e-b6eb-77bb-99a8-9eacfa42701c	01a21e4e-b725-7d54-8d46-764f8a14f719	alice	succeeded	2	0.528	0.435	4096	f	{"operation":"add","a":1,"b":1}	31	3	1	\N	\N		0		0
16	01a21e4e-b6eb-77bb-99a8-9eacfa42701c	01a21e4e-b72a-719e-8860-7bfc15b09847	alice	succeeded	3	0.772	0.363	4096	f	{"operation":"add","a":2,"b":1}	31	4	1	\N	\N		0		0
16	01a21e4e-b6ed-7073-919a-6daba2f70c51	01a21e4e-b72d-7d8e-8627-1f9168f23995	alice	succeeded	1	0.743	0.593	4096	t	{"operation":"add","a":0,"b":1}	31	\N	\N	\N	\N	{'operation': 'add', 'a': 0, 'b': 1}\n	37		0
16	01a21e4e-b6ed-7073-919a-6daba2f70c51	01a21e4e-b736-781d-b829-0c3a5b8be65b	alice	succeeded	2	0.274	0.172	4096	f	{"operation":"add","a":1,"b":1}	31	\N	\N	\N	\N	{'operation': 'add', 'a': 1, 'b': 1}\n	37		0
16	01a21e4e-b6ed-7073-919a-6daba2f70c51	01a21e4e-b74b-7171-aa00-556827d28204	alice	succeeded	3	0.313	0.202	4096	f	{"operation":"add","a":2,"b":1}	31	\N	\N	\N	\N	{'operation': 'add', 'a': 2, 'b': 1}\n	37		0
16	01a21e4e-b6ee-7877-99f8-67a2e084c2d4	01a21e4e-b753-7eb1-a490-99616fd8ac3a	alice	succeeded	1	0.619	0.853	8192	t	{"operation":"add","a":0,"b":1}	31	1	1	\N	\N		0		0
16	01a21e4e-b6ee-7877-99f8-67a2e084c2d4	01a21e4e-b75d-7a19-a99b-7b95e378640a	alice	succeeded	2	0.737	0.87	8192	t	{"operation":"add","a":1,"b":1}	31	1	1	\N	\N		0		0
16	01a21e4e-b6ee-7877-99f8-67a2e084c2d4	01a21e4e-b769-75f8-b8f4-9e3bcbbd0265	alice	succeeded	3	0.649	0.828	8192	t	{"operation":"add","a":2,"b":1}	31	1	1	\N	\N		0		0
16	01a21e4e-b777-71aa-8d86-e8bdbfd86822	01a21e4e-b786-7877-a998-2fd4e4a376ae	bob	succeeded	1	0.638	0.525	0	t	{"operation":"add","a":0,"b":1}	31	1	1	\N	\N		0		0
16	01a21e4e-b777-71aa-8d86-e8bdbfd86822	01a21e4e-b78e-709c-a5f4-aa9c055a22bd	bob	succeeded	2	1.172	0.192	0	f	{"operation":"add","a":1,"b":1}	31	2	1	\N	\N		0		0
16	01a21e4e-b777-71aa-8d86-e8bdbfd86822	01a21e4e-b793-767f-a9b6-d1dba1aa4c20	bob	succeeded	3	0.365	0.239	0	f	{"operation":"add","a":2,"b":1}	31	3	1	\N	\N		0		0
16	01a21e4e-b77b-78f2-beb1-65cf1b5017ca	01a21e4e-b799-7938-b638-4c832d68deb0	bob	succeeded	1	0.962	0.861	0	t	{"operation":"add","a":0,"b":1}	31	1	1	\N	\N		0		0
16	01a21e4e-b77b-78f2-beb1-65cf1b5017ca	01a21e4e-b79e-78f6-8cad-9dd74ac58679	bob	succeeded	2	1.216	0.506	0	f	{"operation":"add","a":1,"b":1}	31	2	1	\N	\N		0		0
16	01a21e4e-b77b-78f2-beb1-65cf1b5017ca	01a21e4e-b7a2-7f61-9f83-a0ab47b468fb	bob	succeeded	3	0.821	0.454	0	f	{"operation":"add","a":2,"b":1}	31	3	1	\N	\N		0		0
16	01a21e4e-b780-790f-ad15-e2c77aacb24e	01a21e4e-b7a8-7d50-9855-fd302533ddf2	bob	succeeded	1	1.52	1.165	4096	t	{"operation":"add","a":0,"b":1}	31	{"result":1}	12	\N	\N		0		0
16	01a21e4e-b780-790f-ad15-e2c77aacb24e	01a21e4e-b7b1-7379-8df9-217ae7a5d96b	bob	succeeded	2	0.611	0.514	4096	f	{"operation":"add","a":1,"b":1}	31	{"result":2}	12	\N	\N		0		0
16	01a21e4e-b780-790f-ad15-e2c77aacb24e	01a21e4e-b7b6-7386-9a6a-8813497288b4	bob	succeeded	3	1.65	0.462	4096	f	{"operation":"add","a":2,"b":1}	31	{"result":3}	12	\N	\N		0		0
16	01a21e4e-b782-7c36-83b0-524784581205	01a21e4e-b7bb-7aa0-9a2b-f1f9bb574847	bob	succeeded	1	0.689	0.588	4096	t	{"operation":"add","a":0,"b":1}	31	\N	\N	\N	\N	{'operation': 'add', 'a': 0, 'b': 1}\n	37		0
16	01a21e4e-b782-7c36-83b0-524784581205	01a21e4e-b7c1-7488-9ec6-39937bec4b79	bob	succeeded	2	0.312	0.209	4096	f	{"operation":"add","a":1,"b":1}	31	\N	\N	\N	\N	{'operation': 'add', 'a': 1, 'b': 1}\n	37		0
16	01a21e4e-b782-7c36-83b0-524784581205	01a21e4e-b7c5-7e25-8667-bebf9c9fe831	bob	succeeded	3	1.825	0.173	4096	f	{"operation":"add","a":2,"b":1}	31	\N	\N	\N	\N	{'operation': 'add', 'a': 2, 'b': 1}\n	37		0
16	01a21e4e-b784-78e2-9f23-c49b12d5b88a	01a21e4e-b7cc-7ad1-b47e-8401c53fbe0c	bob	succeeded	1	0.609	0.8	8192	t	{"operation":"add","a":0,"b":1}	31	1	1	\N	\N		0		0
16	01a21e4e-b784-78e2-9f23-c49b12d5b88a	01a21e4e-b7d6-7873-8bdc-8a6b6d441e8e	bob	succeeded	2	0.652	0.846	4096	t	{"operation":"add","a":1,"b":1}	31	1	1	\N	\N		0		0
16	01a21e4e-b784-78e2-9f23-c49b12d5b88a	01a21e4e-b7e1-78a4-987d-dc2f73d44e5a	bob	succeeded	3	0.563	0.815	4096	t	{"operation":"add","a":2,"b":1}	31	1	1	\N	\N		0		0
16	01a21e4e-b7ec-7365-8d6c-024ede4cdf64	01a21e4e-b7f5-72a8-8f82-201efc32b707	alice	failed	1	1.602	1.49	8192	t	0	1	\N	\N	{"code": "SCRIPT_ERROR", "message": "division by zero", "name": "ZeroDivisionError", "stack": "Traceback (most recent call last):\\n  File \\"script.py\\", line 1, in <module>\\n    print('before'); result = 1 / params\\n                              ~~^~~~~~~~\\nZeroDivisionError: division by zero\\n", "line": 1, "column": 27}	322	before\n	7		0
16	01a21e4e-b7f3-74fe-9ec8-afa5e8bcca91	01a21e4e-b7fe-74ee-ac63-af6d78b31186	alice	succeeded	1	0.793	0.665	155648	t	"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx	70002	70000	5	\N	\N		0		0
16	01a21e4e-b81c-74cd-ab10-0d4c41fe6659	01a21e4e-b822-777d-b708-9baa2856468e	alice	succeeded	1	0.613	0.508	4096	t	[0, "é"]	8	[0,"é"]	7	\N	\N		0		0
16	01a21e4e-b81c-74cd-ab10-0d4c41fe6659	01a21e4e-b82a-731b-9d11-787bc01b72e7	alice	succeeded	2	0.297	0.194	4096	f	[1, "é"]	8	[1,"é"]	7	\N	\N		0		0
16	01a21e4e-b81c-74cd-ab10-0d4c41fe6659	01a21e4e-b82f-7819-ae26-c5f17ce9c0e8	alice	succeeded	3	0.351	0.217	4096	f	[2, "é"]	8	[2,"é"]	7	\N	\N		0		0
\.


--
-- Data for Name: executions_17; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.executions_17 (slot, request_id, execution_id, owner, outcome, execution_count, execution_time_ms, cpu_time_ms, memory_usage_bytes, cold_start, params, params_length, result, result_length, error, error_length, stdout, stdout_length, stderr, stderr_length) FROM stdin;
\.


--
-- Data for Name: executions_18; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.executions_18 (slot, request_id, execution_id, owner, outcome, execution_count, execution_time_ms, cpu_time_ms, memory_usage_bytes, cold_start, params, params_length, result, result_length, error, error_length, stdout, stdout_length, stderr, stderr_length) FROM stdin;
\.


--
-- Data for Name: executions_19; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.executions_19 (slot, request_id, execution_id, owner, outcome, execution_count, execution_time_ms, cpu_time_ms, memory_usage_bytes, cold_start, params, params_length, result, result_length, error, error_length, stdout, stdout_length, stderr, stderr_length) FROM stdin;
\.


--
-- Data for Name: executions_20; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.executions_20 (slot, request_id, execution_id, owner, outcome, execution_count, execution_time_ms, cpu_time_ms, memory_usage_bytes, cold_start, params, params_length, result, result_length, error, error_length, stdout, stdout_length, stderr, stderr_length) FROM stdin;
\.


--
-- Data for Name: executions_21; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.executions_21 (slot, request_id, execution_id, owner, outcome, execution_count, execution_time_ms, cpu_time_ms, memory_usage_bytes, cold_start, params, params_length, result, result_length, error, error_length, stdout, stdout_length, stderr, stderr_length) FROM stdin;
\.


--
-- Data for Name: executions_22; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.executions_22 (slot, request_id, execution_id, owner, outcome, execution_count, execution_time_ms, cpu_time_ms, memory_usage_bytes, cold_start, params, params_length, result, result_length, error, error_length, stdout, stdout_length, stderr, stderr_length) FROM stdin;
\.


--
-- Data for Name: executions_23; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.executions_23 (slot, request_id, execution_id, owner, outcome, execution_count, execution_time_ms, cpu_time_ms, memory_usage_bytes, cold_start, params, params_length, result, result_length, error, error_length, stdout, stdout_length, stderr, stderr_length) FROM stdin;
\.


--
-- Data for Name: executions_24; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.executions_24 (slot, request_id, execution_id, owner, outcome, execution_count, execution_time_ms, cpu_time_ms, memory_usage_bytes, cold_start, params, params_length, result, result_length, error, error_length, stdout, stdout_length, stderr, stderr_length) FROM stdin;
\.


--
-- Data for Name: executions_25; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.executions_25 (slot, request_id, execution_id, owner, outcome, execution_count, execution_time_ms, cpu_time_ms, memory_usage_bytes, cold_start, params, params_length, result, result_length, error, error_length, stdout, stdout_length, stderr, stderr_length) FROM stdin;
\.


--
-- Data for Name: executions_26; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.executions_26 (slot, request_id, execution_id, owner, outcome, execution_count, execution_time_ms, cpu_time_ms, memory_usage_bytes, cold_start, params, params_length, result, result_length, error, error_length, stdout, stdout_length, stderr, stderr_length) FROM stdin;
\.


--
-- Data for Name: executions_27; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.executions_27 (slot, request_id, execution_id, owner, outcome, execution_count, execution_time_ms, cpu_time_ms, memory_usage_bytes, cold_start, params, params_length, result, result_length, error, error_length, stdout, stdout_length, stderr, stderr_length) FROM stdin;
\.


--
-- Data for Name: executions_28; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.executions_28 (slot, request_id, execution_id, owner, outcome, execution_count, execution_time_ms, cpu_time_ms, memory_usage_bytes, cold_start, params, params_length, result, result_length, error, error_length, stdout, stdout_length, stderr, stderr_length) FROM stdin;
\.


--
-- Data for Name: executions_29; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.executions_29 (slot, request_id, execution_id, owner, outcome, execution_count, execution_time_ms, cpu_time_ms, memory_usage_bytes, cold_start, params, params_length, result, result_length, error, error_length, stdout, stdout_length, stderr, stderr_length) FROM stdin;
\.


--
-- Data for Name: executions_30; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.executions_30 (slot, request_id, execution_id, owner, outcome, execution_count, execution_time_ms, cpu_time_ms, memory_usage_bytes, cold_start, params, params_length, result, result_length, error, error_length, stdout, stdout_length, stderr, stderr_length) FROM stdin;
\.


--
-- Data for Name: executions_31; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.executions_31 (slot, request_id, execution_id, owner, outcome, execution_count, execution_time_ms, cpu_time_ms, memory_usage_bytes, cold_start, params, params_length, result, result_length, error, error_length, stdout, stdout_length, stderr, stderr_length) FROM stdin;
\.


--
-- Data for Name: function_versions; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.function_versions (version, type, description, tags, script, script_hash, params_schema, result_schema, examples, registered_at, function_id, author) FROM stdin;
1	predefined	Adds, subtracts, multiplies or divides two numbers, as IEEE 754 doubles. Dividing by zero, or a result beyond the range of a double, is an error.	{arithmetic,example}	const { operation, a, b } = event.params;\n\nconst operations = {\n  add: () => a + b,\n  subtract: () => a - b,\n  multiply: () => a * b,\n  divide: () => {\n    if (b === 0) {\n      throw new RangeError('Division by zero: b must be another number than 0');\n    }\n    return a / b;\n  },\n};\n\nconst result = operations[operation]();\nif (!Number.isFinite(result)) {\n  throw new RangeError('The result is beyond the range of a double');\n}\nreturn { result };\n	bcc2dafb99916fdfbee17555cf25d784bc95b8d25e6cf5f8c5f8c694bc9db0a5	{\n  "type": "object",\n  "properties": {\n    "operation": {"enum": ["add", "subtract", "multiply", "divide"]},\n    "a": {"type": "number"},\n    "b": {"type": "number"}\n  },\n  "required": ["operation", "a", "b"],\n  "additionalProperties": false\n}	{\n  "type": "object",\n  "properties": {"result": {"type": "number"}},\n  "required": ["result"],\n  "additionalProperties": false\n}	[\n  ["{\\"operation\\": \\"add\\", \\"a\\": 2, \\"b\\": 3}", "{\\"result\\": 5}"],\n  ["{\\"operation\\": \\"subtract\\", \\"a\\": 2, \\"b\\": 5}", "{\\"result\\": -3}"],\n  ["{\\"operation\\": \\"multiply\\", \\"a\\": 1.5, \\"b\\": 4}", "{\\"result\\": 6}"],\n  ["{\\"operation\\": \\"divide\\", \\"a\\": 7, \\"b\\": 2}", "{\\"result\\": 3.5}"]\n]	2026-01-01 00:00:00+00	c0bbd16a-0770-45e9-9415-27801b9d549a	\N
1	predefined	Counts the words (what white space separates) or the characters (Unicode code points) of a text, or turns it into upper or lower case.	{example,text}	ACTIONS = {\n    "count_words": lambda text: len(text.split()),\n    "count_chars": len,\n    "uppercase": str.upper,\n    "lowercase": str.lower,\n}\n\nresult = {"result": ACTIONS[params["action"]](params["text"])}\n	155e0ed95f932840419b4572584b8cac7ec3d8512f3333d65cef877bedb632fb	{\n  "type": "object",\n  "properties": {\n    "action": {"enum": ["count_words", "count_chars", "uppercase", "lowercase"]},\n    "text": {"type": "string"}\n  },\n  "required": ["action", "text"],\n  "additionalProperties": false\n}	{\n  "type": "object",\n  "properties": {"result": {"type": ["integer", "string"]}},\n  "required": ["result"],\n  "additionalProperties": false\n}	[\n  ["{\\"action\\": \\"count_words\\", \\"text\\": \\"  to be\\\\tor not \\"}", "{\\"result\\": 4}"],\n  ["{\\"action\\": \\"count_words\\", \\"text\\": \\"\\"}", "{\\"result\\": 0}"],\n  ["{\\"action\\": \\"count_chars\\", \\"text\\": \\"Zürich\\"}", "{\\"result\\": 6}"],\n  ["{\\"action\\": \\"uppercase\\", \\"text\\": \\"straße\\"}", "{\\"result\\": \\"STRASSE\\"}"],\n  ["{\\"action\\": \\"lowercase\\", \\"text\\": \\"ÅNGSTRÖM\\"}", "{\\"result\\": \\"ångström\\"}"]\n]	2026-01-01 00:00:00+00	5a53db5b-81df-44da-bf2f-8ea7adca2060	\N
1	dynamic		{}	return event.params.a + 1;	67025802092ea83785c06ef12e0c7476126bc88e2655ac9c75533864438fdef5	{"type":"object","required":["a"]}	\N	[]	2026-11-27 18:40:04.795708+00	01a21e4e-b6bb-7b54-9d7d-ab1b2976fff9	alice
2	dynamic		{}	return event.params.a + 2;	775d1a5ccef30f5f0ca205b779f42277726e509b5496ec0af815244925c6ed3d	{"type":"object","required":["a"]}	\N	[]	2026-11-27 18:40:04.806037+00	01a21e4e-b6bb-7b54-9d7d-ab1b2976fff9	alice
1	dynamic		{}	result = str(params).upper()	f520cfcdd20f22176cbba435fa044396557da08b95b10559d043a5a13f71eabd	\N	\N	[]	2026-11-27 18:40:04.833951+00	01a21e4e-b6e1-7f38-b39d-45a8cc4fddb5	alice
\.


--
-- Data for Name: functions; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.functions (language, title, version, created_at, updated_at, deactivated_at, function_id, owner) FROM stdin;
nodejs	calculator	1	2026-01-01 00:00:00+00	2026-01-01 00:00:00+00	\N	c0bbd16a-0770-45e9-9415-27801b9d549a	shared
python	text_processor	1	2026-01-01 00:00:00+00	2026-01-01 00:00:00+00	\N	5a53db5b-81df-44da-bf2f-8ea7adca2060	shared
nodejs	adder	2	2026-11-27 18:40:04.795708+00	2026-11-27 18:40:04.806037+00	\N	01a21e4e-b6bb-7b54-9d7d-ab1b2976fff9	alice
python	shouter	1	2026-11-27 18:40:04.833951+00	2026-11-27 18:40:04.833951+00	2026-11-27 18:40:05.182722+00	01a21e4e-b6e1-7f38-b39d-45a8cc4fddb5	alice
\.


--
-- Data for Name: idempotency_keys; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.idempotency_keys (request_id, owner, key, payload_hash, winner, language_title, deadline_at, expires_at, execution_count, answer, result) FROM stdin;
00000000-0000-0000-0000-000000000000	alice	first	\\x85a02df98236015af35cda2e3db019843541d242d3bd3929f3da1f3e2f744633	01a21e4e-b81c-74cd-ab10-0d4c41fe6659	python-keyed	2026-11-27 18:40:05.1483+00	2026-11-28 18:40:05.1483+00	\N	{"expires_at":"2026-11-27T19:40:05.148300+00:00","script_hash":"0d7d124b953ce31de58ff8982f9c08aef81a573638c558d8b7b4ce0a2587c128","syntax_checked":true}	\N
01a21e4e-b81c-74cd-ab10-0d4c41fe6659	alice	order-0	\\x4f2d84ebe1f5ffdcd3b1409728bb85fa3500e6052a7f9ade3d48a9deb85de857	01a21e4e-b822-777d-b708-9baa2856468e	python-keyed	2026-11-27 18:41:14.654468+00	2026-11-28 18:40:05.154468+00	1	{"failure":null,"execution_time_ms":0.613,"stdout":"","stderr":"","memory_usage_bytes":4096,"cpu_time_ms":0.508,"queue_time_ms":0.349,"cold_start":true}	[0,"é"]
01a21e4e-b81c-74cd-ab10-0d4c41fe6659	alice	order-1	\\x72368a22f2c1397112dabcb1fee3702082f5a1e9cd5b4b3173b308c72fbef3b7	01a21e4e-b82a-731b-9d11-787bc01b72e7	python-keyed	2026-11-27 18:41:14.662194+00	2026-11-28 18:40:05.162194+00	2	{"failure":null,"execution_time_ms":0.297,"stdout":"","stderr":"","memory_usage_bytes":4096,"cpu_time_ms":0.194,"queue_time_ms":0.02,"cold_start":false}	[1,"é"]
01a21e4e-b81c-74cd-ab10-0d4c41fe6659	alice	order-2	\\xe2227967f9d405ea9b98bfbbf21c7144d2894cc777e967a05547acc253680590	01a21e4e-b82f-7819-ae26-c5f17ce9c0e8	python-keyed	2026-11-27 18:41:14.667506+00	2026-11-28 18:40:05.167506+00	3	{"failure":null,"execution_time_ms":0.351,"stdout":"","stderr":"","memory_usage_bytes":4096,"cpu_time_ms":0.217,"queue_time_ms":0.025,"cold_start":false}	[2,"é"]
\.


--
-- Data for Name: migrations; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.migrations (version, name, checksum, applied_at, works_beside) FROM stdin;
1	sessions	6ac74ef47b6e86d82c6a6570511eb789e0724d58e94f575fac83a039a3667cf2	2026-11-27 18:39:57.696661+00	\N
2	executions	dab9d4f9b4a4131f75db9f60d1d75826f170928504e364e245ee9be1c3b6ace9	2026-11-27 18:39:57.728722+00	\N
3	functions	ff17aa60e5558cecb2dc2565a1e6b0e4e1bfd666ac04e3a5e4650cf293d3c855	2026-11-27 18:39:57.74016+00	\N
4	idempotency	e96b1839db954cc48baf986e7d566c704a6d7a403cf22386829b08ea4b583bd8	2026-11-27 18:39:57.749363+00	\N
5	api_keys	301afc5fc15af73e1336f5e4b591be46791d44f1d0d37b9395da770ed9814e5c	2026-11-27 18:39:57.75739+00	\N
6	limits	7b27b04b280cb0317c9798725a160223cef609b10b18a3c905466647ad99427a	2026-11-27 18:39:57.76581+00	\N
7	shortened_days	ea922b63649a9c691e07e1cbbf9c09fdca07616a3cba5c5f25cf0498488f3f55	2026-11-27 18:39:57.772823+00	\N
8	execution_ids	3bbd57a3063bfa6dd02fd58c640b94972b3e7fd380e6619675eec04bef0cd8f1	2026-11-27 18:39:57.786518+00	\N
9	replaced_versions	14b2cb5e3796f6f406e0c3d4036139120a8c9012085cdb7008a92a4ac80ba272	2026-11-27 18:39:57.793933+00	\N
10	function_owners	607a9900d841d65977622fd2fa266e2232a7b54d41e5657c2d0f8a1b28fb0637	2026-11-27 18:39:57.805777+00	\N
11	texts_as_sent	b13881d9a6676751d6aebd8924e9f56e5a125ce323bc46173db42a5e2e6db53c	2026-11-27 18:39:57.815365+00	\N
12	audit	09976399d4bef50da4bcfdf20a77a7f2c49381c5959be3af0f3fb70f48b2910b	2026-11-27 18:39:57.824455+00	\N
13	hidden_sessions	b118599d7570f810db543916639b4d93cdaec05549304e17f61384c9baf89642	2026-11-27 18:39:57.83411+00	\N
14	usage	bb3150bd1def8dd45748391f21e933520d3d6e699d354a43d3457d96155e46da	2026-11-27 18:39:57.845085+00	\N
15	session_filters	9d4fbb3217b08b9ab41cc94b3236d48a921ec2eb323bfd23144f57439934de19	2026-11-27 18:39:57.855116+00	\N
16	works_beside	51703e52337b267e6cc54d41d4b96e1f99a49a3cfcbc7e203bdbdeb2c4dce303	2026-11-27 18:39:57.862984+00	\N
\.


--
-- Data for Name: open_executions; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.open_executions (request_id, execution_id, owner, slot, deadline_at) FROM stdin;
01a21e4e-b8a4-7fe8-b58a-588f69bcfd89	01a21e4e-b8a6-7d54-bff6-71529b027174	dave	16	2026-11-27 18:41:14.786833+00
\.


--
-- Data for Name: rates; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.rates (owner, policy, full_at, spent) FROM stdin;
alice	execute	2026-11-27 18:40:05.139087+00	00:00:00.03
bob	execute	2026-11-27 18:40:05.088042+00	00:00:00.036
\.


--
-- Data for Name: sessions; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.sessions (request_id, owner, language, title, script_hash, timeout_ms, memory_mb, isolation, renewal, ttl_seconds, expires_at, expires_max_at, closed_at, last_executed_at, execution_count, version, context, metadata, script, function_version, function_id, hidden) FROM stdin;
01a21e4e-b6c2-7294-8b2b-812f0f07cba0	alice	nodejs	adder	67025802092ea83785c06ef12e0c7476126bc88e2655ac9c75533864438fdef5	5000	128	session	fixed	3600	2026-11-27 19:40:04.802161+00	2026-12-27 18:40:04.802161+00	\N	\N	0	1	{}	{}	return event.params.a + 1;	1	01a21e4e-b6bb-7b54-9d7d-ab1b2976fff9	f
01a21e4e-b6ca-7f07-8b49-3cb29decc320	alice	nodejs	adder	775d1a5ccef30f5f0ca205b779f42277726e509b5496ec0af815244925c6ed3d	5000	128	session	fixed	3600	2026-11-27 19:40:04.810939+00	2026-12-27 18:40:04.810939+00	\N	\N	0	1	{}	{}	return event.params.a + 2;	2	01a21e4e-b6bb-7b54-9d7d-ab1b2976fff9	f
01a21e4e-b777-71aa-8d86-e8bdbfd86822	bob	python	adds	38861dc41c131a501dd16e2fe1ac3b2ce9655895efa9f2120c60f6fd61a23cef	5000	128	session	fixed	3600	2026-11-27 19:40:04.983104+00	2026-12-27 18:40:04.983104+00	\N	2026-11-27 18:40:05.015132+00	3	1	{"z": 1, "a": "Zürich \\u2028", "big": 1e300, "nested": [null, {"deep": true}]}	{}	result = params["a"] + params["b"]	\N	\N	f
01a21e4e-b6e6-758a-ad52-9f6837a529af	alice	python	adds	38861dc41c131a501dd16e2fe1ac3b2ce9655895efa9f2120c60f6fd61a23cef	5000	128	session	fixed	3600	2026-11-27 19:40:04.838346+00	2026-12-27 18:40:04.838346+00	\N	2026-11-27 18:40:04.867904+00	3	2	{"z": 1, "a": "Zürich \\u2028", "big": 1e300, "nested": [null, {"deep": true}]}	{"changed":true}	result = params["a"] + params["b"]	\N	\N	f
01a21e4e-b6e8-7ff0-a95d-cf9cb7390248	alice	nodejs	adds	\N	5000	128	session	fixed	3600	2026-11-27 19:40:04.840996+00	2026-12-27 18:40:04.840996+00	2026-11-27 18:40:05.18029+00	2026-11-27 18:40:04.889881+00	3	2	{}	{}	\N	\N	\N	f
01a21e4e-b6eb-77bb-99a8-9eacfa42701c	alice	nodejs	adder	775d1a5ccef30f5f0ca205b779f42277726e509b5496ec0af815244925c6ed3d	5000	128	session	fixed	3600	2026-11-27 19:40:04.843483+00	2026-12-27 18:40:04.843483+00	\N	2026-11-27 18:40:04.907932+00	3	1	{}	{}	return event.params.a + 2;	2	01a21e4e-b6bb-7b54-9d7d-ab1b2976fff9	f
01a21e4e-b6ed-7073-919a-6daba2f70c51	alice	python	prints	5b0eb2f9973400524632fb7d0e0c6036e9dc568f797268fd294743e0fda68d55	5000	128	session	sliding	3600	2026-11-27 19:40:04.845028+00	2026-12-27 18:40:04.845028+00	\N	2026-11-27 18:40:04.942733+00	3	1	{}	{}	print(params)	\N	\N	f
01a21e4e-b6ee-7877-99f8-67a2e084c2d4	alice	python	further	e690164604f47af5221e8ea241de8886083ddc322561587960fb4c99629c8bfb	5000	64	process	fixed	86400	2026-11-28 18:40:04.846529+00	2026-12-27 18:40:04.846529+00	\N	2026-11-27 18:40:04.978815+00	3	1	{}	{"ticket":7}	def handle(params): return 1	\N	\N	f
01a21e4e-b77b-78f2-beb1-65cf1b5017ca	bob	nodejs	adds	6f75a1b2cefaba0729574573e425f4bff963442a92dde81f8a804c51473d5a25	5000	128	session	fixed	3600	2026-11-27 19:40:04.987559+00	2026-12-27 18:40:04.987559+00	\N	2026-11-27 18:40:05.030809+00	3	1	{}	{}	return event.params.a + event.params.b;	\N	\N	f
01a21e4e-b782-7c36-83b0-524784581205	bob	python	prints	5b0eb2f9973400524632fb7d0e0c6036e9dc568f797268fd294743e0fda68d55	5000	128	session	sliding	3600	2026-11-27 19:40:04.994763+00	2026-12-27 18:40:04.994763+00	\N	2026-11-27 18:40:05.065061+00	3	1	{}	{}	print(params)	\N	\N	f
01a21e4e-b7f3-74fe-9ec8-afa5e8bcca91	alice	python	large	9754a8f7a0714740619fbdc587fabc96b9a757dd47a6d9bff5a4e9fb82d53930	5000	128	session	fixed	3600	2026-11-27 19:40:05.107312+00	2026-12-27 18:40:05.107312+00	\N	2026-11-27 18:40:05.120815+00	1	1	{}	{}	result = len(params)	\N	\N	f
01a21e4e-b780-790f-ad15-e2c77aacb24e	bob	nodejs	calculator	bcc2dafb99916fdfbee17555cf25d784bc95b8d25e6cf5f8c5f8c694bc9db0a5	5000	128	session	fixed	3600	2026-11-27 19:40:04.992566+00	2026-12-27 18:40:04.992566+00	\N	2026-11-27 18:40:05.049595+00	3	1	{}	{}	const { operation, a, b } = event.params;\n\nconst operations = {\n  add: () => a + b,\n  subtract: () => a - b,\n  multiply: () => a * b,\n  divide: () => {\n    if (b === 0) {\n      throw new RangeError('Division by zero: b must be another number than 0');\n    }\n    return a / b;\n  },\n};\n\nconst result = operations[operation]();\nif (!Number.isFinite(result)) {\n  throw new RangeError('The result is beyond the range of a double');\n}\nreturn { result };\n	1	c0bbd16a-0770-45e9-9415-27801b9d549a	f
01a21e4e-b7ec-7365-8d6c-024ede4cdf64	alice	python	fails	6d7c82059407e209cd8828673a3f79feadb17ad026b12caf732200b2ca4f4088	5000	128	session	fixed	3600	2026-11-27 19:40:05.100212+00	2026-12-27 18:40:05.100212+00	\N	2026-11-27 18:40:05.112166+00	1	1	{}	{}	print('before'); result = 1 / params	\N	\N	f
01a21e4e-b81c-74cd-ab10-0d4c41fe6659	alice	python	keyed	0d7d124b953ce31de58ff8982f9c08aef81a573638c558d8b7b4ce0a2587c128	5000	128	session	fixed	3600	2026-11-27 19:40:05.1483+00	2026-12-27 18:40:05.1483+00	\N	2026-11-27 18:40:05.170758+00	3	1	{}	{}	result = params	\N	\N	f
01a21e4e-b784-78e2-9f23-c49b12d5b88a	bob	python	further	e690164604f47af5221e8ea241de8886083ddc322561587960fb4c99629c8bfb	5000	64	process	fixed	86400	2026-11-28 18:40:04.996555+00	2026-12-27 18:40:04.996555+00	\N	2026-11-27 18:40:05.094809+00	3	1	{}	{"ticket":7}	def handle(params): return 1	\N	\N	f
01a21e4e-b8a4-7fe8-b58a-588f69bcfd89	dave	python	sleeper	f7a78096fb0bff83528e4ed0e3454d061e64384065f07011751f73bc94bd7b91	5000	128	session	fixed	3600	2026-11-27 19:40:05.284994+00	2026-12-27 18:40:05.284994+00	\N	\N	0	1	{}	{}	import time; time.sleep(30.0)	\N	\N	f
\.


--
-- Data for Name: shortened_days; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.shortened_days (slot, day, shortened_at, size_bytes) FROM stdin;
\.


--
-- Data for Name: usage; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.usage (owner, day, executions, failed, unknown, execution_time_ms, cpu_time_ms) FROM stdin;
\.


--
-- Data for Name: usage_progress; Type: TABLE DATA; Schema: meta; Owner: -
--

COPY meta.usage_progress (only_row, counted_until) FROM stdin;
t	01a21e4c-cc1a-76ea-8000-000000000000
\.


--
-- Name: api_keys api_keys_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.api_keys
    ADD CONSTRAINT api_keys_pkey PRIMARY KEY (key_id);


--
-- Name: audit audit_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.audit
    ADD CONSTRAINT audit_pkey PRIMARY KEY (act_id);


--
-- Name: executions executions_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions
    ADD CONSTRAINT executions_pkey PRIMARY KEY (slot, request_id, execution_id);


--
-- Name: executions_00 executions_00_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions_00
    ADD CONSTRAINT executions_00_pkey PRIMARY KEY (slot, request_id, execution_id);


--
-- Name: executions_01 executions_01_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions_01
    ADD CONSTRAINT executions_01_pkey PRIMARY KEY (slot, request_id, execution_id);


--
-- Name: executions_02 executions_02_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions_02
    ADD CONSTRAINT executions_02_pkey PRIMARY KEY (slot, request_id, execution_id);


--
-- Name: executions_03 executions_03_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions_03
    ADD CONSTRAINT executions_03_pkey PRIMARY KEY (slot, request_id, execution_id);


--
-- Name: executions_04 executions_04_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions_04
    ADD CONSTRAINT executions_04_pkey PRIMARY KEY (slot, request_id, execution_id);


--
-- Name: executions_05 executions_05_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions_05
    ADD CONSTRAINT executions_05_pkey PRIMARY KEY (slot, request_id, execution_id);


--
-- Name: executions_06 executions_06_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions_06
    ADD CONSTRAINT executions_06_pkey PRIMARY KEY (slot, request_id, execution_id);


--
-- Name: executions_07 executions_07_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions_07
    ADD CONSTRAINT executions_07_pkey PRIMARY KEY (slot, request_id, execution_id);


--
-- Name: executions_08 executions_08_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions_08
    ADD CONSTRAINT executions_08_pkey PRIMARY KEY (slot, request_id, execution_id);


--
-- Name: executions_09 executions_09_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions_09
    ADD CONSTRAINT executions_09_pkey PRIMARY KEY (slot, request_id, execution_id);


--
-- Name: executions_10 executions_10_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions_10
    ADD CONSTRAINT executions_10_pkey PRIMARY KEY (slot, request_id, execution_id);


--
-- Name: executions_11 executions_11_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions_11
    ADD CONSTRAINT executions_11_pkey PRIMARY KEY (slot, request_id, execution_id);


--
-- Name: executions_12 executions_12_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions_12
    ADD CONSTRAINT executions_12_pkey PRIMARY KEY (slot, request_id, execution_id);


--
-- Name: executions_13 executions_13_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions_13
    ADD CONSTRAINT executions_13_pkey PRIMARY KEY (slot, request_id, execution_id);


--
-- Name: executions_14 executions_14_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions_14
    ADD CONSTRAINT executions_14_pkey PRIMARY KEY (slot, request_id, execution_id);


--
-- Name: executions_15 executions_15_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions_15
    ADD CONSTRAINT executions_15_pkey PRIMARY KEY (slot, request_id, execution_id);


--
-- Name: executions_16 executions_16_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions_16
    ADD CONSTRAINT executions_16_pkey PRIMARY KEY (slot, request_id, execution_id);


--
-- Name: executions_17 executions_17_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions_17
    ADD CONSTRAINT executions_17_pkey PRIMARY KEY (slot, request_id, execution_id);


--
-- Name: executions_18 executions_18_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions_18
    ADD CONSTRAINT executions_18_pkey PRIMARY KEY (slot, request_id, execution_id);


--
-- Name: executions_19 executions_19_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions_19
    ADD CONSTRAINT executions_19_pkey PRIMARY KEY (slot, request_id, execution_id);


--
-- Name: executions_20 executions_20_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions_20
    ADD CONSTRAINT executions_20_pkey PRIMARY KEY (slot, request_id, execution_id);


--
-- Name: executions_21 executions_21_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions_21
    ADD CONSTRAINT executions_21_pkey PRIMARY KEY (slot, request_id, execution_id);


--
-- Name: executions_22 executions_22_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions_22
    ADD CONSTRAINT executions_22_pkey PRIMARY KEY (slot, request_id, execution_id);


--
-- Name: executions_23 executions_23_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions_23
    ADD CONSTRAINT executions_23_pkey PRIMARY KEY (slot, request_id, execution_id);


--
-- Name: executions_24 executions_24_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions_24
    ADD CONSTRAINT executions_24_pkey PRIMARY KEY (slot, request_id, execution_id);


--
-- Name: executions_25 executions_25_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions_25
    ADD CONSTRAINT executions_25_pkey PRIMARY KEY (slot, request_id, execution_id);


--
-- Name: executions_26 executions_26_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions_26
    ADD CONSTRAINT executions_26_pkey PRIMARY KEY (slot, request_id, execution_id);


--
-- Name: executions_27 executions_27_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions_27
    ADD CONSTRAINT executions_27_pkey PRIMARY KEY (slot, request_id, execution_id);


--
-- Name: executions_28 executions_28_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions_28
    ADD CONSTRAINT executions_28_pkey PRIMARY KEY (slot, request_id, execution_id);


--
-- Name: executions_29 executions_29_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions_29
    ADD CONSTRAINT executions_29_pkey PRIMARY KEY (slot, request_id, execution_id);


--
-- Name: executions_30 executions_30_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions_30
    ADD CONSTRAINT executions_30_pkey PRIMARY KEY (slot, request_id, execution_id);


--
-- Name: executions_31 executions_31_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.executions_31
    ADD CONSTRAINT executions_31_pkey PRIMARY KEY (slot, request_id, execution_id);


--
-- Name: function_versions function_versions_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.function_versions
    ADD CONSTRAINT function_versions_pkey PRIMARY KEY (function_id, version);


--
-- Name: functions functions_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.functions
    ADD CONSTRAINT functions_pkey PRIMARY KEY (function_id);


--
-- Name: idempotency_keys idempotency_keys_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (request_id, owner, key);


--
-- Name: migrations migrations_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (version);


--
-- Name: open_executions open_executions_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.open_executions
    ADD CONSTRAINT open_executions_pkey PRIMARY KEY (request_id, execution_id);


--
-- Name: rates rates_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.rates
    ADD CONSTRAINT rates_pkey PRIMARY KEY (owner, policy);


--
-- Name: sessions sessions_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (request_id);


--
-- Name: shortened_days shortened_days_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.shortened_days
    ADD CONSTRAINT shortened_days_pkey PRIMARY KEY (slot);


--
-- Name: usage usage_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.usage
    ADD CONSTRAINT usage_pkey PRIMARY KEY (owner, day);


--
-- Name: usage_progress usage_progress_pkey; Type: CONSTRAINT; Schema: meta; Owner: -
--

ALTER TABLE ONLY meta.usage_progress
    ADD CONSTRAINT usage_progress_pkey PRIMARY KEY (only_row);


--
-- Name: audit_by_subject; Type: INDEX; Schema: meta; Owner: -
--

CREATE INDEX audit_by_subject ON meta.audit USING btree (subject, act_id);


--
-- Name: executions_by_id; Type: INDEX; Schema: meta; Owner: -
--

CREATE UNIQUE INDEX executions_by_id ON ONLY meta.executions USING btree (execution_id, slot);


--
-- Name: executions_00_execution_id_slot_idx; Type: INDEX; Schema: meta; Owner: -
--

CREATE UNIQUE INDEX executions_00_execution_id_slot_idx ON meta.executions_00 USING btree (execution_id, slot);


--
-- Name: executions_01_execution_id_slot_idx; Type: INDEX; Schema: meta; Owner: -
--

CREATE UNIQUE INDEX executions_01_execution_id_slot_idx ON meta.executions_01 USING btree (execution_id, slot);


--
-- Name: executions_02_execution_id_slot_idx; Type: INDEX; Schema: meta; Owner: -
--

CREATE UNIQUE INDEX executions_02_execution_id_slot_idx ON meta.executions_02 USING btree (execution_id, slot);


--
-- Name: executions_03_execution_id_slot_idx; Type: INDEX; Schema: meta; Owner: -
--

CREATE UNIQUE INDEX executions_03_execution_id_slot_idx ON meta.executions_03 USING btree (execution_id, slot);


--
-- Name: executions_04_execution_id_slot_idx; Type: INDEX; Schema: meta; Owner: -
--

CREATE UNIQUE INDEX executions_04_execution_id_slot_idx ON meta.executions_04 USING btree (execution_id, slot);


--
-- Name: executions_05_execution_id_slot_idx; Type: INDEX; Schema: meta; Owner: -
--

CREATE UNIQUE INDEX executions_05_execution_id_slot_idx ON meta.executions_05 USING btree (execution_id, slot);


--
-- Name: executions_06_execution_id_slot_idx; Type: INDEX; Schema: meta; Owner: -
--

CREATE UNIQUE INDEX executions_06_execution_id_slot_idx ON meta.executions_06 USING btree (execution_id, slot);


--
-- Name: executions_07_execution_id_slot_idx; Type: INDEX; Schema: meta; Owner: -
--

CREATE UNIQUE INDEX executions_07_execution_id_slot_idx ON meta.executions_07 USING btree (execution_id, slot);


--
-- Name: executions_08_execution_id_slot_idx; Type: INDEX; Schema: meta; Owner: -
--

CREATE UNIQUE INDEX executions_08_execution_id_slot_idx ON meta.executions_08 USING btree (execution_id, slot);


--
-- Name: executions_09_execution_id_slot_idx; Type: INDEX; Schema: meta; Owner: -
--

CREATE UNIQUE INDEX executions_09_execution_id_slot_idx ON meta.executions_09 USING btree (execution_id, slot);


--
-- Name: executions_10_execution_id_slot_idx; Type: INDEX; Schema: meta; Owner: -
--

CREATE UNIQUE INDEX executions_10_execution_id_slot_idx ON meta.executions_10 USING btree (execution_id, slot);


--
-- Name: executions_11_execution_id_slot_idx; Type: INDEX; Schema: meta; Owner: -
--

CREATE UNIQUE INDEX executions_11_execution_id_slot_idx ON meta.executions_11 USING btree (execution_id, slot);


--
-- Name: executions_12_execution_id_slot_idx; Type: INDEX; Schema: meta; Owner: -
--

CREATE UNIQUE INDEX executions_12_execution_id_slot_idx ON meta.executions_12 USING btree (execution_id, slot);


--
-- Name: executions_13_execution_id_slot_idx; Type: INDEX; Schema: meta; Owner: -
--

CREATE UNIQUE INDEX executions_13_execution_id_slot_idx ON meta.executions_13 USING btree (execution_id, slot);


--
-- Name: executions_14_execution_id_slot_idx; Type: INDEX; Schema: meta; Owner: -
--

CREATE UNIQUE INDEX executions_14_execution_id_slot_idx ON meta.executions_14 USING btree (execution_id, slot);


--
-- Name: executions_15_execution_id_slot_idx; Type: INDEX; Schema: meta; Owner: -
--

CREATE UNIQUE INDEX executions_15_execution_id_slot_idx ON meta.executions_15 USING btree (execution_id, slot);


--
-- Name: executions_16_execution_id_slot_idx; Type: INDEX; Schema: meta; Owner: -
--

CREATE UNIQUE INDEX executions_16_execution_id_slot_idx ON meta.executions_16 USING btree (execution_id, slot);


--
-- Name: executions_17_execution_id_slot_idx; Type: INDEX; Schema: meta; Owner: -
--

CREATE UNIQUE INDEX executions_17_execution_id_slot_idx ON meta.executions_17 USING btree (execution_id, slot);


--
-- Name: executions_18_execution_id_slot_idx; Type: INDEX; Schema: meta; Owner: -
--

CREATE UNIQUE INDEX executions_18_execution_id_slot_idx ON meta.executions_18 USING btree (execution_id, slot);


--
-- Name: executions_19_execution_id_slot_idx; Type: INDEX; Schema: meta; Owner: -
--

CREATE UNIQUE INDEX executions_19_execution_id_slot_idx ON meta.executions_19 USING btree (execution_id, slot);


--
-- Name: executions_20_execution_id_slot_idx; Type: INDEX; Schema: meta; Owner: -
--

CREATE UNIQUE INDEX executions_20_execution_id_slot_idx ON meta.executions_20 USING btree (execution_id, slot);


--
-- Name: executions_21_execution_id_slot_idx; Type: INDEX; Schema: meta; Owner: -
--

CREATE UNIQUE INDEX executions_21_execution_id_slot_idx ON meta.executions_21 USING btree (execution_id, slot);


--
-- Name: executions_22_execution_id_slot_idx; Type: INDEX; Schema: meta; Owner: -
--

CREATE UNIQUE INDEX executions_22_execution_id_slot_idx ON meta.executions_22 USING btree (execution_id, slot);


--
-- Name: executions_23_execution_id_slot_idx; Type: INDEX; Schema: meta; Owner: -
--

CREATE UNIQUE INDEX executions_23_execution_id_slot_idx ON meta.executions_23 USING btree (execution_id, slot);


--
-- Name: executions_24_execution_id_slot_idx; Type: INDEX; Schema: meta; Owner: -
--

CREATE UNIQUE INDEX executions_24_execution_id_slot_idx ON meta.executions_24 USING btree (execution_id, slot);


--
-- Name: executions_25_execution_id_slot_idx; Type: INDEX; Schema: meta; Owner: -
--

CREATE UNIQUE INDEX executions_25_execution_id_slot_idx ON meta.executions_25 USING btree (execution_id, slot);


--
-- Name: executions_26_execution_id_slot_idx; Type: INDEX; Schema: meta; Owner: -
--

CREATE UNIQUE INDEX executions_26_execution_id_slot_idx ON meta.executions_26 USING btree (execution_id, slot);


--
-- Name: executions_27_execution_id_slot_idx; Type: INDEX; Schema: meta; Owner: -
--

CREATE UNIQUE INDEX executions_27_execution_id_slot_idx ON meta.executions_27 USING btree (execution_id, slot);


--
-- Name: executions_28_execution_id_slot_idx; Type: INDEX; Schema: meta; Owner: -
--

CREATE UNIQUE INDEX executions_28_execution_id_slot_idx ON meta.executions_28 USING btree (execution_id, slot);


--
-- Name: executions_29_execution_id_slot_idx; Type: INDEX; Schema: meta; Owner: -
--

CREATE UNIQUE INDEX executions_29_execution_id_slot_idx ON meta.executions_29 USING btree (execution_id, slot);


--
-- Name: executions_30_execution_id_slot_idx; Type: INDEX; Schema: meta; Owner: -
--

CREATE UNIQUE INDEX executions_30_execution_id_slot_idx ON meta.executions_30 USING btree (execution_id, slot);


--
-- Name: executions_31_execution_id_slot_idx; Type: INDEX; Schema: meta; Owner: -
--

CREATE UNIQUE INDEX executions_31_execution_id_slot_idx ON meta.executions_31 USING btree (execution_id, slot);


--
-- Name: functions_by_name; Type: INDEX; Schema: meta; Owner: -
--

CREATE UNIQUE INDEX functions_by_name ON meta.functions USING btree (owner, language, title);


--
-- Name: idempotency_keys_by_expiry; Type: INDEX; Schema: meta; Owner: -
--

CREATE INDEX idempotency_keys_by_expiry ON meta.idempotency_keys USING btree (expires_at);


--
-- Name: sessions_by_call; Type: INDEX; Schema: meta; Owner: -
--

CREATE UNIQUE INDEX sessions_by_call ON meta.sessions USING btree (owner, function_id, function_version) WHERE (hidden AND (script_hash IS NOT NULL));


--
-- Name: sessions_by_expiry; Type: INDEX; Schema: meta; Owner: -
--

CREATE INDEX sessions_by_expiry ON meta.sessions USING btree (expires_at);


--
-- Name: sessions_by_function; Type: INDEX; Schema: meta; Owner: -
--

CREATE INDEX sessions_by_function ON meta.sessions USING btree (function_id, function_version) WHERE (function_id IS NOT NULL);


--
-- Name: sessions_by_metadata; Type: INDEX; Schema: meta; Owner: -
--

CREATE INDEX sessions_by_metadata ON meta.sessions USING gin (owned_metadata jsonb_path_ops) WITH (fastupdate=off) WHERE (owned_metadata IS NOT NULL);


--
-- Name: sessions_by_owner; Type: INDEX; Schema: meta; Owner: -
--

CREATE INDEX sessions_by_owner ON meta.sessions USING btree (owner, request_id);


--
-- Name: usage_by_day; Type: INDEX; Schema: meta; Owner: -
--

CREATE INDEX usage_by_day ON meta.usage USING btree (day);


--
-- Name: executions_00_execution_id_slot_idx; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_by_id ATTACH PARTITION meta.executions_00_execution_id_slot_idx;


--
-- Name: executions_00_pkey; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_pkey ATTACH PARTITION meta.executions_00_pkey;


--
-- Name: executions_01_execution_id_slot_idx; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_by_id ATTACH PARTITION meta.executions_01_execution_id_slot_idx;


--
-- Name: executions_01_pkey; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_pkey ATTACH PARTITION meta.executions_01_pkey;


--
-- Name: executions_02_execution_id_slot_idx; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_by_id ATTACH PARTITION meta.executions_02_execution_id_slot_idx;


--
-- Name: executions_02_pkey; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_pkey ATTACH PARTITION meta.executions_02_pkey;


--
-- Name: executions_03_execution_id_slot_idx; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_by_id ATTACH PARTITION meta.executions_03_execution_id_slot_idx;


--
-- Name: executions_03_pkey; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_pkey ATTACH PARTITION meta.executions_03_pkey;


--
-- Name: executions_04_execution_id_slot_idx; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_by_id ATTACH PARTITION meta.executions_04_execution_id_slot_idx;


--
-- Name: executions_04_pkey; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_pkey ATTACH PARTITION meta.executions_04_pkey;


--
-- Name: executions_05_execution_id_slot_idx; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_by_id ATTACH PARTITION meta.executions_05_execution_id_slot_idx;


--
-- Name: executions_05_pkey; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_pkey ATTACH PARTITION meta.executions_05_pkey;


--
-- Name: executions_06_execution_id_slot_idx; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_by_id ATTACH PARTITION meta.executions_06_execution_id_slot_idx;


--
-- Name: executions_06_pkey; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_pkey ATTACH PARTITION meta.executions_06_pkey;


--
-- Name: executions_07_execution_id_slot_idx; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_by_id ATTACH PARTITION meta.executions_07_execution_id_slot_idx;


--
-- Name: executions_07_pkey; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_pkey ATTACH PARTITION meta.executions_07_pkey;


--
-- Name: executions_08_execution_id_slot_idx; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_by_id ATTACH PARTITION meta.executions_08_execution_id_slot_idx;


--
-- Name: executions_08_pkey; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_pkey ATTACH PARTITION meta.executions_08_pkey;


--
-- Name: executions_09_execution_id_slot_idx; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_by_id ATTACH PARTITION meta.executions_09_execution_id_slot_idx;


--
-- Name: executions_09_pkey; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_pkey ATTACH PARTITION meta.executions_09_pkey;


--
-- Name: executions_10_execution_id_slot_idx; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_by_id ATTACH PARTITION meta.executions_10_execution_id_slot_idx;


--
-- Name: executions_10_pkey; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_pkey ATTACH PARTITION meta.executions_10_pkey;


--
-- Name: executions_11_execution_id_slot_idx; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_by_id ATTACH PARTITION meta.executions_11_execution_id_slot_idx;


--
-- Name: executions_11_pkey; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_pkey ATTACH PARTITION meta.executions_11_pkey;


--
-- Name: executions_12_execution_id_slot_idx; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_by_id ATTACH PARTITION meta.executions_12_execution_id_slot_idx;


--
-- Name: executions_12_pkey; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_pkey ATTACH PARTITION meta.executions_12_pkey;


--
-- Name: executions_13_execution_id_slot_idx; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_by_id ATTACH PARTITION meta.executions_13_execution_id_slot_idx;


--
-- Name: executions_13_pkey; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_pkey ATTACH PARTITION meta.executions_13_pkey;


--
-- Name: executions_14_execution_id_slot_idx; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_by_id ATTACH PARTITION meta.executions_14_execution_id_slot_idx;


--
-- Name: executions_14_pkey; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_pkey ATTACH PARTITION meta.executions_14_pkey;


--
-- Name: executions_15_execution_id_slot_idx; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_by_id ATTACH PARTITION meta.executions_15_execution_id_slot_idx;


--
-- Name: executions_15_pkey; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_pkey ATTACH PARTITION meta.executions_15_pkey;


--
-- Name: executions_16_execution_id_slot_idx; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_by_id ATTACH PARTITION meta.executions_16_execution_id_slot_idx;


--
-- Name: executions_16_pkey; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_pkey ATTACH PARTITION meta.executions_16_pkey;


--
-- Name: executions_17_execution_id_slot_idx; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_by_id ATTACH PARTITION meta.executions_17_execution_id_slot_idx;


--
-- Name: executions_17_pkey; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_pkey ATTACH PARTITION meta.executions_17_pkey;


--
-- Name: executions_18_execution_id_slot_idx; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_by_id ATTACH PARTITION meta.executions_18_execution_id_slot_idx;


--
-- Name: executions_18_pkey; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_pkey ATTACH PARTITION meta.executions_18_pkey;


--
-- Name: executions_19_execution_id_slot_idx; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_by_id ATTACH PARTITION meta.executions_19_execution_id_slot_idx;


--
-- Name: executions_19_pkey; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_pkey ATTACH PARTITION meta.executions_19_pkey;


--
-- Name: executions_20_execution_id_slot_idx; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_by_id ATTACH PARTITION meta.executions_20_execution_id_slot_idx;


--
-- Name: executions_20_pkey; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_pkey ATTACH PARTITION meta.executions_20_pkey;


--
-- Name: executions_21_execution_id_slot_idx; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_by_id ATTACH PARTITION meta.executions_21_execution_id_slot_idx;


--
-- Name: executions_21_pkey; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_pkey ATTACH PARTITION meta.executions_21_pkey;


--
-- Name: executions_22_execution_id_slot_idx; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_by_id ATTACH PARTITION meta.executions_22_execution_id_slot_idx;


--
-- Name: executions_22_pkey; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_pkey ATTACH PARTITION meta.executions_22_pkey;


--
-- Name: executions_23_execution_id_slot_idx; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_by_id ATTACH PARTITION meta.executions_23_execution_id_slot_idx;


--
-- Name: executions_23_pkey; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_pkey ATTACH PARTITION meta.executions_23_pkey;


--
-- Name: executions_24_execution_id_slot_idx; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_by_id ATTACH PARTITION meta.executions_24_execution_id_slot_idx;


--
-- Name: executions_24_pkey; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_pkey ATTACH PARTITION meta.executions_24_pkey;


--
-- Name: executions_25_execution_id_slot_idx; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_by_id ATTACH PARTITION meta.executions_25_execution_id_slot_idx;


--
-- Name: executions_25_pkey; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_pkey ATTACH PARTITION meta.executions_25_pkey;


--
-- Name: executions_26_execution_id_slot_idx; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_by_id ATTACH PARTITION meta.executions_26_execution_id_slot_idx;


--
-- Name: executions_26_pkey; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_pkey ATTACH PARTITION meta.executions_26_pkey;


--
-- Name: executions_27_execution_id_slot_idx; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_by_id ATTACH PARTITION meta.executions_27_execution_id_slot_idx;


--
-- Name: executions_27_pkey; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_pkey ATTACH PARTITION meta.executions_27_pkey;


--
-- Name: executions_28_execution_id_slot_idx; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_by_id ATTACH PARTITION meta.executions_28_execution_id_slot_idx;


--
-- Name: executions_28_pkey; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_pkey ATTACH PARTITION meta.executions_28_pkey;


--
-- Name: executions_29_execution_id_slot_idx; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_by_id ATTACH PARTITION meta.executions_29_execution_id_slot_idx;


--
-- Name: executions_29_pkey; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_pkey ATTACH PARTITION meta.executions_29_pkey;


--
-- Name: executions_30_execution_id_slot_idx; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_by_id ATTACH PARTITION meta.executions_30_execution_id_slot_idx;


--
-- Name: executions_30_pkey; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_pkey ATTACH PARTITION meta.executions_30_pkey;


--
-- Name: executions_31_execution_id_slot_idx; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_by_id ATTACH PARTITION meta.executions_31_execution_id_slot_idx;


--
-- Name: executions_31_pkey; Type: INDEX ATTACH; Schema: meta; Owner: -
--

ALTER INDEX meta.executions_pkey ATTACH PARTITION meta.executions_31_pkey;


--
-- PostgreSQL database dump complete
--

\unrestrict pglambda

