"""The plan of a takeover from a real origin, with the scripts checked in real sandboxes."""

import json

import httpx2
import psycopg
from psycopg.conninfo import conninfo_to_dict

from tests.origin.databases import fill
from tests.origin.process import running_origin, running_redis
from tests.support.commands import Ended, run_command


def as_url(conninfo: str) -> str:
    given = conninfo_to_dict(conninfo)
    return f"postgresql://{given['user']}@/{given['dbname']}?host={given['host']}"


def plan(database_url: str, origin_url: str, *arguments: str, **variables: str) -> Ended:
    given = {"DATABASE_URL": as_url(database_url), "TAKEOVER_SOURCE_URL": as_url(origin_url)}
    given |= dict.fromkeys(["HOST", "AUTH", "JWT_SECRET", "ORIGIN_URL"], "")
    return run_command("takeover", "plan", *arguments, **{**given, **variables})


def test_the_plan_of_an_origin_with_odd_rows_counts_each_of_them(odd_origin_url, database_url, tmp_path):
    fill(odd_origin_url, 100, 64)
    report = tmp_path / "left.jsonl"
    done = plan(database_url, odd_origin_url, "--output", "json", "--report", str(report))
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    counts, left, taken = found["counts"], found["left"], found["taken"]
    assert (counts["live"], counts["retained"], counts["fenced"]) == (110, 10, 0)
    assert taken["live"] + sum(left["live"].values()) == counts["live"]
    assert left["live"] == {
        "id_not_canonical": 3,
        "context_missing": 1,
        "no_script": 2,
        "language_not_served": 21,
        "language_unknown": 1,
        "instant_out_of_range": 3,
        "created_after_expiry": 1,
    }
    assert taken["flags"]["count_negative"] == 1
    assert [script for script in found["scripts"] if script["fault"]], "one of the odd scripts does not parse"
    assert all(script["checked"] for script in found["scripts"])
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert sum("left" in line for line in lines) == sum(left["all"].values())


def test_the_plan_of_a_first_generation_compares_its_redis_and_asks_its_release(origin_url, database_url):
    with running_redis() as redis, running_origin(as_url(origin_url), generation="g1", redis_url=redis.url) as origin:
        body, title = {"context": {}, "script_content": "result = 1"}, {"Language-Title": "python-x"}
        for _ in range(3):
            httpx2.post(f"{origin.url}/api/v1/initialize", json=body, headers=title, timeout=30).raise_for_status()
        with psycopg.connect(origin_url, autocommit=True) as admin:
            admin.execute("DELETE FROM meta.sessions WHERE ctid IN (SELECT ctid FROM meta.sessions LIMIT 1)")
            admin.execute(
                "UPDATE meta.sessions SET execution_count = 5 WHERE ctid IN (SELECT ctid FROM meta.sessions LIMIT 1)"
            )
        options = ["--redis", redis.url, "--scriptless", "pin", "--output", "json"]
        done = plan(database_url, origin_url, *options, ORIGIN_URL=origin.url)
    found = json.loads(done.stdout)
    assert {name: found["redis"][name] for name in ("keys", "without_row", "unreadable", "hidden", "differing")} == {
        "keys": 3, "without_row": 1, "unreadable": 0, "hidden": 0, "differing": {"count": 1}
    }  # fmt: skip
    assert found["generations"] == ["g1"]
    assert found["evidence"][0] == "/health of the origin says version 0.1.0."
