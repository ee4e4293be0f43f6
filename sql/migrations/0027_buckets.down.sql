-- lock
LOCK TABLE meta.buckets IN ACCESS EXCLUSIVE MODE;

-- destroys buckets
-- No migration is reverted while there are any: controllers would look for their sessions in this schema.
SELECT (SELECT count(*) FROM meta.buckets) AS buckets;

-- statements
-- The function empty_slot stays: it serves controllers of every release.
DROP TABLE meta.buckets;
