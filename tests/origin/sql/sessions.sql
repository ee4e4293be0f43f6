-- Sessions as days of use leave them, `rows` of them, each script `bytes` long: one in ten expired, half executed.
INSERT INTO meta.sessions (
    request_id, language_title, user_id, created_at, expires_at, last_executed_at, execution_count, status, context,
    script_content, compile_options, compile_status, metadata
)
SELECT
    gen_random_uuid()::text,
    (ARRAY['nodejs-calculator', 'python-text', 'python-a b/c', 'rust-validator', 'nodejs-'])[1 + n %% 5],
    CASE n %% 4 WHEN 0 THEN 'user ' || n %% 100 WHEN 1 THEN '' END,
    made.at,
    made.at + CASE WHEN n %% 10 = 9 THEN interval '60 seconds' ELSE interval '7200 seconds' END,
    CASE WHEN n %% 2 = 0 THEN now() - n %% 3000 * interval '1.000003 second' END,
    CASE WHEN n %% 2 = 0 THEN n %% 1000 + 1 ELSE 0 END,
    CASE WHEN n %% 50 = 7 THEN 'expired' ELSE 'active' END,
    CASE n %% 20
        WHEN 3 THEN 'null'::jsonb WHEN 4 THEN '[1, 2.50, "\"é\""]'::jsonb WHEN 5 THEN '"text"'::jsonb
        ELSE jsonb_build_object('n', n, 'env', 'production', 'price', n / 8.0)
    END,
    CASE
        WHEN n %% 5 IN (0, 4) THEN 'return event.params.n + 1; // ' ELSE 'result = params.get("n", 0) + 1  # '
    END || repeat(md5(n::text), %(bytes)s / 32),
    CASE WHEN n %% 3 = 0 THEN '{"optimize": true}'::jsonb END,
    CASE WHEN n %% 7 = 0 AND %(pending)s THEN 'pending' END,
    CASE WHEN n %% 11 = 0 THEN '{"trace": "abc"}'::jsonb END
FROM generate_series(1, %(rows)s) AS n
CROSS JOIN LATERAL (SELECT now() - interval '1 hour' + n %% 3000 * interval '1.000001 second') AS made (at);
