import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.scripts.language import Language, LanguageMapping, LanguageNotServed, LanguageTitle
from domain.takeover.languages import (
    MappingRefused,
    OriginLanguages,
    OriginRuntime,
    PatternRefused,
    python_pattern,
    read_rules,
)


def entry(pattern: str, runtime: str, is_regex: bool = False) -> dict[str, object]:
    return {"pattern": pattern, "runtime_type": runtime, "is_regex": is_regex}


@pytest.mark.parametrize(
    ("spelled", "expected"),
    [
        ("nodejs-adder", LanguageTitle(Language.NODEJS, "adder")),
        ("python-a b", LanguageTitle(Language.PYTHON, "a b")),
        ("nodejs-", LanguageTitle(Language.NODEJS, "_")),
        ("rust-x", OriginRuntime.RUST),
        ("ruby-x", None),
        ("Nodejs-x", None),
        ("nodejs", None),
        ("", None),
    ],
)
def test_without_rules_the_prefix_decides(spelled: str, expected: object):
    assert OriginLanguages().resolve(spelled) == expected


def test_the_first_rule_that_matches_decides_and_a_title_with_another_prefix_stays_whole():
    languages = read_rules([entry("nodejs-", "nodejs"), entry("python-", "python"), entry("^ml", "python", True)])
    assert languages.resolve("python-nodejs-x") == LanguageTitle(Language.NODEJS, "python-nodejs-x")
    assert languages.resolve("python-x") == LanguageTitle(Language.PYTHON, "x")
    assert languages.resolve("ml-model") == LanguageTitle(Language.PYTHON, "ml-model")
    assert languages.resolve("a-ml-model") is None


def test_the_converted_patterns_choose_as_the_origin_does_for_titles_without_a_prefix_of_this_service():
    languages = read_rules([entry("js.", "nodejs"), entry("wasm", "rust"), entry("^(ml|ai)-", "python", True)])
    patterns = tuple((re.compile(text), language) for text, language in languages.converted().items())
    mapping = LanguageMapping(patterns=patterns)
    assert list(languages.converted()) == [r".*js\..*", "(?!.*wasm.*).*(?:^(ml|ai)-).*"]
    for spelled in ("a-js.x", "ml-x", "ai-y"):
        assert mapping.resolve(spelled) == languages.resolve(spelled)
    assert languages.resolve("ml-wasm") == OriginRuntime.RUST
    with pytest.raises(LanguageNotServed):
        mapping.resolve("ml-wasm")


def test_of_two_rules_with_one_pattern_the_first_counts():
    assert read_rules([entry("a", "python"), entry("b", "nodejs"), entry("a", "nodejs")]).converted() == {
        ".*a.*": Language.PYTHON,
        ".*b.*": Language.NODEJS,
    }


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({}, "it is not a list"),
        ([], "it is not a list"),
        (["x"], "rule 1: it is not an object"),
        ([entry("a", "ruby")], "runtime_type one of nodejs, python, rust"),
        ([{"pattern": 1, "runtime_type": "python", "is_regex": False}], "pattern must be a text"),
        ([entry("a", "python"), entry(r"\p{L}", "python", True), entry("[", "python", True)], r"rule 2: .*rule 3: "),
    ],
)
def test_a_mapping_file_of_another_form_is_refused_with_each_fault(content: object, words: str):
    with pytest.raises(MappingRefused, match=words):
        read_rules(content)


@pytest.mark.parametrize(
    "pattern",
    [
        *(r"\p{Greek}x", r"[\p{L}]", r"a\z", r"\b{start}x", r"\x{41}", r"(a)\1", "(?=a)", "(?<!a)", "(?>a)", "(?<n>a)"),
        *("(?-u)a", "a(?i)b", "(?x)a", "(?Ui:a)", "a*+", "a**", "[a[b]]", "[a&&b]", "[[:alpha:]]", "(", "a" * 1001),
    ],
)
def test_syntax_that_does_not_mean_the_same_in_python_is_refused(pattern: str):
    with pytest.raises(PatternRefused):
        python_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "found", "missed"),
    [
        ("(?i)ML", "an-ml-x", "an-m-l"),
        (r"\\p", r"a\p", "ap"),
        (r"a\*+", "a**", "a"),
        ("[*+]", "+", "-"),
        (r"\[a&&b", "[a&&b", "a"),
        ("[]a]", "]", "b"),
        ("^a|b$", "xb", "xbx"),
        ("(?P<n>a)", "a", "b"),
        (r"[a\]b]", "]", "c"),
    ],
)
def test_common_syntax_finds_what_it_finds_in_the_origin(pattern: str, found: str, missed: str):
    regex = re.compile(f".*{python_pattern(pattern)}.*")
    assert regex.fullmatch(found)
    assert not regex.fullmatch(missed)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40), st.text(max_size=10))
def test_a_text_is_found_wherever_it_stands(title: str, text: str):
    languages = read_rules([entry(text, "python")])
    assert (languages.resolve(title) is not None) is (text in title)
