-- Unique, so that the planner knows that an id finds one row, whatever statistics there are. Ends of executions wait
-- while it is built over the history that is there (some seconds for millions of rows), and are recorded then.
CREATE UNIQUE INDEX executions_by_id ON meta.executions (execution_id, slot);
