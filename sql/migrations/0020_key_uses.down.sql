-- lock
LOCK TABLE meta.api_keys IN ACCESS EXCLUSIVE MODE;

-- destroys key-uses
-- Keys stay.
SELECT count(k.last_used_at) AS key_uses FROM meta.api_keys AS k;

-- statements
ALTER TABLE meta.api_keys DROP COLUMN last_used_at;
