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


@pytest.mark.parametrize(
    ("value", "language", "title"),
    [
        ("nodejs-", "nodejs", "_"),
        ("python- a/b@3", "python", " a/b@3"),
        ("js-x y", "nodejs", "x y"),
        ("nodejs-nodejs-x", "nodejs", "nodejs-x"),
        ("nodejs-calc", "python", "nodejs-calc"),
        ("python-calc", "python", "calc"),
        ("my calculator", "python", "my calculator"),
    ],
)
def test_a_title_may_be_resolved_as_the_origin_reads_it(value: str, language: str, title: str) -> None:
    mapping = LanguageMapping(MAPPING.prefixes, ((re.compile(".*calc.*"), Language.PYTHON),))
    assert mapping.resolve_loosely(value) == LanguageTitle(Language(language), title)


@pytest.mark.parametrize("value", ["nodejs", "", "-x", "rust-x", "js-", "pythonx"])
def test_a_text_of_no_language_is_refused_by_the_origin_too(value: str) -> None:
    with pytest.raises(LanguageNotServed):
        MAPPING.resolve_loosely(value)


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


@pytest.mark.parametrize(
    ("value", "title", "version"),
    [("python-x", "python-x", None), ("python-x@3", "python-x", 3), ("js-x@12", "nodejs-x", 12)],
)
def test_a_title_may_name_a_version_where_a_function_is_used(value: str, title: str, version: int | None) -> None:
    assert MAPPING.resolve_pinned(value) == (LanguageTitle.of(title), version)


@pytest.mark.parametrize(
    "value", [None, "python-x@", "python-x@0", "python-x@03", "python-x@1@2", "python-@1", "python-x@a", "x@1"]
)
def test_a_version_is_one_number_from_1(value: str | None) -> None:
    with pytest.raises(InvalidLanguageTitle):
        MAPPING.resolve_pinned(value)


def test_a_version_where_none_is_accepted_is_refused_with_the_calls_that_accept_it() -> None:
    with pytest.raises(InvalidLanguageTitle, match="initialize a session, to execute a function by name") as caught:
        MAPPING.resolve("python-x@3")
    assert "To read a version, send ?version=3." in caught.value.message


@given(st.text(max_size=140))
def test_any_text_resolves_or_is_refused(value: str) -> None:
    with contextlib.suppress(DomainError):
        title = MAPPING.resolve(value)
        assert LanguageTitle.of(str(title)) == title
