-- lock
LOCK TABLE meta.usage, meta.usage_progress IN ACCESS EXCLUSIVE MODE;

-- destroys usage
SELECT count(*) AS days_of_usage FROM meta.usage CROSS JOIN meta.usage_progress;

-- statements
DROP TABLE meta.usage;
DROP TABLE meta.usage_progress;
