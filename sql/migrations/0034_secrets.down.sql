-- lock
LOCK TABLE meta.secrets IN ACCESS EXCLUSIVE MODE;

-- destroys secrets
SELECT (SELECT count(*) FROM meta.secrets) AS secrets;

-- statements
DROP TABLE meta.secrets;
