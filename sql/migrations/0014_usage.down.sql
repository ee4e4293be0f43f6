-- lock
LOCK TABLE meta.usage, meta.usage_progress IN ACCESS EXCLUSIVE MODE;

-- destroys usage
SELECT count(*) AS usage_days FROM meta.usage CROSS JOIN meta.usage_progress;

-- statements
DROP TABLE meta.usage;
DROP TABLE meta.usage_progress;
