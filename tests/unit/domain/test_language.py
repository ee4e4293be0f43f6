"""Language-titles: grammar, languages, further spellings."""

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import DomainError
from domain.scripts.language import InvalidLanguageTitle, Language, LanguageMapping, LanguageNotServed, LanguageTitle

MAPPING = LanguageMapping(prefixes={"js-": Language.NODEJS}, patterns=((re.compile(r"ml-.+"), Language.PYTHON),))


@pytest.mark.parametrize(
    ("value", "canonical"),
    [
        ("nodejs-calculator", "nodejs-calculator"),
        ("python-text_processor", "python-text_processor"),
        ("python-a.b-C_1", "python-a.b-C_1"),
        ("js-calculator", "nodejs-calculator"),
        ("ml-model", "python-ml-model"),
    ],
)
def test_a_title_resolves_to_its_canonical_name(value: str, canonical: str) -> None:
    title = MAPPING.resolve(value)
    assert str(title) == canonical
    assert LanguageTitle.of(canonical) == title


@pytest.mark.parametrize(
    "value", ["", "nodejs", "nodejs-", "-x", "Nodejs-x", "nodejs- x", "nodejs-ä", "python-" + "x" * 122, "js-"]
)
def test_a_title_outside_the_grammar_is_refused(value: str) -> None:
    with pytest.raises(InvalidLanguageTitle) as caught:
        MAPPING.resolve(value)
    assert "<language>-<title>" in caught.value.message
    assert len(str(caught.value.details["value"])) <= 128


def test_a_missing_title_is_refused_with_the_header_to_send() -> None:
    with pytest.raises(InvalidLanguageTitle, match=r"Send Language-Title: nodejs-NAME or python-NAME\.") as caught:
        MAPPING.resolve(None)
    assert caught.value.details == {"value": None}


@pytest.mark.parametrize("value", ["ruby-x", "ml2-x", "nodejsx-y"])
def test_the_error_names_a_language_that_is_not_served(value: str) -> None:
    with pytest.raises(LanguageNotServed) as caught:
        MAPPING.resolve(value)
    assert value in caught.value.message
    assert caught.value.details["languages"] == ["nodejs", "python"]


@given(st.text(max_size=140))
def test_any_text_resolves_or_is_refused(value: str) -> None:
    with contextlib.suppress(DomainError):
        title = MAPPING.resolve(value)
        assert LanguageTitle.of(str(title)) == title
