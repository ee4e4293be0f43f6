-- lock
LOCK TABLE meta.audit IN ACCESS EXCLUSIVE MODE;

-- destroys audit
SELECT count(*) AS audited_acts FROM meta.audit AS a WHERE a.act NOT LIKE 'migrations.%';

-- statements
DROP TABLE meta.audit;
DROP FUNCTION meta.added_counts;
