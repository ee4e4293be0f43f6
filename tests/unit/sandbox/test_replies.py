"""Replies of workers are untrusted: what is not the reply to the operation breaks the protocol."""

import pytest

from adapters.sandbox.options import SandboxOptions
from adapters.sandbox.protocol.execution import kept_state, read_reply, read_result, read_state
from adapters.sandbox.protocol.failures import protocol_failure
from adapters.sandbox.workers.channel import Frame, ProtocolBroken
from domain.json_text import VALUE_DEPTH_MAX, JsonText
from domain.scripts.ports import RunState
from domain.scripts.report import Failure, FailureCode


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"{}",
        b'{"nonce":"n","kind":"other"}',
        b'{"nonce":"other","kind":"result"}',
        b"[" * 5000,
        b'{"nonce":"\xff","kind":"result"}',
        b'{"nonce":"n","kind":"failure","failure":{"code":"NO_SUCH_CODE","message":""}}',
    ],
)
def test_a_reply_that_is_malformed_or_to_another_operation_breaks_the_protocol(header):
    with pytest.raises(ProtocolBroken):
        read_reply(Frame(header, b""), "n")


def test_a_result_is_kept_exactly_as_it_came():
    assert read_result('{"a" : 1.0, "é":"\\u0000"}'.encode()) == '{"a" : 1.0, "é":"\\u0000"}'


def test_a_result_may_be_nested_as_deep_as_params():
    deepest = "[" * VALUE_DEPTH_MAX + "]" * VALUE_DEPTH_MAX
    assert read_result(deepest.encode()) == deepest
    with pytest.raises(RecursionError):
        read_result(f"[{deepest}]".encode())


def test_an_empty_body_is_no_result():
    assert read_result(b"") is None


@pytest.mark.parametrize("body", [b"1e999", b'{"a":[-2.5E+400]}', b"1" * 500_000, b'["1e999",1e0309]'])
def test_a_result_with_a_number_that_callers_cannot_read_is_refused(body):
    with pytest.raises(OverflowError):
        read_result(body)


@pytest.mark.parametrize(
    "body", [b"1e308", b"1e-999", b'"1e999"', b"1" * 4300, b'{"1e999":"' + b"1" * 5000 + b'"}', b"[0e999]"]
)
def test_other_numbers_and_digits_in_strings_are_kept(body):
    assert read_result(body) == body.decode()


@pytest.mark.parametrize("body", [b" ", b"nan", b"[1,", b'"\xff"', b'"\\ud800"', b'"a\0b"', b"1 2"])
def test_a_result_that_is_not_json_breaks_the_protocol(body):
    with pytest.raises(ProtocolBroken):
        read_result(body)


def reply(body, state_size, kind="result"):
    return Frame(b'{"nonce":"n","kind":"%s","state_size":%d}' % (kind.encode(), state_size), body)


def test_a_state_stands_behind_the_result():
    assert read_state(reply(b'8{"a":1}', 7)) == '{"a":1}'
    assert read_state(reply(b"8", 0)) is None


@pytest.mark.parametrize(("body", "size"), [(b"8{a}", 3), (b'8{"a":"\xff"}', 9), (b'8{"a":1}', 6)])
def test_a_state_that_is_not_json_fails_the_execution_as_a_broken_channel(body, size):
    state, failure = kept_state(reply(body, size), RunState(JsonText("{}")), None, SandboxOptions("/"))
    assert (state, failure.code) == (None, FailureCode.SCRIPT_ERROR)


@pytest.mark.parametrize("code", [FailureCode.EXECUTION_TIMEOUT, FailureCode.MEMORY_LIMIT, FailureCode.OUTPUT_LIMIT])
def test_no_limit_lets_a_state_be_saved(code):
    given, failed = RunState(JsonText("{}"), saves_failures=True), Failure(code, "over")
    assert kept_state(reply(b'{"a":1}', 7), given, failed, SandboxOptions("/")) == (None, failed)


def test_a_reply_that_is_not_the_workers_own_leaves_no_state():
    given, failed = RunState(JsonText("{}"), saves_failures=True), protocol_failure("a reply to no operation")
    assert kept_state(reply(b'{"a":1}', 7, "failure"), given, failed, SandboxOptions("/")) == (None, failed)
    own = Failure(FailureCode.SCRIPT_ERROR, "no", name="ValueError")
    assert kept_state(reply(b'{"a":1}', 7, "failure"), given, own, SandboxOptions("/")) == ('{"a":1}', own)
