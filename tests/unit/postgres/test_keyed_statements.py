"""What the statements with and without keys, and those of the queue, have in common is the same in all."""

import re

import pytest
from attrs import evolve

from adapters.postgres.statements.catalogue import load_statements

STATEMENTS = load_statements()
OF_KEYS = re.compile(
    r"\bc\.key, c\.payload_hash,(?: c\.retention,[\w., ]*)?\s*|, key, answer, whole_result\b|, :keys\S+ :answers\S+ :whole_results\S+"
    r"|(?<=h\.\*),\s*o\.[^)]*"
)


OF_RUNS = re.compile(
    r",\s*s\.(script_hash|context|metadata|memory_mb|isolation|last_executed_at|execution_count|version|function_version|"
    r"function_id|hidden|convention|created_at|grants)\b"
)
"""Columns of sessions that only those need who run it."""


def parts(statement):
    """Return the parts of a WITH by name, without what there is of keys and cancels in them."""
    found = re.split(r"(?m)^(?:WITH )?(\w+) AS \($", statement.sql)
    return {name: "".join(OF_KEYS.sub("", text).split()) for name, text in zip(found[1::2], found[2::2], strict=True)}


@pytest.mark.parametrize(
    ("plain", "keyed", "names"),
    [
        (
            STATEMENTS.executions.begin_executions,
            STATEMENTS.keyed_calls.begin_keyed_executions,
            {"seen", "passing", "waiting", "held", "judged"},
        ),
        (
            STATEMENTS.executions.finish_executions,
            STATEMENTS.queue_ends.finish_queued_executions,
            {"passing", "waiting", "held", "removed", "counted", "stored"},
        ),
        (
            STATEMENTS.executions.finish_executions,
            STATEMENTS.keyed_calls.finish_keyed_executions,
            {"passing", "waiting", "held", "removed", "counted", "stored"},
        ),
    ],
)
def test_the_same_rules_hold_with_and_without_a_key(plain, keyed, names):
    without, under = parts(plain), parts(keyed)
    for name in names:
        assert under[name] == without[name], name


def test_accepts_judge_sessions_as_begins_do():
    begin = STATEMENTS.executions.begin_executions
    begun, accepted = parts(evolve(begin, sql=OF_RUNS.sub("", begin.sql))), parts(STATEMENTS.queue.accept_executions)
    for name in ("seen", "passing", "waiting", "held", "judged"):
        assert accepted[name] == begun[name], name
