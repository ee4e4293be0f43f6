-- lock
LOCK TABLE meta.rates IN ACCESS EXCLUSIVE MODE;

-- destroys reservations
-- They expire within a minute. Controllers of the release before do not look at them.
SELECT count(*) AS reservations
FROM meta.rates AS r
WHERE (r.version, r.replaced, r.slot, r.reserved, r.reserved_before) <> (0, 0, 0, 0, 0);

-- statements
ALTER TABLE meta.rates DROP COLUMN version;
ALTER TABLE meta.rates DROP COLUMN replaced;
ALTER TABLE meta.rates DROP COLUMN slot;
ALTER TABLE meta.rates DROP COLUMN reserved;
ALTER TABLE meta.rates DROP COLUMN reserved_before;
