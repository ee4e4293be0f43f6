DROP TABLE meta.sessions;
