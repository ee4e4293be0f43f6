-- Null in every row that is left: later migrations are reverted before.
ALTER TABLE meta.migrations DROP COLUMN works_beside;
