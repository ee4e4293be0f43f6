"""The origin's choice of a language for a title, and the same choice in the form of RUNTIME_MAPPINGS_FILE."""

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from functools import lru_cache

from attrs import field, frozen

from domain.scripts.language import Language, LanguageTitle

EMPTY_TITLE = "_"
"""The title of a session whose spelling is a prefix alone, such as `nodejs-`."""

_CACHED = 4096
_PATTERN_SIZE_MAX = 1000
"""Characters of a pattern."""


class OriginRuntime(StrEnum):
    """A runtime of the origin."""

    NODEJS = "nodejs"
    PYTHON = "python"
    RUST = "rust"


_LANGUAGES: Mapping[OriginRuntime, Language] = {
    OriginRuntime.NODEJS: Language.NODEJS,
    OriginRuntime.PYTHON: Language.PYTHON,
}


@frozen
class MappingRule:
    """An entry of the origin's mapping file. A pattern that is no regular expression is looked for as a text."""

    pattern: str
    runtime: OriginRuntime
    is_regex: bool
    _regex: re.Pattern[str] = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        """Raise PatternRefused if the regular expression does not mean the same here."""
        object.__setattr__(self, "_regex", re.compile(self.converted))

    @property
    def converted(self) -> str:
        """The pattern for `RUNTIME_MAPPINGS_FILE`, which matches whole titles."""
        part = python_pattern(self.pattern) if self.is_regex else re.escape(self.pattern)
        return f".*{part}.*"

    def matches(self, title: str) -> bool:
        """Return whether the rule is for this title."""
        return self._regex.fullmatch(title) is not None


@frozen(cache_hash=True)
class OriginLanguages:
    """The rules by which the origin chooses a runtime, the first match first; without rules it goes by prefix."""

    rules: tuple[MappingRule, ...] = ()

    def runtime(self, spelled: str) -> OriginRuntime | None:
        """Return the origin's runtime for a title; None if it has none."""
        if self.rules:
            return next((rule.runtime for rule in self.rules if rule.matches(spelled)), None)
        return next((runtime for runtime in OriginRuntime if spelled.startswith(f"{runtime}-")), None)

    def resolve(self, spelled: str) -> LanguageTitle | OriginRuntime | None:
        """Return the title here; OriginRuntime.RUST if the language is not served here, None if it is unknown there.

        The prefix of the language is left out of the title. A title with another prefix is kept whole.
        """
        return _resolved(self, spelled)

    def converted(self) -> Mapping[str, Language]:
        """Return the patterns for `RUNTIME_MAPPINGS_FILE` in their order.

        Rules for rust are left out. What they match is excluded from the patterns behind them.
        """
        patterns: dict[str, Language] = {}
        excluded = ""
        for rule in self.rules:
            language = _LANGUAGES.get(rule.runtime)
            if language is None:
                excluded += f"(?!{rule.converted})"
            else:
                patterns.setdefault(excluded + rule.converted, language)
        return patterns


@lru_cache(_CACHED)
def _resolved(languages: OriginLanguages, spelled: str) -> LanguageTitle | OriginRuntime | None:
    runtime = languages.runtime(spelled)
    language = None if runtime is None else _LANGUAGES.get(runtime)
    if language is None:
        return runtime
    return LanguageTitle(language, spelled.removeprefix(f"{language}-") or EMPTY_TITLE)


class MappingRefused(ValueError):
    """The origin's mapping file has another form, or rules that cannot be converted; the text has all of them."""


def read_rules(content: object) -> OriginLanguages:
    """Return the rules of a decoded mapping file; raises MappingRefused."""
    if not isinstance(content, list) or not content:
        raise MappingRefused('it is not a list of {"pattern": ..., "runtime_type": ..., "is_regex": ...}')
    problems: list[str] = []
    rules = [rule for number, entry in enumerate(content, start=1) for rule in _rule(number, entry, problems)]
    if problems:
        raise MappingRefused("; ".join(problems))
    return OriginLanguages(tuple(rules))


def _rule(number: int, entry: object, problems: list[str]) -> Iterator[MappingRule]:
    try:
        yield _parsed(entry)
    except (PatternRefused, MappingRefused) as error:
        problems.append(f"rule {number}: {error}")


def _parsed(entry: object) -> MappingRule:
    if not isinstance(entry, dict):
        raise MappingRefused("it is not an object")
    pattern, runtime, is_regex = (entry.get(name) for name in ("pattern", "runtime_type", "is_regex"))
    if not isinstance(pattern, str) or runtime not in list(OriginRuntime) or not isinstance(is_regex, bool):
        names = ", ".join(OriginRuntime)
        raise MappingRefused(f"pattern must be a text, runtime_type one of {names}, and is_regex true or false")
    return MappingRule(pattern, OriginRuntime(runtime), is_regex)


class PatternRefused(ValueError):
    """The pattern has syntax that means nothing, or something else, in Python; the text says which."""


_LEADING_FLAGS = re.compile(r"\(\?([ims]+)\)")
_CLASS = re.compile(r"(?<!\\)\[\^?\]?((?:\\.|[^\]\\])*)\]?")
_SET_OPERATION = re.compile(r"\[|&&|--|~~")

_REFUSED_ANYWHERE: Sequence[tuple[str, str]] = (
    (r"\\[pP]", r"the Unicode class \p; list its characters instead"),
    (r"\\[xuU]\{", r"a character as \x{...}; write the character itself"),
)
_REFUSED_OUTSIDE_CLASSES: Sequence[tuple[str, str]] = (
    (r"\\[z<>]|\\b\{", r"a boundary that Python does not have; use $ or \b"),
    (r"\\[1-9]|\(\?P=", "a backreference, which the origin cannot read either"),
    (r"\(\?<?[=!]|\(\?>|\(\?\(", "a look-around, which the origin cannot read either"),
    (r"\(\?<[A-Za-z_]", "a group (?<name>...); write (?P<name>...)"),
    (r"\(\?(?![:P]|[ims]+:)", "flags that Python does not have, or that do not stand at the beginning"),
    (r"(?<!\\)[*+?}][*+]", "a repeated repetition; put the inner one into (?:...)"),
)


def python_pattern(pattern: str) -> str:
    """Return a group that finds what a pattern of Rust's crate `regex` finds there; raises PatternRefused."""
    if len(pattern) > _PATTERN_SIZE_MAX:
        raise PatternRefused(
            f"the pattern has {len(pattern)} characters, and {_PATTERN_SIZE_MAX} are allowed; shorten it"
        )
    leading = _LEADING_FLAGS.match(pattern)
    body = pattern if leading is None else pattern[leading.end() :]
    _require_common(pattern, body)
    group = f"(?{leading[1] if leading else ''}:{body})"
    try:
        re.compile(group)
    except re.error as error:
        raise PatternRefused(f"the pattern {pattern!r} is not valid in Python: {error}") from None
    return group


def _require_common(pattern: str, body: str) -> None:
    """Raise PatternRefused if the syntax does not mean the same in both languages."""
    plain = body.replace(r"\\", "__")  # a backslash that is escaped escapes nothing
    found = [words for sign, words in _REFUSED_ANYWHERE if re.search(sign, plain)]
    found += [words for sign, words in _REFUSED_OUTSIDE_CLASSES if re.search(sign, _CLASS.sub("_", plain))]
    if any(map(_SET_OPERATION.search, _CLASS.findall(plain))):
        found.append("a class within a class; list the characters instead")
    if found:
        raise PatternRefused(f"the pattern {pattern!r} has {found[0]}")
