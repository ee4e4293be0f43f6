-- Controllers of an older release read here whether they work beside a step that they do not have.
ALTER TABLE meta.migrations ADD COLUMN works_beside integer;

COMMENT ON COLUMN meta.migrations.works_beside IS
'The newest migration of the oldest release that works while this one is applied; null if no older release does.';
