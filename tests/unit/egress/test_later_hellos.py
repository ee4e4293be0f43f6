"""Further ClientHellos of a connection are judged like the first."""

import ssl

import pytest

from adapters.egress.client_hello import SIZE_MAX, HelloReader, InvalidHello
from adapters.egress.later_hellos import RECORDS_MAX, LaterHellos, TooManyRecords
from tests.unit.egress.builder import ECH, hello, message, record, server_name

HOST = "api.example.com"
SAME, OTHER = hello(server_name(HOST.encode())), hello(server_name(b"other.example.com"))
CHANGE, ALERT, EARLY = record(b"\x01", kind=20), record(b"\x01\x00", kind=21), record(bytes(20_000)[:16_000], kind=23)
MAGIC = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
RETRY = record(message(b"\x03\x03" + MAGIC + bytes(6), kind=2))
SERVER_HELLO = record(message(b"\x03\x03" + bytes(38), kind=2))


@pytest.fixture
def later():
    return LaterHellos(HOST)


def in_bytes(later, content):
    """Send byte by byte; return what was passed on."""
    return b"".join(later.sent(content[at : at + 1]) for at in range(len(content)))


@pytest.mark.parametrize("before", [b"", CHANGE, ALERT + CHANGE, EARLY + CHANGE])
@pytest.mark.parametrize("send", [lambda later, content: later.sent(content), in_bytes], ids=["at once", "in bytes"])
def test_a_second_hello_after_a_retry_must_name_the_same_host(before, send):
    for first in (RETRY, None):  # a script need not wait for the request
        later = LaterHellos(HOST)
        if first:
            later.received(first)
        assert send(later, before + SAME) == before + SAME
        refused = LaterHellos(HOST)
        if first:
            refused.received(first)
        with pytest.raises(InvalidHello, match="names another host"):
            send(refused, before + OTHER)


def test_nothing_of_a_second_hello_is_passed_on_before_it_is_judged(later):
    later.received(RETRY)
    assert later.sent(CHANGE + OTHER[:-1]) == CHANGE
    with pytest.raises(InvalidHello):
        later.sent(OTHER[-1:])


def test_a_second_hello_over_several_records_is_judged(later):
    whole = OTHER[5:]
    pieces = b"".join(record(whole[at : at + 7]) for at in range(0, len(whole), 7))
    with pytest.raises(InvalidHello):
        later.sent(pieces)


@pytest.mark.parametrize("content", [hello(server_name(HOST.encode()), (ECH, bytes(9))), hello()])
def test_a_second_hello_that_hides_its_host_or_names_none_is_refused(later, content):
    with pytest.raises(InvalidHello):
        later.sent(content)


def test_once_the_server_has_answered_in_another_way_nothing_is_judged(later):
    later.received(SERVER_HELLO[:20])
    assert later.sent(CHANGE) == CHANGE
    later.received(SERVER_HELLO[20:])
    encrypted = record(b"\x01" + bytes(39))  # as the end of a resumed handshake of TLS 1.2 may look
    assert later.sent(encrypted[:3]) + later.sent(encrypted[3:]) == encrypted


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request", record(b"\x02\x28", kind=21)])
def test_an_answer_that_is_no_server_hello_ends_the_judgement(later, answer):
    later.received(answer)
    assert later.sent(OTHER) == OTHER


def test_after_the_second_hello_nothing_is_judged(later):
    later.received(RETRY)
    assert later.sent(SAME + EARLY) == SAME + EARLY
    assert later.sent(record(b"\x01" + bytes(39))) == record(b"\x01" + bytes(39))


def test_other_handshake_messages_and_empty_records_are_passed_on(later):
    exchange, empty = record(message(bytes(66), kind=16)), record(b"")
    assert later.sent(empty + exchange[:5]) == empty
    assert later.sent(exchange[5:]) == exchange


@pytest.mark.parametrize("each", [record(b"", kind=23), record(b"x", kind=23), SAME], ids=["empty", "byte", "hello"])
def test_a_client_sends_few_records_before_its_server_has_answered(later, each):
    assert later.sent(each * RECORDS_MAX) == each * RECORDS_MAX
    with pytest.raises(TooManyRecords, match="more than 256 records"):
        later.sent(each)


def test_after_the_answer_of_the_server_records_are_not_counted(later):
    later.received(SERVER_HELLO)
    many = record(b"", kind=23) * (RECORDS_MAX + 1)
    assert later.sent(many) == many


def test_what_was_held_when_the_judgement_ends_is_not_lost(later):
    assert later.sent(SAME[:9]) == b""
    later.received(SERVER_HELLO)
    assert later.sent(SAME[9:] + b"more") == SAME + b"more"
    other = LaterHellos(HOST)
    assert other.sent(b"\x17\x03") == b""
    other.received(SERVER_HELLO)
    assert other.sent(b"\x03") == b"\x17\x03\x03"


def test_early_data_behind_the_first_hello_does_not_count_in_its_size():
    reader = HelloReader()
    assert reader.feed(SAME + bytes(SIZE_MAX)).host == HOST
    assert reader.size == len(SAME)


def test_real_handshakes_with_a_retry_pass_and_their_second_hello_is_judged(tmp_path):
    """OpenSSL asks for another ClientHello if it does not like the group of the first."""
    from tests.support.certificates import Authority  # noqa: PLC0415  # only this test makes certificates

    authority = Authority(tmp_path)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(*authority.vouch(HOST))
    serving.set_ecdh_curve("secp521r1")
    calling = ssl.create_default_context(cafile=authority.file)
    for host in (HOST, "other.example.com"):
        sent, received = ssl.MemoryBIO(), ssl.MemoryBIO()
        to_server, from_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = calling.wrap_bio(received, sent, server_hostname=HOST)
        server = serving.wrap_bio(to_server, from_server, server_side=True)
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        reader, later = HelloReader(), LaterHellos(host)
        first = sent.read()
        assert reader.feed(first).host == HOST
        to_server.write(first)
        with pytest.raises(ssl.SSLWantReadError):
            server.do_handshake()
        answer = from_server.read()
        assert MAGIC in answer
        later.received(answer)
        received.write(answer)
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        second = sent.read()
        if host == HOST:
            assert later.sent(second) == second
        else:
            with pytest.raises(InvalidHello):
                later.sent(second)
