-- lock
LOCK TABLE meta.environments, meta.environment_builds, meta.trees, meta.tree_chunks IN ACCESS EXCLUSIVE MODE;

-- destroys environments
SELECT
    (SELECT count(*) FROM meta.environments) AS environments,
    (SELECT count(*) FROM meta.environment_builds) AS builds,
    (SELECT count(*) FROM meta.trees) AS trees,
    (SELECT count(*) FROM meta.tree_chunks) AS chunks;

-- statements
DROP TABLE meta.tree_chunks;
DROP TABLE meta.trees;
DROP TABLE meta.environment_builds;
DROP TABLE meta.environments;
