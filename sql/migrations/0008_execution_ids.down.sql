DROP INDEX meta.executions_by_id;
