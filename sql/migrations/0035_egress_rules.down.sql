-- lock
LOCK TABLE meta.egress_rules IN ACCESS EXCLUSIVE MODE;

-- destroys egress-rules
SELECT (SELECT count(*) FROM meta.egress_rules) AS egress_rules;

-- statements
DROP TABLE meta.egress_rules;
