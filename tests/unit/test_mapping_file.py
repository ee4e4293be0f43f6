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
    "content",
    [
        "{",
        [],
        {"prefix": {}},
        {"prefixes": []},
        {"prefixes": {"": "nodejs"}},
        {"prefixes": {"rb-": "ruby"}},
        {"patterns": {"(": "python"}},
        {"patterns": {"a": 1}},
    ],
)
def test_a_wrong_file_is_named_with_its_fault(tmp_path: Path, content: object) -> None:
    path = written(tmp_path, content)
    with pytest.raises(WrongMappingFile, match=r"mapping\.json"):
        read_mapping(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WrongMappingFile, match=r"none\.json"):
        read_mapping(tmp_path / "none.json")
