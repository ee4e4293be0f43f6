"""Scripts: size and hash."""

import hashlib

import pytest

from domain.errors import FieldTooLarge
from domain.scripts.script import Script, ScriptSyntaxError, SyntaxFault


def test_the_hash_is_over_the_utf8_bytes() -> None:
    assert Script.of("ä", 2).hash == hashlib.sha256(b"\xc3\xa4").hexdigest()


def test_the_size_counts_bytes_and_the_limit_itself_is_allowed() -> None:
    with pytest.raises(FieldTooLarge) as caught:
        Script.of("ä", 1)
    assert caught.value.details == {"pointer": "/script_content", "limit": 1, "observed": 2}
    assert "/script_content" in caught.value.message


def test_the_source_stays_out_of_the_representation() -> None:
    assert "secret" not in repr(Script.of("secret", 100))


def test_a_syntax_error_says_where() -> None:
    error = ScriptSyntaxError(SyntaxFault("unexpected token", 3, 7))
    assert "line 3, column 7" in error.message
    assert error.details == {"reason": "unexpected token", "line": 3, "column": 7}
    assert "line" not in ScriptSyntaxError(SyntaxFault("too deep to check")).message
