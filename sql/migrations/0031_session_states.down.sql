-- lock
LOCK TABLE meta.session_states IN ACCESS EXCLUSIVE MODE;

-- destroys states
SELECT (SELECT count(*) FROM meta.session_states) AS states;

-- statements
DROP TABLE meta.session_states;
