-- lock
LOCK TABLE meta.buckets, meta.owner_moves IN ACCESS EXCLUSIVE MODE;

-- destroys buckets
-- No migration is reverted while there are any: controllers would look for their sessions in this schema.
SELECT
    (SELECT count(*) FROM meta.buckets) AS buckets,
    (SELECT count(*) FROM meta.owner_moves) AS owner_moves;

-- statements
-- The function empty_slot stays: it serves controllers of every release.
DROP TABLE meta.owner_moves;
DROP TABLE meta.buckets;
