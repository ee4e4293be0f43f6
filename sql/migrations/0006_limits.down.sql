-- lock
LOCK TABLE meta.rates IN ACCESS EXCLUSIVE MODE;

-- destroys rates
SELECT count(*) AS rate_accounts FROM meta.rates;

-- statements
DROP TABLE meta.rates;
