-- lock
LOCK TABLE meta.api_keys IN ACCESS EXCLUSIVE MODE;

-- destroys keys
SELECT count(*) AS "API_keys" FROM meta.api_keys;

-- way back
DROP TABLE meta.api_keys;
