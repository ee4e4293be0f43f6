DROP FUNCTION meta.empty_slot;
DROP TABLE meta.executions;
DROP TABLE meta.open_executions;
