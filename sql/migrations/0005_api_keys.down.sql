-- lock
LOCK TABLE meta.api_keys IN ACCESS EXCLUSIVE MODE;

-- destroys keys
SELECT count(*) AS "API_keys" FROM meta.api_keys;

-- statements
DROP TABLE meta.api_keys;
