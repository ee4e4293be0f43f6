"""The file of further spellings, right and wrong."""

import json
from pathlib import Path

import pytest

from adapters.mapping_file import WrongMappingFile, read_mapping


def written(folder: Path, content: object) -> Path:
    path = folder / "mapping.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_prefixes_and_patterns_resolve(tmp_path: Path) -> None:
    mapping = read_mapping(written(tmp_path, {"prefixes": {"js-": "nodejs"}, "patterns": {"ml-.+": "python"}}))
    assert str(mapping.resolve("js-sum")) == "nodejs-sum"
    assert str(mapping.resolve("ml-model")) == "python-ml-model"


def test_an_empty_object_adds_nothing(tmp_path: Path) -> None:
    assert str(read_mapping(written(tmp_path, {})).resolve("nodejs-x")) == "nodejs-x"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("{", "is not JSON: "),
        ([], 'is not an object with "prefixes" and "patterns" only'),
        ({"prefix": {}}, 'is not an object with "prefixes" and "patterns" only'),
        ({"prefixes": []}, 'has "prefixes" that is not an object'),
        ({"prefixes": {"": "nodejs"}}, 'has "prefixes" that is not an object whose keys are not empty'),
        ({"prefixes": {"rb-": "ruby"}}, """maps 'rb-' to "ruby", which is not "nodejs" or "python\""""),
        ({"patterns": {"(": "python"}}, "has the pattern '(', which is not a regular expression"),
        ({"patterns": {"a": 1}}, "maps 'a' to 1, which is not"),
        (json.dumps({"prefixes": {"x" * 65_536: "nodejs"}}), "is larger than 65536 bytes"),
    ],
)
def test_a_wrong_file_is_named_with_its_fault_and_the_form(tmp_path: Path, content: object, fault: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(WrongMappingFile) as caught:
        read_mapping(path)
    assert str(caught.value).startswith(f"'{path}' {fault}")
    assert str(caught.value).endswith('"patterns": {"ml-.*": "python"}}.')


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WrongMappingFile, match=r"none\.json' cannot be read: No such file or directory\. Name a file"):
        read_mapping(tmp_path / "none.json")
