"""Request targets: the path and query of each form, and the host of the absolute form."""

import pytest

from entrypoints.server.request_target import origin_form

OWN = [(b"host", b"localhost"), (b"accept", b"*/*")]


@pytest.mark.parametrize("target", [b"/", b"/livez", b"/a?b=http://c", b"//x", b"*"])
def test_a_target_in_origin_form_stays_with_its_host_header(target):
    headers = list(OWN)
    assert (origin_form(target, headers), headers) == (target, OWN)


@pytest.mark.parametrize(
    ("target", "host", "path"),
    [
        (b"http://other.example/livez", b"other.example", b"/livez"),
        (b"HTTP://Other.Example:8080/a?b=c", b"Other.Example:8080", b"/a?b=c"),
        (b"https://[::1]:80", b"[::1]:80", b"/"),
        (b"http://localhost?a=1", b"localhost", b"/?a=1"),
    ],
)
def test_the_host_of_an_absolute_target_replaces_the_host_headers(target, host, path):
    headers = [*OWN, (b"host", b"second")]
    assert origin_form(target, headers) == path
    assert headers == [(b"accept", b"*/*"), (b"host", host)]


@pytest.mark.parametrize(
    "target",
    [
        b"/livez#x",
        b"/#",
        b"http://localhost/#x",
        b"livez",
        b"http:///livez",
        b"http://user@localhost/",
        b"ftp://a/",
        b"",
    ],
)
def test_other_targets_are_malformed(target):
    with pytest.raises(ValueError, match="target"):
        origin_form(target, list(OWN))
