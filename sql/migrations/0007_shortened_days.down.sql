-- lock
LOCK TABLE meta.shortened_days IN ACCESS EXCLUSIVE MODE;

-- destroys shortened-days
SELECT count(*) AS shortened_days FROM meta.shortened_days;

-- statements
DROP TABLE meta.shortened_days;
