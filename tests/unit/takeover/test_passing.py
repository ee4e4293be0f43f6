"""What of a call and of its reply passes, and what callers are told when the origin fails."""

import pytest

from domain.takeover.passing import OriginTimeout, OriginUnavailable, is_from_front, passed_headers, returned_headers

HOST = (b"host", b"old:8080")


def passed(*headers: tuple[bytes, bytes], is_authenticated: bool = False) -> list[tuple[bytes, bytes]]:
    *headers_of_caller, mark = passed_headers(headers, b"controller:8080", is_authenticated=is_authenticated)
    assert is_from_front([mark])
    return headers_of_caller


def test_headers_pass_as_they_are_and_only_the_mark_of_the_front_is_added():
    headers = [HOST, (b"x-a", b"1"), (b"cookie", b"\xff"), (b"x-a", b"2"), (b"x-request-id", b"r")]
    assert passed(*headers) == headers


@pytest.mark.parametrize(
    "name",
    [b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"],
)
def test_headers_about_the_connection_do_not_pass(name):
    assert passed(HOST, (name, b"x")) == [HOST]
    assert returned_headers([(name.title(), b"x"), (b"X-A", b"1")]) == [(b"X-A", b"1")]


def test_headers_that_connection_names_do_not_pass():
    named = [(b"x-a", b"1"), (b"x-b", b"2"), (b"x-c", b"3")]
    assert passed(HOST, (b"connection", b"close, X-A"), (b"connection", b"x-b"), *named) == [HOST, (b"x-c", b"3")]
    assert returned_headers([(b"Connection", b" x-A ,"), (b"X-a", b"1"), (b"X-B", b"2")]) == [(b"X-B", b"2")]


def test_headers_about_the_message_pass_although_connection_names_them():
    message = [HOST, (b"content-length", b"3")]
    assert passed((b"connection", b"Content-Length, host"), *message) == message
    assert returned_headers([(b"Connection", b"content-length"), (b"Content-Length", b"3")]) == [
        (b"Content-Length", b"3")
    ]


def test_a_request_without_a_host_gets_that_of_the_origin():
    assert passed((b"x-a", b"1")) == [(b"host", b"controller:8080"), (b"x-a", b"1")]


def test_a_credential_for_this_service_does_not_pass():
    credential = (b"authorization", b"Bearer secret")
    assert passed(HOST, credential, is_authenticated=True) == [HOST]
    assert passed(HOST, credential) == [HOST, credential]


def test_the_date_of_a_reply_does_not_pass_because_the_server_sends_its_own():
    assert returned_headers([(b"Date", b"x"), (b"X-A", b"1")]) == [(b"X-A", b"1")]


def test_an_origin_that_received_nothing_invites_to_repeat_the_call():
    error = OriginUnavailable("refused", "no")
    assert error.details == {"stored": "no", "executed": "no", "retry_after_ms": 1000}
    assert error.message == (
        "The origin cannot be reached (refused), so nothing was done. Repeat the call after a moment."
    )


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (OriginUnavailable("reset"), "did not complete its reply (reset)"),
        (OriginTimeout(160.0), "within 160 s (ORIGIN_TIMEOUT_SECONDS)"),
    ],
)
def test_a_call_that_the_origin_may_have_run_is_not_to_be_repeated_blindly(error, what):
    assert error.details == {"stored": "unknown", "executed": "unknown"}
    assert what in error.message
    assert "repeat the call only if running it twice does no harm" in error.message
