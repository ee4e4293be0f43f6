-- A function that an operator has added by hand, with as little as the columns allow.
INSERT INTO meta.functions (language, title, language_title, created_at, updated_at)
VALUES ('python', 'own', 'python-own', '2025-07-15T01:02:03.123Z', '2025-07-15T01:02:03Z');
INSERT INTO meta.scripts (function_id, content) SELECT id, 'result = params' FROM meta.functions WHERE title = 'own';
