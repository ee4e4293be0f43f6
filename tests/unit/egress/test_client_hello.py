"""The first message of TLS clients."""

import ssl
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.egress.client_hello import SIZE_MAX, ClientHello, HelloReader, InvalidHello
from tests.unit.egress.builder import ECH, GREASE, body, hello, message, record, server_name, vector

RECORDED = sorted(Path(__file__).with_name("hellos").glob("*.hex"))
LARGE = message(body([(GREASE, bytes(SIZE_MAX + 99))]))
NAME = server_name(b"api.example.com")
NAMED = ClientHello("api.example.com")


def read(*pieces: bytes) -> ClientHello | None:
    reader, found = HelloReader(), None
    for piece in pieces:
        assert found is None, "a ClientHello that is whole is not fed on"
        found = reader.feed(piece)
    return found


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_the_recorded_hello_of_a_client_names_its_host(path):
    assert read(bytes.fromhex(path.read_text())) == NAMED


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_hello_of_this_openssl_names_its_host(version):
    context = ssl.create_default_context()
    context.minimum_version = context.maximum_version = version
    sent = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname="api.example.com")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    assert read(sent.read()) == NAMED


def test_a_hello_arrives_byte_by_byte():
    content = hello(NAME)
    assert read(*(bytes([each]) for each in content)) == NAMED


@pytest.mark.parametrize("size", [1, 2, 3, 5, 40])
def test_a_hello_spans_records(size):
    whole = message(body([NAME]))
    assert read(b"".join(record(whole[at : at + size]) for at in range(0, len(whole), size))) == NAMED


def test_what_follows_a_hello_is_kept_to_be_passed_on():
    reader = HelloReader()
    content = hello(NAME) + record(b"early data", kind=23)
    assert reader.feed(content) == NAMED
    assert bytes(reader.received) == content


def test_unknown_extensions_are_passed_over():
    assert read(hello((GREASE, b""), NAME, (0x0A0A, b"\0"), (0xFAFA, bytes(900)))) == NAMED


def test_a_name_is_compared_in_lower_case():
    assert read(hello(server_name(b"API.Example.com"))) == NAMED


@pytest.mark.parametrize("extensions", [None, [], [(GREASE, b"")]])
def test_a_hello_may_name_no_host(extensions):
    assert read(record(message(body(extensions)))) == ClientHello(None)


@pytest.mark.parametrize("kind", [ECH, 0xFE0A, 0xFE09, 0xFE08, 0xFFCE])
def test_a_hello_with_another_one_inside_shows_it(kind):
    assert read(hello(NAME, (kind, bytes(200)))) == ClientHello("api.example.com", hides_another=True)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"GET / HTTP/1.1\r\n", "does not begin with TLS"),
        (b"EHLO a\r\n", "does not begin with TLS"),
        (b"\x80\x2e\x01\x03\x01", "does not begin with TLS"),  # SSLv2
        (record(b"\x02\x28", kind=21), "does not begin with TLS"),
        (record(b"", kind=22), "does not begin with TLS"),
        (b"\x16\x02\x00\x00\x05abcde", "does not begin with TLS"),
        (b"\x16\x03\x01\xff\xff", "does not begin with TLS"),
        (record(message(b"", kind=2)), "not a ClientHello"),
        (record(message(body([NAME])) + b"\x01"), "more beside"),
        (record(message(body([NAME]) + b"\x01")), "belong to no field"),
        (record(message(body([NAME])[:-1])), "cut off"),
        (record(message(b"")), "cut off"),
        (hello(NAME, NAME), "twice"),
        (hello((0, b"")), "cut off"),
        (hello((0, vector(b"", 2))), "cut off"),
        (hello(server_name(b"")), "no valid host name"),
        (hello(server_name(b"a", kind=1)), "no valid host name"),
        (hello(server_name(b"a\0.example.com")), "no valid host name"),
        (hello(server_name("münchen".encode())), "no valid host name"),
        (hello(server_name(b"a" * 256)), "no valid host name"),
        (hello((0, vector(b"\0\0\1a\0\0\1b", 2))), "belong to no field"),
        (hello((0, vector(b"\0\0\1a", 2) + b"\0")), "belong to no field"),
        (record(LARGE[: 1 << 13]) + record(LARGE[1 << 13 : 1 << 14]) + record(LARGE[1 << 14 :]), "more than"),
        (record(LARGE[: 1 << 13]) + record(LARGE[1 << 13 : 1 << 14]) + b"\x16\x03\x01\x01\x00" + bytes(5), "more than"),
    ],
)
def test_anything_else_is_refused(content, problem):
    with pytest.raises(InvalidHello, match=problem):
        read(content)


def test_a_part_of_a_hello_is_not_refused_yet():
    content = hello(NAME)
    for size in range(len(content)):
        assert read(content[:size]) is None


def test_another_message_is_refused_before_it_is_whole():
    with pytest.raises(InvalidHello, match="not a ClientHello"):
        read(record(message(bytes(100), kind=2))[:20])


@given(data=st.data())
def test_a_changed_hello_is_read_or_refused_and_raises_nothing_else(data):
    content = bytearray(bytes.fromhex(data.draw(st.sampled_from(RECORDED)).read_text()))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, min(len(content) - 1, 600)))] = data.draw(st.integers(0, 255))
    try:
        found = read(bytes(content[: data.draw(st.integers(1, len(content)))]))
    except InvalidHello:
        return
    assert found is None or found.host is None or found.host == found.host.lower()
