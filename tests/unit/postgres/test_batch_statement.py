"""Kinds of calls that run in batches."""

from adapters.postgres.batching.statement import BatchStatement, LockingStatement, MeasuredStatement
from adapters.postgres.connections.statement import Statement

SQL = Statement("select_words", "SELECT %(words)s")


class Words(BatchStatement):
    def columns(self, calls):
        return {"words": list(calls)}

    def decode(self, call, row):
        return call, *row

    def absent(self, call):
        return KeyError(call)


class MeasuredWords(MeasuredStatement, Words):
    response_size_min = 100

    def response_size(self, response):
        return 0 if isinstance(response, Exception) else response[1]


class LockingWords(LockingStatement, Words):
    pass


def test_rows_become_responses_in_the_order_of_the_calls():
    responses = Words(SQL).responses(["a", "b", "c"], [(3, "x", 1), (1, "y", 2)])
    assert responses[0] == ("a", "y", 2)
    assert responses[2] == ("c", "x", 1)


def test_a_call_without_a_row_gets_the_response_for_an_absent_row():
    (response,) = Words(SQL).responses(["a"], [])
    assert repr(response) == "KeyError('a')"


def test_a_row_without_columns_is_a_response_of_its_own():
    assert Words(SQL).responses(["a"], [(1,)]) == [("a",)]


def test_a_locking_statement_waits_for_locks_on_its_own_pool_alone():
    assert LockingWords(SQL).parameters(["a"], "normal") == {"words": ["a"], "waits": False}
    assert LockingWords(SQL).parameters(["a"], "lock_wait") == {"words": ["a"], "waits": True}
    assert Words(SQL).parameters(["a"], "lock_wait") == {"words": ["a"]}


def test_the_expected_size_rises_at_once_and_falls_slowly_to_its_minimum():
    words = MeasuredWords(SQL)
    assert words.size("a") == 100
    words.responses(["a", "b"], [(1, 3000), (2, 1000)])
    assert words.size("a") == 2000
    words.responses(["a"], [])
    assert words.size("a") == 1800
    for _ in range(50):
        words.responses(["a"], [])
    assert words.size("a") == 100
