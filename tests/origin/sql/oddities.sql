-- Rows that nobody made through the API, and those whose values are at the edge; all are live unless their id says else.
INSERT INTO meta.sessions (request_id, language_title, user_id, created_at, expires_at, execution_count, status, context,
    script_content)
SELECT given.request_id, given.language_title, given.user_id, coalesce(given.created_at, now()),
    coalesce(given.expires_at, now() + interval '1 hour'), coalesce(given.execution_count, 0),
    coalesce(given.status, 'active'), given.context, given.script_content
FROM (VALUES
    ('no-uuid', 'python-a', NULL, NULL::timestamptz, NULL::timestamptz, NULL::integer, NULL, '{}'::jsonb, 'result = 1'),
    ('00000000-0000-4000-8000-00000000000A', 'python-a', NULL, NULL, NULL, NULL, NULL, '{}', 'result = 1'),
    ('{00000000-0000-4000-8000-000000000001}', 'python-a', NULL, NULL, NULL, NULL, NULL, '{}', 'result = 1'),
    ('00000000-0000-1000-8000-000000000002', 'python-a', NULL, NULL, NULL, NULL, NULL, '{}', 'result = 1'),
    ('00000000-0000-4000-8000-000000000003', 'python-a', NULL, NULL, NULL, NULL, NULL, NULL, 'result = 1'),
    ('00000000-0000-4000-8000-000000000004', 'python-a', NULL, NULL, NULL, NULL, NULL, 'null', 'result = 1'),
    ('00000000-0000-4000-8000-000000000005', 'python-a', NULL, NULL, NULL, NULL, NULL, '{}', NULL),
    ('00000000-0000-4000-8000-000000000006', 'python-a', NULL, NULL, NULL, NULL, NULL, '{}', ''),
    ('00000000-0000-4000-8000-000000000007', 'rust-a', NULL, NULL, NULL, NULL, NULL, '{}', 'fn main() {}'),
    ('00000000-0000-4000-8000-000000000008', 'cobol', NULL, NULL, NULL, NULL, NULL, '{}', 'STOP RUN.'),
    ('00000000-0000-4000-8000-000000000009', 'nodejs-', NULL, NULL, NULL, NULL, NULL, '{}', 'return 1;'),
    ('00000000-0000-4000-8000-000000000010', 'python-a b/c', NULL, NULL, NULL, NULL, NULL, '{}', 'result = 1'),
    ('00000000-0000-4000-8000-000000000011', 'python-a', '*', NULL, NULL, NULL, 'expired', '{}', 'result = 1'),
    ('00000000-0000-4000-8000-000000000012', 'python-a', 'anonymous', NULL, NULL, -1, 'odd', '{}', 'result = ('),
    ('00000000-0000-4000-8000-000000000013', 'python-a', NULL, NULL, 'infinity', NULL, NULL, '{}', 'result = 1'),
    ('00000000-0000-4000-8000-000000000014', 'python-a', NULL, '-infinity', NULL, NULL, NULL, '{}', 'result = 1'),
    ('00000000-0000-4000-8000-000000000015', 'python-a', NULL, '1969-12-31T23:59:59Z', NULL, NULL, NULL, '{}', 'result = 1'),
    ('00000000-0000-4000-8000-000000000016', 'python-a', NULL, now() + interval '2 hours', NULL, NULL, NULL, '{}', 'x'),
    ('00000000-0000-4000-8000-000000000017', 'python-a', NULL, NULL, NULL, 2147483647, NULL, '{}', 'result = 1'),
    ('00000000-0000-4000-8000-000000000018', 'python-a', NULL, NULL, NULL, NULL, NULL, '[1.0, 1e400]', 'result = 1')
) AS given (
    request_id, language_title, user_id, created_at, expires_at, execution_count, status, context, script_content
);
