"""Functions of a real origin, checked and run in real sandboxes, and then called here."""

import json

import psycopg

from tests.integration.takeover.test_plan_command import as_url
from tests.support.commands import run_command

ODD = """
INSERT INTO meta.functions (language, title, language_title, schema_definition, examples, is_active, version, tags,
    created_at, updated_at, description)
VALUES
('python', 'gone', 'python-gone', NULL, NULL, FALSE, '2.0.0', NULL, '-infinity', 'infinity', repeat('x', 5000)),
('python', 'broken', 'python-broken', NULL, NULL, TRUE, '1.0.0', '{}', now(), now(), NULL),
('python', 'bare', 'python-bare', NULL, NULL, TRUE, '1.0.0', '{}', now(), now(), NULL),
('python', 'large', 'python-large', '{"x": 1}', NULL, TRUE, '1.0.0', '{}', now(), now(), NULL);
INSERT INTO meta.scripts (function_id, content)
SELECT f.id, CASE f.title WHEN 'broken' THEN 'return 1 +' WHEN 'large' THEN repeat('#', 2000000) ELSE 'result = 1' END
FROM meta.functions AS f WHERE f.title IN ('gone', 'broken', 'large');
"""


def functions(database_url: str, origin_url: str, *arguments: str) -> tuple[int, list[dict]]:
    given = {"DATABASE_URL": as_url(database_url), "TAKEOVER_SOURCE_URL": as_url(origin_url)}
    given |= dict.fromkeys(["HOST", "AUTH", "JWT_SECRET", "ORIGIN_URL"], "")
    done = run_command("takeover", "functions", "--output", "json", *arguments, **given)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_the_functions_of_an_origin_are_registered_once(origin_url, database_url):
    with psycopg.connect(origin_url, autocommit=True) as connection:
        connection.execute(ODD)
    status, found = functions(database_url, origin_url)
    told = {each["language_title"]: each for each in found}
    assert status == 1
    assert {title: each.get("reason") for title, each in told.items() if each["outcome"] == "left"} == {
        "python-bare": "no_script",
        "python-broken": "syntax_error",
        "python-large": "script_too_large",
        "rust-data_validator": "language_not_served",
    }
    # The names of the samples are taken by the predefined functions.
    for title, convention, examples in (
        ("nodejs-calculator", "own", 2),
        ("python-text_processor", "event-first", 1),
    ):
        each = told[title]
        assert (each["outcome"], each["version"], each["convention"]) == ("next_version", 2, convention)
        assert each["examples"] == examples
    assert [each["flag"] for each in told["python-gone"]["flags"]] == [
        "description_left", "version_left", "deactivated",
    ]  # fmt: skip
    with psycopg.connect(database_url) as connection:
        stored = connection.execute(
            "SELECT f.owner, f.language || '-' || f.title, f.version, v.convention, v.examples, f.deactivated_at IS NULL"
            " FROM meta.functions AS f INNER JOIN meta.function_versions AS v USING (function_id, version) ORDER BY 2"
        ).fetchall()
    assert [row[:4] for row in stored] == [
        ("shared", "nodejs-calculator", 2, "own"),
        ("shared", "python-gone", 1, "own"),
        ("shared", "python-text_processor", 2, "event-first"),
    ]
    assert json.loads(stored[2][4]) == [['{"text": "one two", "action": "count_words"}', '{"result": 2}']]
    assert [row[5] for row in stored] == [True, False, True]
    _, again = functions(database_url, origin_url)
    assert {each["outcome"] for each in again} == {"left", "unchanged"}


def test_a_dry_run_changes_nothing_and_an_owner_may_be_named(origin_url, database_url):
    _, found = functions(database_url, origin_url, "--dry-run", "--function-owner", "alice")
    assert [each["outcome"] for each in found] == ["new", "new", "left"]
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM meta.functions WHERE owner = 'alice'").fetchone() == (0,)
    functions(database_url, origin_url, "--function-owner", "alice")
    with psycopg.connect(database_url) as connection:
        times = connection.execute(
            "SELECT created_at::text, updated_at::text FROM meta.functions WHERE owner = 'alice' AND title = 'calculator'"
        ).fetchone()
        acts = connection.execute("SELECT act, origin FROM meta.audit WHERE owner = 'alice'").fetchall()
    assert times == ("2025-07-15 01:02:03.000001+00", "2025-07-16 01:02:03+00")
    assert acts == [("functions.put", "cli")] * 2
