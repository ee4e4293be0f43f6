"""One name stands for one class, and the words that the glossary replaced name nothing."""

import ast
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


CLASS = re.compile(r"^ *class (\w+)", re.MULTILINE)
FORMER_WORD = re.compile("|".join(sorted(FORMER)), re.IGNORECASE)


def classes() -> Iterator[tuple[str, str]]:
    """Yield the name of each class in the source, and where it is."""
    for path in SOURCES:
        text = path.read_text()
        for found in CLASS.finditer(text):
            yield found[1], f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, found.start()) + 1}"


def words(name: str) -> set[str]:
    """Return the words of a name in snake_case or CamelCase."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", name)}


def names() -> Iterator[tuple[str, str]]:
    """Yield each name that the source defines: modules, classes, functions, parameters and variables.

    Modules whose text has no former word are left out: to parse all of them takes seconds.
    """
    for path in SOURCES:
        where, text = str(path.relative_to(ROOT)), path.read_text()
        yield from ((part, where) for part in Path(where).with_suffix("").parts)
        for node in ast.walk(ast.parse(text)) if FORMER_WORD.search(text) else ():
            match node:
                case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                    yield name, f"{where}:{node.lineno}"
                case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()):
                    yield name, f"{where}:{node.lineno}"
                case ast.Attribute(attr=name, ctx=ast.Store()):
                    yield name, f"{where}:{node.lineno}"


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
