-- lock
LOCK TABLE meta.rates IN ACCESS EXCLUSIVE MODE;

-- destroys rates
SELECT count(*) AS rate_accounts FROM meta.rates;

-- way back
DROP TABLE meta.rates;
