"""One name stands for one class, and the words that the glossary replaced name nothing."""

import ast
import functools
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = [path for layer in ("domain", "adapters", "entrypoints") for path in sorted((ROOT / layer).rglob("*.py"))]

SHARED: dict[str, str] = {}
"""Class names that may occur more than once, each with its reason."""

FORMER = {
    "bait", "bootstrap", "bursts", "chronicle", "chronicler", "desk", "door", "doorway", "flaw", "keeper", "lane",
    "ledger", "nursery", "patience", "places", "rooms", "shelf", "shelves", "spares", "story",
}  # fmt: skip
"""Words of the glossary's last column that have no other meaning in the code."""


@functools.cache
def definitions() -> list[tuple[str, str, bool]]:
    """Return each name that a module defines, where that is, and whether it is that of a class."""
    found = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case (
                    ast.ClassDef(name=name)
                    | ast.FunctionDef(name=name)
                    | ast.AsyncFunctionDef(name=name)
                    | ast.arg(arg=name)
                    | ast.Name(id=name, ctx=ast.Store())
                    | ast.Attribute(attr=name, ctx=ast.Store())
                ):
                    found.append((name, f"{path.relative_to(ROOT)}:{node.lineno}", isinstance(node, ast.ClassDef)))
    return found


def classes() -> Iterator[tuple[str, str]]:
    """Yield the name of each class in the source, and where it is."""
    yield from ((name, where) for name, where, is_class in definitions() if is_class)


def words(name: str) -> set[str]:
    """Return the words of a name in snake_case or CamelCase."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)}


def names() -> Iterator[tuple[str, str]]:
    """Yield each name that the source defines: modules, classes, functions, parameters and variables."""
    for path in SOURCES:
        where = path.relative_to(ROOT)
        yield from ((part, str(where)) for part in where.with_suffix("").parts)
    yield from ((name, where) for name, where, _ in definitions())


def test_each_class_name_stands_for_one_class():
    found = defaultdict(list)
    for name, where in classes():
        found[name].append(where)
    assert {name: where for name, where in found.items() if len(where) > 1 and name not in SHARED} == {}
    assert [name for name in SHARED if len(found[name]) < 2] == []


def test_words_that_the_glossary_replaced_name_nothing():
    assert sorted({f"{where}: {name}" for name, where in names() if words(name) & FORMER}) == []


def test_names_are_taken_apart_into_words():
    assert words("SpareShelf") == {"spare", "shelf"}
    assert words("_places_max") == {"places", "max"}
    assert words("HTTPRooms") == {"http", "rooms"}
