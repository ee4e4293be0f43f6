"""Which files of a script are collected, and why the others are not."""

import json
import time

import pytest

from adapters.sandbox.selftest.files import TrialFiles
from domain.scripts.files import LeftFile, RunFiles, path_fault, refused
from domain.scripts.report import FailureCode

FILES = RunFiles(1)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("", "empty"),
        ("/a", "empty"),
        ("a//b", "empty"),
        ("a/", "empty"),
        ("../a", "empty, . or .."),
        ("a/./b", "empty, . or .."),
        ("a\nb", "not printable"),
        ("a\0", "not printable"),
        ("a\u202eb", "not printable"),
        ("a\ud800", "not printable"),
        ("a\ufffd", "not UTF-8"),
        ("a\\b", "backslash"),
        ("/".join("abcdefghi"), "9 parts"),
        ("é" * 128, "more than 255"),
        ("/".join(["a" * 200] * 3), "more than 512 bytes"),
    ],
)
def test_a_path_that_no_file_may_have_is_refused_with_its_reason(path: str, why: str) -> None:
    assert why in (path_fault(path) or "")
    failure = FILES.fault_of_left([LeftFile(path, 1)], 1)
    assert failure is not None
    assert failure.code is FailureCode.FILES_REFUSED
    assert why in failure.message
    assert failure.message.isprintable()


@pytest.mark.parametrize("path", ["a", "a b", "é/ü", "/".join("abcdefgh"), ".hidden", "a" * 255, "..a"])
def test_other_paths_are_taken(path: str) -> None:
    assert path_fault(path) is None
    assert FILES.fault_of_left([LeftFile(path, 1 << 20)], 64) is None


def test_what_is_no_regular_file_is_refused() -> None:
    failure = FILES.fault_of_left([LeftFile("a", 1), LeftFile("link", None)], 2)
    assert failure is not None
    assert failure.code is FailureCode.FILES_REFUSED
    assert "because of link: it is no regular file" in failure.message
    assert "because it ended" in refused("it ended").message


def test_too_many_and_too_large_files_are_refused_with_limit_and_observed_value() -> None:
    many, large = FILES.fault_of_left([], 65), FILES.fault_of_left([LeftFile("a", 1 << 20), LeftFile("b", 1)], 2)
    assert many is not None
    assert (many.code, many.limit, many.observed) == (FailureCode.FILES_TOO_LARGE, 64, 65)
    assert large is not None
    assert (large.code, large.limit, large.observed) == (FailureCode.FILES_TOO_LARGE, 1 << 20, (1 << 20) + 1)


@pytest.mark.parametrize(
    ("patterns", "wanted"),
    [
        (None, {"a.png", "plots/b.png", "plots/c.txt", "plots/more/d.png", "e[1].csv", "e1.csv"}),
        (("*.png",), {"a.png"}),
        (("plots/*.png", "a.*"), {"a.png", "plots/b.png"}),
        (("*/*",), {"plots/b.png", "plots/c.txt"}),
        (("pl?ts/**t*", "?.pn"), {"plots/c.txt"}),
        (("*/?.???", "a[.]png", "[ab].png"), {"plots/b.png", "plots/c.txt"}),
        (("e[1].csv",), {"e[1].csv"}),
        ((), set()),
    ],
)
def test_patterns_say_what_is_collected(patterns: tuple[str, ...] | None, wanted: set[str]) -> None:
    paths = ("a.png", "plots/b.png", "plots/c.txt", "plots/more/d.png", "e[1].csv", "e1.csv")
    files = RunFiles(1, sink=TrialFiles(patterns=patterns))
    assert {path for path in paths if files.is_wanted(path)} == wanted
    assert FILES.is_wanted("a")


@pytest.mark.parametrize("pattern", ["*a" * 32 + "b", "a*" * 32 + "d", "*?" * 32 + "b", "*" + "a" * 62 + "b"])
def test_patterns_that_are_hard_to_match_take_no_long_time(pattern: str) -> None:
    files = RunFiles(1, sink=TrialFiles(patterns=(pattern,) * 64))
    began_at = time.process_time()
    assert not any(files.is_wanted("a" * 190 + "c" * number) for number in range(1, 66))
    assert time.process_time() - began_at < 5, "a pattern that is tried in all ways takes centuries"


def test_a_path_that_is_listed_twice_is_refused() -> None:
    failure = FILES.fault_of_left([LeftFile("a", 1), LeftFile("b", 1), LeftFile("a", 2)], 3)
    assert failure is not None
    assert failure.code is FailureCode.FILES_REFUSED
    assert "because of a: it is listed twice" in failure.message


def test_a_refusal_shows_a_path_whole_as_json_or_not_at_all() -> None:
    path = "é" * 100 + "\x7f\n\ud800"
    assert f"because of {json.dumps(path)[1:-1]}: why" in refused("why", path).message
    assert "because of a file: why" in refused("why", "a" * 513).message
