-- What owners have executed is counted from the history in the background, so that nobody reads the history for it.
CREATE TABLE meta.usage (
    owner text NOT NULL,
    day date NOT NULL,
    executions bigint NOT NULL,
    failed bigint NOT NULL,
    unknown bigint NOT NULL,
    execution_time_ms double precision NOT NULL,
    cpu_time_ms double precision NOT NULL,
    PRIMARY KEY (owner, day)
) WITH (
    -- The rows of today are rewritten without touching an index: with room on the page that stays within the page.
    fillfactor = 70
);

CREATE INDEX usage_by_day ON meta.usage (day);

CREATE TABLE meta.usage_progress (
    only_row boolean PRIMARY KEY DEFAULT TRUE CHECK (only_row),
    counted_until uuid NOT NULL
);

INSERT INTO meta.usage_progress (counted_until) VALUES ('00000000-0000-0000-0000-000000000000');

COMMENT ON TABLE meta.usage IS
'What owners have executed, by day in UTC, as counted from the history up to meta.usage_progress. '
'A purge or a move does not change it.';
COMMENT ON COLUMN meta.usage.owner IS 'The owner of the sessions when their executions were counted.';
COMMENT ON COLUMN meta.usage.day IS 'The day on which the executions were admitted.';
COMMENT ON COLUMN meta.usage.executions IS 'Executions, whatever their outcome.';
COMMENT ON COLUMN meta.usage.failed IS 'Those of them that failed.';
COMMENT ON COLUMN meta.usage.unknown IS 'Those of them whose end was not recorded.';
COMMENT ON COLUMN meta.usage.execution_time_ms IS 'Sum of their wall times.';
COMMENT ON COLUMN meta.usage.cpu_time_ms IS 'Sum of their processor times, as far as runtimes report them.';
COMMENT ON TABLE meta.usage_progress IS 'One row: how far the history has been counted.';
COMMENT ON COLUMN meta.usage_progress.counted_until IS
'Each execution whose id is not greater has been counted. Those of open records are greater.';
